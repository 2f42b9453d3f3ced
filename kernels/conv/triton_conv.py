"""The causal depthwise convolution on a GPU: blocks of tokens and channels, exact gradients, any width.

A kernel reads the rows it needs once for each tap: all but the first time they come from the cache. Sums over tokens
are taken block by block, so the gradients of the weights are the same in every run. Everything is counted in float32.
"""

# the parameters of kernels are pointers, tiles and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

from functools import lru_cache
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.autograd import first_order
from bio_xlstm.kernels.conv.window import carry_window
from bio_xlstm.kernels.packing import find_bounds

BLOCK_T = 64  # tokens of a block
BLOCK_C = 64  # channels of a block
WARPS = 8  # with fewer, a thread of the way back holds more numbers than it has registers


class Layout(NamedTuple):
    """Say which sequence every token belongs to."""

    sequence: Tensor  # (T,) int32
    bounds: Tensor  # (N + 1,) int64


class Form(NamedTuple):
    """Say which convolution it is."""

    layout: Layout
    reverse: bool
    silu: bool


# what is kept must serve training too, even if inference asked for it first
@lru_cache(maxsize=8)
@torch.inference_mode(False)
def find_layout(bounds: tuple[int, ...], device: torch.device) -> Layout:
    """Number the tokens of the sequences between ``bounds``."""
    edges = torch.tensor(bounds).to(device)
    rows = torch.arange(len(bounds) - 1, dtype=torch.int32, device=device)
    return Layout(torch.repeat_interleave(rows, edges.diff(), output_size=bounds[-1]), edges)


@triton.jit
def _place(token, inside, sequence_ptr, bound_ptr, REVERSE: tl.constexpr):
    """Return the sequence of each token, and how many of its tokens are read before and after this one."""
    sequence = tl.load(sequence_ptr + token, mask=inside, other=0).to(tl.int64)
    left = token - tl.load(bound_ptr + sequence)
    right = tl.load(bound_ptr + sequence + 1) - 1 - token
    before = right if REVERSE else left
    after = left if REVERSE else right
    return sequence, before, after


