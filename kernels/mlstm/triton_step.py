"""One decoding step of the mLSTM on a GPU in one kernel: the memory is read once and written once."""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.mlstm.state import MlstmState
from bio_xlstm.kernels.mlstm.triton_tile import INTERPRETED, normaliser

BLOCK_K = 16 if INTERPRETED.value else 32
BLOCK_V = 16 if INTERPRETED.value else 64


@triton.jit
def _log_sigmoid(x):
    """Return log(1 / (1 + exp(-x))) without losing the digits of gates close to one."""
    e = tl.exp(-tl.abs(x))
    # log(1 + e), where 1 + e would round e away
    small = e * (1.0 - e * (0.5 - e * 0.33333334))
    return tl.minimum(x, 0.0) - tl.where(e < 0.01, small, tl.log(1.0 + e))


@triton.jit
def _step_kernel(
    q_ptr, k_ptr, v_ptr, i_ptr, f_ptr, c_ptr, n_ptr, m_ptr, h_ptr, c_new_ptr, n_new_ptr, m_new_ptr, factor, eps,
    K: tl.constexpr, V: tl.constexpr, STABILISE: tl.constexpr, NORMALIZE: tl.constexpr,
    BLOCK_K: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Advance some columns of the memory of one head by one token and read them."""
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    m_old = tl.load(m_ptr + row)
    log_i = tl.load(i_ptr + row).to(tl.float32)
    log_f = _log_sigmoid(tl.load(f_ptr + row).to(tl.float32))
    if STABILISE:
        m = tl.maximum(log_f + m_old, log_i)
    else:
        # sigmoid gates never exceed one, so the true scale is safe and m stays zero
        log_i = _log_sigmoid(log_i)
        m = tl.zeros_like(log_f)
    keep, write = tl.exp(log_f + m_old - m), tl.exp(log_i - m)
    value = block * BLOCK_V + tl.arange(0, BLOCK_V)
    inside_v = value < V
    v = tl.load(v_ptr + row * V + value, mask=inside_v, other=0.0).to(tl.float32)
    out = tl.zeros((BLOCK_V,), tl.float32)
    amounts = tl.zeros((BLOCK_K,), tl.float32)
    for start in range(0, K, BLOCK_K):
        key = start + tl.arange(0, BLOCK_K)
        inside_k = key < K
        q = tl.load(q_ptr + row * K + key, mask=inside_k, other=0.0).to(tl.float32) * factor
        k = tl.load(k_ptr + row * K + key, mask=inside_k, other=0.0).to(tl.float32) * write
        mask = inside_k[:, None] & inside_v[None, :]
        place = row * K * V + key[:, None] * V + value[None, :]
        c = keep * tl.load(c_ptr + place, mask=mask, other=0.0) + k[:, None] * v[None, :]
        n = keep * tl.load(n_ptr + row * K + key, mask=inside_k, other=0.0) + k
        tl.store(c_new_ptr + place, c, mask=mask)
        if block == 0:
            tl.store(n_new_ptr + row * K + key, n, mask=inside_k)
        out += tl.sum(q[:, None] * c, 0)
        amounts += q * n
    scale, _ = normaliser(tl.sum(amounts, 0), m, eps, NORMALIZE)
    tl.store(h_ptr + row * V + value, (out * scale).to(h_ptr.dtype.element_ty), mask=inside_v)
    if block == 0:
        tl.store(m_new_ptr + row, m)


def mlstm_step_triton(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    state: MlstmState,
    *,
    input_gate: str = "exp",
    normalize: bool = True,
    out_state: MlstmState | None = None,
) -> tuple[Tensor, MlstmState]:
    """Read one token per sequence; see `bio_xlstm.kernels.mlstm.mlstm_step` for shapes. Not differentiable.

    The given state is left as it was, unless ``out_state`` is that state: then it is advanced in place.

    Raises:
        ValueError: an input is float64, or ``out_state`` is not contiguous float32; the kernel counts in float32.
    """
    if torch.float64 in {x.dtype for x in (q, k, v, i, f)}:
        raise ValueError("mlstm_step: the triton backend counts in float32, float64 needs backend 'torch'")
    if out_state is not None and any(x.dtype != torch.float32 or not x.is_contiguous() for x in out_state):
        raise ValueError("mlstm_step: out_state must be contiguous float32")
    key, value = q.shape[-1], v.shape[-1]
    tokens = [x.contiguous() for x in (q, k, v, i, f)]
    old = MlstmState(*(x.float().contiguous() for x in state))
    blocks = triton.cdiv(value, BLOCK_V)
    # blocks of columns share n and m: where there are several, none may overwrite what another still reads
    shared = out_state is not None and blocks > 1
    target = MlstmState(*(torch.empty_like(x) for x in old)) if out_state is None else out_state
    n, m = (torch.empty_like(x) for x in old[1:]) if shared else target[1:]
    h = torch.empty_like(tokens[2])
    with torch.cuda.device_of(q):
        _step_kernel[(q.shape[0] * q.shape[1], blocks)](
            *tokens,
            *old,
            h,
            target.c,
            n,
            m,
            key**-0.5,
            EPS,
            K=key,
            V=value,
            STABILISE=input_gate == "exp",
            NORMALIZE=normalize,
            BLOCK_K=BLOCK_K,
            BLOCK_V=BLOCK_V,
            num_warps=4,
        )
    if shared:
        target.n.copy_(n)
        target.m.copy_(m)
    return h, target
