"""The mLSTM read from both ends at once: every token sees all others, under one normaliser.

DNA-xLSTM has a quadratic form of it. Here the memories of both directions are read in linear time, without normaliser
and in float64, whose range replaces the running stabiliser.
"""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from bio_xlstm.kernels.mlstm.dispatch import mlstm

_EPS = 1e-6


def two_sided_mlstm(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    *,
    cu_seqlens: Tensor | None = None,
) -> Tensor:
    """Return h (B, T, H, V) where token t reads token s with the forget gates between them and the input gate of s.

    Between means s + 1 .. t for s before t, and t .. s - 1 for s after t. Shapes: see `mlstm`.
    """
    given = v
    # Apple's GPUs have no float64
    where = torch.device("cpu") if v.device.type == "mps" else v.device
    q, k, v, i, f = (x.to(where, torch.float64) for x in (q, k, v, i, f))
    bounds = [0, q.shape[1]] if cu_seqlens is None else cu_seqlens.tolist()
    top, highest = _scales(i, logsigmoid(f), bounds)  # (B, T, H) of a sequence, of what a token sees
    weighted = i - top
    # the last column of the values becomes the normaliser
    values = pad(v, (0, 1), value=1.0)  # (B, T, H, V + 1)
    sides = [
        mlstm(
            *(q, k, values, weighted, f),
            cu_seqlens=cu_seqlens,
            reverse=side,
            normalize=False,
            backend="torch",
        )[0]
        for side in (False, True)
    ]
    own = (q * k).sum(-1, keepdim=True) * q.shape[-1] ** -0.5 * weighted.exp()[..., None] * values
    h = sides[0] + sides[1] - own
    floor = torch.maximum(h[..., -1:].abs(), torch.exp(-top)[..., None])
    return (h[..., :-1] / (floor + _EPS * torch.exp(highest - top)[..., None])).to(given)


def _scales(i: Tensor, log_f: Tensor, bounds: list[int]) -> tuple[Tensor, Tensor]:
    """Return the largest input gate of each sequence, and the largest weight that each token gives another."""
    tops, highest = [], []
    for start, stop in pairwise(bounds):
        gate, decay = i[:, start:stop], log_f[:, start:stop].cumsum(1)
        before = decay + torch.cummax(gate - decay, dim=1).values
        # t .. s - 1 is what lies before s without what lies before t
        open_decay = decay - log_f[:, start:stop]
        ahead = (gate + open_decay).flip(1)
        after = torch.cummax(ahead, dim=1).values.flip(1) - open_decay
        highest.append(torch.maximum(before, after))
        tops.append(gate.amax(1, keepdim=True).expand_as(gate))
    return torch.cat(tops, 1), torch.cat(highest, 1)
