"""Measure what `predict --points` saves: one library of molecules, scored from two supports by whole runs.

    python benchmarks/predict_points.py LIBRARY.smi [--limit N] [--threads N]

The supports are the library's first molecules with labels that mean nothing.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from options import make_parser, run_script

from bio_xlstm.records import open_records

EXAMPLES = 64


def main() -> None:
    """Run the command with an empty file of points, with a full one, and without any; print the table."""
    options = parse()
    molecules = [record.text for record in islice(open_records(options.library), options.limit)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "library.smi").write_text("\n".join(molecules) + "\n")
        for place, support in enumerate(("first.csv", "second.csv")):
            rows = [f"{one},{(number >> place) % 2}" for number, one in enumerate(molecules[:EXAMPLES])]
            (folder / support).write_text("\n".join(["smiles,y", *rows]) + "\n")
        # a first start may compile
        predict(folder, "first.csv", "first.csv", options.threads)
        runs = {
            "without `--points`": predict(folder, "second.csv", "library.smi", options.threads),
            "with it, first support": predict(folder, "first.csv", "library.smi", options.threads, "kept"),
            "with it, second support": predict(folder, "second.csv", "library.smi", options.threads, "kept"),
        }
        size = (folder / "kept").stat().st_size
    print(f"| {len(molecules):,} molecules | seconds |\n|---|---|")
    for words, seconds in runs.items():
        print(f"| {words} | {seconds:.1f} |")
    print(f"\n{size / len(molecules) / 1000:.1f} KB in the file per molecule of the library")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("library", help="some thousand molecules")
    parser.add_argument("--limit", type=int, default=30_000, help="molecules at most [%(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads [%(default)s]")
    return parser.parse_args()


def predict(folder: Path, support: str, library: str, threads: int, points: str | None = None) -> float:
    """Run the command in a folder; return its wall time in seconds."""
    command = [sys.executable, "-m", "bio_xlstm.cli.main", "predict", "-q", "--overwrite", "-o", "out.csv"]
    command += ["--support", support, library, *(["--points", points] if points else [])]
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(command, check=True, cwd=folder, env=environment)
    return time.perf_counter() - begin


if __name__ == "__main__":
    run_script(main)
