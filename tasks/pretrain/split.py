"""Ways to hold sequences out of training.

Every way gives each sequence its part: training, held out, test, or none as it is too close to others. All choices are
hashes of the sequence or its scaffold: they do not depend on the order of files. Sets are held out as a whole, and
what is held out anywhere is trained on nowhere.
"""

from collections.abc import Callable

import numpy as np

from bio_xlstm.tasks.pretrain.data_settings import DataSettings
from bio_xlstm.tasks.pretrain.gathering import Gathered
from bio_xlstm.tasks.pretrain.luck import uniform
from bio_xlstm.tasks.pretrain.parts import HELD_OUT, LEFT_OUT, STORES, TEST, TRAIN, UNDECIDED
from bio_xlstm.tasks.pretrain.token_store import Cuts
from bio_xlstm.tasks.pretrain.words import Words

Split = Callable[[Gathered, np.ndarray, DataSettings], dict[int, Cuts]]

_REPEATED = 0.9
_SHARED_WORDS = 2


def by_hash(gathered: Gathered, kept: np.ndarray, settings: DataSettings) -> dict[int, Cuts]:
    """Hold out every sequence whose own hash falls into the share of its domain; `kept` (N,) bool may be used."""
    parts = _drawn(gathered, settings)
    parts[~kept] = LEFT_OUT
    return whole(gathered, _without_copies(parts, gathered.digests))


def by_scaffold(gathered: Gathered, kept: np.ndarray, settings: DataSettings) -> dict[int, Cuts]:
    """Hold out every molecule whose Murcko scaffold hashes into the share of its domain.

    A scaffold held out in one domain is trained on in none. Of held-out sets, the molecules themselves are not
    trained on, but their scaffolds may be. Molecules that RDKit cannot read are in no part.
    """
    alone = gathered.store.sets < 0
    test, held = _shares(settings)
    used = np.unique(gathered.store.domains[alone])
    # the lowest scaffolds are for the test in all domains that take them, the next ones are held out
    tested, out = test[used].max(initial=0), held[used].max(initial=0)
    luck, domain = gathered.luck, gathered.store.domains
    low = np.where(luck < test[domain], TEST, LEFT_OUT)
    middle = np.where(luck < tested + held[domain], HELD_OUT, LEFT_OUT)
    trained = luck >= tested + out
    parts = np.where(luck < tested, low, np.where(trained, TRAIN, middle)).astype(np.int8)
    drawn = _drawn(gathered, settings)
    parts = np.where(alone, parts, np.where((drawn == TRAIN) & ~trained, LEFT_OUT, drawn))
    parts[~kept | np.isnan(luck)] = LEFT_OUT
    return whole(gathered, _without_copies(parts, gathered.molecules))


def by_families(gathered: Gathered, kept: np.ndarray, settings: DataSettings) -> dict[int, Cuts]:
    """Hold out proteins and whole families, and drop from training everything that resembles them.

    First, a protein outside of families of whose 8-residue words more than 90 % stand in such proteins before it is
    left out as a near-duplicate. Held-out proteins and families are then chosen by hash; a remaining sequence, of a
    family or not, that shares two or more different words with any of them is not trained on.
    """
    words = Words(gathered.store)
    alone = kept & (gathered.store.sets < 0)
    repeated = words.seen_before(alone) > _REPEATED * np.maximum(words.counts(), 1)
    parts = _drawn(gathered, settings)
    parts[~kept | (alone & repeated)] = LEFT_OUT
    if (parts == TEST).any():
        related = words.shared_with(parts == TEST) >= _SHARED_WORDS
        parts[related & (parts != TEST)] = LEFT_OUT
    related = words.shared_with(parts == HELD_OUT) >= _SHARED_WORDS
    parts[related & (parts == TRAIN)] = LEFT_OUT
    return whole(gathered, parts)


def by_tail(gathered: Gathered, kept: np.ndarray, settings: DataSettings) -> dict[int, Cuts]:
    """Hold out the contiguous last share of every sequence, and of that the last part for the test."""
    test, held = (share[gathered.store.domains] for share in _shares(settings))
    lengths = np.diff(gathered.store.offsets)
    for_test = np.round(lengths * test).astype(np.int64)
    held_out = np.minimum(np.round(lengths * held).astype(np.int64), lengths - for_test)
    borders = [np.zeros_like(lengths), lengths - for_test - held_out, lengths - for_test, lengths]
    cuts = {}
    for part, begin, end in zip((TRAIN, HELD_OUT, TEST), borders[:-1], borders[1:], strict=True):
        given = gathered.given == part
        mine = kept & (given | ((gathered.given == UNDECIDED) & (begin < end)))
        number = np.flatnonzero(mine)
        first, last = np.where(given, 0, begin), np.where(given, lengths, end)
        cuts[part] = Cuts(number, first[number], last[number])
    return cuts


def whole(gathered: Gathered, parts: np.ndarray) -> dict[int, Cuts]:
    """Return the sequences of every part, uncut."""
    numbers = {part: np.flatnonzero(parts == part) for part in STORES.values()}
    lengths = np.diff(gathered.store.offsets)
    return {part: Cuts(n, np.zeros_like(n), lengths[n]) for part, n in numbers.items()}


def _shares(settings: DataSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of every domain that are for the test and held out."""
    test = [settings.test_share(domain) for domain in settings.domains]
    return np.array(test), np.array([domain.held_out for domain in settings.domains])


def _drawn(gathered: Gathered, settings: DataSettings) -> np.ndarray:
    """Return the part (N,) int8 of every sequence: of its region, else by its hash, or by that of its set."""
    test, held = (share[gathered.store.domains] for share in _shares(settings))
    luck = np.where(gathered.store.sets < 0, gathered.digests / 2**64, _luck_of_sets(gathered))
    parts = np.where(luck < test, TEST, np.where(luck < test + held, HELD_OUT, TRAIN)).astype(np.int8)
    return np.where(gathered.given == UNDECIDED, parts, gathered.given)


def _luck_of_sets(gathered: Gathered) -> np.ndarray:
    """Return a number in [0, 1) for every sequence, the same for all of a set: by the lowest of their hashes."""
    sets = gathered.store.sets
    lowest = np.full(int(sets.max(initial=-1)) + 2, np.iinfo(np.uint64).max, np.uint64)
    # what belongs to no set is number -1, the last
    np.minimum.at(lowest, sets, gathered.digests)
    return uniform(lowest)[sets]


def _without_copies(parts: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Leave out of training what is held out elsewhere, and of both what is for the test."""
    parts = parts.copy()
    for part, others in ((TEST, (HELD_OUT, TRAIN)), (HELD_OUT, (TRAIN,))):
        copies = np.isin(keys, keys[parts == part])
        parts[copies & np.isin(parts, others)] = LEFT_OUT
    return parts


SPLITTERS: dict[str, Split] = {
    "hash": by_hash,
    "scaffold": by_scaffold,
    "families": by_families,
    "tail": by_tail,
}
