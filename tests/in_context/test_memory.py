"""The memory of a set is the mLSTM with its forget gates open."""

import pytest
import torch

from bio_xlstm.in_context.memory import read, write
from bio_xlstm.kernels.mlstm.reference import mlstm_reference, step


@pytest.mark.parametrize("examples", [1, 2, 7, 33])
def test_writing_a_set_is_the_recurrence_that_forgets_nothing(examples: int) -> None:
    """The state after the last example is that of the reference with open forget gates."""
    k, v = (torch.randn(3, examples, 2, 5, dtype=torch.float64) for _ in range(2))
    i = 4 * torch.randn(3, examples, 2, dtype=torch.float64)
    found = write(k, v, i)
    open_gates = torch.full_like(i, 60.0)
    _, expected = mlstm_reference(torch.zeros_like(k), k, v, i, open_gates)
    torch.testing.assert_close(
        found.c * found.m[..., None, None].exp(), expected.c * expected.m[..., None, None].exp()
    )
    torch.testing.assert_close(found.n * found.m[..., None].exp(), expected.n * expected.m[..., None].exp())


def test_reading_is_a_step_that_writes_nothing() -> None:
    """A query reads what the reference reads when it adds an example of no weight."""
    k, v = torch.randn(2, 6, 2, 5, dtype=torch.float64), torch.randn(2, 6, 2, 5, dtype=torch.float64)
    state = write(k, v, torch.randn(2, 6, 2, dtype=torch.float64))
    q = torch.randn(2, 4, 2, 5, dtype=torch.float64)
    found = read(q, state)
    for place in range(4):
        nothing = torch.full((2, 2), -200.0, dtype=torch.float64)
        still = torch.full((2, 2), 60.0, dtype=torch.float64)
        expected, _ = step(q[:, place], k[:, 0], v[:, 0], nothing, still, state)
        torch.testing.assert_close(found[:, place], expected)


def test_order_does_not_matter() -> None:
    """A set has no order."""
    k, v, i = torch.randn(1, 9, 2, 4), torch.randn(1, 9, 2, 4), 10 * torch.randn(1, 9, 2)
    order = torch.randperm(9)
    for one, other in zip(write(k, v, i), write(k[:, order], v[:, order], i[:, order]), strict=True):
        torch.testing.assert_close(one, other)
