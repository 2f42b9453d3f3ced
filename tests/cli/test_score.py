"""The command: exit codes, one-line errors, standard input and output, configuration files, help."""

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., int]


@pytest.fixture
def run(run_on_proteins: Callable[[str], Run]) -> Run:
    """Return a function that runs `bioxlstm score` in a folder that holds good.fa and bad.fa."""
    return run_on_proteins("score")


def test_success_says_where_what_and_how(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("good.fa", "-o", "out.parquet") == 0
    out, err = capsys.readouterr()
    where, shape, load = err.splitlines()
    assert out == "" and where.startswith("wrote out.parquet (parquet, ")
    assert shape == "3 rows, n_tokens, logprob_sum, logprob_mean, perplexity (nats)"
    assert load == 'load: import pyarrow.parquet; table = pyarrow.parquet.read_table("out.parquet")'


@pytest.mark.parametrize("reduce", ["sequence", "per-position"])
@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.tsv", "out.npz"])
def test_the_line_that_loads_the_result_runs(
    run: Run, capsys: pytest.CaptureFixture[str], name: str, reduce: str
) -> None:
    assert run("good.fa", "-o", name, "--reduce", reduce) == 0
    line = capsys.readouterr().err.splitlines()[-1].removeprefix("load: ")
    found: dict[str, object] = {}
    exec(line, found)
    loaded = found["scores" if name.endswith("npz") else "table"]
    rows = 3 if reduce == "sequence" or name.endswith("parquet") else 10 + 4 + 4 + 3
    assert len(loaded) == rows  # type: ignore[arg-type]


def test_strict_exits_with_3(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bad.fa", "-o", "out.csv") == 0
    assert "1 row is not plainly ok, 1 without a score: see out.csv.issues.csv" in capsys.readouterr().err
    assert run("bad.fa", "-o", "out.csv", "--strict") == 3
    assert run("good.fa", "-o", "good.csv", "--strict") == 0


def test_errors_are_one_line_and_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("missing.fa", "-o", "out.csv") == 1
    assert capsys.readouterr().err == "Error: missing.fa: there is no such file\n"
    assert run("bad.fa", "-o", "out.csv", "--on-error", "fail") == 1
    assert capsys.readouterr().err.startswith("Error: bad.fa row 1 'b': error: line 4 column 3: '!' is not")
    assert run("good.fa", "-o", "out.csv", "--state", "no.state") == 1
    assert "Error: cannot read the state no.state" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["good.fa"], "Missing option '-o'"),
        (["good.fa", "-o", "out.xyz"], "the suffix of out.xyz names no format; use .parquet"),
        (["good.fa", "-o", "x.csv", "--reduce", "median"], "'median' is not one of"),
        (["good.fa", "-o", "x.csv", "--rc", "average"], "--rc average reads the other strand of DNA"),
        (["good.fa", "-o", "-", "--format", "npz"], "standard output takes csv or tsv, not npz"),
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

    monkeypatch.setattr("bio_xlstm.tasks.score.setup.open_job", interrupt)
    assert run("good.fa", "-o", "out.npz", "--no-resume") == 130
    assert "\n  bioxlstm score good.fa -o out.npz -m " in capsys.readouterr().err


@pytest.mark.parametrize(("words", "lines"), [([], 4), (["--reduce", "per-position"], 1 + 11 + 5 + 5)])
def test_stdin_and_stdout(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    lines: int,
) -> None:
    class Stdin:
        buffer = io.BytesIO(Path("good.fa").read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run("-", "-o", "-", *words) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == lines and "wrote to standard output" in err
    assert run("good.fa", "-o", "same.csv", "-q", *words) == 0
    assert capsys.readouterr().err == ""
    assert Path("same.csv").read_text() == out


def test_config_gives_defaults(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.toml").write_text('[score]\nnull = "unigram"\nbatch-tokens = 64\n')
    assert run("good.fa", "-o", "out.csv", "--config", "run.toml") == 0
    with open("out.csv", newline="") as file:
        assert "log_odds" in next(csv.reader(file))


def test_dry_run_prints_and_stops(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("good.fa", "-o", "out.csv", "--dry-run") == 0
    assert "3 records, 18 letters, longest 10" in capsys.readouterr().out
    assert not Path("out.csv").exists()


def test_help_needs_no_heavy_import(root: Path) -> None:
    code = (
        "import sys; from bio_xlstm.cli.main import run; assert run(['score', '--help']) == 0;"
        "print(sorted({'torch', 'rdkit', 'numpy', 'pyarrow'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]" and "--stride" in done.stdout
