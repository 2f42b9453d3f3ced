"""The inside of an mLSTM layer put together from the primitives, on any device and in any dtype."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.kernels.arithmetic import computing_dtype
from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.conv.centred import centred_conv
from bio_xlstm.kernels.mixer.block_diagonal import block_diagonal
from bio_xlstm.kernels.mixer.variant import PLAIN, Variant, rotate
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.kernels.mlstm import MlstmState, mlstm
from bio_xlstm.kernels.mlstm.two_sided import two_sided_mlstm


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
    variant: Variant = PLAIN,
) -> tuple[Tensor, tuple[MlstmState, Tensor] | None]:
    """Convolve, remember, normalise, gate; see `bio_xlstm.kernels.mixer.mlstm_mixer` for shapes."""
    given, dtype = up.dtype, computing_dtype(up.dtype, up.device)
    up = up.to(dtype)
    weights = MixerWeights(*(None if part is None else part.to(dtype) for part in weights))  # type: ignore[arg-type]
    branch, gate = up.chunk(2, dim=-1)  # (B, T, I) each
    memory, window = state or (None, None)
    order: dict[str, Any] = {"cu_seqlens": cu_seqlens, "reverse": reverse}
    taps, shift, where = weights.conv, weights.conv_bias, conv_backend or backend
    if variant.centred:
        convolved = centred_conv(branch, taps, shift, backend=where, **order)
    else:
        convolved, window = causal_conv(
            branch, taps, shift, state=window, activation="silu", backend=where, **order
        )
    q, k, v, i, f = _project(convolved, branch, weights, variant)
    if variant.two_sided:
        h = two_sided_mlstm(q, k, v, i, f, cu_seqlens=cu_seqlens)
    else:
        h, memory = mlstm(q, k, v, i, f, state=memory, backend=backend, **order)
    normed = F.layer_norm(h, h.shape[-1:], eps=eps).flatten(-2) * weights.norm  # (B, T, I)
    y = (normed + weights.skip * convolved) * F.silu(gate)
    if not with_state:
        return y.to(given), None
    assert memory is not None and window is not None
    return y.to(given), (memory, window.to(given))


def _project(
    convolved: Tensor, branch: Tensor, weights: MixerWeights, variant: Variant
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return queries, keys and values (B, T, H, K), turned where asked, and the gates (B, T, H)."""
    q = block_diagonal(convolved, weights.query, weights.query_bias)
    k = block_diagonal(convolved, weights.key, weights.key_bias)
    v = block_diagonal(branch, weights.value, weights.value_bias)
    turn = variant.rotation
    if turn is not None and turn.before_gates:
        q, k = rotate(q, turn), rotate(k, turn)
    i, f = _gates(q, k, v, weights)
    q, k, v = (a.unflatten(-1, (weights.heads, -1)) for a in (q, k, v))
    if turn is not None and not turn.before_gates:
        q, k = rotate(q, turn), rotate(k, turn)
    return q, k, v, i, f


def _gates(q: Tensor, k: Tensor, v: Tensor, weights: MixerWeights) -> tuple[Tensor, Tensor]:
    """Sum the three parts of the gates instead of concatenating their inputs."""
    weight = torch.cat((weights.input_gate, weights.forget_gate))  # (2 H, 3 I)
    bias = torch.cat((weights.input_bias, weights.forget_bias))
    from_q, from_k, from_v = weight.chunk(3, dim=1)
    gates = F.linear(q, from_q, bias) + F.linear(k, from_k) + F.linear(v, from_v)  # (B, T, 2 H)
    i, f = gates.chunk(2, dim=-1)
    return i, f