@triton.jit
def _load(ptr, row, mask_t, channel, mask_c, channels):
    """Load channels of rows as float32, zeros where there are none."""
    mask = mask_t[:, None] & mask_c[None, :]
    return tl.load(ptr + row[:, None] * channels + channel[None, :], mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _load_source(
    x_ptr, state_ptr, token, sequence, before, lag, inside, channel, mask_c, channels,
    WIDTH: tl.constexpr, REVERSE: tl.constexpr, STATE: tl.constexpr,
):  # fmt: skip
    """Load what each token reads ``lag`` tokens back: an input or a row of the state."""
    source = token + lag if REVERSE else token - lag
    value = _load(x_ptr, source, inside & (before >= lag), channel, mask_c, channels)
    if STATE:
        row = sequence * (WIDTH - 1) + WIDTH - 1 + before - lag
        value += _load(state_ptr, row, inside & (before < lag), channel, mask_c, channels)
    return value


@triton.jit
def _convolve(
    x_ptr, weight_ptr, bias_ptr, state_ptr, token, sequence, before, inside, channel, mask_c, channels,
    WIDTH: tl.constexpr, REVERSE: tl.constexpr, BIAS: tl.constexpr, STATE: tl.constexpr,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Return the convolution before the activation."""
    z = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    if BIAS:
        z += tl.load(bias_ptr + channel, mask=mask_c, other=0.0).to(tl.float32)[None, :]
    for lag in tl.static_range(WIDTH):
        tap = tl.load(weight_ptr + channel * WIDTH + WIDTH - 1 - lag, mask=mask_c, other=0.0).to(tl.float32)
        z += tap[None, :] * _load_source(
            x_ptr, state_ptr, token, sequence, before, lag, inside, channel, mask_c, channels, WIDTH, REVERSE, STATE
        )  # fmt: skip
    return z


@triton.jit
def _forward_kernel(
    x_ptr, weight_ptr, bias_ptr, state_ptr, sequence_ptr, bound_ptr, y_ptr, tokens, channels,
    WIDTH: tl.constexpr, REVERSE: tl.constexpr, BIAS: tl.constexpr, STATE: tl.constexpr, SILU: tl.constexpr,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Convolve one block."""
    token = tl.program_id(0).to(tl.int64) * BLOCK_T + tl.arange(0, BLOCK_T)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside, mask_c = token < tokens, channel < channels
    sequence, before, _ = _place(token, inside, sequence_ptr, bound_ptr, REVERSE)
    y = _convolve(
        x_ptr, weight_ptr, bias_ptr, state_ptr, token, sequence, before, inside, channel, mask_c, channels,
        WIDTH, REVERSE, BIAS, STATE, BLOCK_T, BLOCK_C,
    )  # fmt: skip
    if SILU:
        y = y / (1.0 + tl.exp(-y))
    place = y_ptr + token[:, None] * channels + channel[None, :]
    tl.store(place, y.to(y_ptr.dtype.element_ty), mask=inside[:, None] & mask_c[None, :])


@triton.jit
def _weight_kernel(
    x_ptr, weight_ptr, bias_ptr, state_ptr, sequence_ptr, bound_ptr, dy_ptr, dz_ptr, sum_ptr, tokens, channels,
    WIDTH: tl.constexpr, REVERSE: tl.constexpr, BIAS: tl.constexpr, STATE: tl.constexpr, SILU: tl.constexpr,
    BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Take one block back through the activation, and sum what it gives to the weights and, behind them, the bias."""
    block = tl.program_id(0).to(tl.int64)
    token = block * BLOCK_T + tl.arange(0, BLOCK_T)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside, mask_c = token < tokens, channel < channels
    sequence, before, _ = _place(token, inside, sequence_ptr, bound_ptr, REVERSE)
    dz = _load(dy_ptr, token, inside, channel, mask_c, channels)
    if SILU:
        z = _convolve(
            x_ptr, weight_ptr, bias_ptr, state_ptr, token, sequence, before, inside, channel, mask_c, channels,
            WIDTH, REVERSE, BIAS, STATE, BLOCK_T, BLOCK_C,
        )  # fmt: skip
        share = 1.0 / (1.0 + tl.exp(-z))
        dz = dz * share * (1.0 + z * (1.0 - share))
        place = dz_ptr + token[:, None] * channels + channel[None, :]
        tl.store(place, dz, mask=inside[:, None] & mask_c[None, :])
    line = sum_ptr + block * (WIDTH + 1) * channels + channel
    tl.store(line + WIDTH * channels, tl.sum(dz, 0), mask=mask_c)
    for lag in tl.static_range(WIDTH):
        source = _load_source(
            x_ptr, state_ptr, token, sequence, before, lag, inside, channel, mask_c, channels, WIDTH, REVERSE, STATE
        )  # fmt: skip
        tl.store(line + (WIDTH - 1 - lag) * channels, tl.sum(dz * source, 0), mask=mask_c)


@triton.jit
def _input_kernel(
    dz_ptr, weight_ptr, sequence_ptr, bound_ptr, dx_ptr, tokens, channels,
    WIDTH: tl.constexpr, REVERSE: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Gather for the inputs of one block the gradients of the tokens that read them."""
    token = tl.program_id(0).to(tl.int64) * BLOCK_T + tl.arange(0, BLOCK_T)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside, mask_c = token < tokens, channel < channels
    _, _, after = _place(token, inside, sequence_ptr, bound_ptr, REVERSE)
    dx = tl.zeros((BLOCK_T, BLOCK_C), tl.float32)
    for lag in tl.static_range(WIDTH):
        tap = tl.load(weight_ptr + channel * WIDTH + WIDTH - 1 - lag, mask=mask_c, other=0.0).to(tl.float32)
        reader = token - lag if REVERSE else token + lag
        dx += tap[None, :] * _load(dz_ptr, reader, inside & (after >= lag), channel, mask_c, channels)
    place = dx_ptr + token[:, None] * channels + channel[None, :]
    tl.store(place, dx.to(dx_ptr.dtype.element_ty), mask=inside[:, None] & mask_c[None, :])


@triton.jit
def _state_kernel(
    dz_ptr, weight_ptr, bound_ptr, dstate_ptr, channels,
    WIDTH: tl.constexpr, REVERSE: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Gather for the state of one sequence the gradients of the first tokens, which read it."""
    sequence = tl.program_id(0).to(tl.int64)
    channel = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    inside = channel < channels
    start, stop = tl.load(bound_ptr + sequence), tl.load(bound_ptr + sequence + 1)
    count = tl.where(inside, stop - start, 0)
    for row in range(0, WIDTH - 1):
        total = tl.zeros((BLOCK_C,), tl.float32)
        # the token at this position reads the row with the tap before it
        for position in range(0, row + 1):
            token = stop - 1 - position if REVERSE else start + position
            mask = position < count
            dz = tl.load(dz_ptr + token * channels + channel, mask=mask, other=0.0).to(tl.float32)
            tap = tl.load(weight_ptr + channel * WIDTH + row - position, mask=mask, other=0.0).to(tl.float32)
            total += tap * dz
        place = dstate_ptr + (sequence * (WIDTH - 1) + row) * channels + channel
        tl.store(place, total.to(dstate_ptr.dtype.element_ty), mask=inside)


def _blocks(x: Tensor) -> tuple[int, int]:
    """Return how many blocks of tokens and of channels x (T, C) has."""
    return triton.cdiv(x.shape[0], BLOCK_T), triton.cdiv(x.shape[1], BLOCK_C)


def _forward(form: Form, x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None) -> Tensor:
    """Return y (T, C)."""
    y = torch.empty_like(x)
    with torch.cuda.device_of(x):
        _forward_kernel[_blocks(x)](
            x,
            weight,
            x if bias is None else bias,
            x if state is None else state,
            *form.layout,
            y,
            *x.shape,
            WIDTH=weight.shape[1],
            REVERSE=form.reverse,
            BIAS=bias is not None,
            STATE=state is not None,
            SILU=form.silu,
            BLOCK_T=BLOCK_T,
            BLOCK_C=BLOCK_C,
            num_warps=WARPS,
        )
    return y


def _backward(
    form: Form, x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the gradients of x, of weight and bias (W + 1, C), and of the state."""
    width, blocks = weight.shape[1], _blocks(x)
    dz = torch.empty_like(x, dtype=torch.float32) if form.silu else dy
    sums = torch.empty(blocks[0], width + 1, x.shape[1], dtype=torch.float32, device=x.device)
    dx, dstate = torch.empty_like(x), None if state is None else torch.empty_like(state)
    shape: dict[str, Any] = {"WIDTH": width, "REVERSE": form.reverse, "BLOCK_C": BLOCK_C}
    tile = {**shape, "BLOCK_T": BLOCK_T, "num_warps": WARPS}
    with torch.cuda.device_of(x):
        _weight_kernel[blocks](
            x,
            weight,
            x if bias is None else bias,
            x if state is None else state,
            *form.layout,
            dy,
            dz,
            sums,
            *x.shape,
            **tile,
            BIAS=bias is not None,
            STATE=state is not None,
            SILU=form.silu,
        )
        _input_kernel[blocks](dz, weight, *form.layout, dx, *x.shape, **tile)
        if dstate is not None and width > 1:
            grid = len(dstate), blocks[1]
            _state_kernel[grid](dz, weight, form.layout.bounds, dstate, x.shape[1], **shape)
    return dx, sums.sum(0), dstate


class _Fused(torch.autograd.Function):
    """Differentiate the convolution of flat tokens (T, C); keeps nothing but its inputs."""

    @staticmethod
    def forward(ctx: Any, form: Form, *inputs: Tensor | None) -> Tensor:
        """Return y (T, C)."""
        ctx.form = form
        ctx.save_for_backward(*inputs)
        return _forward(form, *inputs)  # type: ignore[arg-type]

    @staticmethod
    @first_order
    def backward(ctx: Any, dy: Tensor) -> Any:
        """Return the gradients of x, weight, bias and state."""
        x, weight, bias, state = ctx.saved_tensors
        dx, sums, dstate = _backward(ctx.form, x, weight, bias, state, dy.contiguous())
        dbias = None if bias is None else sums[-1].to(bias.dtype)
        return None, dx, sums[:-1].T.to(weight.dtype), dbias, dstate


def conv_triton(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    state: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    activation: str = "none",
) -> tuple[Tensor, Tensor]:
    """Convolve all sequences in fused kernels; see `bio_xlstm.kernels.conv.causal_conv` for shapes.

    Raises:
        ValueError: an input is float64; the kernels count in float32.
    """
    if torch.float64 in {part.dtype for part in (x, weight, bias, state) if part is not None}:
        raise ValueError("causal_conv: the triton backend counts in float32, float64 needs backend 'torch'")
    batch, time, _ = x.shape
    bounds = find_bounds(batch, time, cu_seqlens)
    flat = x.flatten(0, 1)  # (T, C)
    form = Form(find_layout(bounds, x.device), reverse, activation == "silu")
    # a window carried on is in the dtype of x, and so is the one that enters
    before = None if state is None else state.to(x.dtype)
    tensors = [None if part is None else part.contiguous() for part in (flat, weight, bias, before)]
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in tensors):
        y = _Fused.apply(form, *tensors)
    else:
        y = _forward(form, *tensors)  # type: ignore[arg-type]
    return y.unflatten(0, (batch, time)), carry_window(flat, before, bounds, weight.shape[1], reverse)
