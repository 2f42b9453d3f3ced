"""Compare fine-tuned bundled models with simple models on public assays: the same splits, several seeds.

    python benchmarks/assays.py --data DIR [--only SET ...] [--seeds 3] [--method head] [--json FILE]
    python benchmarks/assays.py --json FILE --document docs/finetuning.md

Every run takes the steps of `bioxlstm finetune` up to its metrics and those of its baselines. With --json each is kept
as soon as it is known, and what the file holds for the same weights and options is not measured again. --document
measures nothing: it puts the table between the marker lines of a document. The forest takes all cores.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from assay_run import How, Memory, measure
from assay_sets import ASSAYS, Assay, thinned
from assay_verdicts import report, summarise
from markers import show
from measured import HASH, Measured
from options import add_machine, make_parser, run_script

import bio_xlstm
from bio_xlstm.models.directory import default_model
from bio_xlstm.tasks.finetune.words import METHODS

BENCHMARK = "assays"
# what makes a run another one
KEY = ("set", "target", "seed", "method", "limit", "weights")
Row = dict[str, Any]


class Contender(NamedTuple):
    """Name the model that reads a kind of sequence, and its weights."""

    path: str
    name: str
    weights: str


def main() -> None:
    """Measure what is missing, print the table and, if asked, put it into a document."""
    options = parse()
    torch.set_num_threads(options.threads)
    rows = earlier(options.json)
    models = contenders(options.model)
    if not options.document:
        measure_all(rows, models, options)
    mine = [row for row in rows if is_asked(row, models, options)]
    summaries = [one for name in options.only for one in summarise(name, of_set(mine, name))]
    text = report(summaries, options.only, options.seeds)
    if not options.document:
        print(text)
        return
    if not summaries:
        raise SystemExit(
            f"{options.json} holds no whole seed of these weights with --method {options.method}"
        )
    show(f"{text}\n{source(options)}", BENCHMARK, options.document)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder with mol_assays, protein_assays and dna_tasks")
    parser.add_argument("--only", action="append", choices=ASSAYS, metavar="SET", help=f"{', '.join(ASSAYS)}")
    parser.add_argument("--seeds", type=int, default=3, help="runs of an assay [%(default)s]")
    parser.add_argument("--limit", type=int, default=0, help="rows of an assay, drawn by the seed (0: all)")
    parser.add_argument("--targets", type=int, default=0, help="of a set of many, the first by name (0: all)")
    parser.add_argument("--method", choices=METHODS, default="head", help="[%(default)s]")
    parser.add_argument("--model", action="append", default=[], help="instead of a bundled one (repeatable)")
    parser.add_argument("--document", type=Path, help="measure nothing, fill this document")
    add_machine(parser)
    options = parser.parse_args()
    options.only = [name for name in ASSAYS if not options.only or name in options.only]
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, not {options.seeds}")
    if not options.data and not options.document:
        parser.error("name the folder of the data with --data")
    if options.document and (not options.json or options.limit or options.targets):
        parser.error("--document takes --json, and whole runs alone: neither --limit nor --targets")
    return options


def contenders(given: Sequence[str]) -> dict[str, Contender]:
    """Return the model for every kind of sequence: a given one, else the bundled one."""
    paths = [*(default_model(kind) for kind in sorted({one.kind for one in ASSAYS.values()})), *given]
    found = {}
    for path in paths:
        model = bio_xlstm.load(path)
        found[model.kind] = Contender(path, model.name, model.weight_hash()[:HASH])
    return found


def earlier(path: Path | None) -> list[Row]:
    """Return the runs that a file holds."""
    if path is None or not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SystemExit(f"{path} is no JSON file: {error}") from None
    if not isinstance(content, dict) or content.get("benchmark") != BENCHMARK:
        raise SystemExit(f"{path} holds no result of {BENCHMARK}")
    return list(content["rows"])


def measure_all(rows: list[Row], models: dict[str, Contender], options: argparse.Namespace) -> None:
    """Add what is missing, and keep everything after every run."""
    measured = Measured(BENCHMARK, None, options, name="bundled")
    done = {tuple(row[name] for name in KEY) for row in rows}
    memory = Memory()
    for about, assay in wanted(models, options):
        if tuple(about[name] for name in KEY) in done:
            continue
        one = ASSAYS[about["set"]]
        how = How(models[one.kind].path, options.method, options.device)
        some = thinned(assay, one, options.limit, about["seed"])
        rows.append({**about, **measure(some, one, how, about["seed"], memory)})
        said(rows[-1])
        mine = [row for row in rows if is_asked(row, models, options)]
        sets = [each for name in ASSAYS for each in summarise(name, of_set(mine, name))]
        measured.keep(sets=sets, rows=rows)


def wanted(models: dict[str, Contender], options: argparse.Namespace) -> Iterator[tuple[Row, Assay]]:
    """Yield every run that is asked for: set by set, target by target, seed by seed."""
    for name in options.only:
        model = models[ASSAYS[name].kind]
        assays = ASSAYS[name].read(options.data)
        for assay in assays[: options.targets or None]:
            for seed in range(options.seeds):
                yield (
                    {
                        "set": name,
                        "target": assay.target,
                        "targets": len(assays),
                        "seed": seed,
                        "method": options.method,
                        "limit": options.limit,
                        "model": model.name,
                        "weights": model.weights,
                    },
                    assay,
                )


def is_asked(row: Row, models: dict[str, Contender], options: argparse.Namespace) -> bool:
    """Tell whether a run is about these weights and options."""
    return (
        row["set"] in ASSAYS
        and row["seed"] < options.seeds
        and (row["method"], row["limit"]) == (options.method, options.limit)
        and row["weights"] == models[ASSAYS[row["set"]].kind].weights
    )


def of_set(rows: Sequence[Row], name: str) -> list[Row]:
    """Return the runs of a set."""
    return [row for row in rows if row["set"] == name]


def said(row: Row) -> None:
    """Say that a run is done."""
    metric = ASSAYS[row["set"]].metrics[0]
    value = row["ours"][metric][0]
    shown = "none" if value is None else f"{value:.3f}"
    target = f" {row['target']}" if row["target"] else ""
    seconds = sum(row["seconds"].values())
    print(
        f"{row['set']}{target} seed {row['seed']}: {metric} {shown}, {seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def source(options: argparse.Namespace) -> str:
    """Say where a table comes from."""
    content = json.loads(options.json.read_text(encoding="utf-8"))
    machine = content["machine"]
    where = machine.get("gpu") or machine["cpu"]
    return f"`benchmarks/assays.py --method {options.method}`, {content['date']}, {where}, torch {machine['torch']}"


if __name__ == "__main__":
    run_script(main)
