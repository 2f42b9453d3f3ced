"""The public door of decoding: check shapes once, choose the backend."""

from collections.abc import Callable

import torch
from torch import Tensor

from bio_xlstm.kernels.choice import choose_backend
from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.torch_decode import decode_torch
from bio_xlstm.kernels.decode.weights import DecodeWeights

Decode = Callable[[Tensor, DecodeWeights, DecodeCache, Tensor, float], Tensor]


def _numba(up: Tensor, weights: DecodeWeights, cache: DecodeCache, slots: Tensor, eps: float) -> Tensor:
    """Load the compiled loops when they are first needed."""
    from bio_xlstm.kernels.decode.numba_decode import decode_numba

    return (decode_numba if _fits(weights, cache) else decode_torch)(up, weights, cache, slots, eps)


def _triton(up: Tensor, weights: DecodeWeights, cache: DecodeCache, slots: Tensor, eps: float) -> Tensor:
    """Load the GPU kernel when it is first needed."""
    from bio_xlstm.kernels.decode.triton_decode import decode_triton

    return (decode_triton if _fits(weights, cache) else decode_torch)(up, weights, cache, slots, eps)


def _fits(weights: DecodeWeights, cache: DecodeCache) -> bool:
    """Tell whether the compiled backends can read the layer: whole panels, float32."""
    return weights.packed is not None and cache.c.dtype == torch.float32


BACKENDS: dict[str, Decode] = {"torch": decode_torch, "numba": _numba, "triton": _triton}


def decode_step(
    up: Tensor,
    weights: DecodeWeights,
    cache: DecodeCache,
    slots: Tensor,
    eps: float = 1e-5,
    backend: str = "auto",
) -> Tensor:
    """Read one token for each of n sequences with an mLSTM layer, between its projections.

    Args:
        up: the up-projection's output (n, 2 I), the branch first and then the output gate.
        weights: the layer's weights from `prepare`.
        cache: the layer's memory of all slots, changed in place.
        slots: the slot of each sequence (n,) int64, none of them twice; slots not named stay as they are.
        eps: epsilon of the norm over each head.
        backend: "auto", "torch", "numba" or "triton"; heads and dtypes that do not fit the compiled ones are read by
            torch.

    Returns:
        y (n, I) in the dtype of up: (norm(h) + skip * convolved branch) * silu(output gate).

    Raises:
        ValueError: a shape or the backend does not fit; the message names it.

    Example:
        >>> import torch
        >>> from bio_xlstm.kernels.decode import allocate, prepare
        >>> from bio_xlstm.kernels.mixer.weights import MixerWeights
        >>> block, gate, line = torch.randn(4, 4, 4), torch.randn(1, 48), torch.ones(16)
        >>> plain = MixerWeights(torch.randn(16, 4), line, block, block, block, None, None, None,
        ...                      gate, torch.zeros(1), gate, torch.zeros(1), line, line)
        >>> cache = allocate(slots=3, heads=1, inner=16, conv_width=4)
        >>> decode_step(torch.randn(2, 32), prepare(plain), cache, torch.tensor([0, 2])).shape
        torch.Size([2, 16])
    """
    slot_count, width, inner = cache.conv.shape
    if up.dim() != 2 or not len(up) or up.shape[1] != 2 * inner:
        raise ValueError(f"up must be (n, 2 I) with n > 0 and I = {inner}, got {tuple(up.shape)}")
    if slots.shape != up.shape[:1] or slots.dtype != torch.int64:
        raise ValueError(f"slots must be ({len(up)},) int64, got {tuple(slots.shape)} {slots.dtype}")
    fits = (weights.plain.inner, weights.plain.heads, weights.plain.conv.shape[1])
    if fits != (inner, cache.m.shape[1], width):
        raise ValueError(
            f"the cache is for I, H, W = {inner}, {cache.m.shape[1]}, {width}, the weights for {fits}"
        )
    # on a GPU the look at the values would make every call wait for the one before
    if slots.device.type == "cpu" and not 0 <= int(slots.min()) <= int(slots.max()) < slot_count:
        raise ValueError(f"slots must be from 0 to {slot_count - 1}, got {slots.tolist()}")
    run = choose_backend("decode_step", backend, BACKENDS, up.device, cache.c.dtype)
    return run(up, weights, cache, slots, eps)
