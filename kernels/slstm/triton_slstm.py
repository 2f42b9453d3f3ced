"""The sLSTM as GPU kernels, fused over time: one program reads 16 sequences of one head from end to end.

The recurrent weights of narrow heads stay on the chip. Wider heads read them from the cache at every token, a few rows
at a time, and pass their outputs through memory, where every thread of the program can read a part of them.
"""

# the parameters of kernels are pointers, blocks and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.slstm.scan import Adjoint, Layout, run_scan
from bio_xlstm.kernels.slstm.state import SlstmState
from bio_xlstm.kernels.slstm.triton_pointwise import log_sigmoid, tanh

BLOCK = 16  # sequences of a program, the least that a matrix unit takes
# units up to which the recurrent weights stay on the chip, so that 99 KiB of shared memory are enough
HOLD_FORWARD, HOLD_BACKWARD = 64, 32
ROWS = 16  # rows of the weights that wider heads read at a time


@triton.jit
def _places(order_ptr, start_ptr, length_ptr, sequences, BLOCK: tl.constexpr):
    """Return sequence, first token and length of this program's rows, and the greatest length."""
    first = tl.program_id(0) * BLOCK
    row = first + tl.arange(0, BLOCK)
    there = row < sequences
    order = tl.load(order_ptr + row, mask=there, other=0)
    start = tl.load(start_ptr + row, mask=there, other=0)
    length = tl.load(length_ptr + row, mask=there, other=0)
    return order, start, length, tl.load(length_ptr + first)


