"""The sLSTM recurrence, step by step: the law that every other backend is tested against.

xLSTM (arXiv 2405.04517), the sLSTM with sigmoid forget gate and the stabiliser of its appendix.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bio_xlstm.kernels.slstm.state import SlstmState, state_dtype, zero_state


def step(x: Tensor, r: Tensor, b: Tensor, state: SlstmState) -> tuple[Tensor, SlstmState]:
    """Read one token per sequence: x (N, H, 4, K) -> y (N, H, K), new state."""
    dtype = state_dtype(x.dtype)
    h, c, n, m = (part.to(dtype) for part in state)
    recurrent = torch.einsum("nhk,hkgj->nhgj", h, r.to(dtype))
    log_i, f, z, o = (x.to(dtype) + recurrent + b.to(dtype)).unbind(-2)  # (N, H, K) each
    log_f = logsigmoid(f) + m
    m = torch.maximum(log_f, log_i)
    keep, write = torch.exp(log_f - m), torch.exp(log_i - m)
    c = keep * c + write * torch.tanh(z)
    n = keep * n + write
    h = torch.sigmoid(o) * c / n
    return h.to(x.dtype), SlstmState(h, c, n, m)


def _scan(x: Tensor, r: Tensor, b: Tensor, state: SlstmState, reverse: bool) -> tuple[Tensor, SlstmState]:
    """Read B sequences of equal length, token by token."""
    time = range(x.shape[1])
    rows: list[Tensor] = []
    for t in reversed(time) if reverse else time:
        y, state = step(x[:, t], r, b, state)
        rows.append(y)
    return torch.stack(rows[::-1] if reverse else rows, dim=1), state


def slstm_reference(
    x: Tensor,
    r: Tensor,
    b: Tensor,
    *,
    state: SlstmState | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, SlstmState]:
    """Run the sLSTM one token at a time; see `bio_xlstm.kernels.slstm.slstm` for shapes."""
    batch, _, heads, _, width = x.shape
    sequences = batch if cu_seqlens is None else len(cu_seqlens) - 1
    if state is None:
        state = zero_state(sequences, heads, width, x.new_empty(0, dtype=state_dtype(x.dtype)))
    if cu_seqlens is None:
        return _scan(x, r, b, state, reverse)
    bounds = cu_seqlens.tolist()
    outputs, states = [], []
    for row, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
        alone = SlstmState(*(part[row : row + 1] for part in state))
        y, last = _scan(x[:, start:stop], r, b, alone, reverse)
        outputs.append(y)
        states.append(last)
    return torch.cat(outputs, dim=1), SlstmState(*(torch.cat(parts) for parts in zip(*states, strict=True)))
