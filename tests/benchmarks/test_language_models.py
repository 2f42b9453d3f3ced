"""An xLSTM and its peers are trained alike."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import bio_xlstm as bx

Run = Callable[..., str]
Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("causal", (True, False))
@pytest.mark.parametrize("kind", ("lstm", "transformer"))
def test_peers_keep_windows_apart(load: Load, kind: str, causal: bool) -> None:
    peers = load("language_model_peers")
    more = {} if kind == "lstm" else {"heads": 2}
    model = getattr(peers, f"fitting_{kind}")(60_000, 11, layers=2, causal=causal, **more).eval()
    assert abs(model.parameter_count / 60_000 - 1) < 0.03
    lengths = (5, 1, 17, 9, 2)
    borders = torch.tensor([0, *lengths]).cumsum(0).int()
    tokens, places = torch.randint(11, (2, 1, sum(lengths)))
    for told in (None, places):
        whole = model(tokens, borders, told)
        for begin, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
            alone = torch.tensor([0, end - begin], dtype=torch.int32)
            one = model(tokens[:, begin:end], alone, None if told is None else told[:, begin:end])
            assert torch.allclose(one, whole[:, begin:end], atol=1e-5)
    changed = tokens.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 11
    moved = (model(changed, borders) - model(tokens, borders)).abs().sum(-1)[0] > 1e-6
    # the third window holds tokens 6 to 22
    assert moved.nonzero()[:, 0].tolist() == list(range(10 if causal else 6, 23))


def test_windows_of_like_length_are_read_together(load: Load) -> None:
    lengths = torch.tensor([3, 100, 51, 50, 7, 1])
    groups = [sorted(group.tolist()) for group in load("language_model_peers").alike(lengths)]
    assert groups == [[1, 2], [3], [4], [0], [5]]


def test_rates_are_tried_until_the_best_stands_between_two(load: Load) -> None:
    next_rate = load("equal_training").next_rate

    def tried(loss: Callable[[float], float]) -> list[float]:
        trials: dict[float, float] = {}
        while (rate := next_rate(trials, 8.0, 2.0)) is not None:
            trials[rate] = loss(rate)
        return list(trials)

    assert tried(lambda rate: abs(rate - 16)) == [8, 16, 32]
    assert tried(lambda rate: abs(rate - 5)) == [8, 16, 4, 2]
    assert tried(lambda rate: float("nan") if rate > 2 else -rate) == [8, 4, 2, 1]
    assert len(tried(lambda rate: -rate)) == 6


def test_a_trial_keeps_the_shape_of_the_schedule(load: Load) -> None:
    from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

    settings = TrainingSettings(steps=1000, warmup=100, learning_rate=4e-3, final_learning_rate=4e-4)
    found = load("equal_training").shortened(settings, 50, 1e-3)
    assert (found.steps, found.warmup) == (50, 5)
    assert found.final_learning_rate == pytest.approx(1e-4)


def test_the_xlstm_is_trained_as_by_pretrain(load: Load, molecules: Path) -> None:
    from bio_xlstm.tasks.pretrain.corpus import prepare
    from bio_xlstm.tasks.pretrain.run import pretrain
    from bio_xlstm.tasks.pretrain.settings import read_recipe

    training, recipe = load("equal_training"), read_recipe(molecules)
    corpus = prepare(recipe, molecules.parent, molecules.parent / "cache")
    contender = training.xlstm(recipe, training.Sizes(1, 1), recipe.training.seed)
    order = training.training_data(recipe, corpus, recipe.training.seed).order
    assert len(list(training.train(contender, order, recipe.training, "cpu"))) == 4
    pretrain(recipe, molecules.parent, molecules.parent / "run", cache=molecules.parent / "cache")
    wanted = bx.load(str(molecules.parent / "run")).state_dict()
    for name, weight in contender.model.state_dict().items():
        assert torch.allclose(weight, wanted[name], atol=1e-6), name


DNA = {
    "causal": 'family = "dna"',
    "masked": 'family = "dna"\nobjective = "masked"\ndirection = "shared"\nreverse_complement = "equivariant"',
}


@pytest.mark.parametrize("objective", ("causal", "masked"))
def test_a_comparison_is_continued(shop: Any, run: Run, tmp_path: Path, objective: str) -> None:
    shop.fasta("d.fna", 30, "ACGT", 60)
    domains = shop.domain("known", "d.fna", held_out=0.2, test=0.2)
    recipe = shop.recipe("dna", DNA[objective], domains)
    file = tmp_path / "r.json"
    command = ("language_models", recipe, "--data", tmp_path, "--cache", tmp_path / "cache", "--json", file)
    assert "Not all models are trained yet" in run(*command, "--only", "LSTM")
    first = json.loads(file.read_text())
    text = run(*command)
    kept = json.loads(file.read_text())
    assert kept["rows"][0] == first["rows"][0] and kept["trials"]["LSTM"] == first["trials"]["LSTM"]
    assert {row["model"] for row in kept["rows"]} == {"xLSTM", "LSTM", "Transformer"}
    assert kept["part"] == "test" and len({row["tokens"] for row in kept["rows"]}) == 1
    sizes = [row["parameters"] for row in kept["rows"]]
    assert max(sizes) < 1.05 * min(sizes)
    assert ("bits per masked base" if objective == "masked" else "bits per base") in text.lower()
    with pytest.raises(SystemExit, match="holds another comparison"):
        run(*command, "--steps", 9)


def test_a_comparison_says_who_wins(load: Load) -> None:
    verdict = load("language_models").verdict
    means = {"xLSTM": {"a": 1.0, "b": 2.0}, "LSTM": {"a": 1.1, "b": float("inf")}}
    assert verdict(means) == "The xLSTM is best on all of 2 domains."
    means["Transformer"] = {"a": 0.9, "b": 2.5}
    assert verdict(means) == "The xLSTM is not best on a (Transformer is)."


def test_a_recipe_that_holds_nothing_out_says_so(shop: Any, run: Run, tmp_path: Path) -> None:
    shop.fasta("d.fna", 20, "ACGT", 20)
    recipe = shop.recipe("dna", DNA["causal"], shop.domain("known", "d.fna", test=0.3))
    with pytest.raises(SystemExit, match="holds nothing out: no learning rate can be chosen"):
        run("language_models", recipe, "--data", tmp_path, "--cache", tmp_path / "cache")
