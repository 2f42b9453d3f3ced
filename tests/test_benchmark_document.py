"""The document of the benchmarks says what was measured, and loses nothing when a part of it fails."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# a script of a section: what it keeps before it ends, and how it ends
SCRIPT = """
import json, pathlib, sys
file = pathlib.Path(sys.argv[sys.argv.index("--json") + 1])
rows = {rows!r}
if rows is not None:
    file.write_text(json.dumps({{"title": "", "machine": {{"cpu": "some"}}, "rows": rows}}))
sys.exit({code})
"""


@pytest.fixture
def document(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import the script as a module, and forget it and its neighbours afterwards."""
    folder = root / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    import document

    yield document
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def row(contender: str, role: str, **more: Any) -> dict[str, Any]:
    """Return a row as a script keeps it: 1 second, half of the bound."""
    known = {
        "group": "",
        "case": "64 sequences",
        "pass": "long",
        "dtype": "float32",
        "tokens": 64,
        "note": "",
    }
    timed = {"median_s": 1.0, "of_bound": {"median": 0.5}, "of_float32_bound": None}
    return {**known, **timed, "contender": contender, "role": role, "against_ours": {"median": 1.0}, **more}


ROWS = [
    row("Decoder", "ours"),
    row("lower bound", "bound", of_bound={"median": 1.0}),
    row("plain step", "backend", against_ours={"median": 8.04}),
    row("theirs", "peer", against_ours={"median": 31.4}, note="another block, ran once"),
    {**row("absent", "peer", note="not installed"), "median_s": None, "against_ours": None},
]
del ROWS[-1]["median_s"]


def use(document: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, **ends: tuple[Any, int]) -> None:
    """Put scripts that keep rows and end with a code in the place of some, and nothing in that of the others."""
    sections = []
    for section in document.SECTIONS:
        rows, code = ends.get(section.name, (None, 1))
        script = folder / f"{section.name}.py"
        script.write_text(SCRIPT.format(rows=rows, code=code))
        sections.append(section._replace(script=str(script), options=()))
    monkeypatch.setattr(document, "SECTIONS", tuple(sections))


def run(document: Any, monkeypatch: pytest.MonkeyPatch, output: Path, *options: str) -> str:
    """Write the document; return its text."""
    words = ["document.py", "--device", "cpu", "--threads", "2", "--output", str(output), *options]
    monkeypatch.setattr(sys, "argv", words)
    document.main()
    return output.read_text()


def test_a_section_says_what_was_reached(document, monkeypatch, tmp_path):
    output = tmp_path / "made" / "for it" / "kernels.md"
    use(document, monkeypatch, tmp_path, decoding=(ROWS, 0))
    text = run(document, monkeypatch, output, "--only", "decoding")
    assert "Reached, as a share of the bound: long in float32 0.50." in text
    assert "| case | pass | dtype | ours, ms | of bound | plain step | theirs |" in text
    assert "| 64 sequences | long | float32 | 1,000 | 0.50 | 8.0 x | 31 x* |" in text
    assert "theirs: another block. absent: not installed. *: ran once." in text
    assert (
        "| decoding, float32 | at least 0.65 | 0.50 (worst: 64 sequences, long, float32) | **no** |" in text
    )
    assert "| 64 sequences, float32: times the plain step | at least 7 | 8.04 | yes |" in text
    assert "| sLSTM: times the loop over tokens | at least 20 | not measured | - |" in text
    assert "Not measured, no GPU at hand: mLSTM: times the original kernels (1.3)" in text
    assert "## Primitives\n\nNot measured yet: `python benchmarks/document.py --only primitives`." in text
    kept = json.loads((output.with_suffix("") / "decode.json").read_text())
    assert kept["rows"] == ROWS and kept["failed"] == ""


def test_sections_that_are_not_run_stay(document, monkeypatch, tmp_path):
    output = tmp_path / "kernels.md"
    output.write_text("# Old\n\n## Primitives\nSome numbers.\n\n## Decoding\nOld steps.\n")
    use(document, monkeypatch, tmp_path, decoding=(ROWS, 0), blocks=([row("ours", "ours")], 0))
    text = run(document, monkeypatch, output, "--only", "decoding")
    assert "## Primitives\nSome numbers.\n" in text and "Old steps" not in text
    text = run(document, monkeypatch, output, "--only", "blocks")
    assert "## Primitives\nSome numbers.\n" in text and "31 x*" in text
    assert run(document, monkeypatch, output, "--render") == text


