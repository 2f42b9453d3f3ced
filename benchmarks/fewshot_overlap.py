"""Count how many molecules of FS-Mol's validation fold stand in its training assays too.

    python benchmarks/fewshot_overlap.py --data DIR [--document docs/fewshot.md]

DIR holds mol_assays. Molecules that differ in stereo marks alone are one.
"""

import argparse
import csv
import io
import lzma
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from markers import show
from options import make_parser, run_script

from bio_xlstm.tasks.evaluate.facts import read_flat

BENCHMARK = "fewshot-overlap"
# share of an assay's molecules above which it counts as known
MOST = 0.9


def main() -> None:
    """Read both folds and say what they share."""
    options = parse()
    every, known, assays = overlap(options.data / "mol_assays")
    text = (
        f"Of the {every:,} molecules of the validation fold, {known:,} ({known / every:.0%}) stand in training assays; "
        f"of its {len(assays)} assays, {sum(share > MOST for share in assays.values())} have more than {MOST:.0%} of "
        f"their molecules there.\n\n`benchmarks/fewshot_overlap.py`"
    )
    show(text, BENCHMARK, options.document)


def overlap(folder: Path) -> tuple[int, int, dict[str, float]]:
    """Count the molecules of the validation fold, and those that stand in training assays; and their share by assay."""
    flat: dict[str, str] = {}
    known = {_flat(flat, text) for _, text in read(folder / "fsmol_train.tsv.xz")}
    assays: dict[str, set[str]] = defaultdict(set)
    for assay, text in read(folder / "fsmol_valid.tsv.xz"):
        assays[assay].add(_flat(flat, text))
    every = set().union(*assays.values())
    return len(every), len(every & known), {name: len(own & known) / len(own) for name, own in assays.items()}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with mol_assays")
    parser.add_argument("--document", type=Path, help="fill this document")
    return parser.parse_args()


def read(path: Path) -> Iterator[tuple[str, str]]:
    """Yield assay and SMILES of every row."""
    with io.TextIOWrapper(lzma.open(path), encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield row["assay_id"], row["smiles"]


def _flat(found: dict[str, str], text: str) -> str:
    """Spell a molecule without stereo marks, each once."""
    if text not in found:
        found[text] = read_flat(text) or text
    return found[text]


if __name__ == "__main__":
    run_script(main)
