"""The reference recurrence obeys the equations of the paper and treats the state as a value."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.mlstm import MlstmState, mlstm, mlstm_step


def tokens(time: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return q, k, v, i, f of two sequences."""
    q, k, v = (torch.randn(2, time, 3, width, dtype=dtype) for width in (4, 4, 5))
    i, f = torch.randn(2, 2, time, 3, dtype=dtype).unbind()
    return [q, k, v, 2 * i, f + 1]


def plain(
    q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, input_gate: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return numerator, normaliser and last memory of the recurrence without any stabiliser."""
    c, n = torch.zeros(2, 3, 4, 5, dtype=q.dtype), torch.zeros(2, 3, 4, dtype=q.dtype)
    numerators, amounts = [], []
    for t in range(q.shape[1]):
        forget = torch.sigmoid(f[:, t])
        write = torch.exp(i[:, t]) if input_gate == "exp" else torch.sigmoid(i[:, t])
        c = forget[..., None, None] * c + torch.einsum("nh,nhk,nhv->nhkv", write, k[:, t], v[:, t])
        n = forget[..., None] * n + write[..., None] * k[:, t]
        numerators.append(torch.einsum("nhk,nhkv->nhv", q[:, t] / 2, c))
        amounts.append(torch.einsum("nhk,nhk->nh", q[:, t] / 2, n))
    return torch.stack(numerators, 1), torch.stack(amounts, 1), c


@pytest.mark.parametrize("input_gate", ["exp", "sigmoid"])
def test_equals_the_unstabilised_equations(input_gate: str, agree: Any) -> None:
    """Divide by max(|n.q|, 1) in the true scale, up to the constant added to the normaliser."""
    inputs = tokens(9)
    numerator, amount, c = plain(*inputs, input_gate)
    h, state = mlstm(*inputs, input_gate=input_gate, backend="reference")
    agree([("h", h, numerator / amount.abs().clamp(min=1)[..., None])], 1e-4)
    agree([("c", state.c * state.m.exp()[..., None, None], c)], 1e-12)
    raw, _ = mlstm(*inputs, input_gate=input_gate, normalize=False, backend="reference")
    agree([("raw", raw, numerator)], 1e-12)


def test_keeps_float64_and_counts_in_float32_otherwise() -> None:
    """Return h in the dtype of v and the state in float32, or float64 for float64."""
    for dtype, counted in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        h, state = mlstm(*tokens(3, dtype), backend="reference")
        assert h.dtype == dtype
        assert {part.dtype for part in state} == {counted}


@pytest.mark.parametrize("input_gate", ["exp", "sigmoid"])
@pytest.mark.parametrize("normalize", [True, False])
def test_steps_are_the_sequence_and_leave_the_state_alone(
    input_gate: str, normalize: bool, agree: Any
) -> None:
    """Step through a sequence from a given state: the same outputs, the given state untouched."""
    inputs = tokens(6)
    start = MlstmState(*(torch.randn(2, 3, *rest, dtype=torch.float64) for rest in ((4, 5), (4,), ())))
    before = MlstmState(*(part.clone() for part in start))
    form: dict[str, Any] = {"input_gate": input_gate, "normalize": normalize}
    expected, last = mlstm(*inputs, state=start, backend="torch", **form)
    state, rows = start, []
    for t in range(6):
        h, state = mlstm_step(*(x[:, t] for x in inputs), state, **form)
        rows.append(h)
    agree([("h", torch.stack(rows, 1), expected), *zip("cnm", state, last, strict=True)], 1e-10)
    assert all(torch.equal(a, b) for a, b in zip(start, before, strict=True))


def test_reverse_is_the_flipped_sequence(agree: Any) -> None:
    """Read right to left, keep the input order."""
    inputs = tokens(5)
    h, state = mlstm(*inputs, reverse=True, backend="reference")
    flipped, last = mlstm(*(x.flip(1) for x in inputs), backend="reference")
    agree([("h", h, flipped.flip(1)), *zip("cnm", state, last, strict=True)], 1e-14)
