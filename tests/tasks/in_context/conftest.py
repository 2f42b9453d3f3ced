"""Small tables of made-up assays."""

from pathlib import Path

import numpy as np
import pytest

HEADER = (
    "split\tassay_id\tsmiles\tproperty\tregression_property\tlog_regression_property\trelation\tassay_type"
)
CORES = ["C", "CC", "CCC", "CCCC", "C1CCCCC1", "c1ccccc1", "c1ccncc1", "CC(C)", "CC(C)C", "CCOC"]
ENDS = ["O", "N", "C(=O)O", "F", "Cl", "S", "C#N", "OC"]


def write_assays(path: Path, names: list[str], seed: int = 0, rows: int = 48, start: str = "") -> Path:
    """Write assays in each of which one end of a molecule decides; all molecules begin with `start`."""
    draw = np.random.default_rng(seed)
    lines = [HEADER]
    for name in names:
        active = set(draw.choice(len(ENDS), 4, replace=False).tolist())
        chosen = draw.permutation(len(CORES) * len(ENDS))[:rows]
        for place in chosen.tolist():
            core, end = divmod(place, len(ENDS))
            value = 5.0 + 2.0 * (end in active) + 0.1 * core
            label = float(end in active)
            relation = ">" if place % 7 == 0 else "="
            lines.append(f"x\t{name}\t{start}{CORES[core]}{ENDS[end]}\t{label}\t1.0\t{value}\t{relation}\tB")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """Write a recipe of a very small learner, with its data beside it."""
    write_assays(tmp_path / "train.tsv", [f"T{number}" for number in range(12)])
    write_assays(tmp_path / "valid.tsv", ["V1", "V2"], seed=1, start="BrC")
    path = tmp_path / "small-icl.toml"
    path.write_text(
        """
name = "small-icl"
description = "A learner for tests."
licence = "Apache-2.0"
[model]
family = "in_context"
bits = 256
prints = 256
reference = 20
hidden = 64
dim = 32
blocks = 1
heads = 2
[data]
train = "train.tsv"
validation = "valid.tsv"
licence = "made up"
[training]
steps = 12
weighing_steps = 0
warmup = 2
examples = 120
supports = [4, 8]
queries = 8
checkpoint_every = 4
validate_every = 6
"""
    )
    return path
