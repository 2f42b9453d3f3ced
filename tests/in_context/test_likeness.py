"""Prints of molecules, and how alike they are in fingerprints and properties."""

import numpy as np
import pytest
import torch

from bio_xlstm.in_context.described import read_molecules
from bio_xlstm.in_context.likeness import distance, similarity
from bio_xlstm.in_context.prints import BYTES, PARTS, assemble, prints, width
from bio_xlstm.in_context.properties import PROPERTIES, properties

SMILES = ["CCO", "CCCO", "c1ccccc1C(=O)NC", "c1ccccc1C(=O)NCC", "CCCCCCCCCCO", "C", "[Na+]"]


def packed(batch: int, count: int, seed: int = 0, words: int = 2) -> torch.Tensor:
    """Draw prints (B, N, P) with few bits."""
    draw = np.random.default_rng(seed)
    bits = draw.random((batch, count, PARTS * words * 64)) < 0.1
    numbers = draw.normal(size=(batch, count, PROPERTIES))
    return torch.from_numpy(assemble(np.packbits(bits, axis=-1), numbers))


def plain(one: np.ndarray, other: np.ndarray) -> float:
    """Compare the fingerprints of two prints (P,) bit by bit."""
    found = []
    ones, others = (np.split(np.unpackbits(each[:-BYTES]), PARTS) for each in (one, other))
    for a, b in zip(ones, others, strict=True):
        either = (a | b).sum()
        found.append((a & b).sum() / either if either else 1.0)
    return float(np.mean(found))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Compare the properties of two prints (P,)."""
    first, second = (each[-BYTES:].view(np.float16).astype(np.float64) for each in (one, other))
    return float(np.square(first - second).mean())


@pytest.mark.parametrize(
    ("asked", "known"), [((1, 3), (1, 5)), ((2, 3), (1, 5)), ((1, 3), (2, 5)), ((2, 1), (2, 1))]
)
def test_equals_the_definition(asked: tuple[int, int], known: tuple[int, int]) -> None:
    queries, examples = packed(*asked), packed(*known, seed=1)
    for compare, define in ((similarity, plain), (distance, apart)):
        found = compare(queries, examples)
        assert found.shape == (max(asked[0], known[0]), asked[1], known[1])
        for place in np.ndindex(*found.shape):
            batch, row, column = place
            wanted = define(
                queries[batch % asked[0], row].numpy(), examples[batch % known[0], column].numpy()
            )
            assert found[place].item() == pytest.approx(wanted, rel=1e-5)


def test_threads_and_nothing_at_all() -> None:
    """Many rows are shared out to threads; none is no error."""
    queries, examples = packed(1, 301), packed(1, 67, seed=1)
    threads = torch.get_num_threads()
    for compare in (similarity, distance):
        try:
            torch.set_num_threads(1)
            alone = compare(queries, examples)
            torch.set_num_threads(3)
            assert torch.equal(compare(queries, examples), alone)
        finally:
            torch.set_num_threads(threads)
        assert compare(queries[:, :0], examples).shape == (1, 0, 67)
    assert similarity(torch.zeros_like(queries), examples).max() == 0
    assert similarity(torch.zeros_like(queries), torch.zeros_like(examples)).min() == 1
    assert distance(examples, examples)[0].diagonal().max() == 0


def test_fingerprints_compare_molecules() -> None:
    """Homologues are alike, counts matter, company and order do not."""
    found = torch.from_numpy(prints(read_molecules(SMILES), 4096).copy())[None]
    assert found.shape == (1, len(SMILES), width(4096)) and width(4096) == PARTS * 512 + BYTES
    between = similarity(found, found)[0]
    torch.testing.assert_close(between.diagonal(), torch.ones(len(SMILES)))
    assert between[2, 3] > 0.6 > 0.2 > between[0, 2]
    assert between[1, 4] < 0.5, "a longer chain has the same substructures, but more of them"
    turned = prints(read_molecules(SMILES[::-1]), 4096)[::-1]
    np.testing.assert_array_equal(turned, found[0].numpy())
    assert prints([], 4096).shape == (0, width(4096))


def test_roles_compare_what_elements_do_not() -> None:
    """One halogen for another is less of a change than a hydroxyl group."""
    found = torch.from_numpy(prints(read_molecules(["c1ccccc1F", "c1ccccc1Cl", "c1ccccc1O"]), 2048).copy())
    between = similarity(found[None], found[None])[0]
    assert between[0, 1] > between[0, 2] + 0.05, "a halogen for a halogen changes no role"


def test_properties_are_in_units_of_what_is_usual() -> None:
    """Properties are what RDKit computes, and no molecule has others than can be written down."""
    ethanol, sodium, giant = properties(read_molecules(["CCO", "[Na+]", "C" * 9000 + "O" * 900]))
    assert ethanol.dtype == np.float16 and len(ethanol) == PROPERTIES
    assert ethanol[0] == pytest.approx(46.07 / 105, rel=1e-3) and ethanol[-1] == 0
    assert sodium[-1] == pytest.approx(1 / 0.12, rel=1e-3)
    assert giant.max() == 1000 and np.isfinite(giant).all()
    # in no time that grows with their cube
    assert prints(read_molecules(["C" * 9000, "*" * 9000]), 64).shape == (2, width(64))
    assert properties([]).shape == (0, PROPERTIES)


def test_what_is_no_molecule_is_named() -> None:
    with pytest.raises(ValueError, match="'C1CC' is not a molecule"):
        read_molecules(["CCO", "C1CC"])
    with pytest.raises(ValueError, match="is not a molecule"):
        read_molecules(["C" * 10_001])
