"""Time steps of decoding: one token for each of n sequences through a whole model, against the lower bound.

    python benchmarks/decode.py [--quick] [--only molecule|long] [--dtype bfloat16] [--json FILE]

`molecule`: positions 10, 30, 50, 70 and 90 in turn, their mean. `long`: any position far behind the first window, where
memory is in use; one whole window with its fold, the mean step. The lower bound is the projections as
`torch.nn.functional.linear` at this number of rows in the same dtype, then reading as many bytes as the window (and,
later, the memory) moves. The plain step is the same model by `causal_conv_step` and `mlstm_step`; `model.forward` is
the library's call with one token and a state.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from setting import DTYPES
from timing import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    Clock,
    Report,
    Timing,
    add_options,
    describe_machine,
    make_clock,
    progress,
    settle,
)
from torch import Tensor
from torch.nn import functional as F

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.kernels.conv import causal_conv_step
from bio_xlstm.kernels.decode import window_costs, window_lengths
from bio_xlstm.kernels.mlstm import mlstm_step
from bio_xlstm.layers.mlstm import LayerState
from bio_xlstm.models.model import SequenceModel

CHEM: dict[str, Any] = {"dim": 512, "blocks": 9, "heads": 8, "expansion": 2.0, "qkv_block": 4}
SMALL: dict[str, Any] = {"dim": 32, "blocks": 2, "heads": 2}
POSITIONS = (10, 30, 50, 70, 90)
# a step of one sequence is short: so many are one sample
REPEATS = 4


@torch.no_grad()
def main() -> None:
    """Measure every cell and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, 15.0)
    parser.add_argument("--sequences", type=int, nargs="+")
    parser.add_argument("--only", choices=("molecule", "long"))
    parser.add_argument("--dtype", choices=DTYPES)
    options = parser.parse_args()
    settle(options)
    counts = options.sequences or ((1, 3) if options.tiny else (1, 8) if options.quick else (1, 8, 64, 256))
    clock = make_clock(options.device, options.clock)
    report = Report("One decoding step", describe_machine(options.device, options.clock))
    report.open()
    for dtype in [options.dtype] if options.dtype else DTYPES:
        model = bx.build("chem", **(SMALL if options.tiny else CHEM)).eval().to(options.device, DTYPES[dtype])
        for count in counts:
            for phase in [options.only] if options.only else ("molecule", "long"):
                progress(f"{count} sequences, {dtype}, {phase}")
                timings = measure(model, count, phase, options.seconds, clock)
                report.add({"case": f"{count} sequences", "pass": phase, "dtype": dtype}, count, timings)
    report.write(options.json)


def measure(model: SequenceModel, count: int, phase: str, seconds: float, clock: Clock) -> list[Timing]:
    """Time all contenders in alternating rounds."""
    tokens = torch.randint(0, 50, (count,), device=model.device)
    start = model(tokens[:, None].expand(-1, 4)).state
    assert start is not None
    decoder = Decoder(model, count)
    if phase == "long":
        decoder.load(torch.arange(count, device=model.device), start)
    contenders: dict[str, tuple[str, Callable[[], object], int]] = {
        "Decoder": ("ours", *decoding(decoder, tokens, phase)),
        "lower bound": ("bound", *bound(model, count, phase)),
        "plain step": ("peer", lambda: plain_step(model, tokens, list(start.blocks)), 1),
        "model.forward": ("backend", lambda: model(tokens[:, None], state=start).logits, 1),
    }
    first = {name: clock(run, 1) for name, (_, run, _) in contenders.items()}
    first = {name: clock(run, 1) for name, (_, run, _) in contenders.items()}
    repeats = REPEATS if sum(first.values()) < seconds / 20 else 1
    rounds = min(MAX_ROUNDS, max(MIN_ROUNDS, int(seconds / max(sum(first.values()) * repeats, 1e-9))))
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in reversed(contenders) if number % 2 else contenders:
            _, run, steps = contenders[name]
            samples[name].append(clock(run, repeats) / steps)
    return [Timing(name, role, tuple(samples[name])) for name, (role, _, _) in contenders.items()]


def decoding(decoder: Decoder, tokens: Tensor, phase: str) -> tuple[Callable[[], object], int]:
    """Return a run of several steps, and how many they are."""
    if phase == "long":
        steps = decoder.caches[0].windows.later

        def go_on() -> None:
            for _ in range(steps):
                decoder.step(tokens)

        return go_on, steps
    for cache in decoder.caches:
        for part, number in ((cache.keys, 0.02), (cache.values, 0.02), (cache.weights, -1.0), (cache.m, 0.0)):
            part.fill_(number)
    longest = decoder.caches[0].windows.first
    positions = [min(position, longest) for position in POSITIONS]

    def step_there() -> None:
        for position in positions:
            for cache in decoder.caches:
                cache.count.fill_(position - 1)
            decoder.step(tokens)

    return step_there, len(positions)


def bound(model: SequenceModel, count: int, phase: str) -> tuple[Callable[[], object], int]:
    """Return the projections of a step and one reading of its state, as often as there are positions."""
    config, device, dtype = model.config, model.device, model.embedding.weight.dtype
    width = config.inner // config.heads
    later = window_lengths(width, width).later
    numbers = {
        "molecule": [2 * width * min(position, window_lengths(width, width).first) for position in POSITIONS],
        "long": [round(window_costs(width, width, later))],
    }[phase]
    # memory is float32 always, and the window in the dtype of the model
    kind = dtype if phase == "molecule" else torch.float32
    heads = count * config.heads * config.blocks
    state = torch.zeros(
        heads * max(numbers), dtype=torch.int32 if kind.itemsize == 4 else torch.int16, device=device
    )
    target = torch.zeros(count, config.dim, device=device, dtype=dtype)
    inner = torch.zeros(count, config.inner, device=device, dtype=dtype)
    layers = [block.mixer for block in model.blocks]

    def run() -> None:
        for amount in numbers:
            for layer in layers:
                F.linear(target, layer.up.weight)
                F.linear(inner, layer.down.weight)
            F.linear(target, model.head.weight)
            # the quickest way in which torch reads without writing
            state[: heads * amount].view(torch.float32).max()

    return run, len(numbers)


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
