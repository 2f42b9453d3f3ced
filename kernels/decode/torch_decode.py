"""One token per sequence in plain torch: any device, and the law that the compiled backends are tested against."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.kernels.conv.reference import step as conv_step
from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.weights import DecodeWeights
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.kernels.mlstm.reference import EPS


def decode_torch(
    up: Tensor,
    weights: DecodeWeights,
    cache: DecodeCache,
    slots: Tensor,
    eps: float,
    turn: Tensor | None = None,
) -> Tensor:
    """Read one token per slot; see `bio_xlstm.kernels.decode.decode_step`."""
    plain = weights.plain
    branch, gate = up.chunk(2, dim=-1)  # (n, I) each
    convolved = _convolve(branch, plain, cache, slots)
    q, k = (
        _block_diagonal(convolved, *pair)
        for pair in ((plain.query, plain.query_bias), (plain.key, plain.key_bias))
    )
    v = _block_diagonal(branch, plain.value, plain.value_bias)
    both = torch.cat([q, k, v], dim=-1)  # (n, 3 I)
    i = F.linear(both, plain.input_gate.to(up), plain.input_bias.to(up))  # (n, H)
    f = F.linear(both, plain.forget_gate.to(up), plain.forget_bias.to(up))
    q, k, v = (x.unflatten(-1, (plain.heads, -1)).to(cache.c) for x in (q, k, v))  # (n, H, K)
    if turn is not None:
        q, k = _turned(q, turn), _turned(k, turn)
    h = _advance(q, k, v, i.to(cache.c), F.logsigmoid(f.to(cache.c)), cache, slots).to(up)
    normed = F.layer_norm(h, h.shape[-1:], eps=eps).flatten(-2) * plain.norm.to(up)  # (n, I)
    return (normed + plain.skip.to(up) * convolved) * F.silu(gate)


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    """Turn pairs of neighbouring channels of x (n, H, K)."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)  # (n, H, K / 2)
    cos, sin = turn[:, None].unbind(2)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def _convolve(branch: Tensor, plain: MixerWeights, cache: DecodeCache, slots: Tensor) -> Tensor:
    """Convolve the newest input with the ring before it and put it into the ring."""
    phase = cache.phase[slots]  # (n, H)
    before = cache.last_inputs(slots)
    y, _ = conv_step(branch, plain.conv, plain.conv_bias, before, activation="silu")
    cache.conv[slots, phase[:, 0].long()] = branch.to(cache.conv)
    cache.phase[slots] = (phase + 1) % cache.conv.shape[1]
    return y


def _block_diagonal(x: Tensor, blocks: Tensor, bias: Tensor | None) -> Tensor:
    """Map groups of neighbouring channels (n, I) by their own matrices (groups, outputs, inputs)."""
    y = torch.einsum("goi,ngi->ngo", blocks.to(x), x.unflatten(-1, (len(blocks), -1))).flatten(1)
    return y if bias is None else y + bias.to(x)


def _advance(
    q: Tensor, k: Tensor, v: Tensor, log_i: Tensor, log_f: Tensor, cache: DecodeCache, slots: Tensor
) -> Tensor:
    """Append a token to the window and read the whole memory: (n, H, K), (n, H, V), (n, H) -> (n, H, V)."""
    _fold(cache, slots)
    count = cache.count[slots]  # (n, H)
    longest = int(count.max()) + 1
    place = torch.arange(longest, device=q.device)
    newest, inside = place == count[..., None], place <= count[..., None]  # (n, H, w)
    # numbers behind the window are blanked: they may be anything, and anything times zero may not be zero
    keys = torch.where(inside[..., None], cache.keys[slots][..., :longest, :].to(k), 0.0)
    values = torch.where(inside[..., None], cache.values[slots][..., :longest, :].to(v), 0.0)
    keys = torch.where(newest[..., None], k[..., None, :], keys)  # (n, H, w, K)
    values = torch.where(newest[..., None], v[..., None, :], values)
    aged = cache.weights[slots][..., :longest] + log_f[..., None]
    a = torch.where(newest, log_i[..., None], torch.where(inside, aged, float("-inf")))  # (n, H, w)
    scale, m = cache.scale[slots] + log_f, torch.maximum(cache.m[slots] + log_f, log_i)  # (n, H)

    query = q * q.shape[-1] ** -0.5
    share = torch.exp(a - m[..., None]) * (keys @ query[..., None]).squeeze(-1)  # (n, H, w)
    above, below = (share[..., None, :] @ values).squeeze(-2), share.sum(-1)
    folded = scale != float("-inf")
    if bool(folded.any()):
        keep = torch.exp(scale - m)[..., None]  # (n, H, 1)
        c = torch.where(folded[..., None, None], cache.c[slots], 0.0)
        n = torch.where(folded[..., None], cache.n[slots], 0.0)
        above = above + keep * (query[..., None, :] @ c).squeeze(-2)
        below = below + (keep * query * n).sum(-1)

    cache.keys[slots, :, :longest] = keys.to(cache.keys)
    cache.values[slots, :, :longest] = values.to(cache.values)
    cache.weights[slots, :, :longest] = a
    cache.scale[slots], cache.m[slots], cache.count[slots] = scale, m, count + 1
    return above / (torch.maximum(below.abs(), torch.exp(-m)) + EPS)[..., None]


def _fold(cache: DecodeCache, slots: Tensor) -> None:
    """Move windows that are full into the folded memory."""
    full = slots[(cache.count[slots] >= cache.limit[slots])[:, 0]]
    if not len(full):
        return
    state, _ = cache.read(full)
    cache.c[full], cache.n[full], cache.scale[full] = state.c, state.n, state.m
    cache.count[full] = 0
    cache.limit[full] = cache.windows.later
