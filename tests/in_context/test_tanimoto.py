"""Fingerprints of molecules, and their Tanimoto similarity."""

import numpy as np
import pytest
import torch

from bio_xlstm.in_context.described import read_molecules
from bio_xlstm.in_context.prints import PARTS, prints
from bio_xlstm.in_context.tanimoto import similarity

SMILES = ["CCO", "CCCO", "c1ccccc1C(=O)NC", "c1ccccc1C(=O)NCC", "CCCCCCCCCCO", "C", "[Na+]"]


def packed(batch: int, count: int, seed: int = 0, words: int = 2) -> torch.Tensor:
    """Draw prints (B, N, P) with few bits."""
    draw = np.random.default_rng(seed)
    bits = draw.random((batch, count, PARTS * words * 64)) < 0.1
    return torch.from_numpy(np.packbits(bits, axis=-1))


def plain(one: np.ndarray, other: np.ndarray) -> float:
    """Compare two prints (P,) bit by bit."""
    found = []
    for a, b in zip(np.split(np.unpackbits(one), PARTS), np.split(np.unpackbits(other), PARTS), strict=True):
        either = (a | b).sum()
        found.append((a & b).sum() / either if either else 1.0)
    return float(np.mean(found))


@pytest.mark.parametrize(
    ("asked", "known"), [((1, 3), (1, 5)), ((2, 3), (1, 5)), ((1, 3), (2, 5)), ((2, 1), (2, 1))]
)
def test_equals_the_definition(asked: tuple[int, int], known: tuple[int, int]) -> None:
    queries, examples = packed(*asked), packed(*known, seed=1)
    found = similarity(queries, examples)
    assert found.shape == (max(asked[0], known[0]), asked[1], known[1])
    for place in np.ndindex(*found.shape):
        batch, row, column = place
        wanted = plain(queries[batch % asked[0], row].numpy(), examples[batch % known[0], column].numpy())
        assert found[place].item() == pytest.approx(wanted, rel=1e-6)


def test_threads_and_nothing_at_all() -> None:
    """Many rows are shared out to threads; none is no error."""
    queries, examples = packed(1, 301), packed(1, 67, seed=1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = similarity(queries, examples)
        torch.set_num_threads(3)
        assert torch.equal(similarity(queries, examples), alone)
    finally:
        torch.set_num_threads(threads)
    assert similarity(queries[:, :0], examples).shape == (1, 0, 67)
    assert similarity(torch.zeros_like(queries), examples).max() == 0
    assert similarity(torch.zeros_like(queries), torch.zeros_like(examples)).min() == 1


def test_fingerprints_compare_molecules() -> None:
    """Homologues are alike, counts matter, company and order do not."""
    found = torch.from_numpy(prints(read_molecules(SMILES), 4096).copy())[None]
    assert found.shape == (1, len(SMILES), PARTS * 512)
    between = similarity(found, found)[0]
    torch.testing.assert_close(between.diagonal(), torch.ones(len(SMILES)))
    assert between[2, 3] > 0.6 > 0.2 > between[0, 2]
    assert between[1, 4] < 0.5, "a longer chain has the same substructures, but more of them"
    turned = prints(read_molecules(SMILES[::-1]), 4096)[::-1]
    np.testing.assert_array_equal(turned, found[0].numpy())


def test_what_is_no_molecule_is_named() -> None:
    with pytest.raises(ValueError, match="'C1CC' is not a molecule"):
        read_molecules(["CCO", "C1CC"])
