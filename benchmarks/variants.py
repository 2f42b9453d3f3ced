"""Measure variants: what reading left flanks once saves in a full scan, and how well ratios rank measured mutants.

    python benchmarks/variants.py scan MODEL [--protein FASTA] [--sample N]
    python benchmarks/variants.py proteingym MODEL --data DIR [--sample N] [--everything]

`scan` compares all 19 L single mutants of a protein with its wild type, and a sample of them in the ways that read
every mutated sequence in full; both must agree. `proteingym` gives Spearman's correlation with measured effects,
without homologs and, where DIR holds an alignment, with them, beside published numbers. DIR holds the folders
protein_assays, msas and reference.
"""

import argparse
import csv
import io
import lzma
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measured import Measured, table
from options import add_machine, add_model, add_seed, make_parser, run_script
from scipy.stats import spearmanr
from tqdm import tqdm

import bio_xlstm
from bio_xlstm.context import read_context
from bio_xlstm.infilling import hide
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records import open_records
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.generate.contexts import Extent, read_contexts
from bio_xlstm.variants.flanks import Tail, read_tails, symbol_answers
from bio_xlstm.variants.likelihood import framed_tokens
from bio_xlstm.variants.mutations import (
    LETTERS,
    apply_mutations,
    parse_mutations,
    revert_mutations,
    single_substitutions,
)
from bio_xlstm.variants.ratios import score_variants

# alignments of proteins that assays are about
FAMILIES = {"BLAT_ECOLX": "blat_ecolx_colabfold.a3m.xz", "PTEN_HUMAN": "pten_human.a2m.xz"}
PUBLISHED = ("Site-Independent", "ESM2 (8M)", "Unirep", "RITA S", "Progen2 S", "Tranception S", "PoET (200M)")
# the older and the newer name of a laboratory's assays
RENAMED = ("_Rocklin_", "_Tsuboyama_")
BATCH = 4096


class Assay(NamedTuple):
    """Hold the measured mutants of a wild type."""

    name: str
    wild: str
    mutants: list[str]
    measured: np.ndarray  # (N,)


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    model = bio_xlstm.load(options.model).eval().to(options.device)
    if model.kind != "protein" or not model.causal:
        raise SystemExit(f"{model.name} is no causal model of proteins")
    measured = Measured(f"variants {options.what}", model, options)
    print((measure_scan if options.what == "scan" else measure_assays)(model, options, measured))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("what", choices=("scan", "proteingym"))
    add_model(parser)
    parser.add_argument("--protein", type=Path, help="FASTA with the protein to scan [250 random residues]")
    parser.add_argument("--data", type=Path, help="folder with the assays")
    parser.add_argument("--sample", type=int, default=200, help="mutants of an assay, or read in full; 0 all")
    parser.add_argument("--everything", action="store_true", help="assays without homologs, too")
    parser.add_argument("--tokens", type=int, default=2048, help="of a context [%(default)s]")
    parser.add_argument("--contexts", type=int, default=3, help="drawn homologs, averaged [%(default)s]")
    add_seed(parser)
    add_machine(parser)
    options = parser.parse_args()
    if options.what == "proteingym" and options.data is None:
        parser.error("name the folder of the assays with --data")
    return options


