"""Genomes: contigs by name, read when they are needed, of which as many stay in memory as there is room for."""

import os

from bio_xlstm.errors import InputError
from bio_xlstm.records import open_records

# letters that stay in memory: a chromosome of any animal, or all of a small genome
_KEPT = 512 << 20
_NO_LETTERS = str.maketrans("", "", " \t\r\n")


class Genome:
    """Give the letters of contigs out of a FASTA file; InputError where it cannot be read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.source = open_records(path, kind="dna")
        self._contigs: dict[str, str] = {}
        self._missing: set[str] = set()

    def contig(self, name: str) -> str | None:
        """Return a contig in upper case, with T for U; `chr1` and `1` mean the same. None where there is none."""
        if name in self._missing:
            return None
        for known in _spellings(name):
            if known in self._contigs:
                # the one used last is dropped last
                self._contigs[known] = self._contigs.pop(known)
                return self._contigs[known]
        return self._read(name)

    def _read(self, name: str) -> str | None:
        """Read through the file up to a contig, and keep what comes by."""
        wanted = set(_spellings(name))
        for record in self.source:
            if record.status != "ok":
                raise InputError(f"{self.source.name} record {record.row}: {record.detail}")
            if record.id in self._contigs:
                continue
            self._contigs[record.id] = record.text.translate(_NO_LETTERS).upper().replace("U", "T")
            while len(self._contigs) > 1 and sum(map(len, self._contigs.values())) > _KEPT:
                del self._contigs[next(iter(self._contigs))]
            if record.id in wanted:
                return self._contigs[record.id]
        self._missing.add(name)
        return None


def _spellings(name: str) -> tuple[str, ...]:
    """Return how a contig may be called."""
    bare = name.removeprefix("chr")
    mitochondrion = {"M": "MT", "MT": "M"}.get(bare, bare)
    return tuple(dict.fromkeys((name, bare, f"chr{bare}", mitochondrion, f"chr{mitochondrion}")))
