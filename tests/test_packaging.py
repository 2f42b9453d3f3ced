"""A wheel, a checkout and an installed copy all hold the same package, and nothing beside it."""

import os
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = ("torch", "numpy", "rdkit", "pytorch_lightning", "pyarrow", "sklearn", "Bio", "numba", "h5py")


def python(code: str, folder: Path, path: Path) -> str:
    """Run a piece of Python in another folder, with the package found on `path` alone."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONNOUSERSITE": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel without network and return its path."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    build = tmp_path_factory.mktemp("build")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    # a copy is built, so that no build folder appears in the checkout
    copy_sources(build)
    subprocess.run([*command, "--wheel-dir", str(folder), str(build)], check=True, stdin=subprocess.DEVNULL)
    return next(folder.glob("bio_xlstm-*.whl"))


def copy_sources(target: Path) -> None:
    """Copy what a wheel is made of."""
    import shutil

    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for folder in SETTINGS["tool"]["setuptools"]["package-dir"].values():
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)


@pytest.fixture(scope="session")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel into a folder of its own, as an installation does."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_every_folder_is_packaged() -> None:
    setuptools = SETTINGS["tool"]["setuptools"]
    found = {
        name + "".join(f".{part}" for part in init.parent.relative_to(ROOT / folder).parts)
        for name, folder in setuptools["package-dir"].items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(setuptools["packages"])


def test_every_folder_with_code_is_a_package() -> None:
    folders = {
        path.parent
        for folder in SETTINGS["tool"]["setuptools"]["package-dir"].values()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_wheel_holds_one_package_and_its_models(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bio_xlstm"}
    for part in ("__init__.py", "py.typed", "kernels/mlstm/__init__.py", "tasks/__init__.py", "cli/main.py"):
        assert f"bio_xlstm/{part}" in names
    shipped = {
        p.relative_to(ROOT).as_posix() for p in (ROOT / "bio_xlstm" / "bundled").rglob("*") if p.is_file()
    }
    assert shipped <= set(names)


def test_bundled_models_are_small() -> None:
    for model in (ROOT / "bio_xlstm" / "bundled").glob("*"):
        size = sum(path.stat().st_size for path in model.rglob("*"))
        # an in-context learner has no tokenizer of its own
        most = 10e6 if (model / "tokenizer.json").exists() else 15e6
        assert size <= most, f"{model.name} takes {size / 1e6:.1f} MB"


def test_checkout_works_from_another_folder(tmp_path: Path) -> None:
    code = "import bio_xlstm.kernels, bio_xlstm.tasks, bio_xlstm.cli; print(bio_xlstm.kernels.__file__)"
    assert python(code, tmp_path, ROOT) == str(ROOT / "kernels" / "__init__.py")


def test_wheel_works_from_another_folder(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "import bio_xlstm.kernels, bio_xlstm.tasks, bio_xlstm.cli;"
        "from bio_xlstm.tokenizers import TOKENIZERS;"
        "print(len(TOKENIZERS), bio_xlstm.kernels.__file__)"
    )
    count, _, file = python(code, tmp_path, unpacked).partition(" ")
    assert int(count) == 3
    assert file == str(unpacked / "bio_xlstm" / "kernels" / "__init__.py")


def test_version_is_written_once(wheel: Path) -> None:
    import bio_xlstm

    assert wheel.name.startswith(f"bio_xlstm-{bio_xlstm.__version__}-")
    assert f"[{bio_xlstm.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_help_is_quick_and_light(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['bioxlstm', '--help']\n"
        "from bio_xlstm.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    python(code, tmp_path, ROOT)
    began = time.perf_counter()
    out = python(code, tmp_path, ROOT)
    # measured at 0.1 s alone; the bound leaves room for a busy machine
    assert time.perf_counter() - began < 2.0
    assert "embed" in out
    assert out.endswith("LOADED []")


def test_importing_the_package_is_light(tmp_path: Path) -> None:
    code = f"import sys, bio_xlstm; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert python(code, tmp_path, ROOT) == "[]"


def test_constraints_name_what_is_depended_on() -> None:
    project = SETTINGS["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {entry.split(";")[0].strip().split(">")[0].split("!")[0].strip() for entry in wanted} - {"triton"}
    pinned = [
        line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    ]
    assert set(pinned) == names
    assert pinned == sorted(pinned)
