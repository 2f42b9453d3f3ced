"""Which backend runs a primitive: the one asked for, or the fastest that works on the device of its tensors."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import torch

from bio_xlstm.kernels.compilers import find_fault

Run = TypeVar("Run", bound=Callable[..., object])

# what is put together from other primitives is as good as they are
PARTS = {"mlstm_mixer": ("causal_conv", "mlstm")}


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
    return backends[resolve(primitive, name, backends, device, dtype).backend]


def resolve(
    primitive: str, name: str, backends: Mapping[str, object], device: torch.device, dtype: torch.dtype
) -> Choice:
    """Say which backend runs a primitive under a choice; GPU kernels are chosen only after their self-test.

    Raises ValueError naming what exists where there is no such backend, or where it cannot run on the device or in
    the dtype.
    """
    check_backend(primitive, name, backends, device)
    if name in ("numba", "triton") and dtype == torch.float64:
        raise ValueError(f"{primitive}: backend {name} computes in float32; float64 needs torch or reference")
    if name != "auto":
        return Choice(name, "asked for by name")
    choice = automatic(backends, device.type, dtype)
    return _judged(primitive, choice, device) if choice.backend == "triton" else choice


def _judged(primitive: str, choice: Choice, device: torch.device) -> Choice:
    """Replace GPU kernels that failed their self-test."""
    from bio_xlstm.kernels.trust import judge

    index = torch.cuda.current_device() if device.index is None else device.index
    details = []
    for part in PARTS.get(primitive, (primitive,)):
        verdict = judge(part, index)
        whose = "" if part == primitive else f"{part}: "
        if not verdict.passed:
            return Choice("torch", f"in place of triton, its self-test failed: {whose}{verdict.detail}")
        details.append(f"{whose}{verdict.detail}")
    return Choice(choice.backend, f"{choice.reason}, {'; '.join(details)}")


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
    """Choose the backend for a kind of device ("cpu", "cuda", ...); its kernels may still fail their self-test."""
    # the fused backends compute in float32
    if dtype == torch.float64:
        return Choice("torch", "float64 is computed by torch alone")
    # the interpreter of Triton is for tests, not for speed
    name, reason = (
        ("triton", "compiled for this GPU") if device == "cuda" else ("numba", "compiled for this CPU")
    )
    if name not in backends:
        return Choice("torch", "runs on every device that torch knows")
    obstacle = find_obstacle(name, device)
    if not obstacle:
        return Choice(name, reason)
    return Choice("torch", f"runs on every device that torch knows; {obstacle}")


def find_obstacle(name: str, device: str) -> str:
    """Say why a backend cannot run on a kind of device; an empty string where it can."""
    if name == "numba":
        return (
            find_fault("numba") if device == "cpu" else f"numba runs on the CPU, the tensors are on {device}"
        )
    if name == "triton":
        if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
            return "triton needs a CUDA GPU"
        return find_fault("triton") if device in ("cpu", "cuda") else f"triton does not run on {device}"
    return ""
