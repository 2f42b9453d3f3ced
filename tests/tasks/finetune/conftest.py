"""Small assays with an answer that can be learned, and a shorthand for requests."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.tasks.finetune.request import FinetuneRequest


def molecules(count: int, seed: int = 0) -> list[str]:
    """Make chains of carbon with some oxygen and nitrogen, all of them different."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        length = int(rng.integers(3, 14))
        found["C" + "".join(rng.choice(list("CCCON"), length)) + "C"] = None
    return list(found)


def oxygens(smiles: str) -> float:
    """Return what the assays measure."""
    return smiles.count("O") - 0.5 * smiles.count("N") + 0.1 * len(smiles)


def write_table(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write a CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


ASSAYS: dict[str, Callable[[str], list[Any]]] = {
    "regression": lambda smiles: [f"{oxygens(smiles):.4f}"],
    "ranking": lambda smiles: [f"{oxygens(smiles):.4f}"],
    "binary": lambda smiles: ["active" if "O" in smiles else "inactive"],
    "multiclass": lambda smiles: [("no", "one", "several")[min(smiles.count("O"), 2)]],
    "multilabel": lambda smiles: [int("O" in smiles), "" if len(smiles) % 5 == 0 else int("N" in smiles)],
    "per_token": lambda smiles: [smiles.replace("C", "a").replace("O", "b").replace("N", "b")],
}  # fmt: skip


@pytest.fixture
def ask_finetune(tiny_models: dict[str, str], tmp_path: Path) -> Callable[..., FinetuneRequest]:
    """Return a function that writes an assay of a task and asks for a model of it."""

    def make(task: str = "regression", rows: int = 60, **options: Any) -> FinetuneRequest:
        texts = molecules(rows)
        first = ASSAYS[task](texts[0])
        names = ["smiles", *(f"y{number}" for number in range(len(first)))]
        path = write_table(tmp_path / f"{task}.csv", names, [[one, *ASSAYS[task](one)] for one in texts])
        defaults = {
            "input": str(path),
            "output": str(tmp_path / "model"),
            "model": tiny_models["smiles"],
            "task": task,
            "targets": tuple(names[1:]),
            "bootstrap": 0,
            "baselines": False,
            "head": "linear",
            "epochs": 2 if options.get("method", "head") != "head" else FinetuneRequest.epochs,
            "fractions": (0.6, 0.2, 0.2),
        }
        return FinetuneRequest(**(defaults | options))

    return make
