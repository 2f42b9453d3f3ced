"""Mutations as people write them, `A123T:G5D`: read, put into a sequence, taken back out of it."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bio_xlstm.errors import SequenceError

# how tables write that nothing is changed
WILD_TYPE = frozenset(("wt", "_wt", "wildtype", "wild_type", "wild-type"))
LETTERS = {"protein": "ACDEFGHIKLMNPQRSTVWY", "dna": "ACGT"}
_SEPARATORS = re.compile(r"[:;,/+\s]+")
_MUTATION = re.compile(r"(?:p\.)?([A-Za-z])(\d+)([A-Za-z*-])")


class Mutation(NamedTuple):
    """Put one letter in place of another."""

    wild: str
    position: int
    """From 1."""
    mutant: str

    def __str__(self) -> str:
        return f"{self.wild}{self.position}{self.mutant}"


def parse_mutations(text: str, offset: int = 0) -> tuple[Mutation, ...]:
    """Read mutations in any order, parted by colons; `offset` is added to every position.

    SequenceError names what is none.

    >>> [str(mutation) for mutation in parse_mutations("G5D:A3T")]
    ['A3T', 'G5D']
    """
    if text.strip().lower() in WILD_TYPE:
        return ()
    found: dict[int, Mutation] = {}
    for word in filter(None, _SEPARATORS.split(text.strip())):
        match = _MUTATION.fullmatch(word)
        if match is None or match[3] in "*-":
            raise SequenceError(f"{word!r} is no substitution such as A123T")
        position = int(match[2]) + offset
        if position in found:
            raise SequenceError(f"position {match[2]} is changed twice")
        found[position] = Mutation(match[1].upper(), position, match[3].upper())
    if not found:
        raise SequenceError("no mutation is given")
    return tuple(found[position] for position in sorted(found))


def apply_mutations(wild: str, mutations: Iterable[Mutation]) -> str:
    """Put mutations into a wild type; SequenceError where the letters do not fit.

    >>> apply_mutations("MKTA", parse_mutations("K2R"))
    'MRTA'
    """
    return _exchanged(wild, [(m.position, m.wild, m.mutant) for m in mutations], "the wild type")


def revert_mutations(mutated: str, mutations: Iterable[Mutation]) -> str:
    """Take mutations out of a mutated sequence; SequenceError where it does not have them."""
    return _exchanged(mutated, [(m.position, m.mutant, m.wild) for m in mutations], "the mutated sequence")


def single_substitutions(wild: str, letters: str) -> list[Mutation]:
    """List every exchange of one letter of a sequence for another; letters that are not among `letters` stay.

    >>> [str(mutation) for mutation in single_substitutions("AN", "ACG")]
    ['A1C', 'A1G']
    """
    return [
        Mutation(old, position, new)
        for position, old in enumerate(wild, start=1)
        if old in letters
        for new in letters
        if new != old
    ]


def _exchanged(text: str, exchanges: Sequence[tuple[int, str, str]], where: str) -> str:
    """Replace letters that must be there."""
    letters = list(text)
    for position, old, new in exchanges:
        if not 1 <= position <= len(letters):
            raise SequenceError(
                f"position {position} is outside of {where}, which has {len(letters)} letters"
            )
        if letters[position - 1] != old:
            raise SequenceError(f"position {position} of {where} is {letters[position - 1]}, not {old}")
        letters[position - 1] = new
    return "".join(letters)
