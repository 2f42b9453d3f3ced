"""Time steps of decoding: one token for each of n sequences through a whole model, against the lower bound.

    python benchmarks/decode.py [--quick] [--only molecule|long] [--dtype bfloat16] [--json FILE]

`molecule`: positions 10, 30, 50, 70 and 90 in turn, their mean. `long`: any position far behind the first window, where
memory is in use; one whole window with its fold, the mean step. The lower bound is the projections as
`torch.nn.functional.linear` at this number of rows in the same dtype (for bfloat16 on a CPU, which may lack arithmetic
for it, in float32 too), then reading as many bytes as the window (and, later, the memory) moves. The plain step is the
same model by `causal_conv_step` and `mlstm_step`; `model.forward` is the library's call with one token and a state.
Peers keep their state as their packages do; a step costs them the same at every position.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from bounds import FLOAT32_NAME, NAME
from peer_steps import step_peers
from peers import contenders
from report import Report, describe_machine
from setting import DTYPES, Setting, Shape
from timing import Clock, Contender, Timing, add_options, count_of, make_clock, progress, race, settle
from torch import Tensor
from torch.nn import functional as F

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.kernels.conv import causal_conv_step
from bio_xlstm.kernels.decode import window_costs, window_lengths
from bio_xlstm.kernels.mlstm import mlstm_step
from bio_xlstm.layers.state import LayerState
from bio_xlstm.models.model import SequenceModel

CHEM: dict[str, Any] = {"dim": 512, "blocks": 9, "heads": 8, "expansion": 2.0, "qkv_block": 4}
SMALL: dict[str, Any] = {"dim": 64, "blocks": 2, "heads": 2}
POSITIONS = (10, 30, 50, 70, 90)


@torch.no_grad()
def main() -> None:
    """Measure every cell and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, 15.0)
    parser.add_argument("--sequences", type=count_of, nargs="+")
    parser.add_argument("--only", choices=("molecule", "long"))
    parser.add_argument("--dtype", choices=DTYPES)
    options = parser.parse_args()
    settle(options)
    counts = options.sequences or ((1, 3) if options.tiny else (1, 8) if options.quick else (1, 8, 64, 256))
    clock = make_clock(options.device, options.clock)
    machine = describe_machine(options.device, options.clock)
    report = Report("One decoding step", machine, options.json)
    report.open()
    for dtype in [options.dtype] if options.dtype else DTYPES:
        model = bx.build("chem", **(SMALL if options.tiny else CHEM)).eval().to(options.device, DTYPES[dtype])
        for count in counts:
            for phase in [options.only] if options.only else ("molecule", "long"):
                progress(f"{count} sequences, {dtype}, {phase}")
                timings = measure(model, count, phase, options.seconds, clock)
                case = f"{count} sequence{'s' if count > 1 else ''}"
                report.add({"group": "", "case": case, "pass": phase, "dtype": dtype}, count, timings)


