"""The door to all splits: one method, fractions or folds, one seed."""

from dataclasses import dataclass

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.splits import groups as grouping
from bio_xlstm.tasks.assay.splits.by_column import column_groups, find_column, named_parts
from bio_xlstm.tasks.assay.splits.deal import deal
from bio_xlstm.tasks.assay.splits.split import PARTS, Split
from bio_xlstm.tasks.choices import check_choice

METHODS = ("random", "scaffold", "cluster", "column")
# a part may be so much smaller than asked for before clusters count as too large
ENOUGH = 0.5


def make_split(
    assay: Assay,
    method: str,
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    column: str | None = None,
    folds: int = 0,
    seed: int = 0,
    similarity: float | None = None,
) -> Split:
    """Divide an assay into train, validation and test, or into folds.

    random keeps equal molecules or sequences together and, for classes, their shares alike; scaffold keeps Murcko
    scaffolds together; cluster keeps together what is as similar as `similarity` (default: the lowest that leaves
    enough clusters), directly or through others; column takes the parts, or the groups, that a column names.
    Raise ConfigError where the data cannot be divided so.
    """
    check_choice("--split", method, METHODS)
    plan = Plan(assay, fractions, folds, seed)
    plan.check()
    if column is not None and method != "column":
        raise ConfigError(f"a column is read by --split column, not by --split {method}")
    if similarity is not None and method != "cluster":
        raise ConfigError(f"a similarity is for --split cluster, not for --split {method}")
    if method == "random":
        return plan.divide("random", grouping.same(assay), strata(assay))
    if method == "scaffold":
        return plan.divide("scaffold", grouping.scaffolds(assay))
    if method == "cluster":
        if similarity is not None and not 0 < similarity <= 1:
            raise ConfigError(f"a similarity lies between 0 and 1, not at {similarity:g}")
        found, threshold = grouping.clusters(assay, similarity, plan.fits)
        note = f"{found.max() + 1:,} clusters: no two hold a pair of similarity {threshold:g} or more"
        return plan.divide("cluster", found, notes=[note], threshold=threshold)
    name = find_column(assay, column)
    parts = named_parts(assay, name)
    if parts is not None:
        return plan.named(name, parts)
    return plan.divide("column", column_groups(assay, name))


def strata(assay: Assay) -> np.ndarray | None:
    """Return the class (N,) by which random parts are alike; for several labels, the rarest that a row has."""
    values = assay.values
    if assay.task.name in ("binary", "multiclass"):
        return np.nan_to_num(values[:, 0], nan=-1)
    if assay.task.name != "multilabel":
        return None
    counts = np.nansum(values, 0)
    rarity = np.where(values == 1, counts, np.inf)
    return np.where(np.isinf(rarity.min(1)), -1, rarity.argmin(1)).astype(float)


@dataclass(frozen=True)
class Plan:
    """Hold the sizes that the parts should have."""

    assay: Assay
    fractions: tuple[float, float, float]
    folds: int
    seed: int

    def check(self) -> None:
        """Refuse sizes that make no sense."""
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            shown = ", ".join(f"{share:g}" for share in self.fractions)
            raise ConfigError(f"the shares of train, validation and test must add up to 1, not {shown}")
        if self.fractions[0] <= 0 or self.fractions[2] <= 0:
            raise ConfigError("train and test need a share above 0")
        if self.folds and not 2 <= self.folds <= len(self.assay):
            raise ConfigError(
                f"--folds takes 2 to {len(self.assay)} for {len(self.assay)} sequences, not {self.folds}"
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """Return the share of every part."""
        return (1 / self.folds,) * self.folds if self.folds else self.fractions

    def fits(self, groups: np.ndarray) -> bool:
        """Say whether groups (N,) can be dealt out so that no part is much too small or too large."""
        sizes = [len(part) for part in deal(groups, self.shares, self.seed)]
        wanted = [share * len(groups) for share in self.shares]
        return all(
            ENOUGH * due <= size <= max(due / ENOUGH, 1) for size, due in zip(sizes, wanted, strict=True)
        )

    def divide(
        self,
        method: str,
        groups: np.ndarray,
        strata: np.ndarray | None = None,
        notes: list[str] | None = None,
        threshold: float | None = None,
    ) -> Split:
        """Deal groups (N,) out."""
        shares = self.shares
        parts, notes = deal(groups, shares, self.seed, strata), list(notes or [])
        count, needed = int(groups.max()) + 1, sum(share > 0 for share in shares)
        if any(not len(part) for part, share in zip(parts, shares, strict=True) if share):
            raise ConfigError(
                f"{self.assay.source}: --split {method} finds {count} group{'s' * (count != 1)}, "
                f"and {needed} parts are asked for"
            )
        notes += _uneven(parts, shares, len(groups))
        if not self.folds:
            return Split(method, parts, PARTS, notes=notes, groups=groups, threshold=threshold)
        names = tuple(f"fold {number + 1}" for number in range(self.folds))
        held = [
            self._validation(groups, np.setdiff1d(np.arange(len(groups)), part), strata) for part in parts
        ]
        return Split(method, parts, names, held, notes, groups, threshold)

    def named(self, column: str, parts: list[np.ndarray]) -> Split:
        """Take the parts that a column names; the validation part comes out of training where it is missing."""
        if self.folds:
            raise ConfigError(f"column {column!r} names train and test; folds need a column of groups")
        train, validation, test = parts
        notes = []
        left = len(self.assay) - sum(map(len, parts))
        if left:
            notes.append(f"{left:,} rows with an empty cell in column {column!r} are in no part")
        same = grouping.same(self.assay)
        if not len(validation) and self.fractions[1]:
            validation = self._validation(same, train, strata(self.assay))
            train = np.setdiff1d(train, validation)
            notes.append(
                f"column {column!r} names no validation part; {len(validation):,} random training rows are it"
            )
        return Split("column", [train, validation, test], PARTS, notes=notes)

    def _validation(self, groups: np.ndarray, rows: np.ndarray, strata: np.ndarray | None) -> np.ndarray:
        """Choose the validation part among rows that are not in the test part."""
        share = self.fractions[1] / (self.fractions[0] + self.fractions[1])
        if not share:
            return rows[:0]
        parts = deal(groups[rows], (1 - share, share), self.seed, None if strata is None else strata[rows])
        return rows[parts[1]]


def _uneven(parts: list[np.ndarray], shares: tuple[float, ...], count: int) -> list[str]:
    """Say where groups made a part much smaller or larger than asked for."""
    return [
        f"a part has {len(part):,} rows where {share * count:,.0f} were asked for: groups are not divided"
        for part, share in zip(parts, shares, strict=True)
        if abs(len(part) - share * count) > max(1, ENOUGH * share * count)
    ]
