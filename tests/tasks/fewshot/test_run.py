"""An evaluation from table to numbers: what is written, and what it does not depend on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import InputError, ModelError, OutputError
from bio_xlstm.tasks.fewshot import run as module
from bio_xlstm.tasks.fewshot.methods import forest
from bio_xlstm.tasks.fewshot.methods.choose import METHODS
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.fewshot.run import evaluate_fewshot

QUICK = ("neighbours", "gaussian-process")
Evaluate = Callable[..., Any]


def value(found: Any, method: str, support: int, metric: str, minus: str = "", group: str = "") -> Any:
    """Pick one number of the table."""
    wanted = {"method": method, "support": support, "metric": metric, "minus": minus, "group": group}
    (row,) = [one for one in found["results"] if all(one[name] == wanted[name] for name in wanted)]
    return row


def test_all_methods_are_measured_on_the_same_draws(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forest, "TREES", 40)
    monkeypatch.setattr(forest, "PILOT", 20)
    found = evaluate()
    assert list(found["methods"]) == list(METHODS)
    for method in METHODS:
        row = value(found, method, 16, "delta_auprc")
        assert row["assays"] == 2
        assert row["low"] <= row["value"] <= row["high"]
    for method in ("in-context", "forest", "neighbours", "linear"):
        assert value(found, method, 16, "log_loss_of_share")["value"] > 0
        assert 0 < value(found, method, 16, "brier")["value"] < 1 > value(found, method, 16, "ece")["value"]
    said = {row["method"] for row in found["results"] if row["metric"] == "log_loss"}
    assert said == {"in-context", "forest", "neighbours", "linear"}
    assert {"log_loss", "ece", "brier", "log_loss_of_share"} < found["metrics"].keys()
    # what decides is plain to see in these assays
    for method in ("forest", "neighbours", "gaussian-process"):
        assert value(found, method, 16, "auroc")["value"] > 0.6
    assert found["assays_measured"] == {"8": 2, "16": 2}
    assert found["left_out"]["16"] == {"B": "14 molecules are fewer than 16"}
    assert found["left_out"]["8"] == {"B": "6 queries are fewer than 8"}
    ahead = value(found, "in-context", 16, "delta_auprc", "forest")["value"]
    each = [value(found, name, 16, "delta_auprc")["value"] for name in ("in-context", "forest")]
    assert ahead == pytest.approx(each[0] - each[1])
    assert found["seconds"].keys() == {"description", *METHODS}


def test_numbers_have_intervals_and_bounded_values_are_no_queries(evaluate: Evaluate) -> None:
    methods = ("in-context", "permuted", "linear", *QUICK)
    found = evaluate(task="regression", methods=methods, support=(16,), mark_column="property")
    for method in methods:
        assert value(found, method, 16, "r2")["assays"] == 2
        share = value(found, method, 16, "rmse_of_mean")["value"]
        assert share > 0
        assert value(found, method, 16, "rmse_marked")["value"] > 0
    assert value(found, "gaussian-process", 16, "r2")["value"] > 0.3
    assert 0.5 < value(found, "in-context", 16, "coverage")["value"] <= 1
    assert "'log_regression_property' falls as the measurement rises" in found["notes"][0]
    assert "class" not in found["rule"] and "8 or more queries whose value is known" in found["rule"]


def test_a_number_depends_on_its_own_draw_alone(evaluate: Evaluate, table: Path) -> None:
    """Neither other sizes, seeds, methods and assays nor the order of the rows change what a seed reaches."""
    whole = evaluate(methods=("in-context", *QUICK))
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *(row for row in rows if row.startswith("A1"))]) + "\n")
    part = evaluate(methods=("in-context",), support=(16,))

    def reached(found: Any) -> Any:
        return [one["delta_auprc"] for one in found["assays"]
                if (one["assay"], one["support"], one["method"]) == ("A1", 16, "in-context")]  # fmt: skip

    assert reached(whole) == pytest.approx(reached(part), rel=1e-4)


def test_permuted_labels_and_the_prior_are_other_predictions(evaluate: Evaluate) -> None:
    forms = ("in-context", "prior", "permuted", "similarity")
    found = evaluate(methods=forms, support=(16,))
    values = [value(found, name, 16, "auroc")["value"] for name in forms]
    assert len(set(values)) == 4
    numbers = evaluate(methods=("similarity",), support=(16,), task="regression")
    assert value(numbers, "similarity", 16, "spearman")["value"] > 0.3


def test_groups_are_measured_alone(evaluate: Evaluate, tmp_path: Path) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("chembl_id,protein_family\nA1,kinase\nB,protease\n")
    found = evaluate(methods=QUICK, groups=str(groups), support=(16,))
    assert value(found, "neighbours", 16, "auroc", group="kinase")["assays"] == 1
    assert value(found, "neighbours", 16, "auroc", group="not stated")["assays"] == 1
    groups.write_text("chembl_id,protein_family\nC,kinase\n")
    with pytest.raises(InputError, match=r"groups.csv: no row is about one of the assays, such as A1"):
        evaluate(methods=QUICK, groups=str(groups))
    groups.write_text("chembl_id,other\nA1,kinase\n")
    with pytest.raises(InputError, match=r"no column of groups found; .* name it with --group-column"):
        evaluate(methods=QUICK, groups=str(groups))
    assert value(evaluate(methods=QUICK, groups=str(groups), group_column="Other"), "neighbours", 16, "auroc",
                 group="kinase")  # fmt: skip


def test_a_killed_run_goes_on_where_it_stopped(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = evaluate(methods=QUICK)
    (tmp_path / "out.json").unlink()
    measured = []

    def dying(assay: Any, *rest: Any) -> Any:
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(assay.name)
        return kept(assay, *rest)

    kept = module.measure_assay
    monkeypatch.setattr(module, "measure_assay", dying)
    with pytest.raises(KeyboardInterrupt):
        evaluate(methods=QUICK)
    monkeypatch.setattr(
        module, "measure_assay", lambda assay, *rest: measured.append(assay.name) or kept(assay, *rest)
    )
    again = evaluate(methods=QUICK)
    assert measured == ["A1", "A2", "B"]
    assert [again[name] for name in ("results", "assays")] == [whole[name] for name in ("results", "assays")]
    assert not (tmp_path / "out.json.parts").exists()


def test_a_table_as_csv_and_on_standard_output(
    evaluate: Evaluate, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"input": str(table), "methods": QUICK, "support": (16,), "seeds": 1, "quiet": True}
    evaluate_fewshot(FewshotRequest(**options, output=str(tmp_path / "t.csv")))
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == "support,method,metric,group,value,low,high,assays,minus"
    # both have two metrics of ranks, neighbours four of probabilities as well
    assert len(lines) == 1 + len(QUICK) * 2 + 4
    said: list[str] = []
    evaluate_fewshot(FewshotRequest(**options, output="-"), said.append)
    assert json.loads(capsys.readouterr().out)["rule"] in said[-2]
    assert said[-1] == "wrote to standard output"


def test_supports_come_from_the_training_part(evaluate: Evaluate, table: Path) -> None:
    head, *rows = table.read_text().splitlines()
    parts = ["train" if place % 3 else "test" for place in range(len(rows))]
    lines = [f"{row},{part}" for row, part in zip(rows, parts, strict=True)]
    table.write_text("\n".join([f"{head},part", *lines]) + "\n")
    found = evaluate(methods=QUICK, support=(16,), split_column="part")
    assert found["assays_measured"] == {"16": 2}
    table.write_text("\n".join([f"{head},part", *(f"{row},train" for row in rows)]) + "\n")
    with pytest.raises(InputError, match=r"column 'part' marks no row as test"):
        evaluate(methods=QUICK, split_column="part")


def test_what_cannot_be_done_is_said(evaluate: Evaluate, table: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no assay is large enough \(A1: 64: 48 molecules are fewer than 64\)"
    ):
        evaluate(methods=QUICK, support=(64,))
    with pytest.raises(ModelError):
        evaluate(model=str(tmp_path / "none"))
    out = tmp_path / "taken.json"
    out.write_text("{}")
    with pytest.raises(OutputError, match=r"taken.json exists; use --overwrite to replace it"):
        evaluate(output=str(out), overwrite=False)
    with pytest.raises(OutputError, match="is the input"):
        evaluate(output=str(table))


def test_means_are_over_draws_then_assays(evaluate: Evaluate) -> None:
    found = evaluate(methods=QUICK, support=(16,), seeds=3)
    each = [one["auroc"] for one in found["assays"] if one["method"] == "neighbours"]
    assert value(found, "neighbours", 16, "auroc")["value"] == pytest.approx(np.mean(each))
