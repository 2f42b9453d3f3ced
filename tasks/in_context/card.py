"""The card of an in-context learner."""

import bio_xlstm
from bio_xlstm.tasks.in_context.assays import AssayTable
from bio_xlstm.tasks.in_context.recipe import LearnerRecipe


def learner_card(recipe: LearnerRecipe, train: AssayTable, held_out: dict[str, float], steps: int) -> str:
    """Write down what a learner is, what it was trained on and how well it did."""
    model, data = recipe.model, recipe.data
    measured = sum(len(assay.molecules) for assay in train.assays)
    lines = [
        f"# {recipe.name}",
        "",
        recipe.description,
        "",
        f"Licence: {recipe.licence or 'not stated'}",
        "",
        "## Architecture",
        "",
        f"Counted Morgan substructures ({model.bits} rows) and the mean embedding of {model.encoder}, among "
        f"{model.reference} reference molecules, to points of {model.dim} numbers; beside them a sketch of "
        f"{model.sketch} signs, whose products are Tanimoto similarities. A set reader of {model.blocks} mLSTM "
        f"blocks with {model.heads} heads and open forget gates, a ridge regression on the points and one on the "
        "sketches, and a prior that does not see the support.",
        "",
        "## Data",
        "",
        "| data | assays | molecules | labels | licence | trained on |",
        "|---|---|---|---|---|---|",
        f"| {data.train} | {len(train.assays):,} | {len(train.smiles):,} | {measured:,} | {data.licence} | "
        f"{steps:,} steps of {recipe.training.examples:,} molecules |",
        "",
        f"Left out: {train.refused:,} rows that cannot be read, {train.repeated:,} that repeat or contradict another "
        f"of their assay, and {train.apart:,} of molecules that are kept apart for evaluation: all of "
        f"{', '.join((data.validation, *data.held_apart))}, whatever they were measured for.",
        "",
        "## Measured",
        "",
        f"Assays of {data.validation}; no step has seen them or their molecules. Mean over assays of average "
        "precision minus the share of positives, stratified supports, ten draws:",
        "",
        "| support | gain |",
        "|---|---|",
        *(f"| {name.rsplit('_', 1)[1]} | {value:.3f} |" for name, value in held_out.items()),
        "",
        f"Trained with bio_xlstm {bio_xlstm.__version__}.",
        "",
    ]
    return "\n".join(lines)