def measure_scan(model: SequenceModel, options: argparse.Namespace, measured: Measured) -> str:
    """Time a scan and the ways that read every mutant in full; processor time, so that others do not count."""
    rng = np.random.default_rng(options.seed)
    wild = "M" + "".join(rng.choice(list(LETTERS["protein"]), 249))
    if options.protein is not None:
        wild = next(iter(open_records(options.protein))).text.replace("\n", "")
    names = [str(mutation) for mutation in single_substitutions(wild, LETTERS["protein"])]
    chosen = rng.permutation(len(names))[: options.sample or None]
    some = [names[index] for index in chosen]
    mutated = [apply_mutations(wild, parse_mutations(name)) for name in some]
    model.variants(wild, some[:8])
    model.variants(wild, some[:8], method="marginal")
    rows = []
    for method, ways in _ways(model, wild, mutated).items():
        seconds, ratios = clocked(lambda method=method: model.variants(wild, names, method=method))  # type: ignore[misc]
        rows.append({"way": f"{method}, left flanks once", "ms": 1e3 * seconds / len(names), "factor": 1.0})
        for name, way in ways.items():
            slow, found = clocked(way)
            ms = 1e3 * slow / len(some)
            rows.append(
                {
                    "way": f"{method}, {name}",
                    "ms": ms,
                    "factor": ms / (1e3 * seconds / len(names)),
                    "difference": float(np.abs(ratios[chosen] - found).max()),
                }
            )
    measured.keep(residues=len(wild), mutants=len(names), sampled=len(some), rows=rows)
    return f"{len(names):,} mutants of {len(wild)} residues; {len(some)} of them in full\n\n" + table(
        {
            "way": [row["way"] for row in rows],
            "ms per mutant": [f"{row['ms']:.2f}" for row in rows],
            "times as long": [f"{row['factor']:.1f}" for row in rows],
            "largest difference": [f"{row['difference']:.1e}" if "difference" in row else "" for row in rows],
        }
    )


def _ways(
    model: SequenceModel, wild: str, mutated: Sequence[str]
) -> dict[str, dict[str, Callable[[], np.ndarray]]]:
    """Return the ways that read every mutated sequence in full, for every method."""

    def batched() -> np.ndarray:
        return np.asarray(model.score(mutated)) - np.asarray(model.score([wild]))

    def alone() -> np.ndarray:
        each = [model.score([sequence]) for sequence in mutated]
        return np.concatenate(each) - np.asarray(model.score([wild]))

    ways: dict[str, dict[str, Callable[[], np.ndarray]]] = {
        "likelihood": {"every sequence, in batches": batched, "every sequence, one by one": alone}
    }
    if model.config.objective == "infill":
        ways["marginal"] = {"every hidden layout, in batches": lambda: filled_in_full(model, wild, mutated)}
    return ways


@torch.inference_mode()
def filled_in_full(model: SequenceModel, wild: str, mutated: Sequence[str]) -> np.ndarray:
    """Hide the changed residue of every sequence and read all of it."""
    framed = framed_tokens(model, model.tokenizer.encode(wild))
    tails, symbols = [], []
    for sequence in mutated:
        place = next(i for i in range(len(wild)) if wild[i] != sequence[i])
        hidden = hide(model.tokenizer.encode(sequence), [(place, place + 1)], model.tokenizer).ids
        tokens = framed_tokens(model, hidden)
        targets = np.full(len(tokens), -1)
        targets[-2] = tokens[-1]
        tails.append(Tail(0, tokens, targets))
        symbols.append((tokens[-1], framed[place + 1]))
    found = read_tails(model, framed, tails, symbol_answers, state=None, budget=BATCH)
    return np.array([rows[0, new] - rows[0, old] for rows, (new, old) in zip(found, symbols, strict=True)])


