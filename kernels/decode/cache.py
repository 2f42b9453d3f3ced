"""What a layer remembers of its sequences while they are decoded, in buffers that stay where they are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bio_xlstm.kernels.decode.counts import whole_number
from bio_xlstm.kernels.decode.window import Windows, check_windows, window_lengths
from bio_xlstm.kernels.mlstm.state import MlstmState

_EMPTY = float("-inf")
MOST = 1 << 20  # slots, heads, channels or taps


@dataclass(frozen=True, eq=False)
class DecodeCache:
    """Hold one layer's memory of S slots, a sequence each: folded memory and a window of tokens not yet folded.

    True memory is c exp(scale) plus the sum over the window of exp(weights) k v^T; numbers behind `count` and folded
    memory whose scale is -inf are never read. `phase`, `count` and `limit` are equal for all heads of a slot: a copy
    for each lets heads advance in any order.
    """

    conv: Tensor  # (S, W, I) last W - 1 inputs of the convolution, in a ring; row `phase` is the next to be written
    c: Tensor  # (S, H, K, V) folded memory
    n: Tensor  # (S, H, K) folded normaliser
    scale: Tensor  # (S, H) logarithm of what c and n are to be multiplied by; -inf where nothing was folded
    m: Tensor  # (S, H) running stabiliser
    keys: Tensor  # (S, H, Wd, K)
    values: Tensor  # (S, H, Wd, V)
    weights: Tensor  # (S, H, Wd) logarithm of the input gate and of all forget gates since
    phase: Tensor  # (S, H) int32
    count: Tensor  # (S, H) int32 tokens in the window
    limit: Tensor  # (S, H) int32 tokens at which the window is folded
    windows: Windows

    def clear(self, slots: Tensor) -> None:
        """Forget the sequences of slots (n,)."""
        self.conv[slots] = 0
        self.scale[slots] = _EMPTY
        self.m[slots] = _EMPTY
        self.phase[slots] = 0
        self.count[slots] = 0
        self.limit[slots] = self.windows.first

    def load(self, slots: Tensor, state: MlstmState, conv: Tensor) -> None:
        """Continue sequences from their memory and the last inputs of the convolution (n, W - 1, I), oldest first.

        ValueError refuses tensors of other shapes, before anything is changed.
        """
        misfit = self.find_misfit(len(slots), state, conv)
        if misfit:
            raise ValueError(f"the state does not fit the cache: {misfit}")
        self.clear(slots)
        self.c[slots] = state.c.to(self.c)
        self.n[slots] = state.n.to(self.n)
        self.scale[slots] = state.m.to(self.m)
        self.m[slots] = state.m.to(self.m)
        # a memory that holds nothing need not be read
        empty = (state.m == _EMPTY).to(self.m.device)  # (n, H)
        whole = empty.all(1, keepdim=True).expand_as(empty)
        self.limit[slots] = torch.where(whole, self.windows.first, self.windows.later).to(self.limit.dtype)
        # the phase is zero: the first row is free and the oldest input comes after it
        self.conv[slots] = torch.cat([conv.new_zeros(len(conv), 1, conv.shape[2]), conv], dim=1).to(self.conv)

    def find_misfit(self, count: int, state: MlstmState, conv: Tensor) -> str:
        """Say which tensor of the state of n sequences has the wrong shape; an empty string where all fit."""
        _, width, inner = self.conv.shape
        wanted = {
            "the matrix memory (n, heads, keys, values)": (state.c, (count, *self.c.shape[1:])),
            "the normaliser (n, heads, keys)": (state.n, (count, *self.n.shape[1:])),
            "the stabiliser (n, heads)": (state.m, (count, *self.m.shape[1:])),
            "the convolution's last inputs (n, taps - 1, channels)": (conv, (count, width - 1, inner)),
        }
        for name, (part, shape) in wanted.items():
            if tuple(part.shape) != shape:
                return f"{name} must be {shape}, not {tuple(part.shape)}"
        return ""

    def read(self, slots: Tensor) -> tuple[MlstmState, Tensor]:
        """Return the memory of slots (n,) with the window folded in, and the last inputs of the convolution."""
        m, scale, count = self.m[slots], self.scale[slots], self.count[slots]
        longest = int(count.max()) if count.numel() else 0
        inside = torch.arange(longest, device=m.device) < count[..., None]  # (n, H, w)
        # exp(-inf - -inf) is no number, but an empty memory has weight zero
        level = torch.where(m == _EMPTY, 0.0, m)[..., None]
        share = torch.where(inside, torch.exp(self.weights[slots][..., :longest] - level), 0.0)
        keys = torch.where(inside[..., None], self.keys[slots][..., :longest, :].to(m), 0.0)
        values = torch.where(inside[..., None], self.values[slots][..., :longest, :].to(m), 0.0)
        weighted = share[..., None] * keys  # (n, H, w, K)
        folded = (scale != _EMPTY)[..., None]
        keep = torch.exp(scale[..., None] - level)  # (n, H, 1)
        c = torch.where(folded[..., None], self.c[slots], 0.0) * keep[..., None] + weighted.mT @ values
        n = torch.where(folded, self.n[slots], 0.0) * keep + weighted.sum(-2)
        return MlstmState(c, n, m), self.last_inputs(slots)

    def last_inputs(self, slots: Tensor) -> Tensor:
        """Return the last inputs of the convolution (n, W - 1, I), oldest first."""
        ring = self.conv[slots]
        rows = torch.arange(1, ring.shape[1], device=ring.device)
        order = (self.phase[slots][:, :1] + rows) % ring.shape[1]  # (n, W - 1)
        return ring.gather(1, order[..., None].expand(-1, -1, ring.shape[2]))


def allocate(
    slots: int,
    heads: int,
    inner: int,
    conv_width: int,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    window_dtype: torch.dtype | None = None,
    windows: Windows | None = None,
) -> DecodeCache:
    """Make room for S empty slots of a layer with I channels in H heads.

    `window_dtype` is that of keys and values, bfloat16 or `dtype`; the lengths of the windows are chosen by cost
    where none are given. ValueError refuses numbers that are not positive and whole, I that H does not divide, and
    other dtypes.
    """
    sizes = {"slots": slots, "heads": heads, "inner": inner, "conv_width": conv_width}
    slots, heads, inner, conv_width = (whole_number(name, size, MOST) for name, size in sizes.items())
    if inner % heads:
        raise ValueError(
            f"inner must be a multiple of heads: {inner} channels do not make {heads} equal heads"
        )
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be float32 or float64, not {dtype}")
    if window_dtype not in (None, dtype, torch.bfloat16):
        raise ValueError(f"window_dtype must be bfloat16 or {dtype}, not {window_dtype}")
    width = inner // heads
    windows = window_lengths(width, width) if windows is None else check_windows(windows)
    longest = max(windows)

    def room(*shape: int, kind: torch.dtype = dtype) -> Tensor:
        # unwritten: pages that no sequence reaches are never handed out by the operating system
        return torch.empty(slots, *shape, dtype=kind, device=device)

    cache = DecodeCache(
        conv=room(conv_width, inner),
        c=room(heads, width, width),
        n=room(heads, width),
        scale=room(heads),
        m=room(heads),
        keys=room(heads, longest, width, kind=window_dtype or dtype),
        values=room(heads, longest, width, kind=window_dtype or dtype),
        weights=room(heads, longest),
        phase=room(heads, kind=torch.int32),
        count=room(heads, kind=torch.int32),
        limit=room(heads, kind=torch.int32),
        windows=windows,
    )
    cache.clear(torch.arange(slots, device=device))
    return cache
