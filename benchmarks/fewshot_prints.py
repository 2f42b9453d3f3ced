"""Measure what each part of a print adds to the Gaussian process of the in-context learner, on training assays.

    python benchmarks/fewshot_prints.py --data DIR --results DIR [--assays 240] [--document docs/fewshot.md]
    python benchmarks/fewshot_prints.py --results DIR --document docs/fewshot.md

DIR of the data holds mol_assays/fsmol_train.tsv.xz. Nothing is trained: supports of assays are solved with parts of
the covariance, and their other molecules are predicted. Parts, weights and constants of `bio_xlstm/in_context` were
chosen by such numbers, so that no assay of another table of docs/fewshot.md had a say in them.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from markers import show
from measured import table, with_interval
from options import make_parser, run_script
from rdkit import RDLogger
from rdkit.Chem import MolFromSmiles
from report import keep

from bio_xlstm.in_context import process
from bio_xlstm.in_context.gaussian import NOISES, Wanted, evidence, solve
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.likeness import distance
from bio_xlstm.in_context.prints import BYTES, PARTS, prints
from bio_xlstm.in_context.properties import SPREADS, properties
from bio_xlstm.tasks.assay.metrics.binary import delta_auprc
from bio_xlstm.tasks.assay.reading import read_cells

BENCHMARK, TABLE = "fewshot-prints", "mol_assays/fsmol_train.tsv.xz"
BITS, SIZES, DRAWS = 2048, (16, 64, 256), 2
# molecules of an assay: fewer leave no queries, more only cost time
FEWEST, MOST = 88, 600
QUERIES = 24
# a single bad draw shall not decide a mean
LOWEST_R2 = -1.0


class Form(NamedTuple):
    """Say what a covariance is made of."""

    parts: tuple[int, ...]
    share: float = process.SHARE
    constant: float = process.CONSTANT


FORMS = {
    "as it is": Form(tuple(range(PARTS))),
    "without a constant": Form(tuple(range(PARTS)), constant=0.0),
    "without properties": Form(tuple(range(PARTS)), share=0.0),
    "substructures by elements and atom pairs": Form((0, 2), share=0.0),
    "substructures by elements": Form((0,), share=0.0),
    "substructures by roles": Form((1,), share=0.0),
    "atom pairs": Form((2,), share=0.0),
    "topological torsions": Form((3,), share=0.0),
}


class Trial(NamedTuple):
    """Hold an assay of N molecules."""

    name: str
    classes: np.ndarray  # (N,) 0 or 1
    numbers: np.ndarray  # (N,) NaN where there is none, or a bound alone
    similar: np.ndarray  # (PARTS, N, N) by each fingerprint
    apart: np.ndarray  # (N, N) in properties


def main() -> None:
    """Measure, and print the table or put it into a document."""
    options = parse()
    kept = options.results / f"{BENCHMARK}.json"
    if options.data:
        torch.set_num_threads(options.threads)
        RDLogger.DisableLog("rdApp.*")
        options.results.mkdir(parents=True, exist_ok=True)
        keep(kept, measure(options.data / TABLE, options.assays))
    show(report(json.loads(kept.read_text(encoding="utf-8"))), BENCHMARK, options.document)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with mol_assays")
    parser.add_argument("--results", type=Path, required=True, help="folder that keeps what was measured")
    parser.add_argument("--assays", type=int, default=240, help="[%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads [%(default)s]")
    parser.add_argument("--document", type=Path, help="fill this document")
    return parser.parse_args()


def measure(path: Path, assays: int) -> dict[str, Any]:
    """Return what every form reached on every assay, and how far properties are from their means."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    seen: list[np.ndarray] = []
    for trial in trials(path, assays, seen):
        found[trial.name] = {name: reach(trial, form) for name, form in FORMS.items()}
        print(f"{trial.name}: {len(trial.classes)} molecules")
    spreads = np.concatenate(seen).astype(np.float64).std(0)
    return {"assays": found, "spreads": dict(zip((*SPREADS, "charge"), spreads.tolist(), strict=True))}


