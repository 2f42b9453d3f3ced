"""The kernels of changes are what their definition says, pair by pair; effects are the process, letter by letter."""

import numpy as np
import pytest
import torch
from torch import Tensor

from bio_xlstm.in_context import changes as module
from bio_xlstm.in_context.changes import CHANGES, KERNELS, PLACES, Changes
from bio_xlstm.in_context.substitutions import CODES, codes_of, substitutions

LETTERS = {"protein": "ACDEFGHIKLMNPQRSTVWYX*", "dna": "ACGTN"}


def drawn(count: int, length: int, changed: int, kind: str, seed: int = 0) -> Tensor:
    """Draw variants of one sequence, as codes (N, L)."""
    draw = np.random.default_rng(seed)
    letters = np.frombuffer(LETTERS[kind].encode(), np.uint8)
    found = np.tile(draw.choice(letters, length), (count, 1))
    for row in found:
        row[draw.choice(length, min(changed, length), replace=False)] = draw.choice(
            letters, min(changed, length)
        )
    return codes_of(torch.from_numpy(found))


def slow(one: Tensor, other: Tensor, wild: Tensor, kind: str) -> np.ndarray:
    """Sum over pairs of changes of two variants (L,): (places, changes)."""
    known = substitutions(kind)
    found = np.zeros((len(PLACES), len(CHANGES)))
    for p in (one != wild).nonzero()[:, 0].tolist():
        for q in (other != wild).nonzero()[:, 0].tolist():
            apart = abs(p - q)
            places = [
                float(p == q),
                np.exp(-apart / 2),
                np.exp(-apart / 12),
                1.0,
                float(known.alike[wild[p], wild[q]]),
            ]
            harm = float(known.harm[wild[p], one[p]] * known.harm[wild[q], other[q]])
            found += np.outer(places, [1.0, float(known.alike[one[p], other[q]]), harm])
    return found


CASES = [
    (7, 1, 1, "protein"),
    (9, 13, 1, "protein"),
    (6, 17, 5, "protein"),
    (5, 11, 11, "dna"),
    (3, 4, 0, "dna"),
]


@pytest.mark.parametrize("dense", [-1.0, 2.0])
@pytest.mark.parametrize(("count", "length", "changed", "kind"), CASES)
def test_kernels_are_sums_over_pairs_of_changes(
    count: int, length: int, changed: int, kind: str, dense: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out with zeros or without."""
    monkeypatch.setattr(module, "_BLOCK", 2)
    monkeypatch.setattr(module, "_DENSE", dense)
    codes = drawn(count, length, changed, kind)
    made = Changes(codes, kind)
    wild = made.reference.codes
    wanted = np.array([[slow(one, other, wild, kind).ravel() for other in codes] for one in codes])
    found = made.kernels(slice(0, 99))
    assert found.shape == (KERNELS, count, count)
    np.testing.assert_allclose(found.numpy(), wanted.transpose(2, 0, 1), rtol=1e-9, atol=1e-9)
    shares = torch.rand(KERNELS, dtype=torch.float64)
    some, others = slice(1, 3), slice(0, count)
    np.testing.assert_allclose(
        made.kernel(some, others, shares).numpy(),
        (wanted @ shares.numpy())[some, others],
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize(("count", "length", "changed", "kind"), CASES)
def test_effects_are_the_kernel_letter_by_letter(count: int, length: int, changed: int, kind: str) -> None:
    """What a weighed sum of kernels says of any variant, also of letters never seen, is the sum of its effects."""
    codes = drawn(count, length, changed, kind)
    made = Changes(codes, kind)
    said, shares = torch.randn(count, dtype=torch.float64), torch.rand(KERNELS, dtype=torch.float64)
    effects = made.effects(slice(0, count), said, shares)
    assert effects.shape == (length, CODES)
    wild = made.reference.codes
    for one in drawn(4, length, length, kind, seed=5):
        pairs = [slow(one, other, wild, kind).ravel() @ shares.numpy() for other in codes]
        wanted = float(np.array(pairs) @ said.numpy())
        assert effects[torch.arange(length), one].sum().item() == pytest.approx(wanted, rel=1e-8, abs=1e-8)


def test_the_reference_is_what_most_have() -> None:
    codes = codes_of(torch.tensor([list(b"ACD"), list(b"ACE"), list(b"ZCE")], dtype=torch.uint8))
    reference = Changes(codes, "protein").reference
    assert bytes((reference.codes + ord("A")).tolist()) == b"ACE"
    assert reference.varied.tolist() == [0, 2]
