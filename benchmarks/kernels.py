"""Compare the sequence primitives with their lower bounds and with other people's kernels; one table.

    python benchmarks/kernels.py [--device cpu|cuda] [--quick] [--only mlstm] [--json FILE]

Ours read sequences packed with cu_seqlens, as the library does; peers read batches of equal length. Inputs are
contiguous in each one's own layout. `ours` is the backend that users get, `backend` another one of ours.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from bounds import bounds, conv_bound, mlstm_work, slstm_work
from peers import PEERS, contenders
from report import Report, describe_machine
from setting import DTYPES, Setting, Shape, packed, runner
from timing import Clock, Contender, add_options, make_clock, progress, race, settle
from torch import Tensor

from bio_xlstm.kernels.choice import automatic, find_obstacle
from bio_xlstm.kernels.conv.dispatch import BACKENDS as CONV_BACKENDS
from bio_xlstm.kernels.conv.dispatch import causal_conv
from bio_xlstm.kernels.mlstm.dispatch import BACKENDS as MLSTM_BACKENDS
from bio_xlstm.kernels.mlstm.dispatch import mlstm
from bio_xlstm.kernels.slstm.dispatch import BACKENDS as SLSTM_BACKENDS
from bio_xlstm.kernels.slstm.dispatch import slstm

BIO, LARGE = ((4, 64), (8, 128), (4, 512)), ((64, 64), (32, 128), (16, 256))  # (H, K) on the GPU
GPU_TOKENS = 65_536
TINY = Shape(2, 20, 2, 16)


class Call(NamedTuple):
    """Hold the inputs of one primitive and the function that runs them on a backend."""

    inputs: list[Tensor]
    run: Callable[[str], Tensor]


def call_mlstm(setting: Setting) -> Call:
    """Draw tokens, and gates as a fresh model has them."""
    shape, rows = setting.shape, setting.shape.tokens
    q, k, v = (setting.random(1, rows, shape.heads, shape.dim) for _ in range(3))
    gates = (setting.random(1, rows, shape.heads).detach() + bias for bias in (0.0, 4.5))
    i, f = (gate.requires_grad_(setting.backward) for gate in gates)
    cu_seqlens = packed(shape, setting.device)
    return Call([q, k, v, i, f], lambda name: mlstm(q, k, v, i, f, cu_seqlens=cu_seqlens, backend=name)[0])


def call_conv(setting: Setting) -> Call:
    """Draw tokens and four taps."""
    shape = setting.shape
    x, weight, bias = (
        setting.random(*s) for s in ((1, shape.tokens, shape.inner), (shape.inner, 4), (shape.inner,))
    )
    cu_seqlens = packed(shape, setting.device)

    def run(name: str) -> Tensor:
        return causal_conv(x, weight, bias, cu_seqlens=cu_seqlens, activation="silu", backend=name)[0]

    return Call([x, weight, bias], run)


def call_slstm(setting: Setting) -> Call:
    """Draw pre-activations and recurrent weights."""
    shape = setting.shape
    x = setting.random(1, shape.tokens, shape.heads, 4, shape.dim)
    r = (setting.random(shape.heads, shape.dim, 4, shape.dim).detach() * shape.dim**-0.5).requires_grad_(
        setting.backward
    )
    b = setting.random(shape.heads, 4, shape.dim)
    cu_seqlens = packed(shape, setting.device)
    return Call([x, r, b], lambda name: slstm(x, r, b, cu_seqlens=cu_seqlens, backend=name)[0])


class Primitive(NamedTuple):
    """Say how to run a primitive and on what."""

    call: Callable[[Setting], Call]
    backends: Mapping[str, Callable[..., Any]]
    bounds: Callable[[Setting, Clock], list[Contender]]
    cpu: tuple[Shape, ...]
    gpu: tuple[Shape, ...]


def _lengths(heads: int, dim: int, *lengths: int) -> list[Shape]:
    """Fill the GPU's tokens with sequences of these lengths."""
    return [Shape(GPU_TOKENS // time, time, heads, dim) for time in lengths]


CHEM = (Shape(64, 100, 8, 128), Shape(8, 1024, 8, 128))
DNA = (Shape(1, 32_768, 4, 64),)
PRIMITIVES = {
    "mlstm": Primitive(
        call_mlstm,
        MLSTM_BACKENDS,
        lambda s, clock: bounds(mlstm_work(s.shape, s.backward), s.dtype, s.device, clock),
        CHEM + DNA,
        (
            *(shape for size in LARGE for shape in _lengths(*size, 1024, 4096, 16_384, 65_536)),
            *(shape for size in BIO for shape in _lengths(*size, 1024, 65_536)),
            Shape(1, 1_048_576, 4, 64),
        ),
    ),
    "causal_conv": Primitive(
        call_conv,
        CONV_BACKENDS,
        lambda s, clock: [conv_bound(s.shape, s.dtype, s.device, s.backward, clock)],
        CHEM + DNA,
        (*_lengths(64, 64, 1024), *_lengths(4, 64, 65_536)),
    ),
    "slstm": Primitive(
        call_slstm,
        SLSTM_BACKENDS,
        lambda s, clock: bounds(slstm_work(s.shape, s.backward), s.dtype, s.device, clock),
        (Shape(8, 512, 4, 64), Shape(1, 2048, 4, 64), Shape(8, 512, 4, 32)),
        (Shape(64, 1024, 4, 64), Shape(64, 1024, 4, 128), Shape(1, 16_384, 4, 64)),
    ),
}


def ours(primitive: Primitive, setting: Setting) -> list[Contender]:
    """Return every backend that can run, the one that users get first."""
    inputs, run = primitive.call(setting)
    chosen = automatic(primitive.backends, setting.device, setting.dtype).backend
    found = []
    for name in sorted(primitive.backends, key=lambda name: name != chosen):
        # the reference is the law and the interpreter of Triton is for tests: neither is for speed
        slow = name == "reference" or (name == "triton" and setting.device == "cpu")
        if not slow and not find_obstacle(name, setting.device):
            forward = runner(partial(run, name), inputs, setting.backward)
            found.append(Contender(f"ours, {name}", forward, "ours" if name == chosen else "backend"))
    return found


def measure(name: str, setting: Setting, seconds: float, clock: Clock, report: Report) -> None:
    """Time one cell of the table."""
    shape = setting.shape
    case = f"{name} {shape.batch} x {shape.time:,}, {shape.heads} x {shape.dim}"
    cell = {"group": name, "case": case, "pass": setting.direction, "dtype": str(setting.dtype)[6:]}
    progress(" ".join(list(cell.values())[1:]))
    primitive = PRIMITIVES[name]
    racers = [*ours(primitive, setting), *primitive.bounds(setting, clock), *contenders(PEERS[name], setting)]
    timings = race(racers, seconds, clock)
    report.add({**cell, "time": shape.time}, shape.tokens, timings)


def settings(options: argparse.Namespace) -> list[tuple[str, Setting]]:
    """List what is measured.

    On the CPU bfloat16 runs forward only unless asked for: its products, most of all those of the backward pass, are
    very slow where the processor has no instructions for them.
    """
    chosen = []
    gpu = options.device == "cuda"
    for name in options.only or PRIMITIVES:
        shapes = PRIMITIVES[name].gpu if gpu else PRIMITIVES[name].cpu
        if options.tiny or options.quick:
            shapes = (TINY,) if options.tiny else shapes[:1]
        for shape in shapes:
            for backward in (False, True):
                dtypes = options.dtype or (["bfloat16"] if gpu else ["float32"])
                if not options.dtype and not gpu and not backward and not options.quick:
                    dtypes = ["float32", "bfloat16"]
                chosen += [
                    (name, Setting(shape, shape.inner, DTYPES[dtype], options.device, backward))
                    for dtype in dtypes
                ]
    return chosen


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=PRIMITIVES, help="primitive, may be given again [all]"
    )
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="may be given again")
    add_options(parser, seconds=5)
    options = parser.parse_args()
    settle(options)
    torch.manual_seed(0)
    report = Report("Kernels", describe_machine(options.device, options.clock), options.json)
    report.open()
    clock = make_clock(options.device, options.clock)
    for name, setting in settings(options):
        measure(name, setting, options.seconds, clock, report)


if __name__ == "__main__":
    main()
