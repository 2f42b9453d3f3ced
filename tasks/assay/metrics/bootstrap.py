"""Bootstrap: how much a metric would vary if other sequences of the same kind had been measured."""

from collections.abc import Callable, Mapping

import numpy as np

Found = Mapping[str, float]
LEVEL = 0.95
FEWEST_DRAWS = 100
# numbers that are looked at altogether, before draws are saved
WORK = 4_000_000


def intervals(
    compute: Callable[[np.ndarray], Found], count: int, *, draws: int, seed: int, width: int = 1
) -> dict[str, tuple[float, float]]:
    """Return the 95 % percentile interval of everything that `compute` finds for chosen rows.

    `count` rows are drawn with replacement, `draws` times, less often for large sets (`width` numbers each), so that
    it takes seconds. A metric that does not exist for most draws has no interval.
    """
    if not draws or count < 2:
        return {}
    rng = np.random.default_rng(seed)
    times = min(draws, max(FEWEST_DRAWS, WORK // (count * width)))
    found = [compute(rng.integers(count, size=count)) for _ in range(times)]
    collected = {name: np.array([one[name] for one in found]) for name in found[0]}
    tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    return {
        name: tuple(np.quantile(drawn[~np.isnan(drawn)], tails).tolist())
        for name, drawn in collected.items()
        if 2 * np.isnan(drawn).sum() < times
    }
