"""Finished runs, and a reader that knows whether a document is well formed."""

import csv
import json
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.tasks.assay.metrics.measure import measure
from bio_xlstm.tasks.assay.task import Task

VOID = ("meta", "br", "col")
HOSTILE = "<script>alert(1)</script>\"'&"
MOLECULES = ("CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "CCN(CC)CC", "OC(=O)CCl", "CCCCCC")


class Document(HTMLParser):
    """Hold the elements of a document; an end that fits no beginning is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of all elements of a name."""
        return [attributes for name, attributes in self.found if name == tag]

    @property
    def text(self) -> str:
        """Return what is read."""
        return " ".join("".join(self.texts).split())


def _write(path: Path, lines: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


def _metrics(task: Task, values: np.ndarray, predicted: np.ndarray) -> list[dict[str, Any]]:
    found = measure(task, values, predicted, bootstrap=50)
    return [
        {name: getattr(one, name) for name in ("metric", "value", "low", "high", "note")} for one in found
    ]


Make = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    """Return a function that writes the files of a finished run of numbers, as good as `noise` is small."""

    def make(
        rows: int = 60,
        noise: float = 0.3,
        baseline_noise: float = 1.0,
        target: str = "y",
        sequences: Sequence[str] = MOLECULES,
        kind: str = "smiles",
    ) -> Path:
        rng = np.random.default_rng(0)
        task = Task("regression", (target,))
        values = rng.normal(size=(rows, 1))
        predicted, simple = (
            values + size * rng.normal(size=values.shape) for size in (noise, baseline_noise)
        )
        parts = ["test" if row % 2 else "train" for row in range(rows)]
        tested = np.array([row for row in range(rows) if parts[row] == "test"])
        names = [f"predicted_{target}", f"lower_{target}", f"upper_{target}", f"uncertainty_{target}"]
        header = ["row", "part", "smiles", target, *names, "similarity", "in_domain", "status", "detail"]
        lines: list[list[Any]] = [header]
        rest = [0.5, 0.7, "yes", "ok", ""]
        for row in range(rows):
            y, said = values[row, 0], predicted[row, 0]
            lines.append(
                [row, parts[row], sequences[row % len(sequences)], y, said, said - 1, said + 1, *rest]
            )
        lines.append([rows, "", HOSTILE, *[""] * 7, "invalid_smiles", HOSTILE])
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        _write(folder / "predictions.csv", lines)
        _write(
            folder / "baselines.csv",
            [["row", f"simple: {target}"], *([row, simple[row, 0]] for row in tested)],
        )
        own, other = (_metrics(task, values[tested], one[tested]) for one in (predicted, simple))
        sizes = {"train": rows - len(tested), "validation": 0, "test": len(tested)}
        record = {
            "task": {"name": task.name, "targets": [target], "classes": []},
            "kind": kind,
            "model": "chem-small",
            "method": "head",
            "test": own,
            "validation": [],
            "baselines": {"simple": {"words": "a simple model", "test": other}},
            "learning_curve": [{"rows": size, "metric": "spearman", "value": size / 100} for size in (20, 40)],
            "coverage": {"promised": 0.9, "measured": {target: 0.91}, "mean_width": {target: 2.0}},
            "calibration": {"intervals": {"coverage": 0.9, "radii": [2.0], "normalised": True}},
            "domain_threshold": 0.3,
            "split": {"method": "random", "sizes": sizes, "notes": []},
            "leakage": {
                "leaks": [{"what": "exact", "words": "are known", "count": 0, "looked_at": 30, "examples": []}],
                "nearest": [place / 10 for place in range(11)],
                "lines": ["none of 30 test sequences repeats or resembles what is trained on"],
            },
            "audit": {
                "input_rows": rows + 1, "used": rows, "statuses": {"ok": rows, "invalid_smiles": 1}, "duplicates": 3,
                "canonical_duplicates": 4, "conflicting": 1, "conflict_examples": [[0, 6]], "missing": {target: 0},
                "constant": [], "class_counts": {}, "lengths": [3, 9, 18], "value_range": {target: [-2, 0, 2]},
                "notes": [f"a note about {target}"], "lines": [],
            },
            "members": [{"seed": 0, "round": 0, "head": {}, "sees": f"embedding of layer 3 + {HOSTILE}"}],
            "seed": 0,
            "settings": {"input": "/data/assay.csv", "bootstrap": 50, "targets": [target], "model": None},
        }  # fmt: skip
        (folder / "metrics.json").write_text(json.dumps(record))
        about = {
            "format": 1, "version": "0.0.1", "task": record["task"], "members": 1, "sequence_column": "smiles",
            "calibration": record["calibration"],
        }  # fmt: skip
        (folder / "finetune.json").write_text(json.dumps(about))
        return folder

    return make
