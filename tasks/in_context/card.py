"""The card of an in-context learner."""

import bio_xlstm
from bio_xlstm.in_context.prints import PARTS
from bio_xlstm.in_context.properties import PROPERTIES
from bio_xlstm.tasks.in_context.assays import AssayTable
from bio_xlstm.tasks.in_context.recipe import LearnerRecipe


def learner_card(recipe: LearnerRecipe, train: AssayTable, weighed: int, held_out: dict[str, float]) -> str:
    """Write down what a learner is, what it was trained on (of `weighed` assays: the last part) and how well it did."""
    model, data = recipe.model, recipe.data
    measured = sum(len(assay.molecules) for assay in train.assays)
    last = (
        f"{recipe.training.weighing_steps:,} more steps learned how much each part of an answer counts, and nothing "
        f"else, from {weighed:,} other assays"
        f"{'' if data.known_molecules else '; none of their molecules was trained on before'}."
    )
    apart = (*(() if data.known_molecules else (data.validation,)), *data.held_apart)
    seen = (
        "no step has seen them, but their molecules stand in training assays, too"
        if data.known_molecules
        else "no step has seen them or their molecules"
    )
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
        f"{model.reference} reference molecules, to points of {model.dim} numbers; beside them {PARTS} fingerprints of "
        f"{model.prints} bits (Morgan by elements and by roles, atom pairs, torsions) and {PROPERTIES} properties. A "
        f"set reader of {model.blocks} mLSTM blocks with {model.heads} heads and open forget gates, a ridge regression "
        "on the points, a Gaussian process on the similarity of fingerprints and properties, and a prior that does not "
        "see the support; weighed by how much the support tells.",
        "",
        "## Data",
        "",
        "| data | assays | molecules | labels | licence | trained on |",
        "|---|---|---|---|---|---|",
        f"| {data.train} | {len(train.assays):,} | {len(train.smiles):,} | {measured:,} | {data.licence} | "
        f"{recipe.training.steps:,} steps of {recipe.training.examples:,} molecules |",
        "",
        *([last, ""] if weighed else []),
        f"Left out: {train.refused:,} rows that cannot be read, {train.repeated:,} that repeat or contradict another "
        f"of their assay, and {train.apart:,} of molecules that are kept apart for evaluation"
        + (f": all of {', '.join(apart)}, whatever they were measured for." if apart else "."),
        "",
        "## Measured",
        "",
        f"Assays of {data.validation}; {seen}. Mean over assays of average "
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
