"""The mLSTM recurrence, step by step: the law that every other backend is tested against.

xLSTM (arXiv 2405.04517) equations 19-27 with the stabiliser of its appendix; q carries the factor K**-0.5.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bio_xlstm.kernels.mlstm.state import MlstmState, state_dtype, zero_state

EPS = 1e-6  # added to the normaliser


def step(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    state: MlstmState,
    *,
    input_gate: str = "exp",
    normalize: bool = True,
) -> tuple[Tensor, MlstmState]:
    """Read one token per sequence: (N, H, K), (N, H, K), (N, H, V), (N, H), (N, H) -> (N, H, V)."""
    dtype = state_dtype(v.dtype)
    c, n, m_old = (part.to(dtype) for part in state)
    query, key, value = q.to(dtype) * q.shape[-1] ** -0.5, k.to(dtype), v.to(dtype)
    log_f = logsigmoid(f.to(dtype))  # (N, H)
    if input_gate == "exp":
        log_i = i.to(dtype)
        m = torch.maximum(log_f + m_old, log_i)
    else:
        # sigmoid gates never exceed one, so the true scale is safe and m stays zero
        log_i = logsigmoid(i.to(dtype))
        m = torch.zeros_like(m_old)
    keep = torch.exp(log_f + m_old - m)[..., None]  # (N, H, 1)
    write = torch.exp(log_i - m)[..., None] * key  # (N, H, K)
    c = torch.addcmul(keep[..., None] * c, write[..., None], value[..., None, :])  # (N, H, K, V)
    n = keep * n + write
    h = (query[..., None, :] @ c).squeeze(-2)  # (N, H, V)
    if normalize:
        amount = (query * n).sum(-1).abs()  # (N, H)
        h = h / (torch.maximum(amount, torch.exp(-m)) + EPS)[..., None]
    else:
        # back to the true scale; overflows only where the true memory itself does
        h = h * torch.exp(m)[..., None]
    return h.to(v.dtype), MlstmState(c, n, m)


def _scan(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    state: MlstmState,
    reverse: bool,
    form: dict[str, object],
) -> tuple[Tensor, MlstmState]:
    """Read B sequences of equal length, token by token."""
    time = range(q.shape[1])
    rows: list[Tensor] = []
    for t in reversed(time) if reverse else time:
        h, state = step(q[:, t], k[:, t], v[:, t], i[:, t], f[:, t], state, **form)  # type: ignore[arg-type]
        rows.append(h)
    return torch.stack(rows[::-1] if reverse else rows, dim=1), state


def mlstm_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    *,
    state: MlstmState | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    input_gate: str = "exp",
    normalize: bool = True,
    chunk_size: int | None = None,
) -> tuple[Tensor, MlstmState]:
    """Run the mLSTM one token at a time; see `bio_xlstm.kernels.mlstm.mlstm` for shapes (chunk_size has no meaning)."""
    batch, _, heads, key = q.shape
    sequences = batch if cu_seqlens is None else len(cu_seqlens) - 1
    if state is None:
        like = v.new_empty(0, dtype=state_dtype(v.dtype))
        state = zero_state(sequences, heads, key, v.shape[-1], like)
    form: dict[str, object] = {"input_gate": input_gate, "normalize": normalize}
    if cu_seqlens is None:
        return _scan(q, k, v, i, f, state, reverse, form)
    bounds = cu_seqlens.tolist()
    outputs, states = [], []
    for row, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False)):
        q1, k1, v1, i1, f1 = (x[:, start:stop] for x in (q, k, v, i, f))
        alone = MlstmState(*(part[row : row + 1] for part in state))
        h, last = _scan(q1, k1, v1, i1, f1, alone, reverse, form)
        outputs.append(h)
        states.append(last)
    return torch.cat(outputs, dim=1), MlstmState(*(torch.cat(parts) for parts in zip(*states, strict=True)))
