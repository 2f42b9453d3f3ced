"""How well proteins fit the profile of a family: bit scores of a hidden Markov model, by pyhmmer."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records.alignment import read_alignment
from bio_xlstm.tasks.evaluate.forward import forward_scores

MISSING_PYHMMER = (
    "the profile score is not measured: the package pyhmmer is not installed "
    "(pip install 'bio-xlstm[protein-eval]', or pyhmmer alone)"
)
HMM_SUFFIX = ".hmm"


class Fit(NamedTuple):
    """Hold how well N sequences fit a profile."""

    bits: np.ndarray  # (N,) of the whole sequence
    hit: np.ndarray  # (N,) bool, whether some part of it looks like a domain of the family


def has_pyhmmer() -> bool:
    """Tell whether profiles can be scored."""
    return find_spec("pyhmmer") is not None


def read_profile(path: str | os.PathLike[str]) -> Any:
    """Read a profile of HMMER, or build one from the columns of an alignment (a3m, a2m, Stockholm, aligned FASTA)."""
    if Path(path).suffix.lower() == HMM_SUFFIX:
        return _from_file(path)
    family = read_alignment(path)
    if family.columns is None:
        raise InputError(
            f"{os.fspath(path)}: the rows differ in length, so no profile can be built; "
            f"give an alignment or a {HMM_SUFFIX} file of HMMER"
        )
    return _from_columns(family.columns)


def scores(profile: Any, texts: Sequence[str]) -> Fit:
    """Score every whole sequence without any filter.

    HMMER reports nothing of a sequence in which no part looks like a domain. It gets the score that HMMER holds against
    its thresholds, over all alignments: 0 bits would be more than weak hits have.
    """
    from pyhmmer.easel import TextSequence, TextSequenceBlock
    from pyhmmer.plan7 import Background, Pipeline

    found = Fit(np.zeros(len(texts)), np.zeros(len(texts), bool))
    if not texts:
        return found
    named = [TextSequence(name=str(n).encode(), sequence=text) for n, text in enumerate(texts)]
    block = TextSequenceBlock(named).digitize(profile.alphabet)
    # without filters, and with every hit reported
    free = {"bias_filter": False, "F1": 1.0, "F2": 1.0, "F3": 1.0, "E": float("inf")}
    pipeline = Pipeline(profile.alphabet, background=Background(profile.alphabet), Z=len(texts), **free)
    for hit in pipeline.search_hmm(profile, block):
        found.bits[int(hit.name)], found.hit[int(hit.name)] = hit.score, True
    missed = np.flatnonzero(~found.hit)
    found.bits[missed] = forward_scores(profile, [texts[number] for number in missed.tolist()])
    return found


def _from_file(path: str | os.PathLike[str]) -> Any:
    """Read the first profile of a file."""
    from pyhmmer.plan7 import HMMFile

    try:
        with HMMFile(path) as file:
            profile = next(iter(file), None)
    except (OSError, EOFError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{os.fspath(path)} cannot be read as a profile of HMMER: {reason}") from None
    if profile is None:
        raise InputError(f"{os.fspath(path)}: the file holds no profile")
    if not profile.alphabet.is_amino():
        raise ConfigError(f"{os.fspath(path)} is a profile of nucleotides, not of proteins")
    return profile


def _from_columns(columns: np.ndarray) -> Any:
    """Build a profile from aligned rows (N, C), 0 for a gap."""
    from pyhmmer.easel import Alphabet, TextMSA, TextSequence
    from pyhmmer.plan7 import Background, Builder

    alphabet = Alphabet.amino()
    rows = [bytes(row).decode("latin-1") for row in np.where(columns > 0, columns, ord("-")).astype(np.uint8)]
    named = [TextSequence(name=str(n).encode(), sequence=row) for n, row in enumerate(rows)]
    aligned = TextMSA(name=b"family", sequences=named).digitize(alphabet)
    profile, _, _ = Builder(alphabet).build_msa(aligned, Background(alphabet))
    return profile
