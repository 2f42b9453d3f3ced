"""What is known of molecules without any assay: counted substructures and an embedding of their SMILES."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.prints import RADIUS, prints
from bio_xlstm.records.chemistry import parsed

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from bio_xlstm.models.model import SequenceModel


class Described(NamedTuple):
    """Hold N molecules; the substructures of molecule n are `bits[offsets[n]:offsets[n + 1]]`."""

    bits: Tensor  # (C,) int64
    offsets: Tensor  # (N,) int64
    counts: Tensor  # (C,) float32, how often each is met
    embeddings: Tensor  # (N, E) float32
    prints: Tensor  # (N, P) uint8, by which molecules are compared as they are


def read_molecules(smiles: Sequence[str]) -> list["Mol"]:
    """Read SMILES with RDKit; ValueError names the first that cannot be read: that is for the caller to find out."""
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        found = [parsed(text) for text in smiles]
    for text, molecule in zip(smiles, found, strict=True):
        if molecule is None:
            raise ValueError(f"{text[:60]!r} is not a molecule that RDKit can read")
    return found


def substructures(molecules: Sequence["Mol"], bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Count the Morgan substructures of N molecules: which (C,), where each molecule's begin (N,), how often (C,)."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=bits)
    which: list[int] = []
    often: list[int] = []
    begins: list[int] = []
    for molecule in molecules:
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
    encoder: "SequenceModel", smiles: Sequence[str], config: InContextConfig, *, batch_tokens: int = 8192
) -> Described:
    """Describe molecules that RDKit and the encoder's tokenizer can read; ValueError or SequenceError for others."""
    from bio_xlstm.embedding import embed_batch

    molecules = read_molecules(smiles)
    ids = [encoder.tokenizer.prepare(text).ids for text in smiles]
    found = embed_batch(encoder, ids, batch_tokens=batch_tokens)
    embeddings = np.stack([next(iter(one.values())) for one in found])
    compared = torch.from_numpy(prints(molecules, config.prints).copy())
    return Described(*substructures(molecules, config.bits), torch.from_numpy(embeddings).float(), compared)
