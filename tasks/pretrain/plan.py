"""A run before it starts: its data, its model, and what it will take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

import bio_xlstm
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.blank import without_drawing
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.corpus import Corpus, check_files, prepare, unreadable_records
from bio_xlstm.tasks.pretrain.data_module import PretrainData
from bio_xlstm.tasks.pretrain.memory import Memory, predict_memory
from bio_xlstm.tasks.pretrain.objectives import make_objective
from bio_xlstm.tasks.pretrain.settings import Recipe


class Plan(NamedTuple):
    """Hold what a recipe becomes."""

    recipe: Recipe
    corpus: Corpus
    model: SequenceModel
    batches: PretrainData
    memory: Memory

    def lines(self) -> list[str]:
        """Describe the run in lines for its user."""
        training, name = self.recipe.training, self.recipe.name
        steps = max(1, self.batches.order.epoch_steps)
        return [
            *(
                f"data       {domain}: {_counts(self.corpus.report[domain])}"
                for domain in self.corpus.domains
            ),
            f"model      {name}: {self.model.parameter_count:,} parameters",
            f"epoch      about {_number(steps, 'step')} of at most {training.batch_tokens:,} tokens",
            f"run        {_number(training.steps, 'step')}, about {training.steps / steps:,.1f} epochs",
            f"memory     {self.memory.line()}",
        ]


def _counts(report: Mapping[str, Any]) -> str:
    """Say how many sequences of a domain are in which part."""
    uses = {"train": "trained on", "held_out": "held out", "test": "kept for the test"}
    parts = [
        f"{use} {_number(report[part], 'sequence')}, {_number(report[f'{part}_tokens'], 'token')}"
        for part, use in uses.items()
        if report.get(part)
    ]
    unreadable = unreadable_records(report)
    return "; ".join([*parts, unreadable] if unreadable else parts)


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def check_recipe(recipe: Recipe, data: Path) -> None:
    """Refuse a model that cannot be made, that cannot learn what it should from such data, and missing files."""
    family, kind = recipe.model["family"], recipe.data.kind
    try:
        # without memory behind its weights
        with torch.device("meta"), without_drawing():
            model = bio_xlstm.build(**recipe.model)
    except ConfigError as error:
        raise ConfigError(f"[model] {error}") from None
    check_files(recipe.data, data)
    if model.kind != kind:
        raise ConfigError(f"[data] kind is {kind}, but a model of family {family!r} reads {model.kind}")
    make_objective(model.config.objective, model.tokenizer, recipe.data)


def make_plan(recipe: Recipe, data: Path, cache: Path) -> Plan:
    """Prepare the data and make the model."""
    corpus = prepare(recipe, data, cache)
    model = bio_xlstm.build(**recipe.model, seed=recipe.training.seed)
    model.name = recipe.name
    batches = PretrainData(recipe, corpus, model.tokenizer, objective=model.config.objective)
    memory = predict_memory(model, recipe, _mean_length(recipe, corpus))
    return Plan(recipe, corpus, model, batches, memory)


def _mean_length(recipe: Recipe, corpus: Corpus) -> float:
    """Return the mean length of what is read in one piece; sets fill whole windows."""
    window = recipe.data.longest_window
    if any(domain.sets != "none" for domain in recipe.data.domains):
        return window
    counts = [corpus.report[name] for name in corpus.domains]
    tokens = sum(count["train_tokens"] for count in counts)
    return min(window, 1 + tokens / max(1, sum(count["train"] for count in counts)))
