"""A corpus of a few molecules and recipes of seconds, shared by the tests of training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MOLECULES = ["CCO", "c1ccccc1", "CC(=O)O", "CCN(CC)CC", "O=C=O", "C#N", "ClCCl", "n1ccccc1"]


@pytest.fixture
def molecules() -> list[str]:
    """Return what there is to train on."""
    return MOLECULES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write the data of `recipe` into an empty folder."""
    (tmp_path / "m.smi").write_text("\n".join(MOLECULES) + "\n")
    (tmp_path / "other.smi").write_text("\n".join(f"{'C' * n}Br" for n in range(1, 9)) + "\n")
    return tmp_path


@pytest.fixture(scope="session")
def recipe_table() -> Callable[..., dict[str, Any]]:
    """Return a function that describes a run of seconds; keywords change [training] or, in `model`, [model]."""

    def make(model: dict[str, Any] | None = None, **training: Any) -> dict[str, Any]:
        settings = {"steps": 8, "batch_tokens": 32, "learning_rate": 1e-2, "accelerator": "cpu"}
        settings["warmup"] = min(2, training.get("steps", 8) - 1)
        every = {"validate_every": 3, "checkpoint_every": 3, "log_every": 2, "threads": 1}
        domains = [
            {"name": "known", "files": ["m.smi"], "licence": "none needed"},
            {"name": "unseen", "files": ["other.smi"], "held_out": 1.0},
        ]
        return {
            "name": "tiny",
            "model": {"family": "chem", "dim": 32, "blocks": 1, "heads": 2, **(model or {})},
            "data": {"kind": "smiles", "window": 16, "domains": domains},
            "training": settings | every | training,
        }

    return make


@pytest.fixture(scope="session")
def recipe(recipe_table: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """Return a function that makes such a recipe."""
    from bio_xlstm.tasks.pretrain.settings import parse_recipe

    return lambda **changes: parse_recipe(recipe_table(**changes))


@pytest.fixture(scope="session")
def weights() -> Callable[[Path], dict[str, Any]]:
    """Return a function that reads the weights of a run's last checkpoint, in the precision they were trained in."""
    import torch

    def read(directory: Path) -> dict[str, Any]:
        checkpoint = torch.load(directory / "training" / "last.ckpt", weights_only=True)
        return dict(checkpoint["state_dict"])

    return read


@pytest.fixture(scope="session")
def assert_same(weights: Callable[[Path], dict[str, Any]]) -> Callable[..., None]:
    """Return a function that compares the weights of two runs, bit for bit or up to a tolerance."""

    def check(one: Path, other: Path, tolerance: float = 0.0) -> None:
        expected, found = weights(one), weights(other)
        assert expected.keys() == found.keys()
        for name, weight in expected.items():
            assert (weight - found[name]).abs().max() <= tolerance, name

    return check


@pytest.fixture(scope="session")
def write_recipe(recipe_table: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Return a function that writes such a recipe into a folder."""

    def write(folder: Path, **changes: Any) -> Path:
        table = recipe_table(**changes)
        domains = table["data"].pop("domains")
        lines = [f"name = {json.dumps(table['name'])}"]
        for section in ("model", "data", "training"):
            lines += [f"[{section}]", *_lines(table[section])]
        for domain in domains:
            lines += ["[[data.domains]]", *_lines(domain)]
        path = folder / "tiny.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]
