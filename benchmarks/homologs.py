"""Measure what homologs tell a protein model: the perplexity of a protein after 0, 1, 10 and 50 of them.

    python benchmarks/homologs.py MODEL RECIPE --data DIR --cache DIR [--json FILE]
    python benchmarks/homologs.py MODEL --families FILE ... [--json FILE]

With a recipe the families are the sets of its test part (of the held-out part where that has none that are large
enough): nothing of them, nor anything that shares words with them, was trained on. Families named by file may have
been. The homologs of a protein are drawn by weight, those of 1 among those of 10 among those of 50; what is more than
98 % like it is never among them. As a control the same protein is read after proteins of other families. Its residues
count, not its end.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from Bio.Align import PairwiseAligner
from measured import Measured, mean_interval, table
from options import add_machine, add_model, add_recipe, add_seed, make_parser, run_script
from torch.nn import functional as F
from tqdm import tqdm

import bio_xlstm
from bio_xlstm.homologs import MAX_SIMILARITY, sequence_weights
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records.alignment import read_alignment
from bio_xlstm.tasks.pretrain.corpus import prepare
from bio_xlstm.tasks.pretrain.settings import read_recipe
from bio_xlstm.tasks.pretrain.token_store import TokenStore

STRANGERS = "strangers"
# comparing all sequences of a family takes time with the square of their number
MOST_WEIGHED = 2000


class Family(NamedTuple):
    """Hold homologs as bare ids."""

    name: str
    members: list[np.ndarray]
    weights: np.ndarray  # (N,)


class Case(NamedTuple):
    """Hold a protein and what may be read before it."""

    family: int
    target: np.ndarray
    homologs: list[np.ndarray]
    strangers: list[np.ndarray]


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    model = bio_xlstm.load(options.model).eval()
    if model.kind != "protein" or not model.causal:
        raise SystemExit(f"{model.name} is no causal model of proteins: it reads no homologs")
    measured = Measured("homologs", model.to(options.device), options)
    places = find_families(model, options)
    tried = ((*place, list(make_cases(place[1], options))) for place in places)
    part, families, cases = next((found for found in tried if found[2]), ("", [], []))
    if not cases:
        raise SystemExit(f"no family has {max(options.sizes)} homologs that can be read before a protein")
    nats = measure(model, cases, options.sizes)
    found = summarise(cases, nats, options.sizes)
    used = sorted({case.family for case in cases})
    measured.keep(
        part=part,
        recipe=read_recipe(options.recipe).name if part != "files" else "",
        families=[families[number].name for number in used],
        left_out=len(families) - len(used),
        proteins=len(cases),
        sizes=list(options.sizes),
        rows=found,
    )
    print(report(measured.content))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    add_model(parser)
    add_recipe(parser, needed=False)
    parser.add_argument("--families", type=Path, nargs="+", help="alignments to read in place of a recipe's")
    parser.add_argument("--sizes", type=_sizes, default=(0, 1, 10, 50), help="homologs before a protein")
    parser.add_argument("--proteins", type=int, default=10, help="of every family")
    parser.add_argument("--limit", type=int, default=0, help="families [all]")
    parser.add_argument("--longest", type=int, default=1000, help="residues of a protein that is used")
    add_seed(parser)
    add_machine(parser)
    options = parser.parse_args()
    if not options.families and not (options.recipe and options.data and options.cache):
        parser.error("name a recipe with --data and --cache, or families by file with --families")
    return options


def _sizes(text: str) -> tuple[int, ...]:
    """Read rising numbers of homologs, parted by commas."""
    sizes = tuple(int(word) for word in text.split(","))
    if sizes != tuple(sorted(set(sizes))) or sizes[0] < 0:
        raise argparse.ArgumentTypeError(f"numbers of homologs must rise, such as 0,1,10, not {text}")
    return sizes


def find_families(model: SequenceModel, options: argparse.Namespace) -> list[tuple[str, list[Family]]]:
    """Return families by where they come from, the best place first."""
    if options.families:
        found = {"files": [read_family(path, model, options.seed) for path in options.families]}
    else:
        recipe = read_recipe(options.recipe)
        corpus = prepare(recipe, options.data, options.cache)
        stores = {"test": corpus.test, "held_out": corpus.held_out}
        found = {part: families_of(store, corpus.domains) for part, store in stores.items()}
    if not any(found.values()):
        raise SystemExit("the recipe holds no set of proteins out of training")
    return [(part, families[: options.limit or None]) for part, families in found.items()]


def read_family(path: Path, model: SequenceModel, seed: int) -> Family:
    """Read a family from a file, some of it where it is large."""
    found = read_alignment(path)
    count = min(len(found.sequences), MOST_WEIGHED)
    rows = np.random.default_rng(seed).choice(len(found.sequences), count, replace=False)
    members = [model.tokenizer.prepare(found.sequences[row]).ids for row in rows]
    weights = np.ones(count) if found.columns is None else sequence_weights(found.columns[rows])
    readable = np.array([len(ids) > 0 for ids in members])
    return Family(path.name.split(".")[0], [ids for ids in members if len(ids)], weights[readable])


def families_of(store: TokenStore, domains: Sequence[str]) -> list[Family]:
    """Return the sets of a store as families."""
    numbers = np.asarray(store.sets)
    families = []
    for number in np.unique(numbers[numbers >= 0]):
        pieces = np.flatnonzero(numbers == number)
        members = [store.tokens[store.offsets[n] : store.offsets[n + 1]] for n in pieces]
        name = f"{domains[store.domains[pieces[0]]]} {number}"
        families.append(Family(name, members, np.asarray(store.shares[pieces], float)))
    return families


def make_cases(families: Sequence[Family], options: argparse.Namespace) -> Iterator[Case]:
    """Choose proteins of every family, each with its homologs and as many strangers; small families give none."""
    most = max(options.sizes)
    for number, family in enumerate(families):
        rng = np.random.default_rng([options.seed, number])
        short = np.flatnonzero([len(ids) <= options.longest for ids in family.members])
        others = [
            ids
            for one in families
            for ids in one.members
            if one is not family and len(ids) <= options.longest
        ]
        if len(short) <= most or (most and not others):
            continue
        for target in by_weight(family.weights[short], rng)[: options.proteins]:
            homologs = unlike(short[target], family, short, most, rng)
            if len(homologs) == most:
                chosen = rng.choice(len(others), min(most, len(others)), replace=False)
                strangers = [others[index] for index in chosen]
                yield Case(number, family.members[short[target]], homologs, strangers)


def by_weight(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw all rows (N,) without replacement, likely by weight."""
    # the smallest of exponential variates over weights is a draw by weight, the next one without replacement
    return np.argsort(rng.exponential(size=len(weights)) / np.maximum(weights, 1e-12))


