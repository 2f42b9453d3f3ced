"""From a table to a model that predicts: every task, every method, folds, ensembles, resuming, and what is refused."""

import csv
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, InputError, ModelError, OutputError
from bio_xlstm.tasks.assay.metrics.regression import spearman
from bio_xlstm.tasks.finetune.directory import load_finetuned
from bio_xlstm.tasks.finetune.plan import make_plan
from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.run import finetune

Ask = Callable[..., FinetuneRequest]
TASKS = ("regression", "ranking", "binary", "multiclass", "multilabel", "per_token")


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_directory(request: FinetuneRequest) -> list[dict[str, str]]:
    """Check what every run writes; return the predictions."""
    output = Path(request.output)
    tuned = load_finetuned(output)
    assert bx.load(output).kind == "smiles" and tuned.task.name == request.task
    rows = rows_of(output / "predictions.csv")
    assert [int(row["row"]) for row in rows] == list(range(len(rows)))
    # what is loaded says what was written
    ids = [tuned.model.tokenizer.encode(row["smiles"]) for row in rows if row["status"] == "ok"]
    answers = tuned.answer(ids)
    if request.task in ("regression", "ranking"):
        written = [float(row["predicted_y0"]) for row in rows]
        np.testing.assert_allclose(np.asarray(answers.predicted)[:, 0], written, rtol=1e-3, atol=1e-3)
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["test"] and metrics["task"]["name"] == request.task
    parts = {row["row"]: row["part"] for row in rows_of(output / "splits.csv")}
    assert all(row["part"] == parts[row["row"]] for row in rows if row["part"])
    return rows


@pytest.mark.parametrize("task", TASKS)
def test_every_task_with_a_head(task: str, ask_finetune: Ask) -> None:
    request = ask_finetune(task)
    result = finetune(request)
    rows = check_directory(request)
    assert result.lines[-1].startswith("use: bioxlstm predict")
    row = next(one for one in rows if one["part"] == "test")
    if task == "regression":
        # what was trained on has no interval
        assert {one["part"] for one in rows if not one["lower_y0"]} == {"train"}
        assert float(row["lower_y0"]) <= float(row["predicted_y0"]) <= float(row["upper_y0"])
        assert float(row["uncertainty_y0"]) > 0
    if task == "binary":
        assert row["predicted_y0"] in ("active", "inactive") and 0 <= float(row["probability_y0"]) <= 1
    if task == "multiclass":
        shares = [float(row[f"probability_{name}"]) for name in ("no", "one", "several")]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
    if task == "multilabel":
        assert 0 <= float(row["probability_y1"]) <= 1
    if task == "per_token":
        assert len(row["predicted_y0"]) == len(row["smiles"]) and set(row["predicted_y0"]) <= {"a", "b"}


@pytest.mark.parametrize("method", ["lora", "state", "full"])
def test_every_method(method: str, ask_finetune: Ask) -> None:
    request = ask_finetune(method=method)
    finetune(request)
    check_directory(request)
    output = Path(request.output)
    record = json.loads((output / "metrics.json").read_text())["members"][0]["training"]
    assert record["curve"][0]["epoch"] == 0 and len(record["curve"]) == 3
    # the best of what was seen is kept
    losses = [one["validation"] for one in record["curve"]]
    assert losses[[one["epoch"] for one in record["curve"]].index(record["best_epoch"])] == min(losses)
    assert (output / "initial.state").is_file() == (method == "state")
    assert (output / "training" / "curves.png").is_file()
    same = bx.load(output).weight_hash() == bx.load(request.model or "").weight_hash()
    assert same == (method == "state")


