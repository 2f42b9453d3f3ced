"""A model in plain torch operations, as autograd would keep them: chunks of 64 tokens, every tile a tensor.

It computes what the library computes, from the parameters of its models, and is only used to count what such a form
holds in memory.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.models.model import SequenceModel

CHUNK = 64
EPS = 1e-6  # added to the normaliser


def plain_loss(model: SequenceModel, tokens: Tensor) -> Tensor:
    """Return the loss of a training step over N sequences of equal length (N, T) that predict themselves."""
    weights = dict(model.named_parameters())
    x = F.embedding(tokens, weights["embedding.weight"])  # (N, T, D)
    for index in range(model.config.blocks):
        prefix = f"blocks.{index}."
        own = {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
        x = plain_block(x, own, model.config.heads)
    hidden = F.layer_norm(x, x.shape[-1:], weights["norm.weight"], None, model.config.norm_eps)
    logits = F.linear(hidden, weights["head.weight"])
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


def plain_block(x: Tensor, weights: Mapping[str, Tensor], heads: int) -> Tensor:
    """Run one causal block on (N, T, D)."""
    normed = F.layer_norm(x, x.shape[-1:], weights["norm.weight"])
    branch, gate = F.linear(normed, weights["mixer.up.weight"]).chunk(2, dim=-1)  # (N, T, I) each
    taps = weights["mixer.conv_weight"]  # (I, W)
    padded = F.pad(branch.mT, (taps.shape[1] - 1, 0))
    convolved = F.silu(F.conv1d(padded, taps[:, None], weights["mixer.conv_bias"], groups=len(taps)).mT)
    q, k = (_block_diagonal(convolved, weights[f"mixer.{name}.weight"]) for name in ("query", "key"))
    v = _block_diagonal(branch, weights["mixer.value.weight"])
    seen = torch.cat([q, k, v], dim=-1)
    i, f = (
        F.linear(seen, weights[f"mixer.{name}_gate.weight"], weights[f"mixer.{name}_gate.bias"]).mT
        for name in ("input", "forget")
    )  # (N, H, T) each
    q, k, v = (a.unflatten(-1, (heads, -1)).transpose(1, 2) for a in (q, k, v))  # (N, H, T, K) each
    h = plain_mlstm(q, k, v, i, f).transpose(1, 2)  # (N, T, H, V)
    h = F.layer_norm(h, h.shape[-1:]).flatten(-2) * weights["mixer.norm.weight"]
    mixed = (h + weights["mixer.skip"] * convolved) * F.silu(gate)
    return x + F.linear(mixed, weights["mixer.down.weight"])


def _block_diagonal(x: Tensor, weight: Tensor) -> Tensor:
    """Map groups of channels by their own matrices (groups, out, in)."""
    return torch.einsum("ntgi,goi->ntgo", x.unflatten(-1, (len(weight), -1)), weight).flatten(-2)


def plain_mlstm(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """Run the chunkwise mLSTM over q, k (N, H, T, K), v (N, H, T, V), i, f (N, H, T); return h (N, H, T, V)."""
    q, log_f = q * q.shape[-1] ** -0.5, F.logsigmoid(f)
    c = q.new_zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    n, m = torch.zeros_like(q[:, :, 0]), torch.zeros_like(i[..., 0])
    rows = []
    for start, stop in pairwise([*range(0, q.shape[2], CHUNK), q.shape[2]]):
        part = slice(start, stop)
        tokens = q[:, :, part], k[:, :, part], v[:, :, part], i[:, :, part], log_f[:, :, part]
        h, c, n, m = _chunk(*tokens, c, n, m)
        rows.append(h)
    return torch.cat(rows, dim=2)


def _chunk(
    q: Tensor, k: Tensor, v: Tensor, log_i: Tensor, log_f: Tensor, c: Tensor, n: Tensor, m: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read one chunk: h (N, H, L, V) and the memory after it."""
    total = log_f.cumsum(-1)  # (N, H, L)
    later = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)
    logs = (total[..., None] - total[..., None, :] + log_i[..., None, :]).masked_fill(later, -torch.inf)
    entering = total + m[..., None]
    top = torch.maximum(logs.amax(-1), entering)  # (N, H, L)
    scores = q @ k.mT * torch.exp(logs - top[..., None])  # (N, H, L, L)
    carried = torch.exp(entering - top)[..., None]
    amount = scores.sum(-1) + (carried * q @ n[..., None])[..., 0]
    scale = torch.maximum(amount.abs(), torch.exp(-top)) + EPS
    h = (scores @ v + carried * (q @ c)) / scale[..., None]
    last = logs[..., -1, :]
    m = torch.maximum(last.amax(-1), entering[..., -1])
    written = k * torch.exp(last - m[..., None])[..., None]
    keep = torch.exp(entering[..., -1] - m)
    return h, keep[..., None, None] * c + written.mT @ v, keep[..., None] * n + written.sum(-2), m
