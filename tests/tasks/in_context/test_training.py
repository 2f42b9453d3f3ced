"""Training: a stopped run ends as an undisturbed one, learns, and refuses what does not fit."""

from pathlib import Path

import pytest
import torch

from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.tasks.in_context.recipe import is_learner_recipe, read_learner_recipe
from bio_xlstm.tasks.in_context.training import train_learner
from bio_xlstm.tasks.pretrain.stop_request import StopRequest

from .conftest import write_assays


class StopAfter(StopRequest):
    """Ask to stop at some step, as a signal would."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def asked(self) -> bool:
        """Say yes after some looks."""
        self.looks -= 1
        return self.looks < 0

    @asked.setter
    def asked(self, value: bool) -> None:
        """Take no notice."""


def test_a_stopped_run_ends_as_an_undisturbed_one(recipe_file: Path) -> None:
    """Weights are equal bit for bit, and so is the log."""
    recipe, data = read_learner_recipe(recipe_file), recipe_file.parent
    cache = data / "cache"
    whole = train_learner(recipe, data, data / "whole", cache=cache)
    assert whole.written
    assert set(whole.held_out) == {"delta_auc_pr_16", "delta_auc_pr_64"}
    stopped = train_learner(recipe, data, data / "parts", cache=cache, stop=StopAfter(7))
    assert (stopped.steps, stopped.written) == (7, False)
    again = train_learner(recipe, data, data / "parts", cache=cache)
    assert (again.steps, again.written) == (12, True)
    one, other = (load_in_context(data / name) for name in ("whole", "parts"))
    assert one.weight_hash() == other.weight_hash()
    assert "trained on" in (data / "whole" / "README.md").read_text()
    assert (data / "whole" / "training" / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="finished model"):
        train_learner(recipe, data, data / "whole", cache=cache)


def test_another_recipe_does_not_go_on(recipe_file: Path) -> None:
    """A checkpoint of another recipe is refused."""
    data = recipe_file.parent
    train_learner(
        read_learner_recipe(recipe_file), data, data / "out", cache=data / "cache", stop=StopAfter(4)
    )
    with pytest.raises(ConfigError, match="another recipe"):
        train_learner(read_learner_recipe(recipe_file, seed=5), data, data / "out", cache=data / "cache")


def test_it_learns_to_learn(recipe_file: Path) -> None:
    """After some steps on assays in which one group decides, unseen assays of the kind are answered well."""
    data = recipe_file.parent
    write_assays(data / "train.tsv", [f"T{number}" for number in range(60)])
    recipe = read_learner_recipe(recipe_file, steps=150, learning_rate=3e-3)
    found = train_learner(recipe, data, data / "out", cache=data / "cache")
    assert found.held_out["delta_auc_pr_16"] > 0.15


def test_evaluation_assays_are_kept_apart(recipe_file: Path) -> None:
    """A table that shares an assay with the validation table is refused: it would be looked at and learned."""
    data = recipe_file.parent
    table = (data / "valid.tsv").read_text()
    (data / "valid.tsv").write_text(table.replace("\tV1\t", "\tT3\t"))
    with pytest.raises(ConfigError, match="'T3' is in the training and the validation table"):
        train_learner(read_learner_recipe(recipe_file), data, data / "out", cache=data / "cache")


def test_molecules_that_are_evaluated_are_not_trained_on(recipe_file: Path) -> None:
    """Neither those of the validation table nor those of the files held apart, however they are spelled."""
    from bio_xlstm.tasks.in_context.assays import molecules_in
    from bio_xlstm.tasks.in_context.training import _new_model, _prepare

    data = recipe_file.parent
    (data / "later.csv").write_text("name,smiles\na,OCCC\nb,N#CC(C)C\nc,no molecule\n")
    rows = (data / "valid.tsv").read_text().splitlines()
    # one molecule of the training table in the validation table, spelled from its other end
    (data / "valid.tsv").write_text("\n".join([*rows, "x\tV1\tNCC\t1\t1\t7\t=\tB"]) + "\n")
    recipe_file.write_text(recipe_file.read_text().replace("[data]", '[data]\nheld_apart = ["later.csv"]'))
    recipe = read_learner_recipe(recipe_file)
    corpus = _prepare(recipe, _new_model(recipe), data, data / "cache")
    (data / "seen.smi").write_text("\n".join(corpus.train.smiles))
    seen = molecules_in([data / "seen.smi"])
    assert len(seen) == len(corpus.train.smiles) == 77
    assert not seen & {"CCCO", "CC(C)C#N", "CCN"}
    assert corpus.train.apart > 3


def test_known_molecules_stay_where_that_is_asked_for(recipe_file: Path, root: Path) -> None:
    """As in the official folds of FS-Mol; the bundled learner does not ask for it."""
    from bio_xlstm.tasks.in_context.card import learner_card
    from bio_xlstm.tasks.in_context.training import _new_model, _prepare

    assert not read_learner_recipe(root / "recipes" / "chem-icl.toml").data.known_molecules
    data = recipe_file.parent
    write_assays(data / "valid.tsv", ["V1"], seed=1)
    plain = recipe_file.read_text()
    train, weighed = {}, {}
    for known in (False, True):
        recipe_file.write_text(plain.replace("[data]", f"[data]\nknown_molecules = {str(known).lower()}"))
        recipe = read_learner_recipe(recipe_file, weighing_steps=5)
        corpus = _prepare(recipe, _new_model(recipe), data, data / "cache")
        train[known] = {int(row) for one in corpus.train.assays for row in one.molecules}
        weighed[known] = {int(row) for one in corpus.weighed for row in one.molecules}
        assert (corpus.train.apart > 0) is not known
        card = learner_card(recipe, corpus.train, len(corpus.weighed), {})
        assert ("their molecules stand in training assays, too" in card) is known
        assert ("none of their molecules was trained on before" in card) is not known
    assert weighed[True] & train[True] and not weighed[False] & train[False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 12", "stepps = 12", "no setting 'stepps'"),
        ("steps = 12", 'steps = "many"', "steps cannot be 'many'"),
        ("warmup = 2", "warmup = 40", "warmup"),
        ("supports = [4, 8]", 'supports = ["four"]', "supports cannot be"),
        ("steps = 12", "steps = true", "steps cannot be True"),
        ("supports = [4, 8]", "supports = [1]", "supports"),
        ("examples = 120", "examples = 9", "examples"),
        ("bits = 256", "bits = 0", "bits"),
        ('train = "train.tsv"', "", "train"),
        ("[training]", "[trainings]", "trainings"),
    ],
)
def test_recipes_that_make_no_sense(recipe_file: Path, old: str, new: str, message: str) -> None:
    """The setting is named."""
    recipe_file.write_text(recipe_file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_learner_recipe(recipe_file)


def test_recipes_are_told_apart(recipe_file: Path, root: Path) -> None:
    """A recipe of a language model is not one of a learner, nor is a file that cannot be read."""
    assert is_learner_recipe(recipe_file)
    assert is_learner_recipe(root / "recipes" / "chem-icl.toml")
    assert not is_learner_recipe(root / "recipes" / "chem-small.toml")
    assert not is_learner_recipe(recipe_file.parent / "nowhere.toml")
    read_learner_recipe(root / "recipes" / "chem-icl.toml")


def test_gradients_reach_everything(recipe_file: Path) -> None:
    """No weight is left out of training."""
    from bio_xlstm.tasks.in_context.episodes import EpisodeSampler
    from bio_xlstm.tasks.in_context.training import _new_model, _prepare, episode_loss

    recipe, data = read_learner_recipe(recipe_file), recipe_file.parent
    model = _new_model(recipe)
    corpus = _prepare(recipe, model, data, data / "cache")
    sampler = EpisodeSampler(corpus.train.assays, recipe.training, recipe.model.reference)
    for step in range(8):
        episode_loss(model, corpus.described, sampler.draw(step)).backward()
    weights = dict(model.named_parameters())
    unused = {name for name, weight in weights.items() if weight.grad is None or not weight.grad.any()}
    # no weight of the parts depends on the support before their weighing has begun
    assert unused == {"weighing.inner.weight", "weighing.inner.bias"}
    assert all(weight.grad is None or torch.isfinite(weight.grad).all() for weight in weights.values())


def test_numbers_count_alike_in_all_assays() -> None:
    """The loss of numbers is what remains of the error of the support's mean; bounds that are kept cost nothing."""
    import numpy as np

    from bio_xlstm.in_context.labels import Labels
    from bio_xlstm.tasks.in_context.episodes import Episodes
    from bio_xlstm.tasks.in_context.training import unexplained

    targets = torch.tensor([[-1.0, 2.0, 1.0, 9.0], [-0.1, 0.2, 0.1, 9.0]])
    counted = torch.tensor([[1.0, 1.0, 1.0, 0.0]] * 2)
    labels = Labels.of_numbers(torch.zeros(2, 3))
    none = np.zeros(0, np.int64)

    def loss(value: torch.Tensor, relations: torch.Tensor) -> list[float]:
        found: list[float] = unexplained(
            value, Episodes(none, labels, targets, relations, counted, none, torch.zeros(2))
        ).tolist()
        return found

    measured = torch.zeros(2, 4)
    assert loss(targets, measured) == [0, 0]
    assert loss(0 * targets, measured) == pytest.approx([6 / 7, 0.06 / 1.06])
    above = torch.tensor([[0.0, 1.0, 0.0, 0.0]] * 2)
    assert loss(targets + above, above) == [0, 0], "higher than what is at least so high"
    assert loss(targets - above, above) == pytest.approx([1 / 7, 1 / 1.06])