def test_the_same_command_gives_the_same_model(ask_finetune: Ask, tmp_path: Path) -> None:
    for name in ("one", "other"):
        finetune(ask_finetune(method="lora", output=str(tmp_path / name)))
    for name in ("head.safetensors", "model.safetensors", "predictions.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_folds_leave_no_row_unused_by_a_head(ask_finetune: Ask) -> None:
    plan = make_plan(ask_finetune(folds=3, fractions=(0.6, 0.3, 0.1)), print)
    assert [len(one.train) + len(one.test) for one in plan.rounds] == [60] * 3
    # what is tuned needs rows to stop by
    plan = make_plan(ask_finetune(folds=3, fractions=(0.6, 0.3, 0.1), method="lora"), print)
    assert all(len(one.validation) for one in plan.rounds)


def test_folds_test_every_row_once(ask_finetune: Ask) -> None:
    request = ask_finetune(folds=3, fractions=(0.8, 0.1, 0.1))
    finetune(request)
    output = Path(request.output)
    rows = rows_of(output / "predictions.csv")
    assert {row["part"] for row in rows} == {"fold 1", "fold 2", "fold 3"}
    assert len(load_finetuned(output).members) == 3
    assert 0 < json.loads((output / "metrics.json").read_text())["coverage"]["measured"]["y0"] <= 1


def test_an_ensemble_is_less_certain_where_it_disagrees(ask_finetune: Ask) -> None:
    request = ask_finetune(ensemble=3)
    finetune(request)
    tuned = load_finetuned(request.output)
    assert len(tuned.members) == 3 and (Path(request.output) / "member-3" / "head.safetensors").is_file()
    ids = [tuned.model.tokenizer.encode("CCOCCN")]
    alone = [float(member.answer(ids).predicted[0][0]) for member in tuned.members]
    assert len(set(alone)) == 3
    np.testing.assert_allclose(tuned.answer(ids).predicted[0][0], np.mean(alone))


def test_a_stopped_run_goes_on_to_the_same_model(
    ask_finetune: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bio_xlstm.tasks.finetune.watch import Watch

    undisturbed = ask_finetune(method="lora", ensemble=2, output=str(tmp_path / "whole"))
    finetune(undisturbed)
    request = ask_finetune(method="lora", ensemble=2)
    batch_end = Watch.on_train_batch_end

    def stopping(self: Any, trainer: Any, module: Any, *rest: Any) -> None:
        # in the middle of the second epoch of the second member
        if "member-2" in self.checkpoint.name and trainer.global_step == 3:
            self.stop.asked = True
        batch_end(self, trainer, module, *rest)

    monkeypatch.setattr(Watch, "on_train_batch_end", stopping)
    with pytest.raises(KeyboardInterrupt):
        finetune(request)
    assert not (Path(request.output) / "finetune.json").exists()
    monkeypatch.setattr(Watch, "on_train_batch_end", batch_end)
    said: list[str] = []
    finetune(request, said.append)
    assert "member 1 was trained before" in said
    for name in ("model.safetensors", "member-2/model.safetensors", "predictions.csv"):
        one, other = (Path(r.output) / name for r in (request, undisturbed))
        assert one.read_bytes() == other.read_bytes(), name


def test_time_that_is_up_keeps_the_best_so_far(ask_finetune: Ask) -> None:
    request = ask_finetune(method="full", epochs=500, max_minutes=1e-6)
    finetune(request)
    curve = json.loads((Path(request.output) / "metrics.json").read_text())["members"][0]["training"]["curve"]
    assert len(curve) == 2
    check_directory(request)


def test_members_share_the_time_that_is_left(ask_finetune: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    from bio_xlstm.tasks.finetune import tune

    request = ask_finetune(method="full", epochs=1, max_minutes=3000, ensemble=3)
    ends = []

    class Noting(tune.Watch):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            ends.append((self.deadline - time.monotonic()) / 60)

    monkeypatch.setattr(tune, "Watch", Noting)
    finetune(request)
    # none has used its share up: what is over goes to those that come after it
    assert ends == pytest.approx([1000, 1500, 3000], abs=20)
    plan = make_plan(request, print)
    # the first member took all of it
    now = time.monotonic()
    assert tune.deadline(plan, 1, now - 1e6) == pytest.approx(now, abs=20)
    assert tune.deadline(make_plan(replace(request, max_minutes=0), print), 1, now) == float("inf")


def test_a_finished_model_keeps_no_scaffolding(ask_finetune: Ask) -> None:
    request = ask_finetune(method="full", ensemble=2)
    finetune(request)
    folder = Path(request.output) / "training"
    assert not list(folder.glob("*.ckpt")) and not (folder / "members").exists()
    assert (folder / "curves.png").is_file() and (folder / "identity.json").is_file()
    assert len(load_finetuned(request.output).members) == 2
    with pytest.raises(OutputError, match="already holds a fine-tuned model"):
        finetune(request)


def test_baselines_stand_beside(ask_finetune: Ask) -> None:
    request = ask_finetune(baselines=True)
    said: list[str] = []
    result = finetune(request, said.append)
    baselines = json.loads((Path(request.output) / "metrics.json").read_text())["baselines"]
    assert "mean" in baselines and len(baselines) >= 3
    # each is said once
    for begin in ("test ", "baseline mean: "):
        assert sum(line.startswith(begin) for line in (*said, *result.lines)) == 1
    assert not any(line.startswith("test:") for line in result.lines)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("method", ["head", "lora"])
def test_the_file_says_what_was_measured(shift: float, method: str, ask_finetune: Ask) -> None:
    request = ask_finetune(method=method)
    written = {}
    with open(request.input, newline="") as file:
        header, *lines = csv.reader(file)
    with open(request.input, "w", newline="") as file:
        for smiles, value in lines:
            written[smiles] = f"{shift + float(value):.9f}"
        csv.writer(file).writerows([header, *written.items()])
    finetune(request)
    output = Path(request.output)
    rows = rows_of(output / "predictions.csv")
    assert {row["smiles"]: row["y0"] for row in rows} == written
    # the file gives the metrics again
    tested = [row for row in rows if row["part"] == "test"]
    truth, said = (np.array([float(row[name]) for row in tested]) for name in ("y0", "predicted_y0"))
    metrics = {
        one["metric"]: one["value"] for one in json.loads((output / "metrics.json").read_text())["test"]
    }
    assert metrics["spearman"] == pytest.approx(spearman(truth, said), abs=1e-9)
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean((truth - said) ** 2)), rel=1e-4)
    # a shift changes nothing that was learned
    assert metrics["spearman"] > 0.5 and metrics["rmse"] < 1


def test_what_looks_like_a_mistake_is_said(ask_finetune: Ask) -> None:
    request = ask_finetune()
    with open(request.input) as file:
        lines = file.read().splitlines()
    with open(request.input, "w") as file:
        file.write(
            "\n".join([lines[0], *(f"{line.split(',')[0]},{n % 2 + 1}" for n, line in enumerate(lines[1:]))])
        )
    said = make_plan(request, print).lines()
    assert "note     'y0' is 1 or 2 in all 60 rows; --task binary if these are classes" in said


def test_a_run_whose_report_fails_is_no_model(ask_finetune: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no report")

    request = ask_finetune()
    monkeypatch.setattr("bio_xlstm.tasks.report.write.write_report", fails)
    with pytest.raises(RuntimeError, match="no report"):
        finetune(request)
    with pytest.raises(ModelError, match=r"finetune.json is missing"):
        load_finetuned(request.output)


def test_rows_that_cannot_be_used_are_listed(ask_finetune: Ask) -> None:
    request = ask_finetune()
    with open(request.input, "a") as file:
        file.write("C1CC,1.0\nCCO,\n")
    finetune(request)
    *_, bad, empty = rows_of(Path(request.output) / "predictions.csv")
    assert bad["status"] == "invalid_smiles" and bad["predicted_y0"] == ""
    assert empty["status"] == "unlabelled"


def test_what_is_refused(ask_finetune: Ask, tiny_models: dict[str, str], tmp_path: Path) -> None:
    request = ask_finetune()
    finetune(request)
    with pytest.raises(OutputError, match="already holds a fine-tuned model; use --overwrite"):
        finetune(request)
    finetune(ask_finetune(overwrite=True))
    with pytest.raises(
        InputError, match=r"holds molecules, but the model .* reads proteins; use -m chem-small"
    ):
        finetune(ask_finetune(output=str(tmp_path / "a"), model=tiny_models["protein"]))
    with pytest.raises(ConfigError, match="--layers must hold the last"):
        finetune(ask_finetune(output=str(tmp_path / "b"), method="lora", layers="0"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.doc").write_text("")
    with pytest.raises(OutputError, match="holds files but no fine-tuned model"):
        finetune(ask_finetune(output=str(tmp_path / "c")))
    (tmp_path / "d").write_text("")
    with pytest.raises(OutputError, match="is a file; a fine-tuned model is written as a folder"):
        finetune(ask_finetune(output=str(tmp_path / "d")))


def test_another_command_does_not_continue_a_run(ask_finetune: Ask) -> None:
    from bio_xlstm.tasks.finetune.folder import begin_folder, check_folder

    begin_folder(ask_finetune(seed=1))
    with pytest.raises(ConfigError, match="was begun with --seed 1, now it is 2; use --overwrite"):
        check_folder(ask_finetune(seed=2))
    with pytest.raises(OutputError, match="is left from an earlier run"):
        check_folder(ask_finetune(seed=1, resume=False))
    with pytest.raises(ConfigError, match="was begun with other data"):
        check_folder(ask_finetune(seed=1, rows=61))


def test_a_run_that_cannot_begin_changes_nothing(ask_finetune: Ask, tmp_path: Path) -> None:
    wrong = {"targets": ("nowhere",), "output": str(tmp_path / "made")}
    with pytest.raises((InputError, ConfigError)):
        finetune(ask_finetune(**wrong))
    assert not (tmp_path / "made").exists()
    # what is there is replaced by a run that is possible, and by no other
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "finetune.json").write_text("{}")
    with pytest.raises((InputError, ConfigError)):
        finetune(ask_finetune(**wrong, overwrite=True))
    assert (tmp_path / "made" / "finetune.json").read_text() == "{}"


def test_a_damaged_directory_is_refused(ask_finetune: Ask, tiny_models: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=r"is no fine-tuned model: finetune.json is missing"):
        load_finetuned(tiny_models["smiles"])
    request = ask_finetune()
    finetune(request)
    output = Path(request.output)
    head = (output / "head.safetensors").read_bytes()
    (output / "head.safetensors").write_bytes(head[:100])
    with pytest.raises(ModelError, match=r"head.safetensors is damaged, or no head"):
        load_finetuned(output)
    (output / "head.safetensors").unlink()
    with pytest.raises(ModelError, match=r"head.safetensors is missing"):
        load_finetuned(output)
    (output / "head.safetensors").write_bytes(head)
    (output / "domain.safetensors").unlink()
    with pytest.raises(ModelError, match=r"domain.safetensors is missing"):
        load_finetuned(output)
    (output / "finetune.json").write_text("{}")
    with pytest.raises(ModelError, match=r"finetune.json is damaged"):
        load_finetuned(output)
    (output / "finetune.json").write_text('{"format": 9}')
    with pytest.raises(ModelError, match="has format 9; this version"):
        load_finetuned(output)


def test_a_state_needs_a_causal_model(tiny_models: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "dna.csv"
    rng = np.random.default_rng(0)
    rows = [f"{''.join(rng.choice(list('ACGT'), 20))},{rng.random():.3f}" for _ in range(20)]
    path.write_text("\n".join(["dna,y", *rows]))
    with pytest.raises(ConfigError, match="--method state needs a causal model"):
        finetune(
            FinetuneRequest(
                input=str(path), output=str(tmp_path / "m"), model=tiny_models["both"], method="state"
            )
        )
