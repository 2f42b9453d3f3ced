"""Print what was measured row by row, and keep every number as it comes."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from timing import Spread, Timing, ratio, spread

VERSIONS = ("numba", "triton", "mlstm_kernels", "xlstm", "transformers", "flash-linear-attention")


def keep(path: Path | None, content: Mapping[str, Any]) -> None:
    """Write JSON where a file is given, whole or not at all; make its folder."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(content, indent=1) + "\n")
        os.replace(part, path)
    except OSError as error:
        raise SystemExit(f"cannot write {path}: {error}") from None


def describe_machine(device: str, clock: str = "wall") -> dict[str, Any]:
    """Say what the numbers were measured on, and by which clock."""
    found: dict[str, Any] = {
        "cpu": _cpu_name(),
        "instructions": _instructions(),
        "threads": torch.get_num_threads(),
        "clock": clock,
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY"),
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


def _instructions() -> str:
    """Name what decides how fast the processor multiplies: its widest vectors, and whether it computes in bfloat16."""
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = ("amx_bf16", "avx512_bf16", "avx512_f", "avx2", "neon")
    return next((name for name in names if able.get(name)), "unknown")


_COLUMNS = (
    "case", "pass", "dtype", "contender", "ms", "p10-p90", "tokens/s", "of bound", "of float32", "against ours", "note",
)  # fmt: skip


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
            "\n`of bound`: time of the lower bound over own time; `of float32`: the same with the products in float32, "
            "for bfloat16;\n`against ours`: own time over ours; p10-p90\n"
        )
        print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}", flush=True)
        # a file that cannot be written is noticed now
        self._keep()

    def add(self, cell: Mapping[str, Any], tokens: int, timings: Sequence[Timing]) -> None:
        """Print and keep one cell: all contenders for one case, pass and dtype."""
        bound, float32_bound, ours = (
            next((timing for timing in timings if timing.role == role), None)
            for role in ("bound", "float32 bound", "ours")
        )
        for timing in timings:
            row = {**cell, "tokens": tokens}
            row |= {"contender": timing.name, "role": timing.role, "note": timing.note}
            parts = [str(cell[key]) for key in _COLUMNS[:3]] + [timing.name, *"------", timing.note]
            if timing.samples:
                own = spread(timing.samples)
                # own time over ours, from the same rounds
                against = ratio(timing, ours) if ours is not None else None
                shares = {
                    "of_bound": ratio(bound, timing),
                    "of_float32_bound": ratio(float32_bound, timing),
                    "against_ours": against,
                }
                row |= {"median_s": own.median, "p10_s": own.low, "p90_s": own.high}
                row |= {"runs": len(timing.samples)}
                row |= {name: share and share._asdict() for name, share in shares.items()}
                span = f"{_milliseconds(own.low)}-{_milliseconds(own.high)}"
                rate = f"{tokens / own.median:,.0f}"
                parts[4:10] = [_milliseconds(own.median), span, rate, *map(_share, shares.values())]
            self.rows.append(row)
            print("| " + " | ".join(parts) + " |", flush=True)
        # a run that is cut short keeps its cells
        self._keep()

    def _keep(self) -> None:
        """Write everything so far."""
        keep(self.file, {"title": self.title, "machine": self.machine, "rows": self.rows})
