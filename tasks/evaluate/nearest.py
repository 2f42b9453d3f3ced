"""How far every generated protein is from the nearest natural one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bio_xlstm.tasks.evaluate.fingerprints import similarities
from bio_xlstm.tasks.evaluate.kmers import presence
from bio_xlstm.tasks.evaluate.letters import LETTERS

# natural sequences that are scored for each generated one: those that share most words of three residues
CANDIDATES = 10
_WORD, _BITS, _ROWS = 3, 2048, 256


def nearest_distances(texts: Sequence[str], natural: Sequence[str]) -> np.ndarray:
    """Return the distance of every sequence (N,) to the nearest natural one: a copy of it is at 0.

    The distance is the share of columns that differ, gaps included, in a global alignment that scores 1 for a match
    and -1 for a mismatch and for every gap, as in the evaluation of Prot-xLSTM. Nearest is the one with the highest
    score per residue among CANDIDATES.
    """
    letters, aligner = LETTERS["protein"], _aligner()
    known = list(dict.fromkeys(natural))
    found = np.full(len(texts), np.nan)
    if not known:
        return found
    copies, row = frozenset(known), 0
    marks, others = (presence(letters.encode(of), _WORD, _BITS) for of in (texts, known))
    take = min(CANDIDATES, len(known))
    for block in similarities(marks, others, _ROWS):
        # equal similarities are taken in the order of the file
        for numbers in np.argsort(-block, axis=1, kind="stable")[:, :take].tolist():
            text = texts[row]
            if text in copies:
                found[row] = 0
            else:
                nearest = max((known[number] for number in numbers), key=_alikeness(aligner, text))
                found[row] = _differing(aligner, text, nearest)
            row += 1
    return found


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