def with_weighing(recipe_file: Path) -> Path:
    """Let parts be weighed on a third of the assays, which have molecules of their own."""
    data = recipe_file.parent
    tables = [
        write_assays(
            data / f"part{number}.tsv", [f"T{number}{each}" for each in range(4)], number, start=start
        )
        for number, start in enumerate(("", "OC", "BrC"))
    ]
    rows = [line for table in tables for line in table.read_text().splitlines()[1:]]
    (data / "train.tsv").write_text("\n".join([tables[0].read_text().splitlines()[0], *rows]) + "\n")
    text = recipe_file.read_text().replace("weighing_steps = 0", "weighing_steps = 6\nweighing_share = 0.1")
    recipe_file.write_text(text)
    return data


def test_parts_are_weighed_on_molecules_that_were_not_trained_on(recipe_file: Path) -> None:
    """The assays of the last steps share no molecule with the others; those steps change the weighing alone."""
    from bio_xlstm.tasks.in_context.training import _new_model, _prepare

    data = with_weighing(recipe_file)
    recipe = read_learner_recipe(recipe_file)
    corpus = _prepare(recipe, _new_model(recipe), data, data / "cache")
    weighed, rest = (
        {int(row) for assay in assays for row in assay.molecules}
        for assays in (corpus.weighed, corpus.train.assays)
    )
    assert len(corpus.weighed) == 1 and weighed and rest and not weighed & rest
    cache = data / "cache"
    short = read_learner_recipe(recipe_file, weighing_steps=1)
    one = load_in_context(train_learner(short, data, data / "one", cache=cache).directory).state_dict()
    two = load_in_context(train_learner(recipe, data, data / "two", cache=cache).directory).state_dict()
    changed = {name for name in one if not torch.equal(one[name], two[name])}
    assert changed == {name for name in one if name.startswith("weighing.")}


def test_weighing_is_resumed(recipe_file: Path) -> None:
    """A run that is stopped in either part ends as an undisturbed one."""
    data = with_weighing(recipe_file)
    recipe, cache = read_learner_recipe(recipe_file), data / "cache"
    whole = train_learner(recipe, data, data / "whole", cache=cache)
    for stop in (5, 14):
        train_learner(recipe, data, data / f"again{stop}", cache=cache, stop=StopAfter(stop))
        again = train_learner(recipe, data, data / f"again{stop}", cache=cache)
        assert again.steps == whole.steps == 18
        one, other = (load_in_context(run.directory).weight_hash() for run in (whole, again))
        assert one == other
