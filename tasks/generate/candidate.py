"""A drawn sequence, and what is known of it without looking at the others."""

import json
from collections.abc import Iterable
from math import exp
from pathlib import Path
from typing import IO, NamedTuple


class Candidate(NamedTuple):
    """Hold one try."""

    number: int  # of the sample
    sequence: str
    length: int  # tokens, without start and stop
    tokens: int  # whose probabilities make up `logprob`
    logprob: float
    ended: bool
    valid: bool
    canonical: str  # what equal ones share; empty where it is not valid
    reason: str  # why it is refused, "" where it is not
    notes: tuple[str, ...] = ()  # what is remarkable about it
    measured: tuple[float, ...] = ()  # one number for every property asked for

    @property
    def key(self) -> str:
        """Return what makes two the same."""
        return self.canonical or self.sequence

    @property
    def perplexity(self) -> float:
        """Return exp(-logprob per token)."""
        return exp(-self.logprob / max(self.tokens, 1))


def write_candidates(candidates: Iterable[Candidate], file: IO[bytes]) -> None:
    """Write candidates as lines of JSON."""
    for candidate in candidates:
        file.write(json.dumps(candidate).encode() + b"\n")


def read_candidates(path: Path) -> list[Candidate]:
    """Read candidates back."""
    found = []
    for line in path.read_bytes().splitlines():
        read = Candidate._make(json.loads(line))
        found.append(read._replace(notes=tuple(read.notes), measured=tuple(read.measured)))
    return found
