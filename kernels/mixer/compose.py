"""The inside of an mLSTM layer put together from the primitives, on any device and in any dtype."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.kernels.arithmetic import computing_dtype
from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.mixer.block_diagonal import block_diagonal
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.kernels.mlstm import MlstmState, mlstm


def compose(
    up: Tensor,
    weights: MixerWeights,
    *,
    eps: float,
    state: tuple[MlstmState, Tensor] | None,
    cu_seqlens: Tensor | None,
    reverse: bool,
    with_state: bool,
    backend: str,
    conv_backend: str | None = None,
) -> tuple[Tensor, tuple[MlstmState, Tensor] | None]:
    """Convolve, remember, normalise, gate; see `bio_xlstm.kernels.mixer.mlstm_mixer` for shapes."""
    memory, window = state or (None, None)
    given, dtype = up.dtype, computing_dtype(up.dtype, up.device)
    up = up.to(dtype)
    weights = MixerWeights(*(None if part is None else part.to(dtype) for part in weights))  # type: ignore[arg-type]
    branch, gate = up.chunk(2, dim=-1)  # (B, T, I) each
    convolved, window = causal_conv(
        branch,
        weights.conv,
        weights.conv_bias,
        state=window,
        cu_seqlens=cu_seqlens,
        reverse=reverse,
        activation="silu",
        backend=conv_backend or backend,
    )
    q = block_diagonal(convolved, weights.query, weights.query_bias)
    k = block_diagonal(convolved, weights.key, weights.key_bias)
    v = block_diagonal(branch, weights.value, weights.value_bias)
    i, f = _gates(q, k, v, weights)  # (B, T, H)
    q, k, v = (a.unflatten(-1, (weights.heads, -1)) for a in (q, k, v))  # (B, T, H, K)
    h, memory = mlstm(q, k, v, i, f, state=memory, cu_seqlens=cu_seqlens, reverse=reverse, backend=backend)
    normed = F.layer_norm(h, h.shape[-1:], eps=eps).flatten(-2) * weights.norm  # (B, T, I)
    y = (normed + weights.skip * convolved) * F.silu(gate)
    return y.to(given), (memory, window.to(given)) if with_state else None


def _gates(q: Tensor, k: Tensor, v: Tensor, weights: MixerWeights) -> tuple[Tensor, Tensor]:
    """Sum the three parts of the gates instead of concatenating their inputs."""
    weight = torch.cat((weights.input_gate, weights.forget_gate))  # (2 H, 3 I)
    bias = torch.cat((weights.input_bias, weights.forget_bias))
    from_q, from_k, from_v = weight.chunk(3, dim=1)
    gates = F.linear(q, from_q, bias) + F.linear(k, from_k) + F.linear(v, from_v)  # (B, T, 2 H)
    i, f = gates.chunk(2, dim=-1)
    return i, f
