"""The words of eight residues that proteins share, counted with bounded memory."""

from collections.abc import Iterator

import numpy as np

from bio_xlstm.tasks.pretrain.luck import mixed
from bio_xlstm.tasks.pretrain.token_store import TokenStore

_WORD = 8
# words in memory at a time; where there are more, all sequences are read several times
_AT_A_TIME = 1 << 22
_BLOCK = 1 << 20


class Words:
    """Compare the sequences of a store by their words."""

    def __init__(self, store: TokenStore, at_a_time: int = _AT_A_TIME) -> None:
        self.store = store
        self.shares = max(1, -(-len(store.tokens) // at_a_time))

    def counts(self) -> np.ndarray:
        """Return how many words every sequence (N,) has."""
        return np.maximum(np.diff(self.store.offsets) - _WORD + 1, 0)

    def seen_before(self, chosen: np.ndarray) -> np.ndarray:
        """Count the words of every chosen sequence (N,) that a chosen one before it has, too."""
        found = np.zeros(len(self.store), np.int64)
        for owners, words in self._of(chosen):
            _, first, inverse = np.unique(words, return_index=True, return_inverse=True)
            again = owners[first][inverse] < owners
            found += np.bincount(owners[again], minlength=len(found))
        return found

    def shared_with(self, chosen: np.ndarray) -> np.ndarray:
        """Count the different words that every sequence (N,) has in common with any of the chosen ones."""
        found = np.zeros(len(self.store), np.int64)
        for owners, words in self._of(np.ones(len(self.store), bool)):
            common = np.isin(words, np.unique(words[chosen[owners]]))
            order = np.lexsort((words[common], owners[common]))
            pairs = owners[common][order], words[common][order]
            other = np.ones(len(order), bool)
            other[1:] = (pairs[0][1:] != pairs[0][:-1]) | (pairs[1][1:] != pairs[1][:-1])
            found += np.bincount(pairs[0][other], minlength=len(found))
        return found

    def _of(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (owning sequence, word), (P,) each, of one share of all different words after the other."""
        for share in range(self.shares):
            parts = [
                (owners[mine], words[mine])
                for owners, words in self._blocks(chosen)
                for mine in [mixed(words) % np.uint64(self.shares) == share]
            ]
            if parts:
                owners, words = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
                yield owners, words

    def _blocks(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield all words of the chosen sequences in blocks, each word as one number."""
        offsets = self.store.offsets
        first = 0
        while first < len(self.store):
            last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _BLOCK, "right")) - 1)
            ids = np.asarray(self.store.tokens[offsets[first] : offsets[last]]).astype(np.int64)
            owners = np.repeat(np.arange(first, last), np.diff(offsets[first : last + 1]))
            yield _words(ids, owners, chosen)
            first = last


def _words(ids: np.ndarray, owners: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code every word of eight ids below 256 as one number; gives (owning sequence, code), (P,) each."""
    count = max(len(ids) - _WORD + 1, 0)
    codes = np.zeros(count, np.int64)
    for place in range(_WORD):
        codes = codes << 8 | ids[place : place + count]
    inside = (owners[:count] == owners[_WORD - 1 :][:count]) & chosen[owners[:count]]
    return owners[:count][inside], codes[inside]
