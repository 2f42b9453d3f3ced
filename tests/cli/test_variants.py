"""The command: exit codes, one-line errors, standard input and output, configuration files, help."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., int]
WILD = "MKTAYIAKQR"


@pytest.fixture
def run(run_on_proteins: Callable[[str], Run]) -> Run:
    """Return a function that runs `bioxlstm variants` in a folder that holds wild.fa, list.txt and assay.csv."""
    found = run_on_proteins("variants")
    Path("wild.fa").write_text(f">w\n{WILD}\n")
    Path("list.txt").write_text("K2R\nT3S:A4G\nK5R\n")
    Path("assay.csv").write_text(
        "mutant,mutated_sequence,DMS_score\nK2R,MRTAYIAKQR,0.5\nT3S,MKSAYIAKQR,0.1\nA4G,MKTGYIAKQR,0.9\n"
    )
    return found


def test_success_says_where_what_and_how(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("assay.csv", "-o", "out.csv") == 0
    out, err = capsys.readouterr()
    where, shape, load, agreement = err.splitlines()
    assert out == "" and where.startswith("wrote out.csv (csv, ")
    assert shape == "3 rows, log_likelihood_ratio (nats)"
    assert load == 'load: import pyarrow.csv as csv; table = csv.read_csv("out.csv")'
    assert agreement.startswith("DMS_score: Spearman ") and agreement.endswith("out.csv.metrics.json")


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.tsv"])
def test_the_line_that_loads_the_result_runs(run: Run, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run("assay.csv", "-o", name) == 0
    found: dict[str, object] = {}
    exec(capsys.readouterr().err.splitlines()[2].removeprefix("load: "), found)
    assert found["table"].column_names[-3:] == ["log_likelihood_ratio", "status", "detail"]  # type: ignore[attr-defined]


def test_strict_exits_with_3(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list.txt", "-o", "out.csv", "--wildtype", "wild.fa") == 0
    assert "1 row is not plainly ok, 1 without a value: see out.csv.issues.csv" in capsys.readouterr().err
    assert run("list.txt", "-o", "out.csv", "--wildtype", "wild.fa", "--strict") == 3
    assert run("assay.csv", "-o", "good.csv", "--strict") == 0


def test_errors_are_one_line_and_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("missing.csv", "-o", "out.csv") == 1
    assert capsys.readouterr().err == "Error: missing.csv: there is no such file\n"
    assert run("list.txt", "-o", "out.csv", "--wildtype", "wild.fa", "--on-error", "fail") == 1
    assert "row 2 'K5R': error: position 5 of the wild type is Y, not K" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["assay.csv"], "Missing option '-o'"),
        (["assay.csv", "-o", "out.xyz"], "the suffix of out.xyz names no format; use .parquet"),
        (["assay.csv", "-o", "x.csv", "--method", "best"], "'best' is not one of"),
        (["assay.csv", "-o", "x.csv", "--rc", "average"], "--rc average reads the other strand of DNA"),
        (["assay.csv", "-o", "x.csv", "--stride", "2"], "--stride is for masked models"),
        (
            ["assay.csv", "-o", "x.csv", "--heatmap", "x.png"],
            "--heatmap draws a full scan: it goes with --scan",
        ),
        (["assay.csv", "-o", "x.csv", "--state", "a", "--context", "b"], "give one"),
    ],
)
def test_wrong_usage_is_2(
    run: Run, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err


def test_an_interrupt_is_130(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bio_xlstm.tasks.variants.setup.open_job", interrupt)
    assert run("assay.csv", "-o", "out.csv") == 130
    assert "\n  bioxlstm variants assay.csv -o out.csv -m " in capsys.readouterr().err


def test_stdin_and_stdout(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(Path("list.txt").read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run("-", "-o", "-", "--wildtype", "wild.fa") == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4 and "wrote to standard output" in err
    assert run("list.txt", "-o", "same.csv", "-q", "--wildtype", "wild.fa") == 0
    assert capsys.readouterr().err == ""
    assert Path("same.csv").read_text() == out


def test_standard_input_is_called_so(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO(b"a,b\n1,2\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run("-", "-o", "out.csv", "--input-format", "csv") == 1
    assert "Error: standard input: no column of mutations" in capsys.readouterr().err


def test_a_scan_on_the_command_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert run("wild.fa", "--scan", "-o", "scan.csv", "--heatmap", "scan.png") == 0
    assert capsys.readouterr().err.splitlines()[-1] == "drew scan.png"
    assert len(Path("scan.csv").read_text().splitlines()) == 191


def test_config_gives_defaults(run: Run) -> None:
    Path("run.toml").write_text('[variants]\nmethod = "likelihood"\noffset = 1\n')
    assert run("list.txt", "-o", "out.csv", "--wildtype", "wild.fa", "--config", "run.toml") == 0
    assert "position 3 of the wild type is T, not K" in Path("out.csv").read_text()


def test_dry_run_prints_and_stops(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list.txt", "-o", "out.csv", "--wildtype", "wild.fa", "--dry-run") == 0
    assert "3 variants of 1 numbers" in capsys.readouterr().out
    assert not Path("out.csv").exists()


def test_help_needs_no_heavy_import(root: Path) -> None:
    code = (
        "import sys; from bio_xlstm.cli.main import run; assert run(['variants', '--help']) == 0;"
        "print(sorted({'torch', 'rdkit', 'numpy', 'pyarrow'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]" and "--wildtype" in done.stdout
