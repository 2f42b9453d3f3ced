"""Whether compiled GPU kernels can be trusted on this machine: tested once per GPU and versions, and remembered.

Triton compiles for each GPU anew, and has miscompiled kernels for new ones: wrong numbers, no error.
"""

import hashlib
import json
import logging
import os
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from bio_xlstm.kernels.compilers import one_line
from bio_xlstm.kernels.selftest import TOLERANCE, measure

log = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """Say whether a primitive passed on a GPU, and how far it was from the reference."""

    passed: bool
    detail: str


def memory_file() -> Path:
    """Return the file that remembers verdicts, in the user's cache folder; deleted, the tests are repeated."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        folder = Path(os.devnull)  # without a home nothing is remembered
    return folder / "bio_xlstm" / "gpu-kernels.json"


@cache
def judge(primitive: str, device: int) -> Verdict:
    """Return the verdict on the Triton kernels of a primitive, testing them where no test is remembered.

    Numbers are remembered in a file. An error is remembered by this process alone: it may have been about memory that
    somebody else held, and the next process tests again.
    """
    place = _place(primitive, device)
    verdict = _recall().get(place)
    if verdict is not None:
        if not verdict.passed:
            hint = f"as {memory_file()} remembers; delete it to have the test repeated"
            _warn(primitive, f"fail their self-test on this GPU ({verdict.detail}), {hint}")
        return verdict
    log.info("testing the GPU kernels of %s, once for this GPU and these versions", primitive)
    try:
        verdict = _test(primitive, torch.device("cuda", device))
    except Exception as error:  # a compiler may fail in any way
        _warn(primitive, f"could not be tested on this GPU ({one_line(error)})")
        return Verdict(False, one_line(error))
    _remember(place, verdict)
    if not verdict.passed:
        _warn(primitive, f"fail their self-test on this GPU ({verdict.detail})")
    return verdict


def _warn(primitive: str, what: str) -> None:
    """Warn about kernels that are not used; `judge` asks once per process."""
    warnings.warn(f"the Triton kernels of {primitive} {what}; torch computes instead", stacklevel=3)


def _test(primitive: str, device: torch.device) -> Verdict:
    """Hold the kernels against the reference, in float32 and bfloat16; errors of the compiler pass through."""
    details = []
    for dtype, tolerance in TOLERANCE.items():
        # the backends run by name, so they do not ask for the verdict that is being found
        errors = measure(primitive, "triton", device, dtype)
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
        f"{primitive} on {gpu.name} {gpu.major}.{gpu.minor}: bio-xlstm {_own_version()} {source_hash()}, "
        f"triton {version('triton')}, torch {torch.__version__}"
    )


def _own_version() -> str:
    """Return the version of this package, also where it runs from a checkout that is not installed."""
    try:
        return version("bio-xlstm")
    except PackageNotFoundError:
        return "uninstalled"


@cache
def source_hash() -> str:
    """Return a short hash of all files of the kernels: in a checkout they change while the version stays."""
    digest, folder = hashlib.sha256(), Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _recall() -> dict[str, Verdict]:
    """Read all verdicts; none where the file cannot be read, and none of those that are damaged."""
    try:
        found = json.loads(memory_file().read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {place: Verdict(*entry) for place, entry in entries if _is_verdict(entry)}


def _is_verdict(entry: object) -> bool:
    """Tell whether what was read is a verdict."""
    return isinstance(entry, list) and [type(part) for part in entry] == [bool, str]


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
