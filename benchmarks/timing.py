"""Time contenders against each other in alternating rounds, and print and keep what came out.

Every contender runs once per round, in an order that turns round every time, so that all see the same machine; ratios
are taken inside a round. A peer that is slow against the budget keeps the time of a single run.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

Clock = Callable[[Callable[[], object], int], float]
MIN_ROUNDS, MAX_ROUNDS = 3, 50
SAMPLE_SECONDS = 2e-3  # shorter calls are repeated within a sample
VERSIONS = ("numba", "triton", "mlstm_kernels", "xlstm", "transformers", "flash-linear-attention")


class Contender(NamedTuple):
    """Name something to time."""

    name: str
    run: Callable[[], object] | None = None  # None where it cannot run here
    role: str = "peer"  # "ours" (what users get), "backend" (ours, not chosen), "bound" or "peer"
    note: str = ""  # why it cannot run, or what is peculiar about it
    seconds: float | None = None  # a computed time in place of a measured one


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


def describe_machine(device: str, clock: str = "wall") -> dict[str, Any]:
    """Say what the numbers were measured on, and by which clock."""
    found: dict[str, Any] = {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "clock": clock,
        "torch": torch.__version__,
    }
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    for package in VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _cpu_name() -> str:
    """Return the name that the processor gives itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def progress(text: str) -> None:
    """Say on stderr what is being measured."""
    print(text, file=sys.stderr, flush=True)


def _milliseconds(value: float) -> str:
    """Format seconds as milliseconds with three digits."""
    return f"{value * 1e3:,.0f}" if value >= 0.1 else f"{value * 1e3:.3g}"


def _share(value: Spread | None) -> str:
    """Format a ratio with its spread."""
    if value is None:
        return "-"
    return f"{value.median:.2f}" + (f" ({value.low:.2f}-{value.high:.2f})" if value.low != value.high else "")


@dataclass
class Report:
    """Print one table row by row and keep every number."""

    title: str
    machine: dict[str, Any]
    file: Path | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        """Print what was measured where, and the head of the table."""
        print(f"{self.title}: " + ", ".join(f"{key} {value}" for key, value in self.machine.items() if value))
        print(
            "\n`of bound`: time of the lower bound over own time; `against ours`: own time over ours; p10-p90\n"
        )
        print(
            "| case | pass | dtype | contender | ms | p10-p90 | tokens/s | of bound | against ours | note |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|", flush=True)

    def add(self, cell: Mapping[str, Any], tokens: int, timings: Sequence[Timing]) -> None:
        """Print and keep one cell: all contenders for one case, pass and dtype."""
        bound = next((timing for timing in timings if timing.role == "bound"), None)
        ours = next((timing for timing in timings if timing.role == "ours"), None)
        head = [str(cell[key]) for key in ("case", "pass", "dtype")]
        for timing in timings:
            of_bound = ratio(bound, timing)
            # own time over ours, from the same rounds
            against = ratio(timing, ours) if ours is not None else None
            row = {
                **cell,
                "tokens": tokens,
                "contender": timing.name,
                "role": timing.role,
                "note": timing.note,
            }
            parts = [*head, timing.name, "-", "-", "-", "-", "-", timing.note]
            if timing.samples:
                own = spread(timing.samples)
                row |= {
                    "median_s": own.median,
                    "p10_s": own.low,
                    "p90_s": own.high,
                    "runs": len(timing.samples),
                }
                row |= {
                    "of_bound": of_bound and of_bound._asdict(),
                    "against_ours": against and against._asdict(),
                }
                parts[4:9] = (
                    _milliseconds(own.median),
                    f"{_milliseconds(own.low)}-{_milliseconds(own.high)}",
                    f"{tokens / own.median:,.0f}",
                    _share(of_bound),
                    _share(against),
                )
            self.rows.append(row)
            print("| " + " | ".join(parts) + " |", flush=True)
        # a run that is cut short keeps its cells
        self.write(self.file)

    def write(self, path: Path | None) -> None:
        """Write everything so far as JSON where a file is given."""
        if path is not None:
            kept = {"title": self.title, "machine": self.machine, "rows": self.rows}
            path.write_text(json.dumps(kept, indent=2) + "\n")


def add_options(parser: argparse.ArgumentParser, seconds: float) -> None:
    """Add the options that all comparisons share."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller cases, under a minute")
    parser.add_argument(
        "--tiny", action="store_true", help="check that everything runs; the numbers mean nothing"
    )
    parser.add_argument(
        "--seconds", type=float, help=f"measuring time of one cell [{seconds:g}; quick 0.5, tiny 0]"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock",
        choices=("auto", "wall", "process"),
        default="auto",
        help="process: processor time, steady on a busy machine; auto: process for one CPU thread, else wall",
    )
    parser.add_argument("--json", type=Path, help="keep the numbers in this file")
    parser.set_defaults(full_seconds=seconds)


def settle(options: argparse.Namespace) -> None:
    """Fill in what was left open, and set the threads."""
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.seconds is None:
        options.seconds = 0.0 if options.tiny else 0.5 if options.quick else options.full_seconds
    if options.clock == "auto":
        options.clock = "process" if options.device == "cpu" and options.threads == 1 else "wall"
    torch.set_num_threads(options.threads)
