"""Recipes: what is read, and every message about what is wrong."""

from pathlib import Path

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.in_context.recipe import is_learner_recipe, read_learner_recipe
from bio_xlstm.tasks.pretrain.settings import parse_recipe, read_recipe, with_overrides

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.toml"))


def table(**changes) -> dict:
    """Describe a small correct recipe; keywords like data__window replace one value, None removes it."""
    whole: dict = {
        "model": {"family": "protein", "dim": 32},
        "data": {"kind": "protein", "domains": [{"name": "a", "files": ["a.fasta"]}]},
        "training": {"steps": 10},
    }
    for key, value in changes.items():
        *path, last = key.split("__")
        place = whole
        for part in path:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return whole


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    read = read_learner_recipe if is_learner_recipe(path) else read_recipe
    assert read(path).name == path.stem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"speed": 3},
            r"the recipe has no key speed; known: data, description, licence, model, name, training",
        ),
        ({"model": None}, r"section \[model\] is missing"),
        ({"model__family": None}, r"\[model\] needs a family"),
        ({"data__windows": 3}, r"\[data\] has no key windows; known: .*window"),
        (
            {"data__domains": [{"name": "a", "file": "x"}]},
            r"\[\[data.domains\]\] has no key file; known: files",
        ),
        ({"data__domains": [{"name": "a"}]}, r"\[\[data.domains\]\] is incomplete: .*files"),
        ({"data__domains": []}, r"needs at least one \[\[data.domains\]\]"),
        ({"data__domains": "x"}, r"domains are written as \[\[data.domains\]\]"),
        ({"data__domains": [{"name": "a", "files": ["x"]}] * 2}, r"domain names repeat: a, a"),
        ({"name": 3}, r"name must be text, not 3"),
        ({"licence": ["MIT"]}, r"licence must be text, not \['MIT'\]"),
        ({"data__domains": ["x"]}, r"domains are written as \[\[data.domains\]\]"),
        ({"data__split": "luck"}, r"split must be one of hash, scaffold, families, tail, not 'luck'"),
        ({"data__window": "long"}, r"\[data\] window must be a whole number, not 'long'"),
        ({"data__window": 1}, r"window must be at least 2 tokens, not 1"),
        ({"training__steps": 0}, r"steps must be at least 1, not 0"),
        ({"training__learning_rate": "high"}, r"learning_rate must be a number, not 'high'"),
        ({"training__betas": 0.9}, r"betas must be a list, not 0.9"),
        ({"training__schedule": "saw"}, r"schedule must be one of cosine, constant, not 'saw'"),
        ({"training__batch_tokens": 100}, r"batch_tokens \(100\) must hold one window of 1024 tokens"),
    ],
)
def test_every_mistake_is_named(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_recipe(table(**changes))


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe .*none.toml: No such file"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(ConfigError, match=r"bad.toml is not valid TOML"):
        read_recipe(tmp_path / "bad.toml")


def test_overrides_replace_training_settings_only() -> None:
    recipe = parse_recipe(table())
    changed = with_overrides(recipe, steps=20, seed=None)
    assert (changed.training.steps, changed.training.seed) == (20, recipe.training.seed)
    assert changed.identity() == recipe.identity()  # a longer schedule continues the same run
    assert with_overrides(recipe, seed=1).identity() != recipe.identity()


def test_the_corpus_key_ignores_what_only_training_uses() -> None:
    recipe = parse_recipe(table())
    assert parse_recipe(table(data__window=64, training__steps=3)).corpus_key() == recipe.corpus_key()
    assert parse_recipe(table(data__seed=5)).corpus_key() != recipe.corpus_key()


def test_a_recipe_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="recipe .*none.toml: No such file"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(ConfigError, match="recipe .*bad.toml is not valid TOML"):
        read_recipe(tmp_path / "bad.toml")
    (tmp_path / "thin.toml").write_text("[model]\n[data]\n")
    with pytest.raises(ConfigError, match=r"recipe .*thin.toml: section \[training\] is missing"):
        read_recipe(tmp_path / "thin.toml")


def test_an_incomplete_section_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\[\[data.domains\]\] is incomplete: "):
        parse_recipe({"model": {}, "data": {"domains": [{}]}, "training": {}})