def trials(path: Path, count: int, seen: list[np.ndarray]) -> Iterator[Trial]:
    """Yield assays drawn from a table of FS-Mol; the properties of their molecules are added to `seen`."""
    columns = read_cells(str(path))[1]
    rows: dict[str, dict[str, int]] = {}
    for row, (assay, smiles) in enumerate(zip(columns["assay_id"], columns["smiles"], strict=True)):
        rows.setdefault(assay, {}).setdefault(smiles, row)
    large = sorted(assay for assay, own in rows.items() if len(own) >= FEWEST)
    draw = np.random.default_rng(0)
    for assay in draw.permutation(large)[:count].tolist():
        texts = sorted(rows[assay])
        texts = [texts[place] for place in draw.permutation(len(texts))[:MOST]]
        readable = [(rows[assay][text], found) for text in texts if (found := MolFromSmiles(text))]
        own, molecules = [row for row, _ in readable], [molecule for _, molecule in readable]
        seen.append(properties(molecules))
        found = prints(molecules, BITS)
        exact = np.array([columns["relation"][row] == "=" for row in own])
        numbers = np.array([float(columns["log_regression_property"][row] or "nan") for row in own])
        yield Trial(
            assay,
            np.array([float(columns["property"][row]) for row in own]),
            np.where(exact, numbers, np.nan),
            np.stack([_tanimoto(part) for part in np.split(found[:, :-BYTES], PARTS, 1)]),
            distance(*(torch.from_numpy(found[None].copy()),) * 2)[0].double().numpy(),
        )


def _tanimoto(packed: np.ndarray) -> np.ndarray:
    """Compare all of some packed fingerprints (N, bytes) with each other."""
    bits = np.unpackbits(packed, 1).astype(np.float64)
    both, count = bits @ bits.T, bits.sum(1)
    return both / np.maximum(count[:, None] + count - both, 1)


def reach(trial: Trial, form: Form) -> dict[str, float]:
    """Return the means over draws of ΔAUC-PR and R² at all sizes that the assay allows."""
    similar, apart = torch.from_numpy(trial.similar[list(form.parts)].mean(0)), torch.from_numpy(trial.apart)
    kernel = process.covariance(similar, apart, share=form.share, constant=form.constant).numpy()
    found: dict[str, list[float]] = {}
    numbered = np.flatnonzero(np.isfinite(trial.numbers))
    for size in SIZES:
        for seed in range(DRAWS):
            for metric, some in (("delta_auprc", np.arange(len(kernel))), ("r2", numbered)):
                shuffled = np.random.default_rng((seed, size)).permutation(some)
                support, asked = shuffled[:size], shuffled[size:]
                if (
                    len(asked) >= QUERIES
                    and (value := score(trial, metric, kernel, support, asked)) is not None
                ):
                    found.setdefault(f"{metric} {size}", []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def score(
    trial: Trial, metric: str, kernel: np.ndarray, support: np.ndarray, asked: np.ndarray
) -> float | None:
    """Return what a draw reaches; None where support or queries are all alike."""
    truth = trial.classes if metric == "delta_auprc" else trial.numbers
    if np.ptp(truth[support]) == 0 or np.ptp(truth[asked]) == 0:
        return None
    values = torch.from_numpy(truth[support])[None]
    labels = Labels.of_classes(values > 0) if metric == "delta_auprc" else Labels.of_numbers(values)
    own, wanted = torch.from_numpy(kernel[np.ix_(support, support)])[None], Wanted.of(labels)
    noise = NOISES[evidence(own, wanted, process.EXPECTED).argmax(1)]
    said = solve(own, wanted, noise).said[0].numpy()
    predicted = kernel[np.ix_(asked, support)] @ said
    if metric == "delta_auprc":
        return delta_auprc(trial.classes[asked], predicted)
    predicted = predicted * float(labels.scale) + float(labels.shift)
    left = np.square(truth[asked] - predicted).sum() / np.square(truth[asked] - truth[support].mean()).sum()
    return max(LOWEST_R2, 1 - float(left))


def report(found: dict[str, Any]) -> str:
    """Write what all forms reached: the first as it is, the others as differences to it."""
    assays, base = found["assays"], next(iter(FORMS))
    columns: dict[str, list[str]] = {"compared by": list(FORMS)}
    for metric, words in (("delta_auprc", "ΔAUC-PR"), ("r2", "R²")):
        for size in SIZES:
            key = f"{metric} {size}"
            measured = [one for one in assays.values() if all(key in one[form] for form in FORMS)]
            if measured:
                title = f"{words}, {size} ({len(measured)} assays)"
                columns[title] = [
                    f"{np.mean([one[form][key] for one in measured]):.3f}"
                    if form == base
                    else with_interval(np.array([one[form][key] - one[base][key] for one in measured]), "+")
                    for form in FORMS
                ]
    spreads = ", ".join(f"{name} {value:.2f}" for name, value in found["spreads"].items())
    return (
        f"{table(columns)}\nAssays of the training fold, {DRAWS} draws each, the process alone; below the first row "
        f"differences to it, in brackets 95 % over assays. R² of a draw counts {LOWEST_R2:g} at least. Deviations of "
        f"the properties, in units of the spreads that are used: {spreads}.\n\n`benchmarks/fewshot_prints.py`"
    )


if __name__ == "__main__":
    run_script(main)
