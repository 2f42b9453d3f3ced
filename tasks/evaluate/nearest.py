"""How far every generated protein is from the nearest natural one."""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from bio_xlstm.tasks.evaluate.fingerprints import similarities
from bio_xlstm.tasks.evaluate.kmers import presence
from bio_xlstm.tasks.evaluate.letters import LETTERS

# natural sequences that are scored for each generated one where there are many: those that share most words of three
# residues; residues by residues up to which all are scored
CANDIDATES, ALL_CELLS = 10, 10**10
_WORD, _BITS, _ROWS = 3, 2048, 256


def choose_candidates(*compared: tuple[Sequence[str], Sequence[str]]) -> int | None:
    """Return how many natural sequences are scored for each generated one, None for all: one answer for all sets."""
    cells = (sum(map(len, texts)) * sum(map(len, set(natural))) for texts, natural in compared)
    return None if max(cells) <= ALL_CELLS else CANDIDATES


def nearest_distances(
    texts: Sequence[str], natural: Sequence[str], candidates: int | None = None
) -> np.ndarray:
    """Return the distance of every sequence (N,) to the nearest natural one: a copy of it is at 0.

    The distance is the share of columns that differ, gaps included, in a global alignment that scores 1 for a match
    and -1 for a mismatch and for every gap, as in the evaluation of Prot-xLSTM. Nearest is the one with the highest
    score per residue, of all or of so many candidates: the nearest may not be among few, which makes distances larger.
    """
    aligner = _aligner()
    known = list(dict.fromkeys(natural))
    found = np.full(len(texts), np.nan)
    if not known:
        return found
    copies = frozenset(known)
    for row, (text, numbers) in enumerate(zip(texts, _shortlists(texts, known, candidates), strict=True)):
        if text in copies:
            found[row] = 0
        else:
            nearest = max((known[number] for number in numbers), key=_alikeness(aligner, text))
            found[row] = _differing(aligner, text, nearest)
    return found


def _shortlists(texts: Sequence[str], known: Sequence[str], take: int | None) -> Iterator[Sequence[int]]:
    """Yield for every sequence the numbers of the natural ones that are scored."""
    if take is None:
        yield from repeat(range(len(known)), len(texts))
        return
    letters = LETTERS["protein"]
    marks, others = (presence(letters.encode(of), _WORD, _BITS) for of in (texts, known))
    for block in similarities(marks, others, _ROWS):
        # equal similarities are taken in the order of the file
        yield from np.argsort(-block, axis=1, kind="stable")[:, :take].tolist()


def _aligner() -> Any:
    from Bio.Align import PairwiseAligner

    return PairwiseAligner(mode="global", match_score=1, mismatch_score=-1, gap_score=-1)


def _alikeness(aligner: Any, text: str) -> Callable[[str], float]:
    """Return what scores another sequence, per residue."""
    return lambda other: aligner.score(text, other) / (len(text) + len(other))


def _differing(aligner: Any, one: str, other: str) -> float:
    """Return the share of differing columns of the first of the best alignments."""
    counts = aligner.align(one, other)[0].counts()
    return float(1 - counts.identities / (counts.identities + counts.mismatches + counts.gaps))
