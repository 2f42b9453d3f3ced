"""The memory of the device that a run will train on."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings


class Room(NamedTuple):
    """Name a device and its memory in bytes, 0 where it is not known; processes on a CPU share it."""

    where: str
    cpu: bool
    whole: int = 0
    free: int = 0


def find_room(training: TrainingSettings) -> Room:
    """Look at the device that Lightning will choose."""
    wanted = training.accelerator
    if wanted in ("auto", "gpu") and torch.cuda.is_available():
        free, whole = torch.cuda.mem_get_info()
        return Room(_each("GPU", training.devices), False, whole, free)
    if wanted in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return Room("the GPU", False, torch.mps.recommended_max_memory())
    whole, free = main_memory()
    share = training.devices
    return Room(_each("process", share) if share > 1 else "the CPU", True, whole // share, free // share)


def _each(name: str, count: int) -> str:
    return f"the {name}" if count == 1 else f"each of {count} {name}{'es' if name.endswith('s') else 's'}"


def main_memory() -> tuple[int, int]:
    """Return all memory that this process may use and what is free, 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0, 0
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    table = Path("/proc/meminfo")
    if not table.exists():
        return whole, 0
    lines = dict(line.split(":") for line in table.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    for limit, used in limits(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")):
        whole, free = min(whole, limit), min(free, max(0, limit - used))
    return whole, free


def limits(groups: Path, membership: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use of the control groups that a container or a job scheduler put this process into."""
    try:
        # the line of the one hierarchy that newer systems have
        own = next(line for line in membership.read_text().splitlines() if line.startswith("0::"))[3:].strip(
            "/"
        )
    except (OSError, StopIteration):
        return
    for folder in (groups / own, *(groups / own).parents):
        try:
            limit = (folder / "memory.max").read_text().strip()
            used = int((folder / "memory.current").read_text())
        except (OSError, ValueError):
            continue
        if limit.isdigit():
            yield int(limit), used
