"""Every task, and folds, from a table to a report: the run itself writes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.run import finetune
from bio_xlstm.tasks.report.page import PARTS
from bio_xlstm.tasks.report.run_files import read_run
from bio_xlstm.tasks.report.write import write_report
from tests.tasks.finetune.conftest import ask_finetune  # noqa: F401 - a fixture
from tests.tasks.report.conftest import Document

Ask = Callable[..., FinetuneRequest]
SAID = {
    "regression": "Coverage of the prediction intervals",
    "ranking": "There are no prediction intervals: a score has no unit.",
    "binary": "Reliability of 'active'",
    "multiclass": "Reliability of the most probable class being right",
    "multilabel": "AUROC of every target (95 % interval)",
    "per_token": "Errors of single sequences are not shown",
}


@pytest.mark.parametrize("task", SAID)
def test_every_task_has_a_report(task: str, ask_finetune: Ask) -> None:  # noqa: F811
    request = ask_finetune(task, bootstrap=20, baselines=task in ("regression", "multilabel"))
    finetune(request)
    report = Path(request.output) / "report.html"
    written = report.read_bytes()
    document = Document(written.decode())
    assert [one["id"] for one in document.all("section")] == list(PARTS)
    assert SAID[task] in document.text
    # the same report comes from the files alone
    assert write_report(request.output).read_bytes() == written


def test_folds_are_told_apart_from_a_test_part(ask_finetune: Ask) -> None:  # noqa: F811
    request = ask_finetune("binary", folds=3, fractions=(0.8, 0.1, 0.1))
    finetune(request)
    run = read_run(request.output)
    assert run.folds and len(run.tested) == len(run.rows)
    document = Document((Path(request.output) / "report.html").read_text())
    assert "Every row was tested once, by models that had not seen it." in document.text
    assert "each fold is calibrated on the others" in document.text


def test_losses_of_what_was_tuned_are_drawn(ask_finetune: Ask) -> None:  # noqa: F811
    request = ask_finetune(method="lora")
    finetune(request)
    document = Document((Path(request.output) / "report.html").read_text())
    assert "Losses of member 1 over 2 epochs." in document.text


def test_what_is_read_is_what_was_written(ask_finetune: Ask) -> None:  # noqa: F811
    request = ask_finetune("multiclass", baselines=True)
    result = finetune(request)
    run = read_run(request.output)
    assert run.predicted.shape == (len(run.rows), 3) and run.outputs == ("no", "one", "several")
    right = run.predicted[run.tested].argmax(1) == run.values[run.tested, 0]
    accuracy = next(one["value"] for one in result.metrics["test"] if one["metric"] == "accuracy")
    assert right.mean() == pytest.approx(accuracy)
    assert all(numbers.shape == (len(run.tested), 3) for numbers in run.baselines.values())
