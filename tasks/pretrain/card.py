"""The model card: what a model was trained on, how, and how well it does."""

import math
from collections.abc import Mapping

from bio_xlstm.models.model import SequenceModel
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
        f"Licence: {_LICENCE}",
        "## Model",
        _model_line(model),
        "## Data and licences",
        _data_table(recipe, corpus),
        f"Held out: {_SPLITS[recipe.data.split]}. Exact repeats were removed.",
        "## Training",
        _training_line(recipe, steps),
        QUALITY,
        _quality_table(validation, test or {}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _training_line(recipe: Recipe, steps: int) -> str:
    """Say how the model was trained."""
    training = recipe.training
    return (
        f"{steps:,} steps of at most {training.batch_tokens:,} tokens, windows of "
        f"{recipe.data.longest_window:,} tokens, AdamW {training.betas}, learning rate {training.learning_rate:g} "
        f"({training.schedule}, {training.warmup} steps of warm-up), weight decay {training.weight_decay:g}, "
        f"gradients clipped at {training.clip:g}, precision {training.precision}, seed {training.seed}."
    )


def _data_table(recipe: Recipe, corpus: Corpus) -> str:
    uses = {"train": "trained on", "held_out": "held out", "test": "test"}
    if not any(counts.get("test") for counts in corpus.report.values()):
        del uses["test"]
    rows = [
        f"| domain | files | {' | '.join(uses.values())} | licence |",
        "|---|---|---|" + "---|" * len(uses),
    ]
    for domain in recipe.data.domains:
        counts = corpus.report[domain.name]
        names = ", ".join(name.rsplit("/", 1)[-1] for name in domain.files)
        parts = [f"{counts[use]:,} sequences, {counts[f'{use}_tokens']:,} tokens" for use in uses]
        rows.append(f"| {domain.name} | {names} | {' | '.join(parts)} | {domain.licence} |")
    return "\n".join(rows)


def _quality_table(validation: Mapping[str, float], test: Mapping[str, float]) -> str:
    """Tabulate what the last looks found; the full comparison comes from benchmarks/perplexity.py."""
    if not validation and not test:
        return ""
    parts = {"held out": validation, **({"test": test} if test else {})}
    heads = [f"{part}: nats per token | perplexity" for part in parts]
    rows = [f"| domain | {' | '.join(heads)} |", "|---|" + "---|---|" * len(parts)]
    for name in dict.fromkeys([*validation, *test]):
        found = [seen.get(name) for seen in parts.values()]
        cells = [" | " if nats is None else f"{nats:.4f} | {math.exp(nats):.3f}" for nats in found]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _model_line(model: SequenceModel) -> str:
    """Say how large the model is, how it reads and what it predicts."""
    config = model.config
    kinds = "mLSTM" if not config.slstm_at else "sLSTM" if len(config.slstm_at) == config.blocks else "mixed"
    reads = _READS.get(config.direction, "from left to right") + _STRANDS[config.reverse_complement]
    return (
        f"{type(model).__name__} of the {config.family} family, {model.parameter_count:,} parameters: "
        f"width {config.dim}, {config.blocks} {kinds} blocks, {config.heads} heads. It reads {reads}, and predicts "
        f"{_PREDICTS[config.objective]}."
    )
