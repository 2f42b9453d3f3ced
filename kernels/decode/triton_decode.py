"""One token per sequence on a GPU: one program per sequence and head does everything between the projections.

The gates of a head need the convolution of all channels, which every program computes for itself. The newest input goes
into a row of the convolution's ring that no program reads in this step, and every head has counters of its own, so no
program waits for another.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs

import torch
import triton
import triton.language as tl
from torch import Tensor

from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.weights import DecodeWeights
from bio_xlstm.kernels.mlstm.reference import EPS

_CHANNELS = 512  # read together for the gates
_TOKENS = 16  # of the window, read together
_ROWS = 32  # of the memory, read together


def decode_triton(
    up: Tensor,
    weights: DecodeWeights,
    cache: DecodeCache,
    slots: Tensor,
    eps: float,
    turn: Tensor | None = None,
) -> Tensor:
    """Read one token per slot; see `bio_xlstm.kernels.decode.decode_step`. Negative slots are passed over."""
    plain, packed = weights.plain, weights.packed
    assert packed is not None and weights.gates is not None
    _, width, inner = cache.conv.shape
    heads, block, head_width = plain.heads, plain.query.shape[-1], inner // plain.heads
    padded = max(16, triton.next_power_of_2(head_width))
    up = up.contiguous()
    y = torch.empty(len(up), inner, dtype=up.dtype, device=up.device)
    maps = [part.contiguous() for part in (plain.query, plain.key, plain.value)]
    with torch.cuda.device(up.device) if up.is_cuda else torch.autograd.profiler.record_function("decode"):
        _read_token[(len(up), heads)](
            up, y, slots, up if turn is None else turn.contiguous(),
            packed.taps, packed.conv_bias, *maps, packed.bias, weights.gates, packed.gate_bias,
            packed.norm, packed.skip,
            cache.conv, cache.c, cache.n, cache.scale, cache.m, cache.keys, cache.values, cache.weights,
            cache.phase, cache.count, cache.limit,
            cache.windows.later, head_width**-0.5, eps, EPS,
            INNER=inner, HEADS=heads, K=head_width, PADDED=padded, WINDOW=cache.keys.shape[2],
            TAPS=width, BLOCK=block, TURNED=turn is not None,
            CHANNELS=min(_CHANNELS, triton.next_power_of_2(inner)), TOKENS=_TOKENS, ROWS=min(_ROWS, padded),
            num_warps=4 if padded <= 128 else 8,
        )  # fmt: skip
    return y


@triton.jit
def _convolve(
    up, ring, taps, bias, channel, mask, now, INNER: tl.constexpr, TAPS: tl.constexpr
):  # fmt: skip
    """Return the activated convolution at some channels of one sequence."""
    newest = tl.load(up + channel, mask=mask, other=0.0).to(tl.float32)
    y = tl.load(bias + channel, mask=mask, other=0.0)
    y += tl.load(taps + (TAPS - 1) * INNER + channel, mask=mask, other=0.0) * newest
    for tap in tl.static_range(TAPS - 1):
        row = (now + 1 + tap) % TAPS
        before = tl.load(ring + row * INNER + channel, mask=mask, other=0.0).to(tl.float32)
        y += tl.load(taps + tap * INNER + channel, mask=mask, other=0.0) * before
    return y / (1.0 + tl.exp(-y))


@triton.jit
def _log_sigmoid(x):
    """Return log(1 / (1 + exp(-x))), to full relative precision where it is close to zero."""
    small = tl.exp(-tl.abs(x))
    one = 1.0 + small
    rest = one - 1.0
    # log(1 + u) = log(w) u / (w - 1) with the w that u was rounded to
    log = tl.where(rest == 0.0, small, tl.log(one) * (small / tl.where(rest == 0.0, 1.0, rest)))
    return tl.minimum(x, 0.0) - log


@triton.jit
def _turn(x, cos, sin, PADDED: tl.constexpr):
    """Turn pairs of neighbouring channels."""
    even, odd = tl.split(tl.reshape(x, [PADDED // 2, 2]))
    return tl.reshape(tl.join(even * cos - odd * sin, even * sin + odd * cos), [PADDED])


@triton.jit
def _read_token(
    up, y, slots, turn,
    taps, conv_bias, query, key, value, bias, gates, gate_bias, norm, skip,
    conv, c, n, scale, m, keys, values, weights,
    phase, count, limit,
    later, q_scale, norm_eps, eps,
    INNER: tl.constexpr, HEADS: tl.constexpr, K: tl.constexpr, PADDED: tl.constexpr, WINDOW: tl.constexpr,
    TAPS: tl.constexpr, BLOCK: tl.constexpr, TURNED: tl.constexpr, CHANNELS: tl.constexpr, TOKENS: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """Read one token of one sequence with one head."""
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    slot = tl.load(slots + row)
    if slot >= 0:
        at = slot * HEADS + head
        up += row * 2 * INNER
        ring = conv + slot * TAPS * INNER
        c += at * K * K
        n += at * K
        keys += at * WINDOW * K
        values += at * WINDOW * K
        weights += at * WINDOW
        now, used, full_at = tl.load(phase + at), tl.load(count + at), tl.load(limit + at)
        level, folded = tl.load(m + at), tl.load(scale + at)

        # gate pre-activations: maps of the convolved and the plain branch
        log_i = tl.load(gate_bias + head)
        forget = tl.load(gate_bias + HEADS + head)
        for start in range(0, INNER, CHANNELS):
            channel = start + tl.arange(0, CHANNELS)
            inside = channel < INNER
            x = _convolve(up, ring, taps, conv_bias, channel, inside, now, INNER, TAPS)
            plain = tl.load(up + channel, mask=inside, other=0.0).to(tl.float32)
            from_i = gates + head * 2 * INNER + channel
            from_f = gates + (HEADS + head) * 2 * INNER + channel
            log_i += tl.sum(x * tl.load(from_i, mask=inside, other=0.0), 0)
            log_i += tl.sum(plain * tl.load(from_i + INNER, mask=inside, other=0.0), 0)
            forget += tl.sum(x * tl.load(from_f, mask=inside, other=0.0), 0)
            forget += tl.sum(plain * tl.load(from_f + INNER, mask=inside, other=0.0), 0)
        log_f = _log_sigmoid(forget)

        # queries, keys and values of this head, from the diagonal blocks
        column = tl.arange(0, PADDED)
        valid = column < K
        channel = head * K + column
        q = tl.zeros([PADDED], tl.float32)
        k = tl.zeros([PADDED], tl.float32)
        v = tl.zeros([PADDED], tl.float32)
        for index in range(BLOCK):
            source = channel // BLOCK * BLOCK + index
            x = _convolve(up, ring, taps, conv_bias, source, valid, now, INNER, TAPS)
            plain = tl.load(up + source, mask=valid, other=0.0).to(tl.float32)
            weight = channel * BLOCK + index
            q += x * tl.load(query + weight, mask=valid, other=0.0).to(tl.float32)
            k += x * tl.load(key + weight, mask=valid, other=0.0).to(tl.float32)
            v += plain * tl.load(value + weight, mask=valid, other=0.0).to(tl.float32)
        q = q * q_scale + tl.load(bias + channel, mask=valid, other=0.0)
        k += tl.load(bias + INNER + channel, mask=valid, other=0.0)
        v += tl.load(bias + 2 * INNER + channel, mask=valid, other=0.0)
        if TURNED:
            pair = tl.arange(0, PADDED // 2)
            cos = tl.load(turn + row * K + pair, mask=pair < K // 2, other=1.0)
            sin = tl.load(turn + row * K + K // 2 + pair, mask=pair < K // 2, other=0.0)
            q = _turn(q, cos, sin, PADDED)
            k = _turn(k, cos, sin, PADDED)
        # what is kept in the window may be rounded, and is rounded from the first time it is read
        k = k.to(keys.dtype.element_ty).to(tl.float32)
        v = v.to(values.dtype.element_ty).to(tl.float32)

        full = used >= full_at
        held = folded > float("-inf")
        after = tl.where(full, level, folded) + log_f
        top = tl.maximum(level + log_f, log_i)
        above = tl.zeros([PADDED], tl.float32)
        below = tl.sum(above, 0)
        if full | held:
            recall = tl.exp(after - top)
            lines = tl.where(held, K, 0)  # of the memory that hold numbers
            keep = tl.where(full, tl.where(held, tl.exp(folded - level), 0.0), 1.0)
            for start in range(0, K, ROWS):
                line = start + tl.arange(0, ROWS)
                existing = line < K
                both = existing[:, None] & valid[None, :]
                place = line[:, None] * K + column[None, :]
                before = (line < lines)[:, None] & valid[None, :]
                tile = keep * tl.load(c + place, mask=before, other=0.0)  # (K, V)
                amount = keep * tl.load(n + line, mask=line < lines, other=0.0)  # (K,)
                if full:
                    for begin in range(0, used, TOKENS):
                        token = begin + tl.arange(0, TOKENS)
                        there = token < used
                        share = tl.exp(tl.load(weights + token, mask=there, other=float("-inf")) - level)
                        left = tl.load(
                            keys + token[None, :] * K + line[:, None],
                            mask=existing[:, None] & there[None, :],
                            other=0.0,
                        )
                        left = left.to(tl.float32) * share[None, :]  # (K, w)
                        right = tl.load(
                            values + token[:, None] * K + column[None, :],
                            mask=there[:, None] & valid[None, :],
                            other=0.0,
                        ).to(tl.float32)  # (w, V)
                        added = tl.dot(left, right, input_precision="ieee")
                        tile = tile + added
                        amount += tl.sum(left, 1)
                    tl.store(c + place, tile, mask=both)
                    tl.store(n + line, amount, mask=existing)
                # the part of q that belongs to these lines
                part = tl.sum(tl.where(line[:, None] == column[None, :], q[None, :], 0.0), 1)
                above += recall * tl.sum(tile * part[:, None], 0)
                below += recall * tl.sum(amount * part, 0)

        used = tl.where(full, 0, used)
        for begin in range(0, used, TOKENS):
            token = begin + tl.arange(0, TOKENS)
            there = token < used
            both = there[:, None] & valid[None, :]
            place = token[:, None] * K + column[None, :]
            aged = tl.load(weights + token, mask=there, other=float("-inf")) + log_f
            tl.store(weights + token, aged, mask=there)
            rows = tl.load(keys + place, mask=both, other=0.0).to(tl.float32)  # (w, K)
            share = tl.exp(aged - top) * tl.sum(rows * q[None, :], 1)
            rows = tl.load(values + place, mask=both, other=0.0).to(tl.float32)  # (w, V)
            above += tl.sum(rows * share[:, None], 0)
            below += tl.sum(share, 0)
        newest = tl.exp(log_i - top) * tl.sum(q * k, 0)
        h = (above + newest * v) / (tl.maximum(tl.abs(below + newest), tl.exp(-top)) + eps)

        # norm over the head, skip and output gate
        mean = tl.sum(h, 0) / K
        centred = tl.where(valid, h - mean, 0.0)
        h = centred / tl.sqrt(tl.sum(centred * centred, 0) / K + norm_eps)
        h *= tl.load(norm + channel, mask=valid, other=0.0)
        x = _convolve(up, ring, taps, conv_bias, channel, valid, now, INNER, TAPS)
        h += tl.load(skip + channel, mask=valid, other=0.0) * x
        gate = tl.load(up + INNER + channel, mask=valid, other=0.0).to(tl.float32)
        h *= gate / (1.0 + tl.exp(-gate))
        tl.store(y + row * INNER + channel, h.to(y.dtype.element_ty), mask=valid)

        # everything that is overwritten below has been read by all threads of the program
        tl.debug_barrier()
        plain = tl.load(up + channel, mask=valid, other=0.0)
        tl.store(ring + now * INNER + channel, plain.to(conv.dtype.element_ty), mask=valid)
        tl.store(keys + used * K + column, k.to(keys.dtype.element_ty), mask=valid)
        tl.store(values + used * K + column, v.to(values.dtype.element_ty), mask=valid)
        tl.store(weights + used, log_i)
        tl.store(phase + at, (now + 1) % TAPS)
        tl.store(count + at, used + 1)
        tl.store(limit + at, tl.where(full, later, full_at))
        tl.store(scale + at, after)
        tl.store(m + at, top)
