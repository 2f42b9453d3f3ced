"""Whoever has the code alone can find out what else it needs: data, extras, folders."""

import csv
import os
import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bio_xlstm.tasks.in_context.recipe import is_learner_recipe, read_learner_recipe
from bio_xlstm.tasks.pretrain.settings import read_recipe


def sources(root: Path) -> list[dict[str, str]]:
    """Read the table of data files."""
    with (root / "recipes" / "sources.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def files_of(path: Path) -> list[str]:
    """Return the data files that a recipe names."""
    if is_learner_recipe(path):
        data = read_learner_recipe(path).data
        return [data.train, data.validation, *data.held_apart]
    return [name for domain in read_recipe(path).data.domains for name in domain.files]


def test_every_file_of_a_recipe_has_a_source(root: Path) -> None:
    known = [row["file"] for row in sources(root)]
    for path in (root / "recipes").glob("*.toml"):
        for name in files_of(path):
            assert any(fnmatch(file, name) for file in known), name


def test_every_file_of_labelled_sets_has_a_source(root: Path) -> None:
    known = [row["file"] for row in sources(root)]
    named = re.findall(r'data / f?"([^"]+)"', (root / "benchmarks" / "labelled_sets.py").read_text())
    assert named
    for name in named:
        assert any(fnmatch(file, re.sub(r"\{\w+\}", "*", name)) for file in known), name


def test_sources_are_complete(root: Path) -> None:
    rows = sources(root)
    assert len({row["file"] for row in rows}) == len(rows)
    for row in rows:
        assert all(row.values()) and row["repository"].startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", row["sha256_unpacked"]), row["file"]


def test_extras_that_are_named_exist(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    folders = ("bio_xlstm", "kernels", "tasks", "cli", "benchmarks", "docs", "examples", "recipes")
    paths = [
        path for folder in folders for path in (root / folder).rglob("*") if path.suffix in (".py", ".md")
    ]
    found = 0
    for path in [*paths, root / "README.md", root / "CONTRIBUTING.md"]:
        for name in re.findall(r"bio-xlstm\[([^\]]+)\]", path.read_text(encoding="utf-8")):
            found += 1
            assert set(name.split(",")) <= set(extras), f"{path}: {name}"
    assert found


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_says_what_the_cards_need(root: Path) -> None:
    # as if the environment were made: nothing is installed by a test
    command = ["make", "-C", str(root), "cards", "READY="]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "DATA": ""}
    )
    assert done.returncode == 2 and "make cards DATA=FOLDER: the folder of the data" in done.stderr
