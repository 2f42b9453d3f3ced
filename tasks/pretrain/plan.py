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
from bio_xlstm.tasks.pretrain.machine import check_machine
from bio_xlstm.tasks.pretrain.memory import Memory, check_size, predict_memory
from bio_xlstm.tasks.pretrain.objectives import check_objective, make_objective
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.shares import check_shares


class Plan(NamedTuple):
    """Hold what a recipe becomes."""

    recipe: Recipe
    corpus: Corpus
    model: SequenceModel
    """The model without memory behind its weights."""
    batches: PretrainData
    memory: Memory
    shares: list[str]
    """What was held out of which domain, where it is clearly not what was asked for."""

    def lines(self) -> list[str]:
        """Describe the run in lines for its user."""
        training, name = self.recipe.training, self.recipe.name
        steps = max(1, self.batches.order.epoch_steps)
        return [
            *(
                f"data       {domain}: {_counts(self.corpus.report[domain])}"
                for domain in self.corpus.domains
            ),
            *(f"shares     {line}" for line in self.shares),
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


def check_recipe(recipe: Recipe, data: Path) -> SequenceModel:
    """Refuse what cannot be run here before anything is read; return the model, without memory behind its weights.

    Refused are models that cannot be made, that cannot learn what they should from such data or are too large, missing
    files, and what this machine cannot do.
    """
    family, kind = recipe.model["family"], recipe.data.kind
    model = _blank_model(recipe.model)
    check_files(recipe.data, data)
    if model.kind != kind:
        raise ConfigError(f"[data] kind is {kind}, but a model of family {family!r} reads {model.kind}")
    check_objective(model.config.objective, recipe.data)
    make_objective(model.config.objective, model.tokenizer, recipe.data)
    check_machine(recipe.training)
    check_size(model, recipe.training)
    return model


def _blank_model(settings: Mapping[str, Any]) -> SequenceModel:
    """Make a model without memory behind its weights."""
    try:
        with torch.device("meta"), without_drawing():
            model: SequenceModel = bio_xlstm.build(**settings)
    except ConfigError as error:
        raise ConfigError(f"[model] {error}") from None
    except (OverflowError, RuntimeError) as error:
        # numbers that no machine can hold
        raise ConfigError(f"[model] cannot be made: {str(error).splitlines()[0]}") from None
    return model


def make_plan(recipe: Recipe, model: SequenceModel, data: Path, cache: Path) -> Plan:
    """Prepare the data of a recipe and of its model, which needs no weights yet."""
    corpus = prepare(recipe, data, cache)
    shares = check_shares(recipe.data, corpus.report)
    batches = PretrainData(recipe, corpus, model.tokenizer, objective=model.config.objective)
    memory = predict_memory(model, recipe, _mean_length(recipe, corpus))
    return Plan(recipe, corpus, model, batches, memory, shares)


def _mean_length(recipe: Recipe, corpus: Corpus) -> float:
    """Return the mean length of what is read in one piece; sets fill whole windows."""
    window = recipe.data.longest_window
    if any(domain.sets != "none" for domain in recipe.data.domains):
        return window
    counts = [corpus.report[name] for name in corpus.domains]
    tokens = sum(count["train_tokens"] for count in counts)
    return min(window, 1 + tokens / max(1, sum(count["train"] for count in counts)))
