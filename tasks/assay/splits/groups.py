"""What must stay together: equal sequences, scaffolds, clusters."""

from collections.abc import Callable, Sequence

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.fingerprint import fingerprints
from bio_xlstm.tasks.assay.similarity import linked
from bio_xlstm.tasks.evaluate.molecule import read_molecules

# similarities that are tried where none is asked for, from the strictest division to the weakest
LADDER = {
    "smiles": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "protein": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "dna": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
}


def same(assay: Assay) -> np.ndarray:
    """Number (N,) sequences so that equal molecules or sequences have one number."""
    return numbered(assay.canonical)


def scaffolds(assay: Assay) -> np.ndarray:
    """Number (N,) molecules by their Bemis-Murcko scaffold; without rings, by the molecule without stereo marks."""
    if assay.kind != "smiles":
        raise ConfigError(f"--split scaffold is for molecules; {assay.source} holds {assay.kind} sequences")
    return numbered(scaffold_names(assay.sequences))


def scaffold_names(smiles: Sequence[str]) -> list[str]:
    """Return the scaffold of every molecule, its flat form in parentheses where it has none."""
    return ["" if found is None else found.scaffold or f"({found.flat})" for found in read_molecules(smiles)]


def clusters(
    assay: Assay, similarity: float | None, fits: Callable[[np.ndarray], bool]
) -> tuple[np.ndarray, float]:
    """Number (N,) sequences by cluster: no two clusters hold a pair as similar as the threshold, which is returned.

    Without a threshold, the lowest one of the ladder is taken whose clusters can be dealt out.
    """
    # equal sequences stay together whatever their fingerprints say
    equal = same(assay)
    _, first = np.unique(equal, return_index=True)
    prints = fingerprints([assay.sequences[number] for number in first.tolist()], assay.kind)
    ladder = LADDER[assay.kind] if similarity is None else (similarity,)
    largest = 0.0
    for threshold, found in linked(prints, ladder).items():
        groups = found[equal]
        if fits(groups):
            return groups, threshold
        largest = np.bincount(groups).max() / len(groups)
    raise ConfigError(
        f"{assay.source}: at a similarity of {ladder[-1]:g} the largest cluster still holds {largest:.0%} of the "
        "sequences, too many to divide; take another split"
        + (", or a higher similarity" if similarity is not None and similarity < 0.9 else "")
    )


def numbered(keys: Sequence[str]) -> np.ndarray:
    """Number keys (N,) int64, in the order in which they are first met."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
