"""Points kept from run to run: what is there is not computed again, and answers stay what they are."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError, InputError, OutputError
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.tasks.files.estimate import dry_run
from bio_xlstm.tasks.in_context import point_file
from bio_xlstm.tasks.in_context.job import open_job, predict_in_context
from bio_xlstm.tasks.in_context.learners import load_learner
from bio_xlstm.tasks.in_context.point_file import PointFile
from bio_xlstm.tasks.in_context.request import InContextRequest, SupportOptions
from bio_xlstm.tasks.in_context.spelling import encode


class Counting:
    """Encode, and count what was asked for."""

    def __init__(self, learner: InContextModel) -> None:
        self.learner = learner
        self.asked: list[str] = []

    def __call__(self, sequences: Sequence[str]) -> Tensor:
        """Return points (N, W)."""
        self.asked += sequences
        return self.learner.encode(sequences)


def same_points(learner: InContextModel, found: Tensor, wanted: Tensor) -> None:
    """Compare points to the rounding of another batch."""
    one, two = learner.opened(found), learner.opened(wanted)
    assert torch.equal(one.prints, two.prints)
    torch.testing.assert_close(one.learned, two.learned, rtol=1e-4, atol=1e-5)


@pytest.fixture
def learner(tiny_learner: str) -> InContextModel:
    """Load the small learner of molecules."""
    found = load_learner(tiny_learner, device="cpu", dtype="auto", backend="auto")
    assert isinstance(found, InContextModel)
    return found


def test_nothing_is_computed_twice(learner: InContextModel, tmp_path: Path) -> None:
    path, compute = str(tmp_path / "library.points"), Counting(learner)
    first = PointFile(path, learner).encode(["CCO", "CCN", "CCO"], compute)
    assert compute.asked == ["CCO", "CCN"]
    # another run meets the same file
    again = PointFile(path, learner).encode(["CCF", "CCN", "CCO"], compute)
    assert compute.asked == ["CCO", "CCN", "CCF"]
    same_points(learner, first, learner.encode(["CCO", "CCN", "CCO"]))
    assert torch.equal(again[1:], first[[1, 0]])
    assert PointFile(path, learner).encode([], compute).shape == (0, learner.width)


def test_spellings_share_a_point(learner: InContextModel, tmp_path: Path) -> None:
    kept = PointFile(str(tmp_path / "library.points"), learner)
    found = encode(learner, ["OCC", "CCO", "C(O)C"], points=kept)
    compute = Counting(learner)
    assert torch.equal(kept.encode(["CCO"], compute)[0], found[2]) and not compute.asked
    same_points(learner, found, encode(learner, ["OCC", "CCO", "C(O)C"]))


def test_runs_at_once(learner: InContextModel, tmp_path: Path) -> None:
    one, two = (PointFile(str(tmp_path / "library.points"), learner) for _ in range(2))

    def meanwhile(sequences: Sequence[str]) -> Tensor:
        one.encode(["CCO", "CCN"], learner.encode)
        return learner.encode(sequences)

    found = two.encode(["CCO", "CCF"], meanwhile)
    same_points(learner, found, learner.encode(["CCO", "CCF"]))
    compute = Counting(learner)
    one.encode(["CCO", "CCN", "CCF"], compute)
    assert not compute.asked


def request(tmp_path: Path, learner: str, **options: str) -> InContextRequest:
    """Write a support and a library, and ask for predictions."""
    (tmp_path / "labelled.csv").write_text("smiles,label\nCCO,1\nCCN,0\nCCCO,1\nCCCN,0\n")
    (tmp_path / "new.smi").write_text("CCF a\nC1CC bad\nCCCCO b\nOCCCC c\n")
    given = {"output": str(tmp_path / "out.csv"), "points": str(tmp_path / "library.points")} | options
    support = SupportOptions(support=str(tmp_path / "labelled.csv"))
    return InContextRequest(
        model=learner, support=support, input=str(tmp_path / "new.smi"), quiet=True, overwrite=True, **given
    )


def test_predictions_are_the_same(tiny_learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "library.points"
    dry_run(open_job(request(tmp_path, tiny_learner), lambda line: None))
    assert not path.exists()
    path.touch()
    dry_run(open_job(request(tmp_path, tiny_learner), lambda line: None))
    assert path.stat().st_size == 0
    predict_in_context(request(tmp_path, tiny_learner))
    before = (tmp_path / "out.csv").read_bytes()
    encoded: list[str] = []
    plain = InContextModel.encode

    def counting(self: InContextModel, smiles: Sequence[str], **options: int) -> Tensor:
        encoded.extend(smiles)
        return plain(self, smiles, **options)

    monkeypatch.setattr(InContextModel, "encode", counting)
    predict_in_context(request(tmp_path, tiny_learner))
    # the support alone
    assert sorted(encoded) == ["CCCN", "CCCO", "CCN", "CCO"]
    assert (tmp_path / "out.csv").read_bytes() == before
    predict_in_context(request(tmp_path, tiny_learner, points=str(tmp_path / "new.points")))
    assert "CCF" in encoded and (tmp_path / "out.csv").read_bytes() == before


def test_what_is_refused(
    tiny_learner: str, tiny_models: dict[str, str], learner: InContextModel, tmp_path: Path
) -> None:
    path = tmp_path / "library.points"
    PointFile(str(path), learner).encode(["CCO"], learner.encode)
    protein = load_learner(tiny_models["protein"], device="cpu", dtype="auto", backend="auto")
    with pytest.raises(ConfigError, match=r"library.points holds points of tiny-icl \(.*give each learner a"):
        PointFile(str(path), protein).check()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE facts SET value = 'before' WHERE name = 'weights'")
    with pytest.raises(
        ConfigError, match=r"made by another version of tiny-icl \(before, not .*: delete it, or name"
    ):
        PointFile(str(path), learner).check()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE facts SET value = ? WHERE name = 'weights'", (learner.weight_hash(),))
    with pytest.raises(ConfigError, match="was computed with --dtype fp32, not bf16"):
        PointFile(str(path), learner, "bf16").check()
    (tmp_path / "text").write_text("CCO 1\n" * 300)
    with pytest.raises(InputError, match="text is no file of points, or a damaged one"):
        PointFile(str(tmp_path / "text"), learner).check()
    assert (tmp_path / "text").read_text().startswith("CCO")
    with pytest.raises(OutputError, match="there is no folder"):
        PointFile(str(tmp_path / "none" / "x.points"), learner).check()
    with pytest.raises(OutputError, match="cannot be written"):
        PointFile(str(tmp_path), learner).check()
    torn = path.read_bytes()
    path.write_bytes(torn[: len(torn) // 2])
    with pytest.raises(InputError, match="is no file of points, or a damaged one"):
        PointFile(str(path), learner).encode(["CCO"], learner.encode)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DELETE FROM facts WHERE name = 'weights'", "it does not say what it holds"),
        ("UPDATE points SET point = x'00ff'", "a point has another size"),
        ("UPDATE points SET point = 'text'", "a point has another size"),
        ("ALTER TABLE facts RENAME COLUMN name TO title", "no such column: name"),
        ("DROP TABLE points", "it has no table of points"),
        ("ALTER TABLE points ADD COLUMN more", "it has no table of points"),
        ("CREATE TABLE t (name, value); DROP TABLE facts; ALTER TABLE t RENAME TO facts", "it does not say"),
        (
            "DROP TABLE facts; CREATE TABLE facts (name, value); INSERT INTO facts VALUES ('format', 3)",
            "it does not",
        ),
        ("UPDATE facts SET value = CAST(x'ff' AS TEXT) WHERE name = 'learner'", "Could not decode"),
    ],
)
def test_a_database_that_was_changed(
    learner: InContextModel, tmp_path: Path, statement: str, reason: str
) -> None:
    path = tmp_path / "library.points"
    PointFile(str(path), learner).encode(["CCO"], learner.encode)
    with sqlite3.connect(path) as database:
        database.executescript(statement)
    with pytest.raises(InputError, match=rf"is no file of points, or a damaged one \({reason}"):
        PointFile(str(path), learner).encode(["CCO"], learner.encode)


def test_another_run_that_does_not_let_go(
    learner: InContextModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point_file, "_PATIENCE", 0.0)
    path = tmp_path / "library.points"
    kept = PointFile(str(path), learner)
    kept.encode(["CCO"], learner.encode)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OutputError, match="was held by another run for 0 seconds; repeat the command later"):
        kept.encode(["CCN"], learner.encode)
    other.close()
    kept.encode(["CCN"], learner.encode)


def test_a_name_that_means_memory_is_a_file(
    learner: InContextModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    PointFile(":memory:", learner).encode(["CCO"], learner.encode)
    assert (tmp_path / ":memory:").stat().st_size > 0


def test_another_database_is_left_alone(learner: InContextModel, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"other.db is no file of points, or a damaged one"):
        PointFile(str(path), learner).check()
    assert path.read_bytes() == before


def test_a_file_that_can_only_be_read(
    learner: InContextModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, compute = tmp_path / "library.points", Counting(learner)
    PointFile(str(path), learner).encode(["CCO"], learner.encode)
    # whoever may do everything can write to any file
    connect = PointFile._connect
    monkeypatch.setattr(PointFile, "_connect", lambda self, mode: connect(self, "ro"))
    shared = PointFile(str(path), learner)
    shared.check()
    shared.encode(["CCO"], compute)
    assert not compute.asked
    with pytest.raises(OutputError, match="library.points cannot be written: attempt to write a readonly"):
        shared.encode(["CCN"], compute)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("", "--points '' names no file"),
        ("-", "names no file"),
        ("out.csv", "--points out.csv names a file that -o"),
        ("../{folder}/out.csv", "names a file that -o"),
        ("link.csv", "names a file that -o"),
        ("out.csv.issues.csv", "names a file that -o"),
        ("out.csv.provenance.json", "names a file that -o"),
        ("out.csv.parts", "names a file that -o"),
        ("out.csv.parts/points", "names a file that -o"),
    ],
)
def test_names(points: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.csv").symlink_to("out.csv")
    with pytest.raises(ConfigError, match=message):
        request(tmp_path, "any", points=points.format(folder=tmp_path.name), output=str(tmp_path / "out.csv"))


def test_the_journal_of_a_database_is_no_output(tmp_path: Path) -> None:
    given = {"points": str(tmp_path / "kept"), "output": str(tmp_path / "kept-journal")}
    with pytest.raises(ConfigError, match="names a file that -o"):
        request(tmp_path, "any", **given)
