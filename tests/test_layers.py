"""Arrows point one way, heavy libraries stay in their places, and files stay short enough to read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("kernels", "bio_xlstm", "tasks", "cli")
LONGEST_FILE = 350
LONGEST_FUNCTION = 60


def sources(*folders: str) -> list[Path]:
    """List the Python files of some folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(nodes: Iterator[ast.AST] | list[ast.stmt]) -> set[str]:
    """Return the full names of the modules that import statements among `nodes` name."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def imports_anywhere(path: Path) -> set[str]:
    """Return what a file imports, inside functions too."""
    return imported(ast.walk(ast.parse(path.read_text())))


def imports_at_top(path: Path) -> set[str]:
    """Return what a file imports when it is imported itself; `if TYPE_CHECKING` does not count."""
    return imported(ast.parse(path.read_text()).body)


def layer_of(module: str) -> str | None:
    """Return the layer a module of ours lies in, None for other people's modules."""
    first, *rest = module.split(".")
    if first in LAYERS and first != "bio_xlstm":
        return "a top-level folder"
    if first != "bio_xlstm":
        return None
    return rest[0] if rest and rest[0] in LAYERS else "bio_xlstm"


def offenders(library: str, allowed: re.Pattern[str]) -> list[str]:
    """Return the files that import a library although their path does not match `allowed`."""
    return [
        str(path.relative_to(ROOT))
        for path in sources(*LAYERS)
        if any(name.split(".")[0] == library for name in imports_anywhere(path))
        and not allowed.search(path.relative_to(ROOT).as_posix())
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_imports_only_lower_layers(layer: str) -> None:
    allowed = {None, *LAYERS[: LAYERS.index(layer) + 1]}
    for path in sources(layer):
        back = {name for name in imports_anywhere(path) if layer_of(name) not in allowed}
        # `from bio_xlstm import tasks` names bio_xlstm itself, which every layer above kernels may do
        assert not back, f"{path.relative_to(ROOT)} imports {sorted(back)}"


def test_a_back_import_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("def late():\n    from bio_xlstm.cli import main\n")
    assert {layer_of(name) for name in imports_anywhere(planted)} == {"cli"}


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("triton", r"^kernels/.*triton_\w+\.py$"),
        ("numba", r"^kernels/.*numba_\w+\.py$"),
        ("pytorch_lightning", r"^tasks/"),
        ("lightning", r"^$"),
        ("click", r"^cli/"),
        ("transformers", r"^$"),
    ],
)
def test_library_stays_in_its_place(library: str, home: str) -> None:
    assert not offenders(library, re.compile(home))


@pytest.mark.parametrize(
    "library", ["rdkit", "pytorch_lightning", "h5py", "huggingface_hub", "matplotlib", "fcd"]
)
def test_library_is_imported_late(library: str) -> None:
    early = [
        str(path.relative_to(ROOT))
        for path in sources(*LAYERS)
        if any(name.split(".")[0] == library for name in imports_at_top(path))
        # a LightningModule is a class statement: its file may import Lightning, others import that file late
        and not (library == "pytorch_lightning" and path.relative_to(ROOT).parts[0] == "tasks")
    ]
    assert not early


@pytest.mark.parametrize(
    "library", ["torch", "numpy", "pyarrow", "sklearn", "Bio", "rdkit", "pytorch_lightning"]
)
def test_command_files_import_nothing_heavy(library: str) -> None:
    early = [
        str(path.relative_to(ROOT))
        for path in sources("cli")
        if any(name.split(".")[0] == library for name in imports_at_top(path))
    ]
    assert not early


def test_files_can_be_read_in_one_sitting() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources(*LAYERS)}
    long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE}
    assert not long


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources(*LAYERS)
        if not path.name.startswith("triton_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and statement_lines(node) > LONGEST_FUNCTION
    ]
    assert not long


def statement_lines(function: ast.FunctionDef) -> int:
    """Count a function's lines from its signature on, without the docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return total
    return total - ((first.end_lineno or first.lineno) - first.lineno + 1)


def test_nothing_names_the_machine_it_was_written_on() -> None:
    private = re.compile(r"(?<![\w.])/(work|tmp|home|root|Users)/\w")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*sources(*LAYERS, "tests", "benchmarks", "examples", "recipes"), *ROOT.glob("*.md")]
        if path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if private.search(line)
    ]
    assert not found
