"""Made-up assays, a learner of random weights, and a shorthand for evaluations of both."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.directory import save_in_context
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.fewshot.run import evaluate_fewshot

HEADER = "assay_id,smiles,property,regression_property,log_regression_property,relation"
CORES = ["C", "CC", "CCC", "CCCC", "C1CCCCC1", "c1ccccc1", "c1ccncc1", "CC(C)", "CC(C)C", "CCOC"]
ENDS = ["O", "N", "C(=O)O", "F", "Cl", "S", "C#N", "OC"]


@pytest.fixture(scope="session")
def learner(tiny_models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Save a small learner with random weights; return its directory."""
    folder = tmp_path_factory.mktemp("learner") / "small"
    torch.manual_seed(3)
    config = InContextConfig(
        encoder=tiny_models["smiles"], embedding=16, bits=64, hidden=32, dim=16, blocks=2, heads=2
    )
    save_in_context(InContextModel(config, "small"), folder)
    return str(folder)


def assay_lines(name: str, seed: int = 0, rows: int = 48) -> list[str]:
    """Write an assay in which one end of a molecule decides; every seventh value is bounded from above."""
    draw = np.random.default_rng(seed)
    active = set(draw.choice(len(ENDS), 4, replace=False).tolist())
    lines = []
    for place in draw.permutation(len(CORES) * len(ENDS))[:rows].tolist():
        core, end = divmod(place, len(ENDS))
        number = 5.0 + 2.0 * (end in active) + 0.1 * core
        relation = ">" if place % 7 == 0 else "="
        lines.append(
            f"{name},{CORES[core]}{ENDS[end]},{float(end in active)},{10 ** (9 - number)},{number},{relation}"
        )
    return lines


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Write a table of three assays, of which the last is small."""
    lines = [*assay_lines("A1"), *assay_lines("A2", 1), *assay_lines("B", 2, rows=14)]
    path = tmp_path / "assays.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


@pytest.fixture
def evaluate(table: Path, learner: str, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that evaluates the table and returns what was written as JSON."""

    def run(**options: Any) -> Any:
        output = tmp_path / "out.json"
        settings = {"input": str(table), "output": str(output), "model": learner, "support": (8, 16)}
        settings |= {"seeds": 2, "quiet": True, "bootstrap": 100, "overwrite": True}
        evaluate_fewshot(FewshotRequest(**(settings | options)), lambda line: None)
        return json.loads(output.read_text())

    return run