@triton.jit
def _weights(r_ptr, head, gate, low, K: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    """Load rows low, low + 1, ... of the weights of one gate: (ROWS, WIDTH)."""
    k, j = low + tl.arange(0, ROWS), tl.arange(0, WIDTH)
    at = r_ptr + head * (4 * K * K) + k[:, None] * (4 * K) + gate * K + j[None, :]
    return tl.load(at, mask=(k < K)[:, None] & (j < K)[None, :], other=0.0)


@triton.jit
def _weights_back(r_ptr, head, gate, low, K: tl.constexpr, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    """Load columns low, low + 1, ... of the weights of one gate, transposed: (ROWS, WIDTH)."""
    j, k = low + tl.arange(0, ROWS), tl.arange(0, WIDTH)
    at = r_ptr + head * (4 * K * K) + k[None, :] * (4 * K) + gate * K + j[:, None]
    return tl.load(at, mask=(j < K)[:, None] & (k < K)[None, :], other=0.0)


@triton.jit
def _forward_kernel(
    x_ptr, r_ptr, b_ptr, state_ptr, order_ptr, start_ptr, length_ptr, y_ptr, last_ptr, gates_ptr, memory_ptr,
    hidden_ptr, sequences, heads,
    K: tl.constexpr, WIDTH: tl.constexpr, PART: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr,
    KEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Read the sequences of one program; keep the gate pre-activations and the memory before each token if asked."""
    head = tl.program_id(1)
    order, start, length, longest = _places(order_ptr, start_ptr, length_ptr, sequences, BLOCK)
    k = tl.arange(0, WIDTH)
    inside = (length > 0)[:, None] & (k < K)[None, :]
    cell = (order * heads + head)[:, None] * (4 * K) + k[None, :]
    h = tl.load(state_ptr + cell, mask=inside, other=0.0)
    c = tl.load(state_ptr + cell + K, mask=inside, other=0.0)
    n = tl.load(state_ptr + cell + 2 * K, mask=inside, other=0.0)
    m = tl.load(state_ptr + cell + 3 * K, mask=inside, other=0.0)
    bias = b_ptr + head * (4 * K) + k
    bias_i = tl.load(bias, mask=k < K, other=0.0)[None, :]
    bias_f = tl.load(bias + K, mask=k < K, other=0.0)[None, :]
    bias_z = tl.load(bias + 2 * K, mask=k < K, other=0.0)[None, :]
    bias_o = tl.load(bias + 3 * K, mask=k < K, other=0.0)[None, :]
    # the outputs pass through memory only where the weights come in parts
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    hidden = hidden_ptr + (place.to(tl.int64) * heads + head)[:, None] * WIDTH
    if PART == WIDTH:
        r_i = _weights(r_ptr, head, 0, 0, K, WIDTH, WIDTH)
        r_f = _weights(r_ptr, head, 1, 0, K, WIDTH, WIDTH)
        r_z = _weights(r_ptr, head, 2, 0, K, WIDTH, WIDTH)
        r_o = _weights(r_ptr, head, 3, 0, K, WIDTH, WIDTH)
    for position in range(0, longest):
        mask = (position < length)[:, None] & (k < K)[None, :]
        token = (start + STEP * position) * heads + head
        at = token[:, None] * (4 * K) + k[None, :]
        i = tl.load(x_ptr + at, mask=mask, other=0.0) + bias_i
        f = tl.load(x_ptr + at + K, mask=mask, other=0.0) + bias_f
        z = tl.load(x_ptr + at + 2 * K, mask=mask, other=0.0) + bias_z
        o = tl.load(x_ptr + at + 3 * K, mask=mask, other=0.0) + bias_o
        if PART == WIDTH:
            i += tl.dot(h, r_i, input_precision=PRECISION)
            f += tl.dot(h, r_f, input_precision=PRECISION)
            z += tl.dot(h, r_z, input_precision=PRECISION)
            o += tl.dot(h, r_o, input_precision=PRECISION)
        else:
            tl.store(hidden + k[None, :], h)
            tl.debug_barrier()
            for low in range(0, WIDTH, PART):
                some = tl.load(hidden + (low + tl.arange(0, PART))[None, :])
                i += tl.dot(some, _weights(r_ptr, head, 0, low, K, PART, WIDTH), input_precision=PRECISION)
                f += tl.dot(some, _weights(r_ptr, head, 1, low, K, PART, WIDTH), input_precision=PRECISION)
                z += tl.dot(some, _weights(r_ptr, head, 2, low, K, PART, WIDTH), input_precision=PRECISION)
                o += tl.dot(some, _weights(r_ptr, head, 3, low, K, PART, WIDTH), input_precision=PRECISION)
            tl.debug_barrier()
        if KEEP:
            tl.store(gates_ptr + at, i, mask=mask)
            tl.store(gates_ptr + at + K, f, mask=mask)
            tl.store(gates_ptr + at + 2 * K, z, mask=mask)
            tl.store(gates_ptr + at + 3 * K, o, mask=mask)
            before = memory_ptr + token[:, None] * (3 * K) + k[None, :]
            tl.store(before, c, mask=mask)
            tl.store(before + K, n, mask=mask)
            tl.store(before + 2 * K, m, mask=mask)
        old = log_sigmoid(f) + m
        top = tl.maximum(old, i)
        keep, write = tl.exp(old - top), tl.exp(i - top)
        c = tl.where(mask, keep * c + write * tanh(z), c)
        n = tl.where(mask, keep * n + write, n)
        m = tl.where(mask, top, m)
        # rows and units that are not there hold an empty memory
        h = tl.where(mask, c / tl.where(mask, n, 1.0) / (1.0 + tl.exp(-o)), h)
        tl.store(y_ptr + token[:, None] * K + k[None, :], h, mask=mask)
    tl.store(last_ptr + cell, h, mask=inside)
    tl.store(last_ptr + cell + K, c, mask=inside)
    tl.store(last_ptr + cell + 2 * K, n, mask=inside)
    tl.store(last_ptr + cell + 3 * K, m, mask=inside)


@triton.jit
def _backward_kernel(
    gates_ptr, memory_ptr, r_ptr, dy_ptr, end_ptr, order_ptr, start_ptr, length_ptr, dx_ptr, dstate_ptr,
    sequences, heads,
    K: tl.constexpr, WIDTH: tl.constexpr, PART: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Read the sequences of one program from their last token to the first, carrying gradients of h, c, l and m."""
    head = tl.program_id(1)
    order, start, length, longest = _places(order_ptr, start_ptr, length_ptr, sequences, BLOCK)
    k = tl.arange(0, WIDTH)
    inside = (length > 0)[:, None] & (k < K)[None, :]
    cell = (order * heads + head)[:, None] * (4 * K) + k[None, :]
    dh = tl.load(end_ptr + cell, mask=inside, other=0.0)
    dc = tl.load(end_ptr + cell + K, mask=inside, other=0.0)
    dl = tl.load(end_ptr + cell + 2 * K, mask=inside, other=0.0)
    dm = tl.load(end_ptr + cell + 3 * K, mask=inside, other=0.0)
    dn = tl.zeros((BLOCK, WIDTH), tl.float32)
    if PART == WIDTH:
        r_i = _weights(r_ptr, head, 0, 0, K, WIDTH, WIDTH)
        r_f = _weights(r_ptr, head, 1, 0, K, WIDTH, WIDTH)
        r_z = _weights(r_ptr, head, 2, 0, K, WIDTH, WIDTH)
        r_o = _weights(r_ptr, head, 3, 0, K, WIDTH, WIDTH)
    for step in range(0, longest):
        position = longest - 1 - step
        mask = (position < length)[:, None] & (k < K)[None, :]
        token = (start + STEP * position) * heads + head
        at = token[:, None] * (4 * K) + k[None, :]
        i = tl.load(gates_ptr + at, mask=mask, other=0.0)
        f = tl.load(gates_ptr + at + K, mask=mask, other=0.0)
        z = tanh(tl.load(gates_ptr + at + 2 * K, mask=mask, other=0.0))
        o = tl.load(gates_ptr + at + 3 * K, mask=mask, other=0.0)
        before = memory_ptr + token[:, None] * (3 * K) + k[None, :]
        c = tl.load(before, mask=mask, other=0.0)
        n = tl.load(before + K, mask=mask, other=0.0)
        old = log_sigmoid(f) + tl.load(before + 2 * K, mask=mask, other=0.0)
        top = tl.maximum(old, i)
        keep, share = tl.exp(old - top), tl.exp(i - top)
        after = keep * n + share
        keep, share = keep / after, share / after
        q = keep * c + share * z
        small = tl.exp(-tl.abs(o))
        large = 1.0 / (1.0 + small)
        total = tl.load(dy_ptr + token[:, None] * K + k[None, :], mask=mask, other=0.0) + dh
        dq = dc * after + total * tl.where(o > 0.0, large, small * large)
        shift = dq * share * (keep * n * z - keep * c)
        # the running maximum came from the old memory, from the input gate, or from both
        dtop = dm * tl.where(old > i, 1.0, tl.where(old == i, 0.5, 0.0))
        dold = dl * keep * n - shift
        d_i = tl.where(mask, dl * share + shift + (dm - dtop), 0.0)
        d_f = tl.where(mask, (dold + dtop) / (1.0 + tl.exp(f)), 0.0)
        d_z = tl.where(mask, dq * share * (1.0 - z * z), 0.0)
        d_o = tl.where(mask, total * q * (small * large * large), 0.0)
        tl.store(dx_ptr + at, d_i, mask=mask)
        tl.store(dx_ptr + at + K, d_f, mask=mask)
        tl.store(dx_ptr + at + 2 * K, d_z, mask=mask)
        tl.store(dx_ptr + at + 3 * K, d_o, mask=mask)
        if PART == WIDTH:
            # never two products into one sum: compute capability 10.0 once compiled that wrongly
            back_i = tl.dot(d_i, tl.trans(r_i), input_precision=PRECISION)
            back_f = tl.dot(d_f, tl.trans(r_f), input_precision=PRECISION)
            back_z = tl.dot(d_z, tl.trans(r_z), input_precision=PRECISION)
            back_o = tl.dot(d_o, tl.trans(r_o), input_precision=PRECISION)
            back = (back_i + back_f) + (back_z + back_o)
        else:
            tl.debug_barrier()
            back = tl.zeros((BLOCK, WIDTH), tl.float32)
            for low in range(0, 4 * WIDTH, PART):
                gate, unit = low // WIDTH, low % WIDTH
                j = unit + tl.arange(0, PART)
                there = (position < length)[:, None] & (j < K)[None, :]
                some = tl.load(
                    dx_ptr + token[:, None] * (4 * K) + gate * K + j[None, :], mask=there, other=0.0
                )
                back += tl.dot(
                    some, _weights_back(r_ptr, head, gate, unit, K, PART, WIDTH), input_precision=PRECISION
                )
        dn = tl.where(mask, (dl - dq * q) * keep, dn)
        dc = tl.where(mask, dq * keep, dc)
        dl = tl.where(mask, dold, dl)
        dm = tl.where(mask, dtop, dm)
        dh = tl.where(mask, back, dh)
    tl.store(dstate_ptr + cell, dh, mask=inside)
    tl.store(dstate_ptr + cell + K, dc, mask=inside)
    tl.store(dstate_ptr + cell + 2 * K, dn, mask=inside)
    tl.store(dstate_ptr + cell + 3 * K, dl + dm, mask=inside)


class TritonScan:
    """Read all sequences in one kernel, blocks of sequences and heads in parallel."""

    def __init__(self, exact: bool) -> None:
        """Multiply float32 numbers as they are, or with the ten bits that are enough for rounded inputs."""
        self.precision = "ieee" if exact else "tf32"

    def _form(self, width: int, layout: Layout, hold: int) -> dict[str, Any]:
        """Return the compile-time constants of both kernels."""
        padded = max(16, triton.next_power_of_2(width))
        return {
            "K": width,
            "WIDTH": padded,
            "PART": padded if padded <= hold else ROWS,
            "BLOCK": BLOCK,
            "STEP": layout.direction,
            "PRECISION": self.precision,
            # warps share the registers that the weights and sums of wide heads take
            "num_warps": min(16, max(4, padded // 8)),
            "num_stages": 2,
        }

    def forward(
        self, x: Tensor, r: Tensor, b: Tensor, state: SlstmState, layout: Layout, keep: bool
    ) -> tuple[Tensor, SlstmState, tuple[Tensor, ...]]:
        """Return y, the final state, and the gate pre-activations and the memory before each token."""
        tokens, heads, _, width = x.shape
        form, sequences = self._form(width, layout, HOLD_FORWARD), len(layout.lengths)
        programs = triton.cdiv(sequences, BLOCK)
        y, before = x.new_empty(tokens, heads, width), torch.stack(state, 2)
        last = torch.empty_like(before)
        gates = x.new_empty(tokens if keep else 0, heads, 4, width)
        memory = x.new_empty(tokens if keep else 0, heads, 3, width)
        through = 0 if form["PART"] == form["WIDTH"] else programs * BLOCK
        hidden = x.new_empty(through, heads, form["WIDTH"])
        places = layout.order, layout.start, layout.length
        with torch.cuda.device_of(x):
            _forward_kernel[(programs, heads)](
                x, r, b, before, *places, y, last, gates, memory, hidden, sequences, heads, KEEP=keep, **form
            )
        return y, SlstmState(*last.unbind(2)), (gates, memory)

    def backward(
        self, kept: Sequence[Tensor], r: Tensor, dy: Tensor, end: Adjoint, layout: Layout
    ) -> tuple[Tensor, SlstmState]:
        """Return the gradients of x and of the initial state."""
        gates, memory = kept
        dx, after = torch.empty_like(gates), torch.stack(end, 2)
        dstate, sequences, heads = torch.empty_like(after), len(layout.lengths), dy.shape[1]
        places = layout.order, layout.start, layout.length
        with torch.cuda.device_of(dy):
            _backward_kernel[(triton.cdiv(sequences, BLOCK), heads)](
                *(gates, memory, r, dy, after, *places, dx, dstate, sequences, heads),
                **self._form(dy.shape[2], layout, HOLD_BACKWARD),
            )
        return dx, SlstmState(*dstate.unbind(2))


def slstm_triton(x: Tensor, r: Tensor, b: Tensor, **form: Any) -> tuple[Tensor, SlstmState]:
    """Run the sLSTM on a GPU in float32; see `bio_xlstm.kernels.slstm.slstm` for shapes."""
    scan = TritonScan(exact=x.dtype == torch.float32)
    return run_scan(scan, x, r, b, form["state"], form["cu_seqlens"], form["reverse"])
