"""Compare frozen embeddings with k-mer counts or fingerprints by linear models on three labelled sets.

    python benchmarks/probes.py MODEL --data DIR [--only NAME] [--limit N] [--json FILE]

Every kind of features has the same linear model (ridge or logistic regression). Its strength, the layer of the
embedding, and the length of the k-mers are chosen by cross-validation on the training part, whose groups are not
divided. Sets without a split of their own are split several times. The same network with fresh weights shows what is
owed to its shape. Intervals: rows of the test parts drawn anew.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from labelled_sets import SETS, Labelled, parted
from linear_probe import METRICS, Features, Part, bootstrap, fit, interval, score
from measured import Measured, table
from options import add_machine, add_model, add_seed, make_parser, run_script
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

import bio_xlstm
from bio_xlstm.embedding import embed_batch
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.evaluate.fingerprints import fingerprints

KMERS = {"protein": (1, 2, 3, 4), "dna": (3, 4, 5, 6)}
FINGERPRINT_BITS = 2048
# of the layers whose embeddings may be chosen beside the last one's
DEPTHS = (1 / 3, 2 / 3)
EMBEDDING, UNTRAINED = "embedding", "untrained"


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    model = bio_xlstm.load(options.model).eval().to(options.device)
    known = SETS[model.kind]
    if options.only and options.only not in known:
        raise SystemExit(f"there is no set {options.only!r} for {model.name}: {', '.join(known)}")
    measured = Measured("probes", model, options)
    rows: list[dict[str, Any]] = []
    measured.keep(rows=rows)
    for name in [options.only] if options.only else known:
        rows.append(measure(model, known[name](options.data), options))
        measured.keep(rows=rows)
    print(report(measured.content))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_model(parser)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="", help="name of one set")
    parser.add_argument("--limit", type=int, default=6000, help="rows of a set, drawn at random (0: all)")
    parser.add_argument("--splits", type=int, default=3, help="of sets that have none of their own")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    add_seed(parser)
    add_machine(parser)
    return parser.parse_args()


def measure(model: SequenceModel, data: Labelled, options: argparse.Namespace) -> dict[str, Any]:
    """Return what every kind of features reaches on one set."""
    data, ids = readable(model, thinned(data, options.limit, options.seed))
    candidates = {
        EMBEDDING: embeddings(model, ids, options.batch_tokens),
        UNTRAINED: embeddings(fresh(model, options.seed), ids, options.batch_tokens),
        baseline_name(model.kind): plain_features(model.kind, data.texts),
    }
    splits = 1 if data.test is not None else options.splits
    parts, chosen = [], []
    for seed in range(options.seed, options.seed + splits):
        test = parted(data, seed)
        fitted = {
            name: fit(found, data.labels, data.groups, test, data.kind) for name, found in candidates.items()
        }
        parts.append(Part(data.labels[test], {name: one.predicted for name, one in fitted.items()}))
        chosen.append({name: one.choice for name, one in fitted.items()})
    return {
        "set": data.name,
        "metric": METRICS[data.kind],
        "split": data.split,
        "splits": splits,
        "trained_on": len(data.texts) - round(np.mean([len(part.labels) for part in parts])),
        "tested_on": round(np.mean([len(part.labels) for part in parts])),
        "chosen": chosen,
        **_scores(data.kind, parts, options.resamples),
    }


def _scores(kind: str, parts: Sequence[Part], times: int) -> dict[str, Any]:
    """Return scores, their intervals, and those of the differences to the embedding."""
    drawn = bootstrap(kind, parts, times)
    reached = {
        name: float(np.mean([score(kind, part.labels, part.predicted[name]) for part in parts]))
        for name in drawn
    }
    others = [name for name in drawn if name != EMBEDDING]
    return {
        "scores": {name: {"score": reached[name], "interval": interval(drawn[name])} for name in drawn},
        "ahead_of": {
            name: {
                "by": reached[EMBEDDING] - reached[name],
                "interval": interval(drawn[EMBEDDING] - drawn[name]),
            }
            for name in others
        },
    }


def thinned(data: Labelled, limit: int, seed: int) -> Labelled:
    """Draw rows at random where there are more than a limit."""
    count = len(data.texts)
    if not limit or count <= limit:
        return data
    return data.take(np.sort(np.random.default_rng(seed).choice(count, limit, replace=False)))


def readable(model: SequenceModel, data: Labelled) -> tuple[Labelled, list[np.ndarray]]:
    """Keep the rows that the model can read, for all features alike."""
    ids = [model.tokenizer.prepare(text).ids for text in data.texts]
    rows = np.flatnonzero([len(one) > 0 for one in ids])
    return data.take(rows), [ids[row] for row in rows]


def embeddings(model: SequenceModel, ids: Sequence[np.ndarray], budget: int) -> dict[str, Features]:
    """Return the mean over every sequence, after a few blocks and after the last one."""
    last = model.layer_count - 1
    layers = sorted({last, *(round(last * share) for share in DEPTHS)})
    # a model that ties the strands embeds both
    strands = "none" if model.config.reverse_complement == "none" else "average"
    found = embed_batch(model, ids, layers=tuple(layers), rc=strands, batch_tokens=budget)
    named = {f"layer {layer}": [row[layer, "mean"] for row in found] for layer in layers}
    return {name: np.stack(rows).astype(np.float64) for name, rows in named.items()}


def fresh(model: SequenceModel, seed: int) -> SequenceModel:
    """Build the same network with weights that were never trained."""
    settings = {name: value for name, value in model.config.to_dict().items() if name != "family"}
    tokenizer = model.tokenizer
    new = bio_xlstm.build(model.config.family, seed=seed + 1, tokenizer=tokenizer, **settings)
    return new.eval().to(model.device)


def baseline_name(kind: str) -> str:
    """Name the features that need no model."""
    return "fingerprints" if kind == "smiles" else "k-mers"


def plain_features(kind: str, texts: Sequence[str]) -> dict[str, Features]:
    """Count k-mers, or the parts of molecules that Morgan fingerprints hold."""
    if kind == "smiles":
        return {
            "bits": csr_matrix(fingerprints(texts, FINGERPRINT_BITS).astype(np.float64)),
            "counts": csr_matrix(fingerprints(texts, FINGERPRINT_BITS, counts=True).astype(np.float64)),
        }
    found = {}
    for length in KMERS[kind]:
        counter = CountVectorizer(analyzer="char", ngram_range=(length, length), dtype=np.float64)
        found[f"{length}-mers"] = normalize(counter.fit_transform(texts))
    return found


def report(content: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    rows = content["rows"]
    columns: dict[str, list[str]] = {
        "set": [f"{row['set']} ({row['trained_on']:,} / {row['tested_on']:,})" for row in rows],
        "metric": [row["metric"] for row in rows],
        "split": [row["split"] + (f", {row['splits']} times" if row["splits"] > 1 else "") for row in rows],
    }
    for name in rows[0]["scores"] if rows else ():
        columns[name] = [_cell(row["scores"][name], "score") for row in rows]
    for name in rows[0]["ahead_of"] if rows else ():
        if name != UNTRAINED:
            columns[f"ahead of {name} by"] = [_cell(row["ahead_of"][name], "by") for row in rows]
    return (
        "Linear models on frozen features; in brackets behind a set, sequences trained and tested on, behind a score "
        "its\n95 % interval. `untrained` is the same network with fresh weights.\n\n" + table(columns)
    )


def _cell(found: dict[str, Any], name: str) -> str:
    """Write a score and its interval."""
    low, high = found["interval"]
    return f"{found[name]:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    run_script(main)
