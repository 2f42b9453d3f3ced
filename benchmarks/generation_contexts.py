"""What molecules of a domain as context change about the molecules that are drawn after them."""

import argparse
import csv
import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from measured import mean_interval
from timing import progress

from bio_xlstm.tasks.evaluate.chemnet import Activations, frechet_distance, has_chemnet, readable, run_chemnet
from bio_xlstm.tasks.evaluate.fingerprints import fingerprints, nearest_similarities
from bio_xlstm.tasks.evaluate.molecule import read_molecules
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.run import generate_file

SETS = "smiles/icst_valid_sets.txt.xz"
SHOWN, MOST = 20, 500  # molecules of a domain: as context, and compared with
HEAVY = 10  # atoms, below which a part of a set is taken for the ion of a salt
FREE = "nothing"


class Drawn(NamedTuple):
    """Hold what was drawn: canonical SMILES, fingerprints, what ChemNet makes of them, and the share accepted."""

    smiles: list[str]
    prints: np.ndarray
    seen: np.ndarray | None
    accepted: float


def measure_contexts(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Compare what is drawn after molecules of a domain, and what is drawn after nothing, with the rest of it."""
    count = options.count or (8 if options.tiny else 200 if options.quick else 1000)
    limit = options.domains or (2 if options.tiny else 8 if options.quick else 50)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        free = drawn_after(None, count, Path(folder))
        for number, domain in read_domains(options.data / SETS, limit):
            progress(f"domain {number}: {len(domain):,} molecules")
            shown, rest = domain[:SHOWN], domain[SHOWN:][:MOST]
            path = Path(folder) / f"{number}.smi"
            path.write_text("\n".join(shown) + "\n")
            with_context = drawn_after(path, count, Path(folder))
            real = summarise(rest, 1.0)
            row: dict[str, Any] = {"domain": number, "rest": len(rest)}
            for name, drawn in (("20", with_context), (FREE, free)):
                row |= {f"{key} after {name}": value for key, value in compare(drawn, real).items()}
            row["copies of the context"] = float(np.mean([one in set(shown) for one in with_context.smiles]))
            row["accepted"] = with_context.accepted
            rows.append(row)
            yield row
    yield average(rows)


def read_domains(path: Path, limit: int) -> list[tuple[int, list[str]]]:
    """Return domains with enough molecules, spread over the file, each as canonical SMILES in random order."""
    with lzma.open(path, "rt") as file:
        lines = file.read().splitlines()
    found: list[tuple[int, list[str]]] = []
    for number in np.random.default_rng(0).permutation(len(lines)).tolist():
        if len(found) == limit:
            break
        molecules = read_molecules(lines[number].split("."))
        # parts of a set are joined by the dots that join ions, too
        smiles = sorted({one.canonical for one in molecules if one and len(one.canonical) > HEAVY})
        if len(smiles) >= 4 * SHOWN:
            order = np.random.default_rng(number).permutation(len(smiles))
            found.append((number, [smiles[index] for index in order]))
    return sorted(found)


def drawn_after(context: Path | None, count: int, folder: Path) -> Drawn:
    """Draw molecules with the command's own run."""
    output = folder / "drawn.csv"
    generate_file(
        GenerateRequest(
            output=str(output),
            count=count,
            model="chem-small",
            context=None if context is None else str(context),
            context_tokens=None if context is None else 4096,
            contexts=None if context is None else 1,
            valid_only=True,
            overwrite=True,
            quiet=True,
            max_tries=4 * count,
        )
    )
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    tried = max(int(row["index"]) for row in rows) + 1
    return summarise([row["canonical"] for row in rows], len(rows) / tried)


def summarise(smiles: Sequence[str], accepted: float) -> Drawn:
    """Describe molecules."""
    seen = run_chemnet([one for one in smiles if readable(one)]) if has_chemnet() else None
    return Drawn(list(smiles), fingerprints(smiles), seen, accepted)


def compare(drawn: Drawn, real: Drawn) -> dict[str, float | None]:
    """Measure how far drawn molecules are from real ones, sets of one size for FCD."""
    distance = None
    if drawn.seen is not None and real.seen is not None:
        size = min(len(drawn.seen), len(real.seen))
        distance = frechet_distance(Activations.of(drawn.seen[:size]), Activations.of(real.seen[:size]))
    return {
        "FCD": distance,
        "nearest similarity": float(nearest_similarities(drawn.prints, real.prints).mean()),
    }


def average(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average over domains, with the differences that a context makes and in how many domains it is better."""
    found: dict[str, Any] = {"domain": f"mean of {len(rows)}", "rest": None}
    for key in rows[0].keys() - {"domain", "rest"}:
        values = [row[key] for row in rows]
        found[key] = None if None in values else float(np.mean(values))
    for key, sign in (("FCD", -1), ("nearest similarity", 1)):
        pairs = [(row[f"{key} after 20"], row[f"{key} after {FREE}"]) for row in rows]
        if any(None in pair for pair in pairs):
            continue
        gains = np.array([sign * (one - other) for one, other in pairs])
        low, high = mean_interval(gains)
        found[f"{key}: gain"] = f"{gains.mean():.3g} ({low:.3g} to {high:.3g}), better in {(gains > 0).sum()}"
    return found
