"""Time contenders against each other in alternating rounds.

Every contender runs once per round, in an order that turns round every time, so that all see the same machine; ratios
are taken inside a round. A peer that is slow against the budget keeps the time of a single run.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

Clock = Callable[[Callable[[], object], int], float]
MIN_ROUNDS, MAX_ROUNDS = 3, 50
SAMPLE_SECONDS = 2e-3  # shorter calls are repeated within a sample


class Contender(NamedTuple):
    """Name something to time."""

    name: str
    run: Callable[[], object] | None = None  # None where it cannot run here
    # "ours" (what users get), "backend" (ours, not chosen), "bound", "float32 bound" or "peer"
    role: str = "peer"
    note: str = ""  # why it cannot run, or what is peculiar about it
    seconds: float | None = None  # a computed time in place of a measured one
    steps: int = 1  # done by one run; times are those of one step


class Spread(NamedTuple):
    """Hold the median and the 10th and 90th percentile of a sample."""

    median: float
    low: float
    high: float


class Timing(NamedTuple):
    """Hold what one contender took in every round, in seconds; no samples where it did not run."""

    name: str
    role: str
    samples: tuple[float, ...]
    note: str = ""


def spread(values: Iterable[float]) -> Spread:
    """Summarise a sample."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(median(ordered), ordered[round(0.1 * last)], ordered[round(0.9 * last)])


def ratio(over: Timing | None, under: Timing) -> Spread | None:
    """Divide two timings round by round; against the median where one of them ran only once."""
    if over is None or not over.samples or not under.samples:
        return None
    above, below = over.samples, under.samples
    if len(above) != len(below):
        above = above if len(below) == 1 else (median(above),) * len(below)
        below = below if len(above) == len(below) else (median(below),) * len(above)
    return spread(a / b for a, b in zip(above, below, strict=True))


def make_clock(device: str, kind: str = "wall") -> Clock:
    """Return a function that gives the seconds of one of ``calls`` calls; kind "process" counts processor time."""
    if device == "cuda":
        return _cuda_seconds
    now = time.process_time if kind == "process" else time.perf_counter

    def seconds(run: Callable[[], object], calls: int) -> float:
        begin = now()
        for _ in range(calls):
            run()
        return (now() - begin) / calls

    return seconds


def _cuda_seconds(run: Callable[[], object], calls: int) -> float:
    """Time calls on the GPU by its own events."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / calls


def race(contenders: Sequence[Contender], seconds: float, clock: Clock) -> list[Timing]:
    """Time all contenders in about as many seconds, in their order; what fails says why in its note."""
    first: dict[int, float] = {}
    notes = {index: contender.note for index, contender in enumerate(contenders)}
    samples: dict[int, list[float]] = {index: [] for index in notes}
    for index, contender in enumerate(contenders):
        if contender.run is None:
            continue
        try:
            first[index] = _warm(contender, seconds, clock)
        except Exception as error:  # noqa: BLE001 - a peer may fail in any way, the others still run
            notes[index] = explain(error)
    racing = []
    for index, taken in first.items():
        # what users get and what it is measured against are never judged by a single run
        if contenders[index].role == "peer" and taken > seconds / 4:
            samples[index] = [taken]
            notes[index] = f"{notes[index]}, ran once".lstrip(", ")
        else:
            racing.append(index)
    calls = {index: max(1, int(SAMPLE_SECONDS / max(first[index], 1e-9))) for index in racing}
    whole = sum(first[index] * calls[index] for index in racing)
    rounds = min(MAX_ROUNDS, max(MIN_ROUNDS, int(seconds / max(whole, 1e-9))))
    for number in range(rounds):
        for index in reversed(racing) if number % 2 else racing:
            run = contenders[index].run
            assert run is not None
            samples[index].append(clock(run, calls[index]))
    for index, contender in enumerate(contenders):
        samples[index] = [taken / contender.steps for taken in samples[index]]
        if contender.seconds is not None:
            samples[index] = [contender.seconds]
    return [Timing(c.name, c.role, tuple(samples[n]), notes[n]) for n, c in enumerate(contenders)]


def explain(error: Exception) -> str:
    """Say in one line how something failed."""
    lines = str(error).strip().splitlines()
    return f"failed: {type(error).__name__} {lines[0] if lines else ''}".strip()


def _warm(contender: Contender, seconds: float, clock: Clock) -> float:
    """Run a contender until it is compiled and return the time of one call."""
    assert contender.run is not None
    taken = clock(contender.run, 1)
    # a long first call is compilation where we compile, and simply long elsewhere
    if contender.role == "peer" and taken > 2 * seconds:
        return taken
    return clock(contender.run, 1)


def fastest(runs: Sequence[Callable[[], object]], clock: Clock) -> Callable[[], object]:
    """Return the quickest of several ways to do the same, leaving out those that fail."""
    taken: list[tuple[float, Callable[[], object]]] = []
    errors: list[Exception] = []
    for run in runs if len(runs) > 1 else ():
        try:
            run()
            taken.append((clock(run, 1), run))
        except Exception as error:  # noqa: BLE001 - other people's code, which may fail in any way
            errors.append(error)
    if errors and not taken:
        raise errors[0]
    return min(taken, key=lambda pair: pair[0])[1] if taken else runs[0]


def progress(text: str) -> None:
    """Say on stderr what is being measured."""
    print(text, file=sys.stderr, flush=True)


def add_options(parser: argparse.ArgumentParser, seconds: float) -> None:
    """Add the options that all comparisons share."""
    add_conditions(parser, f"{seconds:g}; quick 0.5, tiny 0")
    parser.add_argument("--json", type=Path, help="keep the numbers in this file")
    parser.set_defaults(full_seconds=seconds)


def add_conditions(parser: argparse.ArgumentParser, usual: str) -> None:
    """Add the options that say how thoroughly and on what is measured; `usual` tells how long a cell takes."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases, under a minute")
    parser.add_argument(
        "--tiny", action="store_true", help="check that everything runs; the numbers mean nothing"
    )
    parser.add_argument("--seconds", type=seconds_of, help=f"measuring time of one cell [{usual}]")
    parser.add_argument("--threads", type=count_of, default=torch.get_num_threads())
    parser.add_argument(
        "--clock",
        choices=("auto", "wall", "process"),
        default="auto",
        help="process: processor time, steady on a busy machine; auto: process for one CPU thread, else wall",
    )


def seconds_of(text: str) -> float:
    """Read a time; ValueError tells argparse that it is none."""
    if not 0 <= float(text) < float("inf"):
        raise ValueError(text)
    return float(text)


def count_of(text: str) -> int:
    """Read a number of threads or sequences; ValueError tells argparse that it is none."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def settle(options: argparse.Namespace) -> None:
    """Fill in what was left open, and set the threads."""
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch finds no CUDA GPU here")
    if options.seconds is None:
        options.seconds = 0.0 if options.tiny else 0.5 if options.quick else options.full_seconds
    if options.clock == "auto":
        options.clock = "process" if options.device == "cpu" and options.threads == 1 else "wall"
    torch.set_num_threads(options.threads)
