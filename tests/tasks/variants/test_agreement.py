"""Agreement with measured values: numbers computed by hand, and those that are not defined."""

import json
from pathlib import Path

import numpy as np

from bio_xlstm.tasks.variants.agreement import agreement_of, agreement_path, compare, store_agreement

NAMES = ("DMS_score", "DMS_score_bin")


def test_numbers_by_hand() -> None:
    values = np.array([1.0, 2, 3, 4, np.nan, 9])
    measured = np.array([10.0, 30, 20, 40, 50, np.nan])
    classes = np.array([0.0, 1, 0, 1, 1, 1])
    found = compare(values, measured, classes, NAMES)
    assert found.rows == 4 and found.divided_by == "DMS_score_bin"
    # one of the six pairs is out of order: 1 - 6 * 2 / (4 * 15)
    assert found.spearman is not None and abs(found.spearman - 0.8) < 1e-12
    # three of the four pairs of a high and a low one are in order
    assert found.auc == 0.75
    # values from 2.5 up are high: one right and one wrong on each side
    assert found.mcc == 0
    assert found.line() == (
        "DMS_score: Spearman 0.800, AUC 0.750, MCC 0.000 (4 rows; high and low by DMS_score_bin; "
        "1 row without a measured number left out)"
    )


def test_cells_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    cells = ["1.5", "abc", "inf", "nan", "", "2", "3"]
    lines = [f"{cell},{place},{'error' if cell == '3' else 'ok'}" for place, cell in enumerate(cells)]
    (tmp_path / "out.csv").write_text("\n".join(["DMS_score,ratio,status", *lines]) + "\n")
    found = agreement_of(tmp_path / "out.csv", "csv", "ratio", "status", ("DMS_score", None))
    assert (found.rows, found.left_out) == (2, 4)
    assert "(2 rows; high and low by its median; 4 rows without a measured number left out)" in found.line()
    store_agreement(found, tmp_path / "out.csv")
    assert json.loads(agreement_path(tmp_path / "out.csv").read_text())["left_out"] == 4


def test_one_row_is_one_row() -> None:
    assert "(1 row; high" in compare(np.ones(1), np.ones(1), None, ("x", None)).line()


def test_without_classes_the_median_divides() -> None:
    found = compare(np.arange(6.0), np.arange(6.0), None, ("DMS_score", None))
    assert (found.spearman, found.auc, found.mcc, found.divided_by) == (1, 1, 1, "its median")


def test_what_is_not_defined_is_none() -> None:
    for values, measured in (([1.0, 1, 1], [1.0, 2, 3]), ([1.0, 2], [1.0, 2]), ([], [])):
        found = compare(np.array(values), np.array(measured), None, ("x", None))
        assert found.spearman is None
    constant = compare(np.arange(4.0), np.ones(4), np.ones(4), ("x", "y"))
    assert constant.auc is None and "AUC undefined" in constant.line()