def measure(model: SequenceModel, count: int, phase: str, seconds: float, clock: Clock) -> list[Timing]:
    """Time all contenders in alternating rounds."""
    tokens = torch.randint(0, 8, (count,), device=model.device)
    start = model(tokens[:, None].expand(-1, 4)).state
    assert start is not None
    decoder = Decoder(model, count)
    if phase == "long":
        decoder.load(None, start)
    run, steps = decoding(decoder, tokens, phase)
    size = f"{model.parameter_count / 1e6:.1f} M parameters"
    racers = [
        Contender("Decoder", run, "ours", size, steps=steps),
        bound(model, count, phase, model.dtype),
        Contender("plain step", lambda: plain_step(model, tokens, list(start.blocks)), "backend"),
        Contender("model.forward", lambda: model(tokens[:, None], state=start).logits, "backend"),
    ]
    if model.device.type == "cpu" and model.dtype.itemsize < 4:
        racers.insert(2, bound(model, count, phase, torch.float32))
    config = model.config
    shape = Shape(count, 1, config.heads, config.inner // config.heads)
    setting = Setting(shape, config.dim, model.dtype, model.device.type, backward=False)
    return race([*racers, *contenders(step_peers(config.blocks, config.vocabulary), setting)], seconds, clock)


def decoding(decoder: Decoder, tokens: Tensor, phase: str) -> tuple[Callable[[], object], int]:
    """Return a run of several steps, and how many they are."""
    if phase == "long":
        steps = decoder.reader.caches[0].windows.later

        def go_on() -> None:
            for _ in range(steps):
                decoder.step(tokens)

        return go_on, steps
    for cache in decoder.reader.caches:
        for part, number in ((cache.keys, 0.02), (cache.values, 0.02), (cache.weights, -1.0), (cache.m, 0.0)):
            part.fill_(number)
    longest = decoder.reader.caches[0].windows.first
    positions = [min(position, longest) for position in POSITIONS]

    def step_there() -> None:
        for position in positions:
            for cache in decoder.reader.caches:
                cache.count.fill_(position - 1)
            decoder.step(tokens)

    return step_there, len(positions)


def bound(model: SequenceModel, count: int, phase: str, dtype: torch.dtype) -> Contender:
    """Return the projections of a step in a dtype and one reading of its state, as often as there are positions."""
    config, device = model.config, model.device
    width = config.inner // config.heads
    later = window_lengths(width, width).later
    # the memory is float32 always, the window in the dtype of the model: both in units of four bytes
    memory, unit = width * width * (1 + 2 / later), model.dtype.itemsize / 4
    numbers = {
        "molecule": [
            round(unit * 2 * width * min(position, window_lengths(width, width).first))
            for position in POSITIONS
        ],
        "long": [round(memory + unit * (window_costs(width, width, later) - memory))],
    }[phase]
    heads = count * config.heads * config.blocks
    state = torch.zeros(heads * max(numbers), device=device)
    target = torch.zeros(count, config.dim, device=device, dtype=dtype)
    inner = torch.zeros(count, config.inner, device=device, dtype=dtype)
    layers = [
        [part.weight.to(dtype) for part in (block.mixer.up, block.mixer.down)] for block in model.blocks
    ]
    head = model.head.weight.to(dtype)

    def run() -> None:
        for amount in numbers:
            for up, down in layers:
                F.linear(target, up)
                F.linear(inner, down)
            F.linear(target, head)
            # the quickest way in which torch reads without writing
            state[: heads * amount].max()

    own = dtype == model.dtype
    name, role = (NAME, "bound") if own else (FLOAT32_NAME, "float32 bound")
    return Contender(name, run, role, "projections and reading the state", steps=len(numbers))


def plain_step(
    model: SequenceModel, tokens: Tensor, states: list[LayerState]
) -> tuple[Tensor, list[LayerState]]:
    """Read one token per sequence with the primitives' own steps."""
    x = model.embedding(tokens)  # (n, D)
    after = []
    for block, (memory, window) in zip(model.blocks, states, strict=True):
        mixer = block.mixer
        branch, gate = mixer.up(block.norm(x)).chunk(2, dim=-1)  # (n, I) each
        convolved, window = causal_conv_step(
            branch, mixer.conv_weight, mixer.conv_bias, window, activation="silu"
        )
        q, k, v = mixer.query(convolved), mixer.key(convolved), mixer.value(branch)
        both = torch.cat([q, k, v], dim=-1)  # (n, 3 I)
        i, f = mixer.input_gate(both), mixer.forget_gate(both)  # (n, H)
        q, k, v = (part.unflatten(-1, (model.config.heads, -1)) for part in (q, k, v))  # (n, H, K)
        h, memory = mlstm_step(q, k, v, i, f, memory)
        x = x + mixer.down((mixer.norm(h) + mixer.skip * convolved) * F.silu(gate))
        after.append(LayerState(memory, window))
    return model.head(model.norm(x)), after


if __name__ == "__main__":
    main()
