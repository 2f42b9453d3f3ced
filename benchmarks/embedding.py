"""Measure what docs/performance.md says about speed and memory of `bioxlstm embed`; one table per question.

python benchmarks/embedding.py                                        all questions, on small made-up inputs
python benchmarks/embedding.py help                                   start of the command line
python benchmarks/embedding.py first                                  a first run, which compiles, and a second
python benchmarks/embedding.py rows FILE.smi [FILE.smi ...]           memory over rows, share of reading and writing
python benchmarks/embedding.py genome GENOME.fna                      one long record against short ones
python benchmarks/embedding.py packed PROTEINS.fasta [MORE.fasta ...] packed against padded batches
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch

import bio_xlstm as bx
from bio_xlstm.embedding import embed_batch, pack
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records import open_records
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tasks.writers.part import Part, write_part

EXAMPLES = Path(__file__).parent.parent / "examples"


def main() -> None:
    """Run one measurement, or all of them, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", nargs="?", choices=(*QUESTIONS, "all"), default="all")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--limit", type=int, default=0, help="rows, bases or proteins to read at most (0: all)"
    )
    parser.add_argument("--json", type=Path, help="keep the numbers in this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numbers = {}
    for question in QUESTIONS if options.question == "all" else (options.question,):
        numbers[question] = QUESTIONS[question](options)
        print()
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2) + "\n")


def molecules(options: argparse.Namespace) -> list[str]:
    """Read SMILES, or repeat the example file."""
    files = options.files or [EXAMPLES / "molecules.smi"]
    texts = [record.text for path in files for record in open_records(path)]
    return (texts if options.files else texts * 50)[: options.limit or None]


def genome(options: argparse.Namespace) -> str:
    """Read the first record of a genome, or draw a million bases."""
    if not options.files:
        return "".join(np.random.default_rng(0).choice(list("ACGT"), 1_000_000))[: options.limit or None]
    record = next(iter(open_records(options.files[0])))
    return "".join(record.text.split())[: options.limit or None]


def proteins(options: argparse.Namespace) -> list[str]:
    """Read proteins, or draw a thousand of natural lengths (log-normal, median 270)."""
    if options.files:
        texts = (record.text for path in options.files for record in open_records(path))
        return list(islice(texts, options.limit or 10_000))
    draw = np.random.default_rng(0)
    lengths = draw.lognormal(5.6, 0.7, options.limit or 1000).astype(int).clip(20, 5000)
    return ["".join(draw.choice(list("ACDEFGHIKLMNPQRSTVWY"), length)) for length in lengths]


def measure_help(options: argparse.Namespace) -> dict[str, float]:
    """Time the start of the command line, a whole process each time."""
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bio_xlstm.cli.main", "--help"], check=True, capture_output=True
        )
        times.append(time.perf_counter() - begin)
    print("| bioxlstm --help | median s | worst s |\n|---|---|---|")
    print(f"| whole process | {statistics.median(times):.2f} | {max(times):.2f} |")
    return {"median_s": statistics.median(times), "worst_s": max(times)}


def measure_first(options: argparse.Namespace) -> dict[str, float]:
    """Embed an example in a place where nothing is compiled yet, and once more."""
    numbers = {}
    print("| embed examples/molecules.smi | seconds |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bio_xlstm.cli.main", "embed", str(EXAMPLES / "molecules.smi")]
        command += ["-o", f"{folder}/out.npz", "--overwrite", "-q"]
        for name in ("first run, compiling", "second run"):
            found = _run(command, options.threads, NUMBA_CACHE_DIR=folder)
            numbers[name] = found["seconds"]
            print(f"| {name} | {found['seconds']:.1f} |")
    return numbers


