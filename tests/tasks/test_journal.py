"""The journal: finished units survive, damage is found, changed settings are named, two runs never collide."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from bio_xlstm.errors import OutputError
from bio_xlstm.tasks.finished import finished_record
from bio_xlstm.tasks.journal import Journal
from bio_xlstm.tasks.parts_folder import discard_parts
from bio_xlstm.tasks.provenance import Provenance

UNITS = [b"first", b"second", b"third"]


def provenance(**changes: object) -> Provenance:
    """Describe a run."""
    facts = {
        "command": "embed", "command_line": "bioxlstm embed in.fa -o out", "model": "tiny", "weight_hash": "ab" * 32,
        "licence": "Apache-2.0", "backend": "torch", "dtype": "fp32", "device": "cpu", "seed": 0, "input": "in.fa",
        "input_sha256": "00" * 32, "options": {"--pool": "mean"},
    }  # fmt: skip
    return Provenance(**(facts | changes))  # type: ignore[arg-type]


def add(journal: Journal, numbers: Iterable[int]) -> list[int]:
    """Do the units that are missing and return their numbers."""
    missing = [number for number in numbers if number not in journal.parts]
    for number in missing:
        journal.add(number, lambda file, n=number: file.write(UNITS[n]), {"rows": 1})
    return missing


def join(journal: Journal, path: Path) -> None:
    """Write the parts one after the other."""
    path.write_bytes(b"".join(part.path.read_bytes() for part in journal.ordered()))


def run(output: Path, **options: object) -> list[int]:
    """Do a whole run and return the units that had to be done."""
    with Journal(output, provenance(), **options) as journal:  # type: ignore[arg-type]
        done = add(journal, range(3))
        journal.finish(lambda path: join(journal, path))
    return done


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output of which two units were done before a kill."""
    path = tmp_path / "out.txt"
    with Journal(path, provenance()) as journal:
        add(journal, range(2))
    return path


def test_a_whole_run_leaves_the_output_alone(tmp_path: Path) -> None:
    assert run(tmp_path / "out.txt") == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_bytes() == b"firstsecondthird"


def test_finished_units_are_not_done_again(output: Path) -> None:
    assert run(output) == [2]
    assert output.read_bytes() == b"firstsecondthird"


def test_no_resume_begins_anew(output: Path) -> None:
    assert run(output, resume=False) == [0, 1, 2]


@pytest.mark.parametrize("kept", [1, 10, 40])
def test_a_torn_last_line_is_done_again(output: Path, kept: int) -> None:
    journal = output.with_name("out.txt.parts") / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])
    assert run(output) == [1, 2]
    assert output.read_bytes() == b"firstsecondthird"


@pytest.mark.parametrize("line", ["nonsense\n", "[]\n", '{"unit": 1}\n', "\x00\x00\n"])
def test_a_damaged_line_is_done_again(output: Path, line: str) -> None:
    journal = output.with_name("out.txt.parts") / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], line, lines[2]]))
    assert run(output) == [0, 2]


@pytest.mark.parametrize("damage", [b"", b"secoNd", None])
def test_a_damaged_or_missing_part_is_done_again(output: Path, damage: bytes | None) -> None:
    part = output.with_name("out.txt.parts") / "part-000001"
    part.unlink() if damage is None else part.write_bytes(damage)
    assert run(output) == [1, 2]
    assert output.read_bytes() == b"firstsecondthird"


@pytest.mark.parametrize("header", ["", "{\n", '{"x": 1}\n'])
def test_a_damaged_header_begins_anew(output: Path, header: str) -> None:
    (output.with_name("out.txt.parts") / "journal.jsonl").write_text(header)
    assert run(output) == [0, 1, 2]


def test_a_changed_option_is_named_and_overwrite_begins_anew(output: Path) -> None:
    changed = provenance(options={"--pool": "max"})
    with pytest.raises(
        OutputError, match=r"--pool was mean and is now max .*use --overwrite to start afresh"
    ):
        Journal(output, changed).__enter__()
    with Journal(output, changed, overwrite=True) as journal:
        assert not journal.parts


def test_another_backend_is_named_with_the_way_to_continue(output: Path) -> None:
    with pytest.raises(
        OutputError,
        match="--backend was torch and is now numba since .*; use --overwrite to start afresh, "
        "or repeat the earlier command with --backend torch to continue it",
    ):
        Journal(output, provenance(backend="numba")).__enter__()
    with Journal(output.with_name("mixed"), provenance(backend="triton for causal_conv, torch for mlstm")):
        pass
    # what is no choice cannot be asked for
    with pytest.raises(OutputError, match="or repeat the earlier command to continue it"):
        Journal(output.with_name("mixed"), provenance()).__enter__()


def test_a_changed_input_is_named(output: Path) -> None:
    with pytest.raises(
        OutputError, match=r"the input in.fa changed since .*out.txt.parts was begun; use --overwrite"
    ):
        Journal(output, provenance(input_sha256="11" * 32)).__enter__()


