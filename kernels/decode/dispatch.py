"""The public door of decoding: check shapes once, choose the backend."""

from collections.abc import Callable

import torch
from torch import Tensor

from bio_xlstm.kernels.choice import choose_backend
from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.torch_decode import decode_torch
from bio_xlstm.kernels.decode.weights import DecodeWeights
from bio_xlstm.kernels.mixer.weights import MixerWeights

Decode = Callable[[Tensor, DecodeWeights, DecodeCache, Tensor, float, Tensor | None], Tensor]


def _numba(
    up: Tensor, weights: DecodeWeights, cache: DecodeCache, slots: Tensor, eps: float, turn: Tensor | None
) -> Tensor:
    """Load the compiled loops when they are first needed."""
    from bio_xlstm.kernels.decode.numba_decode import decode_numba

    return (decode_numba if _fits(weights, cache) else decode_torch)(up, weights, cache, slots, eps, turn)


def _triton(
    up: Tensor, weights: DecodeWeights, cache: DecodeCache, slots: Tensor, eps: float, turn: Tensor | None
) -> Tensor:
    """Load the GPU kernel when it is first needed."""
    from bio_xlstm.kernels.decode.triton_decode import decode_triton

    return (decode_triton if _fits(weights, cache) else decode_torch)(up, weights, cache, slots, eps, turn)


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
    turn: Tensor | None = None,
) -> Tensor:
    """Read one token for each of n sequences with an mLSTM layer, between its projections; no gradients.

    Args:
        up: the up-projection's output (n, 2 I), the branch first and then the output gate, in the weights' dtype.
        weights: the layer's weights from `prepare`.
        cache: the layer's memory of all slots, changed in place; float64 for float64 weights, else float32.
        slots: the slot of each sequence (n,) int64, none of them twice; slots not named stay as they are.
        eps: epsilon of the norm over each head.
        backend: "auto", "torch", "numba" or "triton"; heads and dtypes that do not fit the compiled ones are read by
            torch.
        turn: cosines and sines (n, 2, K / 2) by which neighbouring channels of queries and keys turn, for rotary
            positions; in the dtype of the memory.

    Returns:
        y (n, I) in the dtype of up: (norm(h) + skip * convolved branch) * silu(output gate).

    Raises:
        ValueError: a shape, a dtype, a device or the backend does not fit, or a slot is named twice; the message
            names it.

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
    _check(up, weights.plain, cache, slots)
    _check_turn(turn, up, cache)
    run = choose_backend("decode_step", backend, BACKENDS, up.device, cache.c.dtype)
    # autocast would round what is computed in the dtype of up; memory that is overwritten carries no gradients
    with torch.no_grad(), torch.autocast(up.device.type, enabled=False):
        return run(up, weights, cache, slots, eps, turn)


def _check_turn(turn: Tensor | None, up: Tensor, cache: DecodeCache) -> None:
    """Raise ValueError where turns are not those of these sequences and heads."""
    if turn is None:
        return
    shape = (len(up), 2, cache.c.shape[2] // 2)
    if cache.c.shape[2] % 2 or tuple(turn.shape) != shape or turn.dtype != cache.c.dtype:
        raise ValueError(
            f"turn must be {shape} {cache.c.dtype} of an even K, got {tuple(turn.shape)} {turn.dtype}"
        )
    if turn.device != up.device:
        raise ValueError(f"all tensors must be on one device: up on {up.device}, turn on {turn.device}")


def _check(up: Tensor, plain: MixerWeights, cache: DecodeCache, slots: Tensor) -> None:
    """Raise ValueError where tensors do not belong together: compiled loops trust their shapes and dtypes."""
    slot_count, width, inner = cache.conv.shape
    if up.dim() != 2 or not len(up) or up.shape[1] != 2 * inner:
        raise ValueError(f"up must be (n, 2 I) with n > 0 and I = {inner}, got {tuple(up.shape)}")
    if slots.shape != up.shape[:1] or slots.dtype != torch.int64:
        raise ValueError(f"slots must be ({len(up)},) int64, got {tuple(slots.shape)} {slots.dtype}")
    fits = (plain.inner, plain.heads, plain.conv.shape[1])
    if fits != (inner, cache.m.shape[1], width):
        raise ValueError(
            f"the cache is for I, H, W = {inner}, {cache.m.shape[1]}, {width}, the weights for {fits}"
        )
    if not up.is_floating_point() or up.dtype != plain.conv.dtype:
        raise ValueError(
            f"up must be of the weights' floating dtype, got {up.dtype} and weights of {plain.conv.dtype}"
        )
    if cache.c.dtype != torch.promote_types(up.dtype, torch.float32):
        raise ValueError(
            f"the cache must be float32, or float64 for float64 weights, got {cache.c.dtype} for {up.dtype}"
        )
    devices = {"up": up.device, "weights": plain.conv.device, "cache": cache.c.device, "slots": slots.device}
    if len(set(devices.values())) > 1:
        named = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"all tensors must be on one device: {named}")
    # on a GPU the look at the values would make every call wait for the one before
    if slots.device.type == "cpu":
        named_slots = slots.tolist()
        if min(named_slots) < 0 or max(named_slots) >= slot_count:
            raise ValueError(f"slots must be from 0 to {slot_count - 1}, got {named_slots}")
        if len(set(named_slots)) < len(named_slots):
            raise ValueError(f"a slot is named twice: {named_slots}")
