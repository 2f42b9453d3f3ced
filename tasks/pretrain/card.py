"""The model card: what a model was trained on, how, and how well it does."""

import math
from collections.abc import Mapping

from bio_xlstm.config import ModelConfig
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.card_data import data_lines, data_table, held_out_lines
from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tokenizers.tokenizer import counted

QUALITY = "## Held-out quality"

# what a model's fields mean to its user
_READS = {
    "alternating": "from left to right and from right to left in turn",
    "shared": "both ways with the same weights",
    "separate": "both ways with weights of their own",
    "two_sided": "both ways at once",
}
_PREDICTS = {
    "causal": "the next token",
    "infill": "the next token, hidden spans at the end among them",
    "masked": "hidden tokens",
}
_STRANDS = {
    "none": "",
    "post_hoc": ", averaged over both strands where asked",
    "equivariant": ", both strands with the same weights (exactly reverse-complement equivariant)",
}


def card(
    recipe: Recipe,
    corpus: Corpus,
    model: SequenceModel,
    validation: Mapping[str, float],
    steps: int,
    test: Mapping[str, float] | None = None,
) -> str:
    """Write the card in Markdown; `validation` and `test` are in nats per token."""
    parts = [
        f"# {recipe.name}",
        recipe.description.strip(),
        _licence_line(recipe),
        "## Model",
        _model_line(model),
        "## Data and licences",
        data_table(recipe.data, corpus.report),
        "\n".join(data_lines(recipe.data, model.config.objective)),
        "\n".join(held_out_lines(recipe.data, corpus.report)),
        "## Training",
        _training_line(recipe, steps),
        *_quality(recipe, validation, test or {}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _licence_line(recipe: Recipe) -> str:
    """State the licence that the recipe gives the weights; `bioxlstm models info` and every output quote this line."""
    if not recipe.licence:
        return ""
    return (
        f"Licence: {recipe.licence} for the weights; the training data keep the licences of the table below."
    )


def _model_line(model: SequenceModel) -> str:
    """Say how large the model is, how it reads and what it predicts."""
    config = model.config
    reads = _READS.get(config.direction, "from left to right") + _STRANDS[config.reverse_complement]
    return (
        f"{type(model).__name__} of the {config.family} family, {model.parameter_count:,} parameters: "
        f"width {config.dim}, {counted(config.blocks, f'{_kind(config)} block')}, {counted(config.heads, 'head')}. "
        f"It reads {reads}, and predicts {_PREDICTS[config.objective]}."
    )


def _kind(config: ModelConfig) -> str:
    """Name the blocks."""
    if len(config.slstm_at) == config.blocks:
        return "sLSTM"
    kind = "post-up-projection mLSTM" if config.block == "post_up" else "mLSTM"
    return f"{kind} and sLSTM" if config.slstm_at else kind


def _training_line(recipe: Recipe, steps: int) -> str:
    """Say how the model was trained."""
    training, data = recipe.training, recipe.data
    taken = (
        f"{steps:,} steps" if steps == training.steps else f"{steps:,} of {training.steps:,} planned steps"
    )
    stages = data.stages or ((0, data.window),)
    windows = ", ".join(
        f"{window:,} tokens" + (f" from step {step:,} on" if step else "") for step, window in stages
    )
    cosine = f" down to {training.final_learning_rate:g}" if training.schedule == "cosine" else ""
    clipped = f"gradients clipped at {training.clip:g}" if training.clip else "gradients not clipped"
    return (
        f"{taken} of at most {training.batch_tokens:,} tokens, windows of {windows}, AdamW {training.betas}, "
        f"learning rate {training.learning_rate:g} ({training.schedule}{cosine}, {training.warmup} steps of warm-up), "
        f"weight decay {training.weight_decay:g} (matrices alone), {clipped}, precision {training.precision}, "
        f"seed {training.seed}. The weights are those of the last step."
    )


def _quality(recipe: Recipe, validation: Mapping[str, float], test: Mapping[str, float]) -> list[str]:
    """Tabulate what the last looks found; the full comparison comes from benchmarks/perplexity.py."""
    if not validation and not test:
        return []
    looked_at = recipe.training.validation_tokens
    held_out = f"about {looked_at:,} tokens" if looked_at else "all"
    lines = [
        f"Means over predicted tokens, in windows of at most {recipe.data.longest_window:,} tokens. "
        f"The held-out part ({held_out} of every domain) was looked at while training"
        + ("; the test part (all of it) once, at the end." if test else ".")
    ]
    return [QUALITY, *lines, _quality_table(validation, test)]


def _quality_table(validation: Mapping[str, float], test: Mapping[str, float]) -> str:
    """Write nats per token and perplexity of every domain."""
    parts = {"held out": validation, **({"test": test} if test else {})}
    heads = [f"{part}: nats per token | perplexity" for part in parts]
    rows = [f"| domain | {' | '.join(heads)} |", "|---|" + "---|---|" * len(parts)]
    for name in dict.fromkeys([*validation, *test]):
        found = [seen.get(name) for seen in parts.values()]
        cells = [" | " if nats is None else f"{nats:.4f} | {math.exp(nats):.3f}" for nats in found]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)
