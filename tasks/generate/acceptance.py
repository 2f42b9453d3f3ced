"""Which candidates are taken: in the order of their numbers, so that no result depends on what was done when."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from bio_xlstm.tasks.generate.candidate import Candidate

REPEATED, KNOWN = "drawn before", "excluded"


class Accepted(NamedTuple):
    """Hold a candidate that was taken."""

    candidate: Candidate
    unique: bool  # no earlier one that was taken is the same
    novel: bool | None  # not among the excluded; None where nothing is excluded


class Acceptance:
    """Take candidates until there are enough, and count why others were refused."""

    def __init__(self, wanted: int, *, unique: bool, excluded: Collection[str] | None) -> None:
        self.wanted, self.unique, self.excluded = wanted, unique, excluded
        self.taken: list[Accepted] = []
        self.tried = 0
        self.refused: Counter[str] = Counter()
        self._seen: set[str] = set()

    @property
    def full(self) -> bool:
        """Tell whether there are enough."""
        return len(self.taken) >= self.wanted

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Look at the next candidates, which must come in the order of their numbers."""
        for candidate in candidates:
            if self.full:
                return
            self.tried += 1
            reason = candidate.reason or self._known(candidate)
            if reason:
                self.refused[reason] += 1
                continue
            novel = None if self.excluded is None else candidate.key not in self.excluded
            self.taken.append(Accepted(candidate, candidate.key not in self._seen, novel))
            self._seen.add(candidate.key)

    def _known(self, candidate: Candidate) -> str:
        """Say why a candidate is refused for what others are."""
        if self.excluded is not None and candidate.key in self.excluded:
            return KNOWN
        return REPEATED if self.unique and candidate.key in self._seen else ""

    def counts(self) -> dict[str, int]:
        """Return what is written down about the run."""
        refused = {f"refused: {reason}": count for reason, count in sorted(self.refused.items())}
        return {"rows": len(self.taken), "tried": self.tried, "wanted": self.wanted, **refused}