def clocked(way: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the processor seconds that something takes, and what it returns."""
    begin = time.process_time()
    found = way()
    return time.process_time() - begin, found


def measure_assays(model: SequenceModel, options: argparse.Namespace, measured: Measured) -> str:
    """Correlate ratios with what was measured."""
    published = read_published(options.data)
    rows: list[dict[str, Any]] = []
    for assay in tqdm(list(read_assays(options)), desc="assays", disable=None):
        methods = ("likelihood", "marginal") if model.config.objective == "infill" else ("likelihood",)
        row: dict[str, Any] = {"assay": assay.name, "mutants": len(assay.mutants)}
        for method in methods:
            row[method] = correlation(model, assay, method, [None])
        states = contexts_of(model, assay, options)
        if states:
            row["homologs"] = correlation(model, assay, "likelihood", states)
        row["published"] = published.get(assay.name.replace(*RENAMED), {})
        rows.append(row)
        measured.keep(rows=rows)
    return report(rows)


def correlation(
    model: SequenceModel, assay: Assay, method: str, states: Sequence[ModelState | None]
) -> float:
    """Return Spearman's correlation of measured effects with ratios, averaged over contexts."""
    found = [
        score_variants(model, assay.wild, assay.mutants, method=method, state=state, batch_tokens=BATCH)
        for state in states
    ]
    return float(spearmanr(np.mean(found, axis=0), assay.measured).statistic)


def contexts_of(model: SequenceModel, assay: Assay, options: argparse.Namespace) -> list[ModelState]:
    """Draw homologs of an assay's protein, several times; none where there is no alignment."""
    file = next((file for name, file in FAMILIES.items() if assay.name.startswith(name)), None)
    if file is None:
        return []
    path = str(options.data / "msas" / file)
    extent = Extent(tokens=options.tokens, contexts=options.contexts)
    drawn = read_contexts(path, model.tokenizer, extent, options.seed, lambda line: None)
    return [read_context(model, members, batch_tokens=BATCH) for members in drawn]


def read_assays(options: argparse.Namespace) -> Iterator[Assay]:
    """Yield the assays with multiple mutants, those of proteins with homologs, and if asked all others."""
    folder = options.data / "protein_assays"
    for path in sorted((folder / "proteingym_v1").glob("*.csv.xz")):
        rows = list(read_rows(path))
        wild = revert_mutations(rows[0]["mutated_sequence"], parse_mutations(rows[0]["mutant"]))
        yield sampled(path.name.split(".")[0], wild, rows, "DMS_score", options)
    wild_types = {
        record.id: record.text for record in open_records(folder / "proteingym_singles_wt.fasta.xz")
    }
    singles: dict[str, list[Mapping[str, str]]] = {}
    for row in read_rows(folder / "proteingym_singles.csv.xz"):
        singles.setdefault(row["dms_id"], []).append(row)
    for name, rows in singles.items():
        if options.everything or name.startswith(tuple(FAMILIES)):
            yield sampled(name, wild_types[name].replace("\n", ""), rows, "score", options)


def sampled(
    name: str, wild: str, rows: Sequence[Mapping[str, str]], column: str, options: argparse.Namespace
) -> Assay:
    """Draw some mutants of an assay."""
    order = np.random.default_rng(options.seed).permutation(len(rows))[: options.sample or None]
    chosen = [rows[index] for index in sorted(order)]
    return Assay(
        name, wild, [row["mutant"] for row in chosen], np.array([float(row[column]) for row in chosen])
    )


def read_published(data: Path) -> dict[str, dict[str, float]]:
    """Return the published correlations of every assay."""
    path = data / "reference" / "proteingym_zs_DMS_substitutions_Spearman_DMS_level.csv.xz"
    return {row["DMS ID"]: {name: float(row[name]) for name in PUBLISHED} for row in read_rows(path)}


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a packed table."""
    with lzma.open(path) as packed:
        yield from csv.DictReader(io.TextIOWrapper(packed, "utf-8", newline=""))


def report(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the results as Markdown, with the means over all assays, and over those with homologs."""
    names = [name for name in ("likelihood", "marginal", "homologs") if any(name in row for row in rows)]

    def cells(row: Mapping[str, Any], get: Mapping[str, Any], name: str) -> str:
        return f"{get[name]:.3f}" if name in get else ""

    columns = {"assay": [row["assay"] for row in rows], "mutants": [f"{row['mutants']:,}" for row in rows]}
    columns |= {name: [cells(row, row, name) for row in rows] for name in names}
    columns |= {name: [cells(row, row["published"], name) for row in rows] for name in PUBLISHED}
    for some in (rows, [row for row in rows if "homologs" in row]):
        known = [row for row in some if row["published"]]
        if not known or (some is not rows and len(some) == len(rows)):
            continue
        columns["assay"].append(f"mean of {len(known)}")
        columns["mutants"].append("")
        for name in names:
            values = [row[name] for row in known if name in row]
            columns[name].append(f"{np.mean(values):.3f}" if len(values) == len(known) else "")
        for name in PUBLISHED:
            columns[name].append(f"{np.mean([row['published'][name] for row in known]):.3f}")
    return table(columns)


if __name__ == "__main__":
    run_script(main)
