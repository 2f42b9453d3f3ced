"""The regions of a domain, by sequence, with the part of the corpus that each belongs to."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from bio_xlstm.errors import InputError
from bio_xlstm.records.bed import read_bed
from bio_xlstm.tasks.pretrain.parts import HELD_OUT, TEST, TRAIN, UNDECIDED

# what the fourth column may say
PARTS = {"train": TRAIN, "valid": HELD_OUT, "validation": HELD_OUT, "val": HELD_OUT, "test": TEST}


class Part(NamedTuple):
    """Hold one region, and the part it belongs to."""

    begin: int
    end: int
    part: int
    line: int


class DomainRegions:
    """Hold the regions of a BED file; `with_parts` reads train, valid or test from its fourth column."""

    def __init__(self, path: Path, domain: str, *, with_parts: bool) -> None:
        self.path, self.domain = path, domain
        self._regions: dict[str, list[Part]] = defaultdict(list)
        self._found: set[str] = set()
        for region in read_bed(path):
            if with_parts and region.name not in PARTS:
                raise InputError(
                    f"{path} line {region.line}: the fourth column must be train, valid or test, "
                    f"not {region.name!r}"
                )
            part = PARTS[region.name] if with_parts else UNDECIDED
            self._regions[region.sequence].append(Part(region.begin, region.end, part, region.line))

    def __contains__(self, sequence: str) -> bool:
        return sequence in self._regions

    def of(self, sequence: str, length: int) -> list[Part]:
        """Return the regions of a sequence of that length; InputError where one ends beyond it."""
        self._found.add(sequence)
        for region in self._regions[sequence]:
            if region.end > length:
                raise InputError(
                    f"{self.path} line {region.line}: the region ends at {region.end:,}, "
                    f"but {sequence!r} has {length:,} bases"
                )
        return self._regions[sequence]

    def check_all_found(self) -> None:
        """Refuse regions of sequences that no file holds."""
        missing = [sequence for sequence in self._regions if sequence not in self._found]
        if missing:
            line = self._regions[missing[0]][0].line
            raise InputError(
                f"{self.path} line {line}: no file of domain {self.domain!r} holds a sequence {missing[0]!r}"
            )
