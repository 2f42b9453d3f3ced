"""Measure in-context prediction of protein variants beside simple methods, on deep mutational scans of single mutants.

    python benchmarks/fewshot_proteins.py --data DIR --results FILE [--model protein-small] [--document FILE]
    python benchmarks/fewshot_proteins.py --results FILE --document docs/fewshot.md

DIR holds protein_assays. Scans that FILE holds already, of the same weights and draws, are not measured again. Without
--data nothing is measured. --document puts the table between the marker lines of a document.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fewshot_protein_methods import METHODS, Scan, covered, predicted
from fewshot_protein_scans import LONGEST, MOST_SCANS, read_scans
from markers import show
from measured import table, with_interval
from options import make_parser, run_script
from report import describe_machine, keep
from scipy.stats import spearmanr

from bio_xlstm.in_context.learner import Learner
from bio_xlstm.tasks.in_context.learners import load_learner

BENCHMARK = "fewshot-proteins"
SIZES = (16, 64, 256)
WORDS = {
    "in-context": "in-context (ours)",
    "one-hot": "one-hot ridge",
    "embedding": "ridge on our embeddings",
    "neighbours": "nearest by Hamming distance",
    "typical": "typical effects of substitutions, no support",
    "likelihood": "log-likelihood ratio, no support",
}


def main() -> None:
    """Measure what is missing, and print the table or put it into a document."""
    options = parse()
    torch.set_num_threads(options.threads)
    if options.data:
        measure(options)
    text = report(json.loads(options.results.read_text(encoding="utf-8")))
    show(text, BENCHMARK, options.document)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with protein_assays")
    parser.add_argument("--results", type=Path, required=True, help="file that keeps what was measured")
    parser.add_argument("--model", default="protein-small", help="language model [%(default)s]")
    parser.add_argument("--draws", type=int, default=5, help="supports per size and scan [%(default)s]")
    parser.add_argument("--mutants", type=int, default=1500, help="of a scan, at most [%(default)s]")
    parser.add_argument("--scans", type=int, default=MOST_SCANS, help="at most [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="[%(default)s]")
    parser.add_argument("--document", type=Path, help="fill this document")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> None:
    """Measure every scan that is not measured yet, and keep each at once."""
    learner = load_learner(options.model, device=options.device, dtype="auto", backend="auto")
    source = {
        "benchmark": BENCHMARK, "model": learner.name, "weights": learner.weight_hash()[:16],
        "draws": options.draws, "mutants": options.mutants,
    }  # fmt: skip
    found = json.loads(options.results.read_text(encoding="utf-8")) if options.results.exists() else {}
    if any(found.get(name) != value for name, value in source.items()):
        found = {**source, "machine": describe_machine(options.device), "scans": {}}
    for scan in read_scans(options.data / "protein_assays", options.mutants, options.scans):
        if scan.name not in found["scans"]:
            found["scans"][scan.name] = measure_scan(learner, scan, options.draws)
            keep(options.results, found)
            print(f"{scan.name}: {found['scans'][scan.name]['spearman']}", flush=True)


def measure_scan(learner: Learner, scan: Scan, draws: int) -> dict[str, Any]:
    """Return Spearman's correlation of every method, by size, and the coverage of our 90 % intervals."""
    points = learner.encode(scan.sequences)
    zero_shot = learner.language_model.variants(scan.wild, scan.mutants)
    spearman: dict[str, dict[str, float]] = {name: {} for name in METHODS}
    coverage: dict[str, float] = {}
    for size in SIZES:
        reached: dict[str, list[float]] = {name: [] for name in METHODS}
        for draw in range(draws):
            order = np.random.default_rng([draw, size]).permutation(len(scan.values))
            support, rest = order[:size], order[size:]
            for name, values in predicted(learner, scan, points, zero_shot, support, rest).items():
                # a method that says the same of all ranks nothing
                rho = spearmanr(values, scan.values[rest]).statistic if np.ptp(values) > 0 else 0.0
                reached[name].append(float(rho))
            if draw == 0:
                coverage[str(size)] = covered(learner, scan, points, support, rest)
        for name in METHODS:
            spearman[name][str(size)] = round(float(np.mean(reached[name])), 4)
    return {"spearman": spearman, "coverage": coverage, "mutants": len(scan.values), "length": len(scan.wild)}


def report(found: dict[str, Any]) -> str:
    """Write the tables: means over scans, and how often ours is ahead."""
    scans = found["scans"]
    columns: dict[str, list[str]] = {"Spearman": [WORDS[name] for name in METHODS]}
    for size in map(str, SIZES):
        every = {name: np.array([one["spearman"][name][size] for one in scans.values()]) for name in METHODS}
        columns[f"support {size}"] = [with_interval(every[name]) for name in METHODS]
        columns[f"ours ahead, {size}"] = [
            ""
            if name == "in-context"
            else f"{int((every['in-context'] > every[name]).sum())} of {len(scans)}"
            for name in METHODS
        ]
    inside = {size: [one["coverage"][size] for one in scans.values()] for size in map(str, SIZES)}
    said = ", ".join(f"{np.mean(values):.3f} at support {size}" for size, values in inside.items())
    return (
        f"{len(scans)} scans, {found['draws']} draws; means over draws, then over scans; in brackets 95 % over "
        f"scans.\n\n{table(columns)}\nShare of values inside our 90 % intervals: {said}.\n\n"
        f"Scans: {', '.join(scans)}. At most {found['mutants']:,} mutants of each, drawn at random; scans of proteins "
        f"of at most {LONGEST} residues.\n\n"
        f"`benchmarks/fewshot_proteins.py`, {found['model']} ({found['weights'][:12]})"
    )


if __name__ == "__main__":
    run_script(main)