def unlike(
    target: int, family: Family, rows: np.ndarray, count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw up to `count` members among the rows, none of them nearly identical to the target."""
    found: list[np.ndarray] = []
    for row in rows[by_weight(family.weights[rows], rng)]:
        if len(found) == count:
            break
        if row != target and likeness(family.members[target], family.members[row]) <= MAX_SIMILARITY:
            found.append(family.members[row])
    return found


# counts the residues that two sequences share in the same order, at least those of any alignment
_aligner = PairwiseAligner(mode="global", match_score=1, mismatch_score=0, gap_score=0)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return which share of the shorter sequence the other one holds in the same order, gaps aside."""
    texts = (bytes(ids.astype(np.uint8) + 1) for ids in (one, other))
    return float(_aligner.score(*texts)) / min(len(one), len(other))


def measure(model: SequenceModel, cases: Sequence[Case], sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the nats per residue of every case, (C,) for every number of homologs and for strangers."""
    found: dict[str, list[float]] = {name: [] for name in (*map(str, sizes), STRANGERS)}
    for case in tqdm(cases, desc="proteins", disable=None):
        for size in sizes:
            found[str(size)].append(read_after(model, case.target, case.homologs[:size]))
        found[STRANGERS].append(read_after(model, case.target, case.strangers))
    return {name: np.array(values) for name, values in found.items()}


@torch.inference_mode()
def read_after(model: SequenceModel, target: np.ndarray, context: Sequence[np.ndarray]) -> float:
    """Return the nats per residue of a protein after a context."""
    start = np.array([model.tokenizer.start])
    row = np.concatenate([part for ids in (*context, target) for part in (start, ids)])
    tokens = torch.from_numpy(row.astype(np.int64))[None].to(model.device)
    hidden = model(tokens, with_state=False).hidden
    # the token before a residue predicts it
    logits = model.logits_of(hidden[:, -len(target) - 1 : -1])[0].float()
    return float(F.cross_entropy(logits, tokens[0, -len(target) :]))


def summarise(
    cases: Sequence[Case], nats: dict[str, np.ndarray], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Average over proteins of a family, then over families; intervals are over families."""
    owners = np.array([case.family for case in cases])
    means = {
        name: np.array([values[owners == family].mean() for family in np.unique(owners)])
        for name, values in nats.items()
    }
    base = means[str(sizes[0])]
    return [
        {
            "homologs": name,
            "perplexity": float(np.exp(values.mean())),
            "perplexity_interval": np.exp(mean_interval(values)).tolist(),
            "fall": float((base - values).mean()),
            "fall_interval": list(mean_interval(base - values)),
            "families_better": float((values < base).mean()),
            "families": values.tolist(),
        }
        for name, values in means.items()
    ]


def report(content: dict[str, Any]) -> str:
    """Write the results as Markdown."""
    columns: dict[str, list[str]] = {"read before": [], "perplexity": []}
    columns |= {"fall, nats per residue": [], "families that are better": []}
    for number, row in enumerate(content["rows"]):
        low, high = row["perplexity_interval"]
        fall = f"{row['fall']:.3f} ({' to '.join(f'{value:.3f}' for value in row['fall_interval'])})"
        cells = (
            _label(row["homologs"], max(content["sizes"])),
            f"{row['perplexity']:.2f} ({low:.2f}-{high:.2f})",
            fall if number else "",
            f"{row['families_better']:.0%}" if number else "",
        )
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    return (
        f"{content['proteins']:,} proteins of {len(content['families'])} {_SOURCES[content['part']]}; "
        f"{content['left_out']} more have too few homologs.\n"
        "Homologs are at most 98 % like the protein. In brackets 95 % intervals over families.\n\n"
        + table(columns)
    )


_SOURCES = {
    "files": "families named by file, which may have been trained on",
    "test": "families of the test part",
    "held_out": "families of the held-out part",
}


def _label(name: str, most: int) -> str:
    """Say what is read before a protein."""
    if name == STRANGERS:
        return f"{most} proteins of other families"
    return {"0": "nothing", "1": "1 homolog"}.get(name, f"{name} homologs")


if __name__ == "__main__":
    run_script(main)
