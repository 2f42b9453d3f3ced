"""A run before it starts: its data, its model, and what it will take."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import bio_xlstm
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.data_module import PretrainData
from bio_xlstm.tasks.pretrain.memory import Memory, predict_memory
from bio_xlstm.tasks.pretrain.run_folder import one_at_a_time
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


def _counts(report: Mapping[str, int]) -> str:
    """Say how many sequences of a domain are in which part."""
    uses = {"train": "trained on", "held_out": "held out", "test": "kept for the test"}
    return "; ".join(
        f"{use} {_number(report[part], 'sequence')}, {_number(report[f'{part}_tokens'], 'token')}"
        for part, use in uses.items()
        if report.get(part)
    )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def make_plan(recipe: Recipe, data: Path, cache: Path) -> Plan:
    """Prepare the data and make the model."""
    # processes that were started together, and runs that share a cache, wait for the one that prepares
    with one_at_a_time(cache):
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
