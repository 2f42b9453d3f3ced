"""The command: exit codes, one-line errors, standard input and output, configuration files, help."""

import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.cli import main as cli

Run = Callable[..., int]


@pytest.fixture
def run(run_on_proteins: Callable[[str], Run]) -> Run:
    """Return a function that runs `bioxlstm embed` in a folder that holds good.fa and bad.fa."""
    return run_on_proteins("embed")


def test_success_says_where_what_and_how(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("good.fa", "-o", "out.parquet") == 0
    out, err = capsys.readouterr()
    where, shape, load = err.splitlines()
    assert out == ""
    assert where.startswith("wrote out.parquet (parquet, ")
    assert shape == "3 rows, one vector per row of 16 numbers (fp32)"
    assert load.startswith(
        'load: import numpy, pyarrow.parquet; table = pyarrow.parquet.read_table("out.parquet")'
    )


def test_strict_exits_with_3(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bad.fa", "-o", "out.npz") == 0
    assert (
        "1 row is not plainly ok, 1 without an embedding: see out.npz.issues.csv" in capsys.readouterr().err
    )
    assert run("bad.fa", "-o", "out.npz", "--strict") == 3
    assert "already complete" in capsys.readouterr().err
    assert run("good.fa", "-o", "good.npz", "--strict") == 0


def test_errors_are_one_line_and_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("missing.fa", "-o", "out.npz") == 1
    assert capsys.readouterr().err == "Error: missing.fa: there is no such file\n"
    assert run("bad.fa", "-o", "out.npz", "--on-error", "fail") == 1
    assert capsys.readouterr().err.startswith(
        "Error: bad.fa row 1 'b': error: line 4 column 3: '!' is not an amino acid"
    )


def test_an_existing_output_of_other_options_is_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("good.fa", "-o", "out.npz") == 0
    assert run("good.fa", "-o", "out.npz", "--pool", "max") == 1
    assert (
        "Error: out.npz exists but --pool was mean and is now max; use --overwrite" in capsys.readouterr().err
    )
    assert run("good.fa", "-o", "out.npz", "--pool", "max", "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["good.fa"], "Missing option '-o'"),
        (["good.fa", "-o", "out.xyz"], "the suffix of out.xyz names no format; use .parquet"),
        (["good.fa", "-o", "x.npz", "--batch-tokens", "many"], "'many' is neither auto nor a whole number"),
        (["good.fa", "-o", "x.npz", "--shard", "4/2"], "'4/2' is no shard; shards are 1/N, 2/N, ... N/N"),
        (["good.fa", "-o", "x.npz", "--pool", "median"], "'median' is not one of"),
        (["good.fa", "-o", "x.npz", "--config", "no.toml"], "no.toml cannot be read"),
    ],
)
def test_wrong_usage_is_2(
    run: Run, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_command_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["embark"]) == 2
    assert "No such command 'embark'" in capsys.readouterr().err


def test_an_interrupt_is_130(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bio_xlstm.tasks.embed.setup.open_job", interrupt)
    assert run("good.fa", "-o", "out.npz", "--no-resume") == 130
    assert "\n  bioxlstm embed good.fa -o out.npz -m " in capsys.readouterr().err


def test_a_damaged_file_of_the_machine_is_no_interrupt(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Click would take the EOFError of a file that was cut short for a user who left a prompt."""

    def cut_short(*arguments: object) -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr("bio_xlstm.tasks.embed.setup.open_job", cut_short)
    assert run("good.fa", "-o", "out.npz") == 1
    assert "Error: unexpected EOFError: Ran out of input" in capsys.readouterr().err


def test_stdin_and_stdout(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Stdin:
        buffer = io.BytesIO((tmp_path / "good.fa").read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run("-", "-o", "-") == 0
    out, err = capsys.readouterr()
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0][:6] == ["row", "id", "length", "status", "detail", "e0"] and len(rows) == 4
    assert "wrote to standard output" in err
    assert run("good.fa", "-o", "out.npz", "-q") == 0
    assert capsys.readouterr().err == ""
    with np.load("out.npz") as arrays:
        np.testing.assert_array_equal(np.float32([row[5:] for row in rows[1:]]), arrays["embeddings"])
    assert run("good.fa", "-o", "-", "--format", "tsv") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("0\ta\t10\tok\t\t")
    assert run("good.fa", "-o", "-", "--format", "npz") == 2
    assert "standard output takes csv or tsv, not npz" in capsys.readouterr().err


def test_config_gives_defaults(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        'batch-tokens = 512\npool = ["max"]\n[embed]\nlayers = "0"\n[other]\nx = 1\n'
    )
    assert run("good.fa", "-o", "out.npz", "--config", "run.toml", "--pool", "mean", "--pool", "last") == 0
    with np.load("out.npz") as arrays:
        assert {"embeddings__L0__mean", "embeddings__L0__last"} < set(arrays)
        assert '"--batch-tokens": "512"' in str(arrays["provenance"])
    (tmp_path / "wrong.toml").write_text("batch-token = 512\n")
    capsys.readouterr()
    assert run("good.fa", "-o", "x.npz", "--config", "wrong.toml") == 2
    assert "wrong.toml: embed has no option 'batch-token'" in capsys.readouterr().err


def test_dry_run_prints_and_stops(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("good.fa", "-o", "out.npz", "--dry-run") == 0
    assert "3 records, 18 letters, longest 10" in capsys.readouterr().out
    assert not (tmp_path / "out.npz").exists()


def test_verbose_errors_have_their_traceback(run: Run) -> None:
    from bio_xlstm.errors import InputError

    with pytest.raises(InputError):
        run("missing.fa", "-o", "out.npz", "-v")


def test_help_needs_no_heavy_import_and_is_quick(root: Path) -> None:
    code = (
        "import sys; from bio_xlstm.cli.main import run; assert run(['--help']) == 0;"
        "assert run(['embed', '--help']) == 0;"
        "print(sorted({'torch', 'rdkit', 'numpy', 'pyarrow', 'sklearn', 'Bio'} & set(sys.modules)), file=sys.stderr)"
    )
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "embed" in done.stdout and "doctor" in done.stdout and "--batch-tokens" in done.stdout
    # the time itself is measured in benchmarks/; this only catches an import that takes seconds
    assert time.perf_counter() - begun < 10


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from bio_xlstm import __version__

    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"bioxlstm, version {__version__}\n"


def test_a_closed_pipe_is_quiet(root: Path, tmp_path: Path, protein_model: str) -> None:
    (tmp_path / "many.fa").write_text("".join(f">p{i}\nMKTAYIAKQR\n" for i in range(5000)))
    words = ["embed", str(tmp_path / "many.fa"), "-o", "-", "-m", protein_model, "--kind", "protein", "-q"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bio_xlstm.cli.main", *words],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith(b"row,id,")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("embed = 3", "embed is a table, [embed], not a value"),
        ("layers = [0, 1]", "layers takes one text or number, not [0, 1]"),
        ("pool = [[1]]", "pool takes text or numbers, not [[1]]"),
        ("overwrite = 3", "overwrite takes true or false, not 3"),
    ],
)
def test_a_wrong_configuration_file_is_2(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "run.toml").write_text(text + "\n")
    assert run("good.fa", "-o", "x.npz", "--config", "run.toml") == 2
    assert f"run.toml: {message}" in " ".join(capsys.readouterr().err.split())


def test_config_takes_one_word_for_a_repeatable_option(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('pool = "max"\nlayers = 0\noverwrite = true\n')
    assert run("good.fa", "-o", "x.npz", "--config", "run.toml") == 0
    with np.load("x.npz") as arrays:
        assert '"--pool": "max"' in str(arrays["provenance"])


def test_what_nobody_foresaw_is_one_line_and_1(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, line in [
        (
            PermissionError(13, "Permission denied"),
            "Error: [Errno 13] Permission denied (-v shows the traceback)",
        ),
        (RuntimeError("CUDA error:\nassert"), "Error: unexpected RuntimeError: CUDA error: assert (-v shows"),
    ]:

        def fail(*arguments: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("bio_xlstm.tasks.embed.setup.open_job", fail)
        assert run("good.fa", "-o", "out.npz") == 1
        assert capsys.readouterr().err.startswith(line)
        with pytest.raises(type(error)):
            run("good.fa", "-o", "out.npz", "-v")


def test_a_folder_and_skipped_rows_are_safe(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mydir").mkdir()
    (tmp_path / "mydir" / "a.txt").write_text("precious")
    assert run("good.fa", "-o", "mydir", "--format", "parquet", "--overwrite") == 1
    assert "mydir is a folder that was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "mydir" / "a.txt").read_text() == "precious"
    assert run("bad.fa", "-o", "-", "--on-error", "skip") == 2
    assert "--on-error skip needs a file" in capsys.readouterr().err