def test_a_section_that_fails_takes_no_other_with_it(document, monkeypatch, tmp_path):
    output, memory = tmp_path / "kernels.md", {"batch": 8, "time": 1024, "blocks": 2, "note": ""}
    memory |= {"family": "chem", "peak": 28.0e6, "held": 100.0e6}
    ends = {"decoding": (ROWS, 0), "memory": ([memory], 0), "primitives": (None, 3)}
    use(document, monkeypatch, tmp_path, **ends, blocks=([row("ours", "ours")], 3))
    with pytest.raises(SystemExit, match="failed: kernels, blocks; see .*kernels.md"):
        run(document, monkeypatch, output)
    text = output.read_text()
    assert text.count("**This section failed: `python benchmarks/") == 2
    assert text.count("ended with exit code 3`") == 0 and text.count("ended with exit code 3.**") == 2
    assert "Nothing was measured." in text and "| 64 sequences | long | float32 | 1,000 | 0.50 |" in text
    assert "| chem, 2 blocks | 8 x 1,024 | 28 | 100 | 0.28 |" in text and "31 x*" in text
    assert "| memory of a training step, of the plain form's | at most 0.333 | 0.28 | yes |" in text


def test_numbers_outlive_a_run_that_measures_nothing(document, monkeypatch, tmp_path):
    output = tmp_path / "kernels.md"
    use(document, monkeypatch, tmp_path, decoding=(ROWS, 0))
    run(document, monkeypatch, output, "--only", "decoding")
    use(document, monkeypatch, tmp_path, decoding=([], 1))
    with pytest.raises(SystemExit, match="failed: decode"):
        run(document, monkeypatch, output, "--only", "decoding")
    text = output.read_text()
    assert "ended with exit code 1.** What follows was measured before that." in text and "31 x*" in text


def test_a_failure_of_ours_fails_the_run(document, monkeypatch, tmp_path):
    output, broken = tmp_path / "kernels.md", "failed: RuntimeError no such kernel"
    ours = {"contender": "Decoder", "role": "ours", "note": broken}
    rows = [{**ROWS[0], **ours}, *ROWS[1:]]
    for name in ("median_s", "of_bound", "of_float32_bound", "against_ours"):
        del rows[0][name]
    use(document, monkeypatch, tmp_path, decoding=(rows, 0))
    with pytest.raises(SystemExit, match="failed: decode"):
        run(document, monkeypatch, output, "--only", "decoding")
    text = output.read_text()
    assert "| 64 sequences | long | float32 | **failed** | - |" in text and f"Decoder: {broken}." in text
    assert "| decoding, float32 | at least 0.65 | failed: 64 sequences, long, float32 | **no** |" in text
    # what fails at another's is theirs
    theirs = [ROWS[0], {**row("theirs", "peer", note=broken), "against_ours": None}]
    use(document, monkeypatch, tmp_path, decoding=(theirs, 0))
    run(document, monkeypatch, output, "--only", "decoding")


@pytest.mark.parametrize(
    ("options", "message"),
    (
        (("--only", "everything"), "argument --only: invalid choice: 'everything'"),
        (("--sequence", "3"), "unrecognized arguments: --sequence 3"),
        (("--seconds", "soon"), "argument --seconds: invalid"),
        (("--output", "{file}/kernels.md", "--render"), "cannot write"),
        (("--output", "{broken}.md", "--render"), "cannot read"),
    ),
)
def test_bad_options_are_refused_in_a_line(document, monkeypatch, tmp_path, capsys, options, message):
    file, broken = tmp_path / "file", tmp_path / "broken"
    file.write_text("")
    broken.mkdir()
    (broken / "decode.json").write_text("{")
    words = [option.format(file=file, broken=broken) for option in options]
    with pytest.raises(SystemExit) as ended:
        run(document, monkeypatch, tmp_path / "kernels.md", *words)
    assert ended.value.code and message in f"{capsys.readouterr().err} {ended.value.code}"


def test_one_command_measures_and_writes(root, tmp_path):
    output = tmp_path / "docs" / "kernels.md"
    command = [sys.executable, str(root / "benchmarks" / "document.py"), "--output", str(output), "--tiny"]
    command += ["--device", "cpu", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = output.read_text()
    assert text.count("--tiny --threads 1`") == 4
    # there are no 64 sequences in the smallest run
    assert text.count("| not measured |") == 2
    assert len(text.splitlines()) < 150
    files = {path.name for path in output.with_suffix("").iterdir()}
    assert files == {"kernels.json", "blocks.json", "memory.json", "decode.json"}
