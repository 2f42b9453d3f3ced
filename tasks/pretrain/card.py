"""The model card: what a model was trained on, how, and how well it does."""

import math
from collections.abc import Mapping
from typing import Any

from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.settings import Recipe

_SPLITS = {
    "hash": "sequences chosen by a hash of the sequence",
    "scaffold": "molecules whose Murcko scaffold was chosen by hash; no held-out scaffold was trained on",
    "families": "proteins chosen by a hash of the sequence; every protein that shares two or more different "
    "8-residue words with one of them was removed from training",
    "tail": "the contiguous last part of every record, or whole genomes",
}

QUALITY = "## Held-out quality"
# `bioxlstm models info` and the provenance of every output quote this line
_LICENCE = "Apache-2.0 for the weights; the training data keep the licences of the table below."


def card(recipe: Recipe, corpus: Corpus, model: Any, validation: Mapping[str, float], steps: int) -> str:
    """Write the card in Markdown."""
    training = recipe.training
    parts = [
        f"# {recipe.name}",
        recipe.description.strip(),
        f"Licence: {_LICENCE}",
        "## Model",
        f"{type(model).__name__} of the {model.config.family} family, {model.parameter_count:,} parameters: "
        f"width {model.config.dim}, {model.config.blocks} blocks, {model.config.heads} heads, causal.",
        "## Data and licences",
        _data_table(recipe, corpus),
        f"Held out: {_SPLITS[recipe.data.split]}. Exact repeats were removed.",
        "## Training",
        f"{steps:,} steps of at most {training.batch_tokens:,} tokens, windows of {recipe.data.window:,} tokens, AdamW "
        f"{training.betas}, learning rate {training.learning_rate:g} ({training.schedule}, {training.warmup} steps of "
        f"warm-up), weight decay {training.weight_decay:g}, precision {training.precision}, seed {training.seed}.",
        QUALITY,
        _validation_table(validation),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data_table(recipe: Recipe, corpus: Corpus) -> str:
    rows = ["| domain | files | trained on | held out | licence |", "|---|---|---|---|---|"]
    for domain in recipe.data.domains:
        counts = corpus.report[domain.name]
        names = ", ".join(name.rsplit("/", 1)[-1] for name in domain.files)
        trained = f"{counts['train']:,} sequences, {counts['train_tokens']:,} tokens"
        held = f"{counts['held_out']:,} sequences, {counts['held_out_tokens']:,} tokens"
        rows.append(f"| {domain.name} | {names} | {trained} | {held} | {domain.licence} |")
    return "\n".join(rows)


def _validation_table(validation: Mapping[str, float]) -> str:
    """Tabulate what the last validation found; the full comparison comes from benchmarks/perplexity.py."""
    if not validation:
        return ""
    rows = ["| held-out domain | nats per token | perplexity |", "|---|---|---|"]
    rows += [f"| {name} | {value:.4f} | {math.exp(value):.3f} |" for name, value in validation.items()]
    return "\n".join(rows)
