"""Where and in which precision a task runs: `--device`, `--dtype` and `--backend` resolved against the machine."""

import re
from typing import TYPE_CHECKING

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import check_choice

if TYPE_CHECKING:
    import torch

# auto is fp32 everywhere: a laptop and a GPU node give the same numbers unless asked otherwise
DTYPES = {"auto": "float32", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
BACKEND_NAMES = ("auto", "torch", "numba", "triton")


def choose_device(name: str) -> str:
    """Turn auto, cpu, cuda, cuda:1 or mps into a device that is there; ConfigError otherwise."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if not re.fullmatch("cpu|mps|cuda(:[0-9]+)?", name):
        raise ConfigError(f"--device must be auto, cpu, cuda, cuda:NUMBER or mps, not {name!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("--device mps: this machine has no Apple GPU")
    return name


def choose_dtype(name: str) -> "torch.dtype":
    """Turn auto, fp32, bf16 or fp16 into torch's type."""
    import torch

    dtype: torch.dtype = getattr(torch, DTYPES[name])
    return dtype


def dtype_name(name: str) -> str:
    """Return the short name of the precision that a choice stands for."""
    return "fp32" if name == "auto" else name


def device_memory(device: str) -> int | None:
    """Return the bytes of a GPU's memory, None for devices without their own."""
    import torch

    if not device.startswith("cuda"):
        return None
    return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)


def choose_backend(name: str, device: "torch.device", dtype: "torch.dtype") -> str:
    """Name the kernels that a choice makes a model run, as its output records them.

    ConfigError says why they cannot run here. On a GPU, where every primitive of a layer chooses for itself, they may
    be of several kinds.
    """
    from bio_xlstm.kernels.choice import PARTS, find_obstacle, resolve
    from bio_xlstm.kernels.problems import PROBLEMS

    check_choice("--backend", name, BACKEND_NAMES)
    obstacle = find_obstacle(name, device.type)
    if obstacle:
        raise ConfigError(f"--backend {name} cannot run here: {obstacle}")
    if name != "auto":
        return name
    layer = "mlstm_mixer"
    parts = (layer,) if device.type == "cpu" else PARTS[layer]
    found = {part: resolve(part, name, PROBLEMS[part]().backends, device, dtype).backend for part in parts}
    if len(set(found.values())) == 1:
        return found[parts[0]]
    return ", ".join(f"{backend} for {part}" for part, backend in found.items())
