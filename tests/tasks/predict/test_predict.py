"""Rows out are rows in, with the input's columns untouched; a killed run resumes; what does not fit is refused."""

import csv
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.errors import InputError, ModelError
from bio_xlstm.tasks.finetune.directory import load_finetuned
from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.run import finetune
from bio_xlstm.tasks.predict.input_columns import free_names
from bio_xlstm.tasks.predict.request import PredictRequest
from bio_xlstm.tasks.predict.run import predict_file

TABLE = (
    'name,SMILES,remark,status\n'
    'a,CCO,"x, ""y"" ",old\n'
    'b,C1CC,,\n'
    'c,,empty,\n'
    'd, CCCN ,007,1e5\n'
    'a,CCOCC,again,\n'
)  # fmt: skip


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Fine-tune a tiny model for every kind of task; return the directories."""
    folder = tmp_path_factory.mktemp("tuned")
    bx.build("chem", dim=16, blocks=2, heads=2, seed=0).save(folder / "base")
    rng = np.random.default_rng(0)
    texts = sorted(
        {"C" + "".join(rng.choice(list("CCON"), int(rng.integers(2, 9)))) + "C" for _ in range(60)}
    )
    values: dict[str, Callable[[str], str]] = {
        "regression": lambda one: str(one.count("O")),
        "binary": lambda one: "yes" if "O" in one else "no",
        "multiclass": lambda one: "abc"[min(one.count("O"), 2)],
        "per_token": lambda one: one.replace("N", "O"),
    }
    found = {}
    for task, value in values.items():
        path = folder / f"{task}.csv"
        path.write_text("\n".join(["SMILES,y", *(f"{one},{value(one)}" for one in texts)]) + "\n")
        request = FinetuneRequest(
            input=str(path), output=str(folder / task), model=str(folder / "base"), task=task,
            head="linear", bootstrap=0, baselines=False, fractions=(0.6, 0.2, 0.2),
        )  # fmt: skip
        finetune(request)
        found[task] = str(folder / task)
    return found


def ask(
    tuned: str, tmp_path: Path, text: str = TABLE, output: str = "out.csv", **options: Any
) -> PredictRequest:
    """Write an input and ask for predictions."""
    path = tmp_path / options.pop("name", "new.csv")
    path.write_text(text)
    target = output if output == "-" else str(tmp_path / output)
    return PredictRequest(model=tuned, input=str(path), output=target, quiet=True, **options)


def lines(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_columns_stay_as_they_are(tuned: dict[str, str], tmp_path: Path) -> None:
    said: list[str] = []
    request = ask(tuned["regression"], tmp_path)
    outcome = predict_file(request, said.append)
    assert outcome.rows == 5 and outcome.failed == 2
    rows = lines(tmp_path / "out.csv")
    given = list(csv.DictReader(io.StringIO(TABLE)))
    for row, before in zip(rows, given, strict=True):
        assert {name: row[name] for name in before} == before
    assert [row["status_2"] for row in rows] == ["ok", "invalid_smiles", "empty", "ok", "ok"]
    assert rows[1]["predicted_y"] == rows[1]["similarity"] == "" and "ring" in rows[1]["detail"]
    model = load_finetuned(tuned["regression"])
    answers = model.answer([model.model.tokenizer.encode(one) for one in ("CCO", "CCCN", "CCOCC")])
    wanted = np.asarray(answers.predicted)[:, 0]
    found = [float(rows[place]["predicted_y"]) for place in (0, 3, 4)]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert float(rows[0]["lower_y"]) < found[0] < float(rows[0]["upper_y"])
    assert (tmp_path / "out.csv.issues.csv").is_file()


@pytest.mark.parametrize("task", ["binary", "multiclass", "per_token"])
def test_every_task_is_predicted(task: str, tuned: dict[str, str], tmp_path: Path) -> None:
    predict_file(ask(tuned[task], tmp_path))
    row = lines(tmp_path / "out.csv")[4]
    if task == "per_token":
        assert len(row["predicted_y"]) == 5 and set(row["predicted_y"]) <= {"C", "O"}
    else:
        assert row["predicted_y"] in ("yes", "no", "a", "b", "c")
        assert 0 <= float(row["uncertainty_y"]) <= np.log2(3)
    assert 0 <= float(row["similarity"]) <= 1 and row["in_domain"] in ("yes", "no")


def test_a_prediction_does_not_depend_on_its_neighbours(tuned: dict[str, str], tmp_path: Path) -> None:
    predict_file(ask(tuned["regression"], tmp_path))
    predict_file(ask(tuned["regression"], tmp_path, "SMILES\nCCOCC\n", "alone.csv", name="one.csv"))
    one, other = lines(tmp_path / "out.csv")[4], lines(tmp_path / "alone.csv")[0]
    assert float(one["predicted_y"]) == pytest.approx(float(other["predicted_y"]), rel=1e-4)


def test_parquet_keeps_types(tuned: dict[str, str], tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    given = pa.table(
        {"SMILES": ["CCO", "C1CC", None], "n": pa.array([1, None, 3], pa.int16()), "l": [[1], [], [2, 3]]}
    )
    pq.write_table(given, tmp_path / "in.parquet")
    request = PredictRequest(
        model=tuned["regression"],
        input=str(tmp_path / "in.parquet"),
        output=str(tmp_path / "out.parquet"),
        quiet=True,
    )
    predict_file(request)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(given.column_names).to_pydict() == given.to_pydict()
    assert (
        found.schema.field("n").type == pa.int16() and found.schema.field("predicted_y").type == pa.float64()
    )
    assert found["predicted_y"].null_count == 2 and found["status"].to_pylist()[1:] == [
        "invalid_smiles",
        "empty",
    ]
    predict_file(ask(tuned["binary"], tmp_path, output="text.parquet"))
    assert pq.read_table(tmp_path / "text.parquet")["predicted_y"].to_pylist()[1] is None


def test_lines_of_molecules_and_skipped_rows(tuned: dict[str, str], tmp_path: Path) -> None:
    text = "CCO first\nC1CC second\nCCN third\n"
    predict_file(ask(tuned["regression"], tmp_path, text, name="in.smi", on_error="skip", shard=(1, 2)))
    rows = lines(tmp_path / "out.csv")
    assert [(row["smiles"], row["id"]) for row in rows] == [("CCO", "first"), ("CCN", "third")]
    request = ask(tuned["regression"], tmp_path, text, "two.csv", name="in.smi", on_error="skip")
    assert predict_file(request).rows == 2 and [row["id"] for row in lines(tmp_path / "two.csv")] == [
        "first",
        "third",
    ]


def test_standard_output(tuned: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict_file(ask(tuned["regression"], tmp_path))
    predict_file(ask(tuned["regression"], tmp_path, output="-"))
    assert capsys.readouterr().out == (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("header", ["name,smiles,y", "name,SMILES,y"])
def test_standard_input(
    header: str, tuned: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream is read once, also where the column is the one of the training data."""
    text = f"{header}\na,CCO,1\nb,C1CC,2\nc,CCCN,3\n"
    request = ask(tuned["regression"], tmp_path, text)
    predict_file(request)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    piped = replace(request, input="-", output=str(tmp_path / "piped.csv"))
    assert predict_file(piped).rows == 3
    assert (tmp_path / "piped.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_a_killed_run_resumes(tuned: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bio_xlstm.tasks.predict.setup import PredictJob

    text = "SMILES\n" + "".join(f"{'C' * (1 + number % 7)}O\n" for number in range(150))
    options = {"batch_tokens": 16}
    predict_file(ask(tuned["regression"], tmp_path, text, "whole.csv", **options))
    request = ask(tuned["regression"], tmp_path, text, **options)
    compute, done = PredictJob.compute, []

    def dying(self: Any, ready: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(ready)
        return compute(self, ready)

    monkeypatch.setattr(PredictJob, "compute", dying)
    with pytest.raises(KeyboardInterrupt):
        predict_file(request)
    monkeypatch.setattr(PredictJob, "compute", compute)
    said: list[str] = []
    predict_file(request, said.append)
    assert any(line.startswith("continuing: 2 units") for line in said)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_is_refused(tuned: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several columns are called 'a'; rename them"):
        predict_file(ask(tuned["regression"], tmp_path, "SMILES,a,a\nCCO,1,2\n"))
    with pytest.raises(InputError, match="holds proteins, but the model"):
        predict_file(ask(tuned["regression"], tmp_path, ">a\nMKTAYIAKQRQISFVKSHFSRQ\n", name="p.fasta"))
    with pytest.raises(ModelError, match="is no fine-tuned model: finetune.json is missing"):
        predict_file(ask(str(Path(tuned["regression"]).parent / "base"), tmp_path))


def test_taken_names_get_a_number() -> None:
    assert free_names(["status", "detail"], ["status", "status_2"]) == ["status_3", "detail"]