def measure_rows(options: argparse.Namespace) -> dict[str, float]:
    """Run `bioxlstm embed` on growing inputs, then time reading, tokenising and writing alone."""
    texts = molecules(options)
    sizes = [max(1, len(texts) // 10), len(texts)]
    model = bx.load("chem-small")
    tokens = sum(len(model.tokenizer.prepare(text).ids) for text in texts)
    with tempfile.TemporaryDirectory() as folder:
        runs = [_embed_process(Path(folder), texts[:size], options.threads) for size in sizes]
    print("| rows | seconds | peak MB |\n|---|---|---|")
    for size, run in zip(sizes, runs, strict=True):
        print(f"| {size:,} | {run['seconds']:.0f} | {run['peak_mb']:.0f} |")
    seconds = _stages(model, texts[: 10 * 512])
    whole = sum(seconds.values())
    print(
        f"\n{tokens:,} tokens. Shares of the time, measured in turn in one process on {len(texts[: 10 * 512]):,} rows:"
    )
    print("\n| stage | share |\n|---|---|")
    for stage, taken in seconds.items():
        print(f"| {stage} | {taken / whole:.1%} |")
    return {"rows": sizes[-1], "tokens": tokens, **seconds, **runs[-1], "peak_mb_tenth": runs[0]["peak_mb"]}


def measure_genome(options: argparse.Namespace) -> list[dict[str, float]]:
    """Embed one long record and the same bases as shorter records, each in a process of its own."""
    bases = genome(options)
    rows = []
    for length in (10_000, 100_000, len(bases)):
        total = len(bases) if length == len(bases) else min(len(bases), 10 * length)
        parts = [bases[begin : begin + length] for begin in range(0, total, length)]
        with tempfile.TemporaryDirectory() as folder:
            seconds, peak = _genome_process(Path(folder), parts, options.threads)
        rows.append(
            {"record_bases": length, "bases": total, "us_per_base": seconds / total * 1e6, "peak_mb": peak}
        )
    print("| record | bases read | µs per base | peak MB |\n|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['record_bases']:,} | {row['bases']:,} | {row['us_per_base']:.1f} | {row['peak_mb']:.0f} |"
        )
    return rows


def measure_packed(options: argparse.Namespace) -> dict[str, float]:
    """Embed proteins packed, and with the same model in padded batches of 32."""
    model = bx.load("protein-small")
    ids = [one for text in proteins(options) if len(one := model.tokenizer.prepare(text).ids)]
    ways: dict[str, Callable[[], object]] = {
        "packed": lambda: _packed(model, ids),
        "padded, input order": lambda: _padded(model, ids),
        "padded, sorted by length": lambda: _padded(model, sorted(ids, key=len)),
    }
    seconds = {name: _timed(run) for name, run in ways.items()}
    residues = sum(map(len, ids))
    print(
        f"{len(ids):,} proteins, {residues:,} residues\n\n| way | seconds | residues/s | packed is faster by |"
    )
    print("|---|---|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {taken:.1f} | {residues / taken:,.0f} | {taken / seconds['packed']:.2f} x |")
    return seconds


def _packed(model: torch.nn.Module, ids: list[np.ndarray]) -> None:
    """Embed as the command does, 512 records at a time."""
    for begin in range(0, len(ids), 512):
        embed_batch(model, ids[begin : begin + 512])


@torch.inference_mode()
def _padded(model: torch.nn.Module, ids: list[np.ndarray], batch: int = 32) -> None:
    """Embed as padded batches do: every row as long as the longest."""
    for begin in range(0, len(ids), batch):
        rows = ids[begin : begin + batch]
        longest = max(map(len, rows))
        filled = [np.concatenate((row, np.full(longest - len(row), 1, row.dtype))) for row in rows]
        tokens = pack(model, filled)[0].reshape(len(rows), longest + 1)
        hidden = model(tokens).hidden[:, 1:]
        inside = torch.tensor([len(row) for row in rows])[:, None] > torch.arange(longest)
        (hidden * inside[..., None]).sum(1).div_(inside.sum(1, keepdim=True))


def _stages(model: SequenceModel, texts: list[str]) -> dict[str, float]:
    """Time the stages of `bioxlstm embed` on molecules, unit by unit in turn so that all see the same machine."""
    stages = {"reading": 0.0, "tokenising and RDKit": 0.0, "model": 0.0, "writing": 0.0}
    prepare = Preparation(model.tokenizer, chemistry=True)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.smi"
        source.write_text("\n".join(texts) + "\n")
        records = iter(open_records(source))
        while True:
            clock = [time.perf_counter()]
            unit = list(islice(records, 512))
            if not unit:
                return stages
            clock.append(time.perf_counter())
            ready = [one for one in prepare(unit) if len(one.ids)]
            clock.append(time.perf_counter())
            found = embed_batch(model, [one.ids for one in ready])
            clock.append(time.perf_counter())
            vectors = np.stack([next(iter(vectors.values())) for vectors in found])
            part = Part(
                [one.row for one in ready], np.zeros(len(ready), np.int64), {(-1, "mean"): vectors}, []
            )
            with (Path(folder) / "part").open("wb") as file:
                write_part(part, file)
                os.fsync(file.fileno())
            clock.append(time.perf_counter())
            for stage, begin, end in zip(stages, clock, clock[1:], strict=False):
                stages[stage] += end - begin


def _embed_process(folder: Path, texts: list[str], threads: int) -> dict[str, float]:
    """Run the command on a SMILES file and return its time and peak memory."""
    source = folder / f"{len(texts)}.smi"
    source.write_text("\n".join(texts) + "\n")
    command = [
        sys.executable,
        "-m",
        "bio_xlstm.cli.main",
        "embed",
        str(source),
        "-o",
        str(folder / "out.parquet"),
    ]
    return _run([*command, "-m", "chem-small", "--overwrite", "-q"], threads)


def _genome_process(folder: Path, parts: list[str], threads: int) -> tuple[float, float]:
    """Run the command on records of DNA; return seconds beyond its start, and peak memory in MB."""
    command = [
        sys.executable,
        "-m",
        "bio_xlstm.cli.main",
        "embed",
        "-m",
        "dna-causal",
        "--overwrite",
        "-q",
        "-o",
    ]
    for name, records in (("start", ["ACGT"]), ("whole", parts)):
        (folder / f"{name}.fna").write_text("".join(f">{i}\n{part}\n" for i, part in enumerate(records)))
    # a first start may compile
    _, start = (
        _run([*command, str(folder / "start.parquet"), str(folder / "start.fna")], threads) for _ in range(2)
    )
    whole = _run([*command, str(folder / "whole.parquet"), str(folder / "whole.fna")], threads)
    return whole["seconds"] - start["seconds"], whole["peak_mb"]


def _run(command: list[str], threads: int, **variables: str) -> dict[str, float]:
    """Run a command; return its wall time and the peak memory of that process alone."""
    code = (
        "import os, resource, subprocess, sys; "
        "r = subprocess.run(sys.argv[1:]).returncode; "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(r)"
    )
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return {"seconds": time.perf_counter() - begin, "peak_mb": int(done.stdout.split()[-1]) / 1024}


def _timed(run: Callable[[], object]) -> float:
    """Time one call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


QUESTIONS: dict[str, Callable[[argparse.Namespace], object]] = {
    "help": measure_help,
    "first": measure_first,
    "rows": measure_rows,
    "genome": measure_genome,
    "packed": measure_packed,
}

if __name__ == "__main__":
    main()
