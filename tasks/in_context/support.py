"""A support: the labelled examples that a prediction in context is made from, one per molecule, protein or DNA."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bio_xlstm.errors import InputError
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.letters import LETTERS, letters
from bio_xlstm.in_context.sequence_process import common_length
from bio_xlstm.in_context.substitutions import codes_of
from bio_xlstm.in_context.template import Template
from bio_xlstm.tasks.assay.assay import Issue
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.in_context.repeats import Example, merge_repeats
from bio_xlstm.tokenizers.tokenizer import counted

# issues that messages name one by one
_SHOWN = 5


@dataclass(frozen=True)
class Support:
    """Hold N examples in an order that does not depend on that of the table, and what was found on the way."""

    source: str
    """name of the file, for messages"""
    names: list[str]
    """ids; where there are none sequences as written, or, where those are long, rows"""
    sequences: list[str]
    canonical: list[str]
    values: np.ndarray
    """(N,) float64: 0 and 1 for classes, else numbers"""
    relations: np.ndarray
    """(N,) int8: 1 where the true value is above, -1 where it is below, else 0"""
    task: Task
    """binary, with the positive class second, or regression"""
    issues: list[Issue]
    """rows that are left out, and why"""
    notes: list[str]
    """what was decided for the user, one sentence each"""

    def __len__(self) -> int:
        """Return N."""
        return len(self.names)

    @property
    def numeric(self) -> bool:
        """Tell whether labels are numbers."""
        return self.task.numeric

    @property
    def exact(self) -> np.ndarray:
        """Return which examples (N,) have a label that is more than a bound."""
        found: np.ndarray = self.relations == 0
        return found

    def labels(self, rows: np.ndarray) -> Labels:
        """Return the labels of B supports made of rows (B, n) of this one."""
        values = torch.from_numpy(self.values[rows])
        if not self.numeric:
            return Labels.of_classes(values)
        return Labels.of_numbers(values, torch.from_numpy(self.relations[rows]))

    def lines(self) -> list[str]:
        """Describe the support for people, one line each."""
        task = self.task
        found = [f"support  {self.source}: {_examples(len(self))} of {task.targets[0]}, {self._counted()}"]
        found += [f"note     {note}" for note in self.notes]
        if self.issues:
            found.append(f"left out {len(self.issues):,} of the rows of {self.source}:")
            found += [
                f"         row {row}: {status}: {detail}" for row, status, detail in self.issues[:_SHOWN]
            ]
            if len(self.issues) > _SHOWN:
                found.append(f"         and {len(self.issues) - _SHOWN:,} more")
        return found

    def _counted(self) -> str:
        if not self.numeric:
            positive = int(self.values.sum())
            negative, name = self.task.classes
            return f"{positive:,} {name!r} (positive), {len(self) - positive:,} {negative!r}"
        low, high = self.values.min(), self.values.max()
        bounds = int((~self.exact).sum())
        return f"{low:g} to {high:g}" + (f", {bounds:,} of them bounds" if bounds else "")


def make_support(
    examples: Sequence[Example],
    task: Task,
    *,
    issues: Sequence[Issue],
    notes: Sequence[str],
    source: str,
    kind: str = "smiles",
) -> Support:
    """Make a support of labelled rows; InputError where none is left, with the first reason."""
    merged = merge_repeats(examples, numeric=task.numeric, kind=kind)
    every = sorted([*issues, *merged.issues])
    if not merged.examples:
        first = f" (row {every[0].row}: {every[0].status}. {every[0].detail})" if every else ""
        raise InputError(f"{source}: no row can be used as a labelled example{first}")
    found = merged.examples
    values = np.array([one.value for one in found])
    also = [*notes, *merged.notes]
    if len(found) > 1 and len(np.unique(values)) == 1:
        what = f"the value {values[0]:g}" if task.numeric else f"the class {task.classes[int(values[0])]!r}"
        also.append(f"all examples have {what}: there is little to learn from them")
    relations = np.array([one.relation for one in found], np.int8)
    if task.numeric and (relations != 0).all():
        also.append("no value is more than a bound: bounds are taken for values")
    if kind != "smiles":
        also += _of_lengths([one.sequence for one in found], kind)
    return Support(
        source=source,
        names=[one.name for one in found],
        sequences=[one.sequence for one in found],
        canonical=[one.canonical for one in found],
        values=values,
        relations=relations,
        task=task,
        issues=every,
        notes=also,
    )


def _of_lengths(sequences: Sequence[str], kind: str) -> list[str]:
    """Say which sequences of proteins or DNA are not compared letter by letter, where most are."""
    lengths = [len(one) for one in sequences]
    length = common_length(torch.tensor(lengths))
    if length is not None:
        return _of_variants([one for one in sequences if len(one) == length], len(sequences), kind)
    if len(lengths) > 1 and len(set(lengths)) == 1 and lengths[0] > LETTERS:
        return [f"sequences of more than {LETTERS:,} letters are not compared letter by letter"]
    return []


def _of_variants(same: Sequence[str], count: int, kind: str) -> list[str]:
    """Say which sequences are not compared letter by letter where those of one length are, of so many in all."""
    length, found = len(same[0]), []
    if len(same) < count:
        found.append(
            f"most sequences have {length:,} letters, {count - len(same):,} of {count:,} another number: only queries "
            f"of {length:,} are compared letter by letter"
        )
    codes = codes_of(torch.from_numpy(letters(same))[:, :length])
    template = Template.of(codes, kind)
    others = int((~template.compare(codes, kind)[1]).sum())
    if others:
        found.append(
            f"{counted(others, 'sequence')} of {length:,} letters {'differs' if others == 1 else 'differ'} from the "
            f"others in more than {template.most:,}, and {'is' if others == 1 else 'are'} not compared letter by letter"
        )
    return found


def _examples(count: int) -> str:
    return "1 example" if count == 1 else f"{count:,} examples"
