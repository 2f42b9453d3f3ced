"""Which backend runs a primitive: the one asked for, or the fastest that works on the device of its tensors."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple, TypeVar

import torch

Run = TypeVar("Run", bound=Callable[..., object])


class Choice(NamedTuple):
    """Name a backend and say in a few words why it was chosen."""

    backend: str
    reason: str


def choose_backend(
    primitive: str, name: str, backends: Mapping[str, Run], device: torch.device, dtype: torch.dtype
) -> Run:
    """Return the named backend, or for "auto" the fastest for tensors of this device and dtype.

    Raises ValueError naming what exists where there is no such backend or where it cannot run on the device.
    """
    check_backend(primitive, name, backends, device)
    if name == "auto":
        name = automatic(backends, device.type, dtype).backend
        if name == "triton" and not _trusted(primitive, device):
            name = "torch"
    return backends[name]


def _trusted(primitive: str, device: torch.device) -> bool:
    """Tell whether the GPU kernels of a primitive passed their self-test."""
    from bio_xlstm.kernels.trust import judge

    return judge(primitive, torch.cuda.current_device() if device.index is None else device.index).passed


def check_backend(primitive: str, name: str, backends: Mapping[str, object], device: torch.device) -> None:
    """Raise ValueError where there is no such backend, naming those there are, or where it cannot run."""
    if name == "auto":
        return
    if name not in backends:
        raise ValueError(f"{primitive}: no backend {name!r}; available: auto, {', '.join(sorted(backends))}")
    obstacle = find_obstacle(name, device.type)
    if obstacle:
        raise ValueError(f"{primitive}: backend {name} cannot run here: {obstacle}")


def automatic(backends: Mapping[str, object], device: str, dtype: torch.dtype = torch.float32) -> Choice:
    """Choose the backend for a kind of device ("cpu", "cuda", ...)."""
    # the fused backends compute in float32
    if dtype == torch.float64:
        return Choice("torch", "float64 is computed by torch alone")
    for name, reason in (
        ("triton", "compiled for this GPU"),
        ("numba", "compiled for this CPU"),
    ):
        # the interpreter of Triton is for tests, not for speed
        if name in backends and (name == "triton") == (device == "cuda") and not find_obstacle(name, device):
            return Choice(name, reason)
    return Choice("torch", "runs on every device that torch knows")


def find_obstacle(name: str, device: str) -> str:
    """Say why a backend cannot run on a kind of device; an empty string where it can."""
    if name == "numba":
        if not _installed("numba"):
            return "numba is not installed"
        return "" if device == "cpu" else f"numba runs on the CPU, the tensors are on {device}"
    if name == "triton":
        if not _installed("triton"):
            return "triton is not installed"
        if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
            return "triton needs a CUDA GPU"
        return "" if device in ("cpu", "cuda") else f"triton does not run on {device}"
    return ""


@cache
def _installed(package: str) -> bool:
    """Tell whether a package can be imported."""
    return find_spec(package) is not None
