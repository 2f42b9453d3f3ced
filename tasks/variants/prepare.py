"""From a record to a pair of token ids, or to the status and the reason why there is none."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bio_xlstm.errors import SequenceError
from bio_xlstm.records import Record
from bio_xlstm.tasks.files.prepare import Preparation, Ready, placed
from bio_xlstm.tasks.variants.pairs import Pair, pack_pair
from bio_xlstm.tasks.variants.scan_input import MUTANT
from bio_xlstm.tasks.variants.table_input import Columns
from bio_xlstm.tasks.variants.vcf_input import allele_of
from bio_xlstm.tasks.variants.wild_types import WildTypes
from bio_xlstm.tasks.writers.part import Row
from bio_xlstm.variants.genome import Genome
from bio_xlstm.variants.mutations import Mutation, apply_mutations, parse_mutations, revert_mutations
from bio_xlstm.variants.ratios import find_problem
from bio_xlstm.variants.vcf import allele_windows

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

_READABLE = ("ok", "cleaned")


class _RefusedError(Exception):
    """Carry a status and its reason."""


@dataclass(frozen=True)
class VariantPreparation(Preparation):
    """Turn records into rows and packed pairs; how the two sequences are found is what subclasses add."""

    model: "SequenceModel | None" = None

    def prepare(self, record: Record) -> Ready:
        """Prepare one record; it never fails, whatever the record holds."""
        try:
            if record.status != "ok":
                raise _RefusedError(record.status, record.detail)
            pair, note = self._pair(record)
            self._check(pair)
        except _RefusedError as refused:
            status, detail = refused.args
            return Ready(Row(record.row, record.id, 0, status, detail), np.empty(0, np.uint8))
        except SequenceError as error:
            return Ready(Row(record.row, record.id, 0, "error", str(error)), np.empty(0, np.uint8))
        status = "cleaned" if note else "ok"
        return Ready(Row(record.row, record.id, len(pair.mutant), status, note), pack_pair(pair))

    def _pair(self, record: Record) -> tuple[Pair, str]:
        """Return the two sequences, and what was cleaned."""
        raise NotImplementedError

    def _check(self, pair: Pair) -> None:
        """Refuse what is too long or changes what has no likelihood."""
        length = len(pair.mutant)
        if self.max_length is not None and length > self.max_length:
            raise _RefusedError("too_long", f"{length} tokens are more than --max-length {self.max_length}")
        if pair.wild is not None and self.model is not None:
            problem = find_problem(self.model, pair.wild, pair.mutant)
            if problem:
                raise SequenceError(problem)

    def _ids(self, text: str, what: str, record: Record | None = None) -> tuple[np.ndarray, str]:
        """Turn letters into ids, and tell what was cleaned; `what` names them in front of a reason."""
        found = self.tokenizer.prepare(text)
        if found.status not in _READABLE:
            detail = found.detail if record is None else placed(record, found.detail, found.position)
            raise _RefusedError(found.status, f"{what}{detail}")
        return found.ids, found.detail


@dataclass(frozen=True)
class TablePreparation(VariantPreparation):
    """Find the pair of a row of a table or list."""

    columns: Columns = Columns()
    wild_types: WildTypes | None = None
    offset: int = 0

    def _pair(self, record: Record) -> tuple[Pair, str]:
        """Take the mutated sequence and the wild type as they are given, or make one of the other."""
        given = self._cell(record, self.columns.mutant)
        mutations, problem = self._mutations(given)
        wild = self._wild(record)
        if self.columns.sequence is None:
            if not given:
                raise _RefusedError("empty", "no mutation is given")
            if mutations is None:
                raise SequenceError(problem)
            assert wild is not None
            mutant, _ = self._ids(apply_mutations(wild, mutations), "")
            return Pair(self._ids(wild, "wild type: ")[0], mutant), ""
        mutant, note = self._ids(record.text, "", record)
        letters = self.tokenizer.decode(mutant)
        if wild is None and mutations is not None:
            wild = revert_mutations(letters, mutations)
        elif wild is not None and mutations is not None:
            _compare(wild, mutations, letters)
        if wild is None and self.columns.mutant is not None:
            raise SequenceError(f"{problem or 'no mutation is given'}: its wild type is not known")
        return Pair(None if wild is None else self._ids(wild, "wild type: ")[0], mutant), note

    def _cell(self, record: Record, column: str | None) -> str:
        return "" if column is None else (record.fields or {}).get(column, "").strip()

    def _mutations(self, text: str) -> tuple[tuple[Mutation, ...] | None, str]:
        """Read mutations; None with the reason where a cell holds something else, such as a name."""
        if not text:
            return None, ""
        try:
            return parse_mutations(text, self.offset), ""
        except SequenceError as error:
            return None, str(error)

    def _wild(self, record: Record) -> str | None:
        """Return the wild type of a row, None where none is known."""
        if self.wild_types is not None:
            name = self._cell(record, self.columns.wild_id) if self._several else None
            return self.wild_types.find(name)
        if self.columns.wild_sequence is None:
            return None
        ids, _ = self._ids(self._cell(record, self.columns.wild_sequence), "wild type: ")
        return self.tokenizer.decode(ids)

    @property
    def _several(self) -> bool:
        return self.wild_types is not None and len(self.wild_types.letters) > 1


@dataclass(frozen=True)
class ScanPreparation(VariantPreparation):
    """Find the pair of a substitution in a scan."""

    def _pair(self, record: Record) -> tuple[Pair, str]:
        """Put the substitution into the wild type."""
        assert record.fields is not None
        wild, note = self._ids(record.text, "", record)
        if not record.fields[MUTANT]:
            raise SequenceError("none of its letters can be exchanged: they stand for several")
        letters = self.tokenizer.decode(wild)
        mutated = apply_mutations(letters, parse_mutations(record.fields[MUTANT]))
        return Pair(wild, self._ids(mutated, "")[0]), note


@dataclass(frozen=True)
class VcfPreparation(VariantPreparation):
    """Find the pair of an allele: windows of a genome."""

    genome: Genome | None = None
    width: int = 0

    def _pair(self, record: Record) -> tuple[Pair, str]:
        """Cut both windows."""
        assert self.genome is not None
        windows = allele_windows(allele_of(record), self.genome, self.width)
        wild, mutant = (self._ids(text, "")[0] for text in windows)
        return Pair(wild, mutant), ""


def _compare(wild: str, mutations: tuple[Mutation, ...], mutated: str) -> None:
    """Refuse a mutated sequence that is not what its mutations make of the wild type."""
    expected = apply_mutations(wild, mutations)
    if expected == mutated:
        return
    if len(expected) != len(mutated):
        raise SequenceError(
            f"the mutated sequence has {len(mutated)} letters, the wild type with its mutations {len(expected)}"
        )
    place = next(i for i, pair in enumerate(zip(expected, mutated, strict=True)) if pair[0] != pair[1])
    raise SequenceError(
        f"position {place + 1} of the mutated sequence is {mutated[place]}; its mutations make it {expected[place]}"
    )
