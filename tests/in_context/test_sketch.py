"""Sketches estimate Tanimoto's similarity of counted substructures."""

import numpy as np
import torch

from bio_xlstm.in_context.described import substructures
from bio_xlstm.in_context.sketch import sketch, unpacked

SMILES = [
    "CCO",
    "CCCO",
    "c1ccccc1C(=O)NC",
    "c1ccccc1C(=O)NCC",
    "CCCCCCCCCCO",
    "Clc1ccc(cc1)C(=O)NCC",
    "CC(C)(C)N",
]


def exact(smiles: list[str]) -> np.ndarray:
    """Compute the similarities (N, N) from the counts: shared copies over all copies."""
    bits, offsets, counts = substructures(smiles, 4096)
    ends = [*offsets[1:].tolist(), len(bits)]
    sets = []
    for begin, end in zip(offsets.tolist(), ends, strict=True):
        counted = zip(bits[begin:end].tolist(), counts[begin:end].tolist(), strict=True)
        sets.append({(bit, copy) for bit, count in counted for copy in range(int(min(count, 8)))})
    return np.array([[len(one & other) / len(one | other) for other in sets] for one in sets])


def test_products_estimate_similarities() -> None:
    """Every product lies within four standard deviations of the similarity, and their mean is right."""
    width = 16384
    z = unpacked(sketch(*substructures(SMILES, 4096), width))
    found, wanted = (z @ z.T).numpy(), exact(SMILES)
    deviation = np.sqrt((1 - wanted**2) / width)
    assert (np.abs(found - wanted) <= 4 * deviation + 1e-5).all()
    np.testing.assert_allclose(np.diag(found), 1, rtol=1e-5)
    assert abs((found - wanted)[np.triu_indices(len(SMILES), 1)].mean()) < 0.005


def test_a_sketch_depends_on_its_molecule_alone() -> None:
    """Alone, in company, in another order: the same signs."""
    whole = sketch(*substructures(SMILES, 1024), 256)
    turned = sketch(*substructures(SMILES[::-1], 1024), 256)
    assert torch.equal(whole, turned.flip(0))
    for place, text in enumerate(SMILES):
        assert torch.equal(sketch(*substructures([text], 1024), 256)[0], whole[place])


def test_molecules_without_substructures_are_alike() -> None:
    """Nothing to hash is no error, wherever it stands."""
    nothing = torch.zeros(0, dtype=torch.int64)
    found = sketch(nothing, torch.zeros(3, dtype=torch.int64), nothing.float(), 64)
    assert found.shape == (3, 8)
    assert torch.equal(found[0], found[1])
    bits, counts = torch.tensor([5, 9]), torch.ones(2)
    between = sketch(bits, torch.tensor([0, 1, 1]), counts, 64)
    assert torch.equal(between[1], found[0])
    assert not torch.equal(between[0], found[0])
    assert torch.equal(between[2], sketch(bits[1:], torch.tensor([0]), counts[1:], 64)[0])
