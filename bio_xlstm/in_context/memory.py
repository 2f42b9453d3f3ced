"""The memory of a set: an mLSTM that forgets nothing, so that the order in which it reads does not matter."""

import torch
from torch import Tensor

from bio_xlstm.kernels.mlstm.reference import EPS
from bio_xlstm.kernels.mlstm.state import MlstmState


def write(k: Tensor, v: Tensor, i: Tensor) -> MlstmState:
    """Read N examples of B sets at once: (B, N, H, K), (B, N, H, V), (B, N, H) -> the state after the last.

    This is the mLSTM (`kernels/mlstm/reference.py`) with its forget gates open: all examples weigh what their input
    gates say, and no order is better than another.
    """
    m = i.amax(1)  # (B, H)
    weighed = torch.exp(i - m[:, None])[..., None] * k  # (B, N, H, K)
    c = torch.einsum("bnhk,bnhv->bhkv", weighed, v)
    return MlstmState(c, weighed.sum(1), m)


def read(q: Tensor, state: MlstmState) -> Tensor:
    """Look M queries up (B, M, H, K) -> (B, M, H, V); the state stays as it is, so queries do not see each other."""
    query = q * q.shape[-1] ** -0.5
    h = torch.einsum("bmhk,bhkv->bmhv", query, state.c)
    amount = torch.einsum("bmhk,bhk->bmh", query, state.n).abs()
    floor = torch.exp(-state.m)[:, None]  # (B, 1, H)
    return h / (torch.maximum(amount, floor) + EPS)[..., None]