def test_a_changed_model_is_named(output: Path) -> None:
    with pytest.raises(OutputError, match=r"the model was tiny \(abab.* and is now tiny \(cdcd"):
        Journal(output, provenance(weight_hash="cd" * 32)).__enter__()


def test_a_resumed_run_keeps_the_command_line_of_the_first(output: Path) -> None:
    with Journal(output, provenance(command_line="bioxlstm embed in.fa -o out -q")) as journal:
        assert journal.provenance.command_line == "bioxlstm embed in.fa -o out"
        assert len(journal.parts) == 2


def test_two_runs_cannot_write_one_output(output: Path) -> None:
    with (
        Journal(output, provenance()),
        pytest.raises(OutputError, match="another run is writing .*out.txt just now"),
    ):
        Journal(output, provenance()).__enter__()
    assert run(output) == [2]


def test_a_killed_run_leaves_no_lock(tmp_path: Path, root: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from bio_xlstm.tasks.lock import OutputLock\n"
        "lock = OutputLock(Path(sys.argv[1]) / 'lock', Path('out')).__enter__(); print('held', flush=True)\n"
        "time.sleep(60)"
    )
    folder = tmp_path / "out.txt.parts"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=root, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(OutputError, match="another run"):
        run(tmp_path / "out.txt")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert run(tmp_path / "out.txt") == [0, 1, 2]


def test_parts_of_a_run_at_work_are_not_discarded(output: Path) -> None:
    with Journal(output, provenance()), pytest.raises(OutputError, match="another run is writing"):
        discard_parts(output)
    discard_parts(output)
    assert not output.with_name("out.txt.parts").exists()
    discard_parts(output)


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    output = tmp_path / "out.pt"
    output.mkdir()
    (output / "old").touch()

    def fill(path: Path) -> None:
        path.mkdir()
        (path / "new").touch()

    with Journal(output, provenance()) as journal:
        journal.finish(fill)
    assert [path.name for path in output.iterdir()] == ["new"]


def test_an_output_that_stands(tmp_path: Path) -> None:
    output = tmp_path / "out"
    record = json.loads(provenance().to_json(rows=3))
    assert finished_record(output, provenance(), lambda path: record, False) is None
    output.touch()
    assert finished_record(output, provenance(), lambda path: record, False) == record
    assert finished_record(output, provenance(), lambda path: record, True) is None
    with pytest.raises(OutputError, match="out exists and was not written by this command; use --overwrite"):
        finished_record(output, provenance(), lambda path: None, False)
    with pytest.raises(
        OutputError, match="out exists but --dtype was fp32 and is now bf16; use --overwrite to repl"
    ):
        finished_record(output, provenance(dtype="bf16"), lambda path: record, False)


def test_provenance_holds_no_clock_and_no_host(tmp_path: Path) -> None:
    import platform

    first = provenance().to_json(rows=1)
    time.sleep(0.01)
    assert provenance().to_json(rows=1) == first
    assert platform.node() not in first
    assert Provenance.from_record(json.loads(first)) == provenance()


@pytest.mark.parametrize("folder", [False, True])
def test_a_folder_of_somebody_else_is_never_replaced(tmp_path: Path, folder: bool) -> None:
    output = tmp_path / "mydir"
    output.mkdir()
    (output / "a.txt").write_text("precious")
    record = json.loads(provenance().to_json(rows=3)) if not folder else None
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="mydir is a folder that was not written by this command"):
            finished_record(output, provenance(), lambda path: record, overwrite, folder=folder)
    with (
        Journal(output, provenance()) as journal,
        pytest.raises(OutputError, match="mydir cannot be written"),
    ):
        journal.finish(lambda path: path.write_bytes(b"new"))
    assert (output / "a.txt").read_text() == "precious"


@pytest.mark.parametrize("name", ["b.txt", "part-000001", "final"])
def test_a_parts_folder_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out.txt.parts"
    folder.mkdir()
    (folder / name).write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(
            OutputError, match=f"out.txt.parts is where the parts .* it holds {name}, which is"
        ):
            run(tmp_path / "out.txt", overwrite=overwrite)
    discard_parts(tmp_path / "out.txt")
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "precious"


def test_a_file_put_among_the_parts_outlives_the_run(output: Path) -> None:
    folder = output.with_name("out.txt.parts")
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match="it holds notes.txt"):
        run(output)
    discard_parts(output)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_what_the_system_refuses_is_an_output_error(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    with Journal(output, provenance()) as journal:
        with pytest.raises(OutputError, match="cannot be written: No space left on device; make room"):
            journal.add(2, full, {"rows": 1})
        with pytest.raises(OutputError, match="out.txt cannot be written: No space left"):
            journal.finish(full)
    assert run(output) == [2]
    occupied = output.with_name("x.txt.parts")
    occupied.write_text("a file, not a folder")
    with pytest.raises(OutputError, match=r"x.txt cannot be written: .*x.txt.parts"):
        run(output.with_name("x.txt"))
