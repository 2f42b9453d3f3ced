"""Smooth functions of float32 blocks that keep their relative precision near zero, for Triton kernels."""

# the parameters of kernels are pointers, blocks and constants of the compiler: Python has no types for them
# mypy: allow-untyped-defs, allow-incomplete-defs

import triton
import triton.language as tl


@triton.jit
def log_sigmoid(x):
    """Return log(1 / (1 + exp(-x)))."""
    small = tl.exp(-tl.abs(x))
    # log(1 + u) = 2 artanh(s), and 2 s = u - s u
    s = small / (small + 2.0)
    w = s * s
    series = ((2.803127976e-01 * w + 2.799786252e-01) * w + 4.002176998e-01) * w + 6.666641204e-01
    return tl.minimum(x, 0.0) - (small - s * (small - w * series))


@triton.jit
def tanh(x):
    """Return tanh(x)."""
    u = -2.0 * tl.abs(x)
    # exp(u) - 1 loses its digits near zero; the series is good to 1.4e-8 down to -ln(2) / 2
    r = tl.maximum(u, -0.35)
    tail = ((1.388239589e-03 * r + 8.367180963e-03) * r + 4.166722127e-02) * r + 1.666653868e-01
    less = tl.where(u > -0.34657, (tail * r + 4.999999804e-01) * (r * r) + r, tl.exp(u) - 1.0)
    y = less / (less + 2.0)
    return tl.where(x < 0.0, y, -y)
