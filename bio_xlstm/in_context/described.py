"""What is known of molecules without any assay: counted substructures and an embedding of their SMILES."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.sketch import sketch

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

RADIUS = 2


class Described(NamedTuple):
    """Hold N molecules; the substructures of molecule n are `bits[offsets[n]:offsets[n + 1]]`."""

    bits: Tensor  # (C,) int64
    offsets: Tensor  # (N,) int64
    counts: Tensor  # (C,) float32, how often each is met
    embeddings: Tensor  # (N, E) float32
    sketches: Tensor  # (N, S / 8) uint8, packed signs


def substructures(smiles: Sequence[str], bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Count the Morgan substructures of N molecules: which (C,), where each molecule's begin (N,), how often (C,).

    Raises ValueError where RDKit cannot read a molecule: that is for the caller to find out first.
    """
    from rdkit.Chem import MolFromSmiles, rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=bits)
    which: list[int] = []
    often: list[int] = []
    begins: list[int] = []
    for text in smiles:
        molecule = MolFromSmiles(text)
        if molecule is None:
            raise ValueError(f"{text!r} is not a molecule that RDKit can read")
        begins.append(len(which))
        found = sorted(generator.GetCountFingerprint(molecule).GetNonzeroElements().items())
        which += (bit for bit, _ in found)
        often += (count for _, count in found)
    return (
        torch.tensor(which, dtype=torch.int64),
        torch.tensor(begins, dtype=torch.int64),
        torch.tensor(often, dtype=torch.float32),
    )


def describe(
    encoder: "SequenceModel", smiles: Sequence[str], bits: int, width: int, *, batch_tokens: int = 8192
) -> Described:
    """Describe molecules that RDKit and the encoder's tokenizer can read; ValueError or SequenceError for others."""
    from bio_xlstm.embedding import embed_batch

    ids = [encoder.tokenizer.prepare(text).ids for text in smiles]
    found = embed_batch(encoder, ids, batch_tokens=batch_tokens)
    embeddings = np.stack([next(iter(one.values())) for one in found])
    seen = substructures(smiles, bits)
    return Described(*seen, torch.from_numpy(embeddings).float(), sketch(*seen, width))
