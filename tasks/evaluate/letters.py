"""What is measured of DNA and of proteins: their letters, the lengths of words, and the properties of a sequence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.tasks.evaluate.kmers import (
    Coded,
    composition,
    encode,
    entropy,
    longest_runs,
    spectrum,
    words,
)

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
BASES = "ACGT"

Measure = Callable[[Coded, np.ndarray], np.ndarray]
"""the property of N sequences, from their letters and the counts (N, base) of these"""


@dataclass(frozen=True)
class Property:
    """Name a property of a sequence."""

    words: str
    measure: Measure


@dataclass(frozen=True)
class Letters:
    """Say how sequences of one kind are measured."""

    alphabet: str
    letter: str  # what one is called
    words: tuple[int, ...]  # lengths of the words whose counts are compared
    properties: dict[str, Property]

    def encode(self, texts: Sequence[str]) -> Coded:
        """Number the letters of sequences."""
        return encode(texts, self.alphabet)


def _share(letters: str, alphabet: str) -> Measure:
    """Measure the share of some letters among those of the alphabet."""
    places = [alphabet.index(letter) for letter in letters]
    return lambda coded, counts: counts[:, places].sum(1) / _total(counts)


def _total(counts: np.ndarray) -> np.ndarray:
    """Count the letters that are in the alphabet, (N,); NaN for none."""
    total = counts.sum(1).astype(float)
    return np.where(total > 0, total, np.nan)


def _hydropathy(coded: Coded, counts: np.ndarray) -> np.ndarray:
    """Average the hydropathy of Kyte and Doolittle (doi:10.1016/0022-2836(82)90515-0): GRAVY."""
    from Bio.SeqUtils.ProtParamData import kd

    return counts @ np.array([kd[residue] for residue in RESIDUES]) / _total(counts)


def _charge(coded: Coded, counts: np.ndarray) -> np.ndarray:
    """Count K and R, less D and E, per residue."""
    signs = np.array([(residue in "KR") - (residue in "DE") for residue in RESIDUES])
    return counts @ signs / _total(counts)


def _cpg(coded: Coded, counts: np.ndarray) -> np.ndarray:
    """Compare the number of CG with that expected from C and G; NaN where one is missing."""
    numbers, owners = words(coded, 2)
    pair = BASES.index("C") * len(BASES) + BASES.index("G")
    found = np.bincount(owners[numbers == pair], minlength=len(counts))
    expected = counts[:, BASES.index("C")] * counts[:, BASES.index("G")] / _total(counts)
    return np.divide(found, expected, out=np.full(len(counts), np.nan), where=expected > 0)


_LENGTH = {"length": Property("length", lambda coded, counts: coded.lengths.astype(float))}
_SIMPLE = {
    "entropy": Property("entropy of the composition (bits)", lambda coded, counts: entropy(counts)),
    "longest_run": Property(
        "longest run of one letter", lambda coded, counts: longest_runs(coded).astype(float)
    ),
    "unknown": Property(
        "share of unknown or rare letters",
        lambda coded, counts: (coded.lengths - counts.sum(1)) / np.maximum(coded.lengths, 1),
    ),
}

LETTERS = {
    "protein": Letters(
        RESIDUES,
        "residue",
        (1, 2, 3),
        _LENGTH
        | {
            "hydropathy": Property("mean hydropathy (Kyte-Doolittle)", _hydropathy),
            "charge": Property("net charge per residue (K and R, less D and E)", _charge),
            "aromatic": Property("share of F, W and Y", _share("FWY", RESIDUES)),
            "glycine_proline": Property("share of G and P", _share("GP", RESIDUES)),
            "cysteine": Property("share of C", _share("C", RESIDUES)),
        }
        | _SIMPLE,
    ),
    "dna": Letters(
        BASES,
        "base",
        (1, 3, 6),
        _LENGTH
        | {
            "gc": Property("share of G and C", _share("GC", BASES)),
            "cpg_ratio": Property("CG found per CG expected", _cpg),
        }
        | _SIMPLE,
    ),
}


def measure(texts: Sequence[str], letters: Letters) -> dict[str, np.ndarray]:
    """Measure every property of N sequences, (N,) each."""
    coded = letters.encode(texts)
    counts = composition(coded)
    return {name: known.measure(coded, counts) for name, known in letters.properties.items()}


def spectra(texts: Sequence[str], letters: Letters) -> dict[int, np.ndarray]:
    """Count the words of every length over all sequences."""
    coded = letters.encode(texts)
    return {k: spectrum(coded, k) for k in letters.words}
