"""The original networks once more, slow and in plain float64, on weights under their original names.

Written from the description of what those programs compute, so that converted models can be held against it in every
variant. Shapes: B batch, T time, D width, I inner width, H heads, K width of a head.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = Mapping[str, Tensor]
STACK = "xlstm_block_stack."


class V1(NamedTuple):
    """Describe a stack of original Bio-xLSTM blocks."""

    heads: int = 4
    slstm_heads: int = 4
    direction: str = "causal"
    rotary: str = "none"
    base: float = 500_000.0
    max_positions: int = 2048
    max_sequences: int = 512
    conv_causal: bool = True
    slstm_conv_causal: bool = True


def v1_logits(
    weights: Weights,
    ids: Tensor,
    net: V1,
    positions: Tensor | None = None,
    sequence_index: Tensor | None = None,
) -> Tensor:
    """Return what a DNA-, Prot- or Chem-xLSTM makes of ids (B, T)."""
    place = torch.arange(ids.shape[1]).expand_as(ids) if positions is None else positions
    x = embed(weights, ids, place, sequence_index)
    x = v1_stack(weights, x, net, place, sequence_index)
    return x @ weights.get("lm_head.weight", weights["token_embedding.weight"]).T


def embed(weights: Weights, ids: Tensor, place: Tensor, sequence: Tensor | None) -> Tensor:
    """Embed tokens and, where there are tables or sinusoids for it, their positions."""
    x = weights["token_embedding.weight"][ids]
    if "position_embedding.weight" in weights:
        x = torch.cat([x, weights["position_embedding.weight"][place]], -1)
    if "seq_position_embedding.weight" in weights:
        x = torch.cat([x, weights["seq_position_embedding.weight"][sequence]], -1)
    if STACK + "absolute_pos_embeds.scale" in weights:
        half = x.shape[-1] // 2
        angles = place[..., None] * 100_000.0 ** (-torch.arange(half).double() / half)
        x = x + torch.cat([angles.sin(), angles.cos()], -1) * weights[STACK + "absolute_pos_embeds.scale"]
    return x


def v1_stack(weights: Weights, x: Tensor, net: V1, place: Tensor, sequence: Tensor | None) -> Tensor:
    """Run all blocks and the last norm."""
    rotation = angles_of(weights, net, place, sequence)
    number = 0
    while (prefix := f"{STACK}blocks.{number}.") + "xlstm_norm.weight" in weights:
        x = v1_block(weights, prefix, x, net, rotation, number)
        number += 1
    last = STACK + "post_blocks_norm.weight"
    return layer_norm(x, weights[last]) if last in weights else x


def v1_block(
    weights: Weights, prefix: str, x: Tensor, net: V1, rotation: Tensor | None, number: int
) -> Tensor:
    """Run one block in the directions of its stack."""
    if prefix + "xlstm.slstm_cell._recurrent_kernel_" in weights:
        return directed(lambda y: slstm_block(weights, prefix, y, net), x, net.direction, number)

    def run(x: Tensor, two_sided: bool = False) -> Tensor:
        normed = layer_norm(x, weights[prefix + "xlstm_norm.weight"])
        return x + mlstm_layer(weights, prefix + "xlstm.", normed, net, rotation, two_sided)

    return run(x, True) if net.direction == "two_sided" else directed(run, x, net.direction, number)


def directed(run: Callable[[Tensor], Tensor], x: Tensor, direction: str, number: int) -> Tensor:
    """Run a block one way, or both ways and add; tensors are flipped, as the originals do."""
    if direction == "causal" or (direction == "alternating" and number % 2):
        return run(x)
    if direction == "alternating":
        return run(x.flip(1)).flip(1)
    return run(x) + run(x.flip(1)).flip(1)


def layer_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Normalise channels; the gain is stored as gain - 1."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * (1 + weight)


def head_norm(h: Tensor, weight: Tensor) -> Tensor:
    """Normalise every head of (B, T, H, K) and lay the heads side by side."""
    centred = h - h.mean(-1, keepdim=True)
    return (centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()).flatten(-2) * (1 + weight)


def convolve(weights: Weights, prefix: str, x: Tensor, causal: bool) -> Tensor:
    """Convolve every channel of (B, T, C) by itself, then SiLU."""
    taps, bias = weights[prefix + "conv1d.conv.weight"], weights[prefix + "conv1d.conv.bias"]
    width = taps.shape[-1]
    # both sides are padded, the right one more where the width is even
    before = width - 1 if causal else (width - 1) // 2
    padded = F.pad(x.mT, (before, width - 1 - before))
    return F.silu(F.conv1d(padded, taps, bias, groups=x.shape[-1])).mT


def headwise(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Map groups of neighbouring channels, each by a matrix of its own."""
    matrix = weights[name + ".weight"]  # (groups, out, in)
    y = torch.einsum("goi,btgi->btgo", matrix, x.unflatten(-1, (matrix.shape[0], -1))).flatten(-2)
    return y + weights.get(name + ".bias", torch.zeros(()))


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Map all channels."""
    return x @ weights[name + ".weight"].T + weights.get(name + ".bias", torch.zeros(()))


def mlstm_layer(
    weights: Weights, prefix: str, x: Tensor, net: V1, rotation: Tensor | None, two_sided: bool
) -> Tensor:
    """Mix tokens with a matrix memory between two projections."""
    inner, gate = linear(weights, prefix + "proj_up", x).chunk(2, -1)
    convolved = convolve(weights, prefix, inner, net.conv_causal)
    q, k = (headwise(weights, prefix + name, convolved) for name in ("q_proj", "k_proj"))
    v = headwise(weights, prefix + "v_proj", inner)
    whole = net.rotary != "head"
    if rotation is not None and whole:
        q, k = turn(q, rotation), turn(k, rotation)
    seen = torch.cat([q, k, v], -1)
    i, f = (linear(weights, prefix + f"mlstm_cell.{name}", seen).mT for name in ("igate", "fgate"))
    q, k, v = (one.unflatten(-1, (net.heads, -1)).transpose(1, 2) for one in (q, k, v))  # (B, H, T, K)
    if rotation is not None and not whole:
        q, k = (turn(one, rotation[:, None]) for one in (q, k))
    h = mlstm_cell(q, k, v, i, f, two_sided)
    normed = head_norm(h.transpose(1, 2), weights[prefix + "mlstm_cell.outnorm.weight"])
    y = (normed + weights[prefix + "learnable_skip"] * convolved) * F.silu(gate)
    return linear(weights, prefix + "proj_down", y)


def mlstm_cell(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, two_sided: bool = False) -> Tensor:
    """Return h (B, H, T, V) from the whole matrix of what every token keeps of every other."""
    until = F.logsigmoid(f).cumsum(-1)  # (B, H, T)
    before = until - F.logsigmoid(f)
    kept = until[..., :, None] - until[..., None, :]  # (B, H, T, T) log weights: s + 1 .. t for s before t
    ahead = before[..., None, :] - before[..., :, None] if two_sided else torch.full_like(kept, -torch.inf)
    earlier = torch.ones_like(kept).tril().bool()
    kept = torch.where(earlier, kept, ahead) + i[..., None, :]
    top = kept.amax(-1, keepdim=True)
    attended = (q @ k.mT) * q.shape[-1] ** -0.5 * (kept - top).exp()
    floor = torch.maximum(attended.sum(-1, keepdim=True).abs(), (-top).exp())
    return attended @ v / (floor + 1e-6)


def angles_of(weights: Weights, net: V1, place: Tensor, sequence: Tensor | None) -> Tensor | None:
    """Return the angles (B, T, pairs) by which queries and keys turn."""
    if net.rotary == "none":
        return None
    skip = next(name for name in weights if name.endswith("learnable_skip"))
    inner = weights[skip].shape[0]
    if net.rotary == "inner_2d":
        first = inner * net.max_positions // (net.max_positions + net.max_sequences)
        first -= first % 2
        assert sequence is not None
        return torch.cat([angles(place, first, net.base), angles(sequence, inner - first, net.base)], -1)
    counted = torch.arange(place.shape[1]).expand_as(place)
    where = place if net.rotary == "inner" else counted
    return angles(where, inner // net.heads if net.rotary == "head" else inner, net.base)


def angles(place: Tensor, width: int, base: float) -> Tensor:
    return place[..., None] * base ** (-torch.arange(0, width, 2).double() / width)


def turn(x: Tensor, by: Tensor) -> Tensor:
    """Turn neighbouring pairs of channels."""
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * by.cos() - b * by.sin(), a * by.sin() + b * by.cos()], -1).flatten(-2)


def slstm_block(weights: Weights, prefix: str, x: Tensor, net: V1) -> Tensor:
    """Add an sLSTM layer, then a gated feed-forward layer."""
    x = x + slstm_layer(weights, prefix + "xlstm.", layer_norm(x, weights[prefix + "xlstm_norm.weight"]), net)
    return x + feed_forward(weights, prefix, layer_norm(x, weights[prefix + "ffn_norm.weight"]))


def feed_forward(weights: Weights, prefix: str, x: Tensor) -> Tensor:
    active, plain = linear(weights, prefix + "ffn.proj_up", x).chunk(2, -1)
    return linear(weights, prefix + "ffn.proj_down", F.gelu(active) * plain)


def slstm_layer(weights: Weights, prefix: str, x: Tensor, net: V1, flip_heads: bool = False) -> Tensor:
    """Mix tokens with a scalar memory per unit, one token after the other."""
    taps = prefix + "conv1d.conv.weight"
    convolved = convolve(weights, prefix, x, net.slstm_conv_causal) if taps in weights else x
    sources = {"i": (convolved, "fgate"), "f": (convolved, "igate"), "z": (x, "zgate"), "o": (x, "ogate")}
    gates = {
        gate: headwise(weights, prefix + name, source).unflatten(-1, (net.slstm_heads, -1))
        for gate, (source, name) in sources.items()
    }  # (B, T, H, K) each
    kernel, bias = recurrent_of(weights, prefix, net.slstm_heads)
    h = c = n = torch.zeros_like(gates["i"][:, 0])
    m = torch.zeros_like(h)
    out = []
    for t in range(x.shape[1]):
        raw = torch.einsum("bhp,hpgk->bghk", h, kernel) + bias.transpose(0, 1)  # (B, 4, H, K)
        i, f, z, o = (gates[gate][:, t] + raw[:, number] for number, gate in enumerate("ifzo"))
        m_new = i if t == 0 else torch.maximum(i, m + F.logsigmoid(f))
        kept, added = torch.exp(m + F.logsigmoid(f) - m_new), torch.exp(i - m_new)
        c, n, m = kept * c + added * torch.tanh(z), kept * n + added, m_new
        h = torch.sigmoid(o) * c / n
        out.append(h)
    y = torch.stack(out, 1)
    return head_norm(y.flip(2) if flip_heads else y, weights[prefix + "group_norm.weight"])


def recurrent_of(weights: Weights, prefix: str, heads: int) -> tuple[Tensor, Tensor]:
    """Return kernel (H, previous, gate, unit) and bias (H, gate, unit) of either cell, entry by entry."""
    stored, flat = (weights[f"{prefix}slstm_cell.{name}"] for name in ("_recurrent_kernel_", "_bias_"))
    plain = stored.shape[1] == 4 * stored.shape[2]
    width = min(stored.shape[1:])
    kernel, bias = stored.new_zeros(heads, width, 4, width), stored.new_zeros(heads, 4, width)
    for head in range(heads):
        for gate in range(4):
            for unit in range(width):
                if plain:
                    kernel[head, :, gate, unit] = stored[head, gate * width + unit]
                    bias[head, gate, unit] = flat[(gate * heads + head) * width + unit]
                else:
                    kernel[head, :, gate, unit] = stored[head, :, gate * width + unit]
                    bias[head, gate, unit] = flat[(head * 4 + gate) * width + unit]
    return kernel, bias


def rcps_logits(weights: Weights, ids: Tensor, net: V1, complement: Tensor) -> Tensor:
    """Return what a stack of sLSTM blocks with reverse-complement parameter sharing makes of ids."""
    table = weights["token_embedding.weight"]
    x = torch.cat([table[ids], table[complement[ids].flip(1)].flip(1, 2)], -1)  # (B, T, 2 D)
    number = 0
    while (prefix := f"{STACK}blocks.{number}.") + "xlstm_norm.weight" in weights:

        def run(x: Tensor, prefix: str = prefix) -> Tensor:
            normed = on_strands(lambda y, _: layer_norm(y, weights[prefix + "xlstm_norm.weight"]), x)
            x = x + on_strands(
                lambda y, second: slstm_layer(weights, prefix + "xlstm.", y, net, second), normed
            )
            normed = on_strands(lambda y, _: layer_norm(y, weights[prefix + "ffn_norm.weight"]), x)
            return x + on_strands(lambda y, _: feed_forward(weights, prefix, y), normed)

        x = directed(run, x, net.direction, number)
        number += 1
    x = on_strands(lambda y, _: layer_norm(y, weights[STACK + "post_blocks_norm.weight"]), x)
    one, other = x.chunk(2, -1)
    head = weights["lm_head.weight"]
    return one @ head.T + other.flip(-1) @ head[complement].T


def on_strands(module: Callable[[Tensor, bool], Tensor], x: Tensor) -> Tensor:
    """Apply a module to the first strand, and to the second one turned round."""
    one, other = x.chunk(2, -1)
    return torch.cat([module(one, False), module(other.flip(1, 2), True).flip(1, 2)], -1)


def large_logits(weights: Weights, ids: Tensor, config: Mapping[str, Any]) -> Tensor:
    """Return what an xLSTM-large with separate ("single") weights makes of ids."""
    eps, heads = config.get("norm_eps", 1e-6), config["num_heads"]
    x = weights["embedding.weight"][ids]
    number = 0
    while (prefix := f"backbone.blocks.{number}.") + "norm_mlstm.weight" in weights:
        layer = prefix + "mlstm_layer."
        y = rms_norm(weights, prefix + "norm_mlstm", x, eps)
        q, k, v = (
            linear(weights, layer + name, y).unflatten(-1, (heads, -1)).transpose(1, 2) for name in "qkv"
        )
        i, f = (
            cap(linear(weights, layer + name, y), config.get("gate_soft_cap", 15.0)).mT
            for name in ("igate_preact", "fgate_preact")
        )
        h = mlstm_cell(q, k, v, i, f).transpose(1, 2)
        centred = h - h.mean(-1, keepdim=True)
        normed = (centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()).flatten(-2)
        normed = normed * weights[layer + "multihead_norm.weight"]
        normed = normed + weights.get(layer + "multihead_norm.bias", torch.zeros(()))
        x = x + linear(
            weights, layer + "out_proj", torch.sigmoid(linear(weights, layer + "ogate_preact", y)) * normed
        )
        y = rms_norm(weights, prefix + "norm_ffn", x, eps)
        active, plain = (linear(weights, prefix + f"ffn.{name}", y) for name in ("proj_up_gate", "proj_up"))
        x = x + linear(weights, prefix + "ffn.proj_down", F.silu(active) * plain)
        number += 1
    if "backbone.out_norm.weight" in weights:
        x = rms_norm(weights, "backbone.out_norm", x, eps)
    return cap(x @ weights["lm_head.weight"].T, config.get("output_logit_soft_cap", 30.0))


def rms_norm(weights: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    scaled = x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weights[name + ".weight"]
    return scaled + weights.get(name + ".bias", torch.zeros(()))


def cap(x: Tensor, at: float | None) -> Tensor:
    return x if at is None else at * torch.tanh(x / at)
