"""A result says what it was measured on, and how sure it is."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

Load = Callable[[str], ModuleType]


def test_a_result_holds_options_but_no_paths(load: Load, tmp_path: Path) -> None:

    options = argparse.Namespace(
        json=tmp_path / "made" / "r.json",
        model="a/b",
        data=tmp_path,
        seed=3,
        only="x",
        where="/etc",
        device="cpu",
    )
    measured = load("measured").Measured("probes", None, options, "name")
    measured.keep(rows=[1])
    kept = json.loads(options.json.read_text())
    assert kept["options"] == {"seed": 3, "only": "x", "device": "cpu"}
    assert (kept["benchmark"], kept["model"], kept["rows"]) == ("probes", "name", [1])
    assert str(tmp_path) not in options.json.read_text()


def test_intervals_of_means(load: Load) -> None:
    measured = load("measured")
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    low, high = measured.mean_interval(values)
    assert (low, high) == pytest.approx((values.mean() - 1.96 * 0.05, values.mean() + 1.96 * 0.05), abs=0.02)
    assert np.isnan(measured.mean_interval(np.ones(1))).all()
