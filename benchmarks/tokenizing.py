"""Measure how fast text becomes ids, on one core.

    python benchmarks/tokenizing.py [FILE ...]

Prints megabytes of text per second of processor time, the median of several runs, on generated data and on the
records of any files given (FASTA, SMILES and whatever else `bioxlstm embed` reads).
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bio_xlstm.records import open_records
from bio_xlstm.tokenizers import TOKENIZERS, Tokenizer

RUNS = 7
# one chromosome arm, a small proteome, a vendor catalogue
BASES, PROTEINS, MOLECULES = 20_000_000, 20_000, 100_000


def wrapped(text: str, width: int) -> str:
    """Break a sequence into lines as FASTA files do."""
    return "\n".join(text[i : i + width] for i in range(0, len(text), width))


def generated() -> Iterator[tuple[str, str, list[str]]]:
    """Make data of every kind: (kind, name, texts)."""
    rng = random.Random(0)
    genome = "".join(rng.choices("ACGTacgt", k=BASES))
    yield "dna", "one record, soft-masked", [wrapped(genome, 70)]
    yield "dna", "reads of 150", [genome[i : i + 150] for i in range(0, BASES // 4, 150)]
    yield "dna", "one record, a gap a line", [wrapped(genome, 70).replace("\n", "-\n")]
    residues = rng.choices("LAGVSERTIDPKQNFYMHWC", k=PROTEINS * 350)
    proteins = ["".join(residues[i : i + 350]) for i in range(0, len(residues), 350)]
    yield "protein", "one record", [wrapped("".join(proteins), 60)]
    yield "protein", "records of 350", [wrapped(protein, 60) for protein in proteins]
    fragments = [
        "C",
        "C",
        "CC",
        "c1ccccc1",
        "C(=O)N",
        "[C@@H](C)",
        "Cl",
        "O",
        "N",
        "[nH]",
        "S(=O)(=O)",
        "/C=C/",
        "F",
    ]
    molecules = ["".join(rng.choices(fragments, k=12)) for _ in range(MOLECULES)]
    yield "smiles", "generated molecules", molecules


def speed(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """Give megabytes per second of processor time, the median of several runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.process_time()
        for text in texts:
            work(text)
        seconds.append(time.process_time() - start)
    return sum(map(len, texts)) / median(seconds) / 1e6


def report(tokenizer: Tokenizer, name: str, texts: Sequence[str]) -> None:
    """Print one line of the table."""
    size = sum(map(len, texts)) / 1e6
    accepted = all(tokenizer.prepare(text).status == "ok" for text in texts)
    # encode raises where prepare replaces or removes
    encode = f"{speed(tokenizer.encode, texts):9.1f}" if accepted else f"{'-':>9}"
    prepare = f"{speed(tokenizer.prepare, texts):9.1f}"
    print(f"{tokenizer.kind:8} {name:28.28} {len(texts):>9,} {size:8.1f} {encode} {prepare}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure how fast text becomes ids.")
    parser.add_argument("files", nargs="*", help="records to measure on, besides the generated ones")
    files = parser.parse_args().files
    print(f"{'kind':8} {'data':28} {'records':>9} {'MB':>8} {'encode':>9} {'prepare':>9}   (MB/s)")
    for kind, name, texts in generated():
        report(TOKENIZERS[kind](), name, texts)
    for path in files:
        source = open_records(path)
        name = str(path).rsplit("/", 1)[-1]
        report(TOKENIZERS[source.kind](), name, [record.text for record in source])


if __name__ == "__main__":
    main()
