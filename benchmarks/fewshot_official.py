"""Measure the in-context learner on the official folds of FS-Mol, as what is published for it was measured.

    python benchmarks/fewshot_official.py --data DIR --results DIR --cache DIR [--document docs/fewshot.md]
    python benchmarks/fewshot_official.py --results DIR --document docs/fewshot.md

The learner is trained with the recipe of the bundled one, but on all molecules of the official training fold, those of
the validation fold among them (`known_molecules`), with settings for which that pays: larger, longer, less restrained.
It is asked about the validation fold, beside the bundled learner and baselines, whose results `benchmarks/fewshot.py`
left in the folder of results. DIR of the data holds mol_assays. A training that was killed goes on.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fewshot import OFFICIAL, earlier, joined, request_for
from fewshot_overlap import MOST, overlap
from fewshot_report import OURS, PRIOR, SIMILARITY
from fewshot_sets import SETS
from markers import show
from measured import table, with_interval
from options import make_parser, run_script
from report import keep

from bio_xlstm.tasks.fewshot.run import evaluate_fewshot
from bio_xlstm.tasks.in_context.recipe import LearnerRecipe, read_learner_recipe
from bio_xlstm.tasks.in_context.training import train_learner

RECIPE = Path(__file__).parents[1] / "recipes" / "chem-icl.toml"
FOLD, METRIC, SIZES = "fsmol", "delta_auprc", (16, 64)
ROWS = {
    (True, OURS): "ours, trained on the official folds",
    (True, PRIOR): "the same without the support",
    (False, OURS): "chem-icl, trained on none of the molecules",
    (False, "gaussian-process"): "Gaussian process, not trained on assays",
}


def main() -> None:
    """Train and measure what is missing, and print the table or put it into a document."""
    options = parse()
    torch.set_num_threads(options.threads)
    folder = options.results / OFFICIAL
    if options.data:
        measure(folder, options)
    text = report(json.loads((folder / "found.json").read_text(encoding="utf-8")), options.results)
    show(text, OFFICIAL, options.document)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with mol_assays")
    parser.add_argument("--results", type=Path, required=True, help="folder that keeps what was measured")
    parser.add_argument("--cache", type=Path, help="folder for described molecules")
    parser.add_argument("--steps", type=int, default=9000, help="of training [%(default)s]")
    parser.add_argument("--seeds", type=int, default=10, help="draws per size and assay [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="[%(default)s]")
    parser.add_argument("--document", type=Path, help="fill this document")
    return parser.parse_args()


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Train the learner unless that was done, and ask it about the validation fold."""
    learner = folder / "learner"
    if not (learner / "config.json").exists():
        recipe = official(read_learner_recipe(RECIPE), options.steps)
        train_learner(recipe, options.data, learner, cache=options.cache)
    options.model = str(learner)
    request = request_for(SETS[FOLD], [OURS, PRIOR, SIMILARITY], folder / f"{FOLD}.json", options)
    evaluate_fewshot(request, print)
    shares = overlap(options.data / "mol_assays")[-1]
    reached = earlier(folder / f"{FOLD}.json") or {}
    keep(folder / "found.json", {"steps": options.steps, "known": shares, "assays": reached["assays"]})


def official(recipe: LearnerRecipe, steps: int) -> LearnerRecipe:
    """Return the recipe for the official folds."""
    return replace(
        recipe,
        name="chem-icl-official",
        data=replace(recipe.data, known_molecules=True),
        model=replace(recipe.model, hidden=1024, dropout=0.2),
        training=replace(recipe.training, steps=steps, weight_decay=0.05),
    )


def report(found: dict[str, Any], results: Path) -> str:
    """Write what all reached, on all assays and on those that share many molecules with training, or few."""
    assays = {True: found["assays"], False: (joined(results, FOLD) or {"assays": []})["assays"]}
    groups = {
        "all": set(found["known"]),
        f"over {MOST:.0%} known": {name for name, share in found["known"].items() if share > MOST},
        "the others": {name for name, share in found["known"].items() if share <= MOST},
    }
    columns = {"ΔAUC-PR": list(ROWS.values())}
    for size in SIZES:
        for words, names in groups.items():
            columns[f"{size}: {words} ({len(names)})"] = [
                _mean(assays[own], method, size, names) for own, method in ROWS
            ]
    return (
        f"{table(columns)}\nKnown: the share of an assay's molecules that stand in training assays. Trained for "
        f"{found['steps']:,} steps; in brackets 95 % over assays.\n\n`benchmarks/fewshot_official.py`"
    )


def _mean(rows: list[Mapping[str, Any]], method: str, size: int, names: set[str]) -> str:
    """Write a mean over assays and how sure it is."""
    values = np.array(
        [
            row[METRIC]
            for row in rows
            if (row["method"], row["support"]) == (method, size) and row["assay"] in names
        ]
    )
    return with_interval(values)


if __name__ == "__main__":
    run_script(main)
