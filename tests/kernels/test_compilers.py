"""A missing or broken compiler is told apart and replaced; compiled loops are kept where that is possible, and safe."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bio_xlstm.kernels import compilers
from bio_xlstm.kernels.compilers import find_fault

CONVOLVE = """
import logging, torch
logging.basicConfig(level=logging.INFO, format="%(message)s")
from bio_xlstm.kernels.choice import resolve
from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.conv.dispatch import BACKENDS
with torch.inference_mode():
    y, _ = causal_conv(torch.ones(1, 5, 3), torch.ones(3, 4))
assert y[0, :, 0].tolist() == [1, 2, 3, 4, 4]
print(*resolve("causal_conv", "auto", BACKENDS, y.device, y.dtype), sep="\\n")
"""


def convolve(path: Path, **environment: str) -> tuple[list[str], str]:
    """Run a convolution in a fresh Python that looks for packages in `path` first; return what it printed and said."""
    taken = {
        key: value for key, value in os.environ.items() if key not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    }
    done = subprocess.run(
        [sys.executable, "-c", CONVOLVE],
        env={**taken, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def test_a_broken_numba_is_replaced_by_torch(tmp_path: Path, root: Path) -> None:
    (tmp_path / "numba").mkdir()
    text = "Numba needs NumPy 2.3 or less. Got NumPy 2.9."
    (tmp_path / "numba" / "__init__.py").write_text(f"raise ImportError({text!r})")
    (backend, reason), said = convolve(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{root}")
    fault = f"numba is installed but cannot be used: ImportError: {text}"
    assert backend == "torch"
    assert reason == f"runs on every device that torch knows; {fault}"
    assert said.count(f"UserWarning: {fault}; without it, torch computes") == 1


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "numba is not installed"),
        (
            ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite"),
            "numba is installed but cannot be used: ModuleNotFoundError: No module named 'llvmlite'",
        ),
        (
            AttributeError("module 'numpy' has no attribute 'x'\nmore"),
            "numba is installed but cannot be used: AttributeError: module 'numpy' has no attribute 'x'",
        ),
        (SystemError(), "numba is installed but cannot be used: SystemError"),
        (OSError("cannot load"), "numba is installed but cannot be used: OSError: cannot load"),
    ],
)
@pytest.mark.filterwarnings("ignore:numba is installed")
def test_every_fault_is_described(error: Exception, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(compiler: str) -> None:
        raise error

    monkeypatch.setattr(compilers, "_start", fail)
    find_fault.cache_clear()
    try:
        assert find_fault("numba") == fault
    finally:
        find_fault.cache_clear()


def test_a_missing_triton_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    find_fault.cache_clear()
    try:
        assert find_fault("triton") == "triton is not installed"
    finally:
        find_fault.cache_clear()


def read_only(target: Path, root: Path) -> Path:
    """Copy the package so that nobody, not even root, can keep compiled loops beside it."""
    skip = shutil.ignore_patterns("__pycache__", "bundled")
    for name in ("bio_xlstm", "kernels"):
        shutil.copytree(root / name, target / name, ignore=skip)
    for folder in [target / "kernels", *(path for path in (target / "kernels").rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("in the way")
    return target


def test_without_a_place_of_their_own_compiled_loops_are_kept_among_temporary_files(
    tmp_path: Path, root: Path
) -> None:
    package, temporary = read_only(tmp_path / "package", root), tmp_path / "temporary"
    temporary.mkdir()
    place = {"HOME": os.devnull, "TMPDIR": str(temporary)}
    (backend, _), said = convolve(package, **place)
    assert backend == "numba"
    (folder,) = temporary.glob("bio_xlstm*")
    assert f"compiled loops are kept in {folder}: neither the folder of this package nor a home" in said
    assert said.count("compiling the CPU kernels, once: about half a minute") == 1
    assert list(folder.rglob("*.nbc"))
    # what is kept is found again
    _, said = convolve(package, **place)
    assert "compiling" not in said
    # the user's own folder comes first
    _, said = convolve(package, **place, NUMBA_CACHE_DIR=str(tmp_path / "own"))
    assert "compiled loops are kept" not in said
    assert list((tmp_path / "own").rglob("*.nbc"))


def test_damaged_compiled_loops_are_compiled_anew(tmp_path: Path, root: Path) -> None:
    place = {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(tmp_path)}
    convolve(root, **place)
    for index, cut in zip(sorted(tmp_path.rglob("*.nbi")), (0, 5, 40, 0), strict=False):
        os.truncate(index, cut)
    for data in sorted(tmp_path.rglob("*.nbc"))[-2:]:
        os.truncate(data, 50)
    (backend, _), said = convolve(root, **place)
    assert backend == "numba"
    assert "is damaged (EOFError): compiling anew" in said
    _, said = convolve(root, **place)
    assert "damaged" not in said and "compiling" not in said


def test_without_compilation_torch_computes(tmp_path: Path, root: Path) -> None:
    (backend, _), said = convolve(tmp_path, PYTHONPATH=str(root), NUMBA_DISABLE_JIT="1")
    assert backend == "torch"
    assert "numba is installed but cannot be used: RuntimeError: NUMBA_DISABLE_JIT is set" in said


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owner here")
def test_compiled_loops_are_not_taken_from_a_folder_that_others_can_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bio_xlstm.kernels.numba_start import private_folder

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"bio_xlstm-{os.getuid()}"
    assert private_folder() == private_folder() == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    assert private_folder() not in (folder, private_folder())
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert private_folder() != folder
    folder.unlink()
    folder.write_text("in the way")
    assert private_folder() != folder


def test_compilation_is_announced_once_and_for_our_loops_only(caplog: pytest.LogCaptureFixture) -> None:
    from bio_xlstm.kernels.numba_start import _Announcement

    def compiled(module: str) -> SimpleNamespace:
        return SimpleNamespace(
            data={"dispatcher": SimpleNamespace(py_func=SimpleNamespace(__module__=module))}
        )

    announcement = _Announcement()
    with caplog.at_level("INFO", logger="bio_xlstm"):
        announcement.on_start(compiled("somebody.else"))
        assert not caplog.messages
        for _ in range(2):
            announcement.on_start(compiled("bio_xlstm.kernels.conv.numba_conv"))
    assert caplog.messages == ["compiling the CPU kernels, once: about half a minute"]
