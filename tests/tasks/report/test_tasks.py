"""Every task, and folds, from a table to a report: the run itself writes it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.run import finetune
from bio_xlstm.tasks.report.calibration_part import connected
from bio_xlstm.tasks.report.curves import Bin
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
    "multilabel": "AUROC of every target of 5 rows or more of both classes (95 % interval)",
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


def test_what_a_mean_over_labels_leaves_out_is_said(ask_finetune: Ask) -> None:  # noqa: F811
    request = ask_finetune("multilabel", rows=100, fractions=(0.5, 0.1, 0.4), bootstrap=20, baselines=True)
    lines = Path(request.input).read_text().splitlines()
    # the second label is positive three times
    rare = [f"{line.rsplit(',', 1)[0]},{int(place % 20 == 0)}" for place, line in enumerate(lines[1:])]
    Path(request.input).write_text("\n".join([lines[0], *rare]) + "\n")
    said: list[str] = []
    finetune(request, said.append)
    words = "mean of 1 of 2 labels: those with 5 rows or more of both classes"
    assert next(line for line in said if line.startswith("test ")).endswith(f", {words}")
    text = (Path(request.output) / "report.html").read_text()
    assert re.search(rf'<p class="(good|note|warning)">[^<]*macro_auroc[^<]*\({words}\)', text), "the verdict"
    assert f"<p>All metrics: {words}.</p>" in re.sub("(?s)<details.*?</details>", "", text)
    # of the rare label alone no number is given
    row = text[text.index("<tr", text.index("AUROC of every target")) :]
    assert re.search(r'<th scope="row">y1</th>(<td>[^<]*</td>){2}(<td>–</td>)+</tr>', row)


def test_folds_are_told_apart_from_a_test_part(ask_finetune: Ask) -> None:  # noqa: F811
    request = ask_finetune("binary", folds=3, fractions=(0.8, 0.1, 0.1))
    finetune(request)
    run = read_run(request.output)
    assert run.folds and len(run.tested) == len(run.rows)
    document = Document((Path(request.output) / "report.html").read_text())
    assert "Every row was tested once, by models that had not seen it." in document.text
    assert "each fold is calibrated on the others" in document.text


def test_small_bins_are_not_joined(ask_finetune: Ask) -> None:  # noqa: F811
    def bin_of(size: int, number: int) -> Bin:
        return Bin(number / 10, number / 10, size, 0, 1)

    bins = [bin_of(size, number) for number, size in enumerate((12, 3, 40, 10, 9, 30))]
    assert connected(bins) == [bins[2:4]]
    request = ask_finetune("binary", bootstrap=0)
    finetune(request)
    text = (Path(request.output) / "report.html").read_text()
    drawing = text[text.index('aria-label="Reliability diagram') :]
    drawing = drawing[: drawing.index("</svg>")]
    # 12 test rows make at most one bin of 10: points alone
    assert "<polyline" not in drawing and "<circle" in drawing


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
