"""Whether compiled GPU kernels can be trusted on this machine: tested once per GPU and versions, and remembered.

Triton compiles for each GPU anew, and has miscompiled kernels for new ones: wrong numbers, no error.
"""

import json
import os
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from bio_xlstm.kernels.selftest import TOLERANCE, measure


class Verdict(NamedTuple):
    """Say whether a primitive passed on a GPU, and how far it was from the reference."""

    passed: bool
    detail: str


def memory_file() -> Path:
    """Return the file that remembers verdicts, in the user's cache folder."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "bio_xlstm" / "gpu-kernels.json"


@cache
def judge(primitive: str, device: int) -> Verdict:
    """Return the verdict on the Triton kernels of a primitive, testing them where no test is remembered."""
    place = _place(primitive, device)
    remembered = _recall()
    if place in remembered:
        return Verdict(*remembered[place])
    # the test runs the backends by name, so it does not ask for its own verdict
    verdict = _test(primitive, torch.device("cuda", device))
    _remember(place, verdict)
    if not verdict.passed:
        warnings.warn(
            f"the Triton kernels of {primitive} fail their self-test on this GPU ({verdict.detail}); "
            "torch computes instead",
            stacklevel=2,
        )
    return verdict


def _test(primitive: str, device: torch.device) -> Verdict:
    """Hold the kernels against the reference, in float32 and bfloat16."""
    details = []
    for dtype, tolerance in TOLERANCE.items():
        try:
            errors = measure(primitive, "triton", device, dtype)
        except Exception as error:  # a compiler may fail in any way
            return Verdict(
                False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            )
        details.append(
            f"{str(dtype)[6:]} errors {errors.forward:.0e} forward, {errors.gradients:.0e} gradients"
        )
        if not errors.within(tolerance):
            return Verdict(False, details[-1])
    return Verdict(True, "; ".join(details))


def _place(primitive: str, device: int) -> str:
    """Name what a verdict holds for."""
    gpu = torch.cuda.get_device_properties(device)
    return (
        f"{primitive} on {gpu.name} {gpu.major}.{gpu.minor}: bio-xlstm {_own_version()}, "
        f"triton {version('triton')}, torch {torch.__version__}"
    )


def _own_version() -> str:
    """Return the version of this package, also where it runs from a checkout that is not installed."""
    try:
        return version("bio-xlstm")
    except PackageNotFoundError:
        return "uninstalled"


def _recall() -> dict[str, tuple[bool, str]]:
    """Read all verdicts; none where the file cannot be read."""
    try:
        found = json.loads(memory_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(place: str, verdict: Verdict) -> None:
    """Add a verdict to the file; a folder that cannot be written to only costs a test next time."""
    path = memory_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(_recall() | {place: verdict}, indent=1))
        draft.replace(path)
    except OSError:
        pass
