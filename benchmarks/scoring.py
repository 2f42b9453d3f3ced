"""Measure what scoring costs beside the bare model, in tokens per second of one core.

    python benchmarks/scoring.py [FILE.smi ...] [--limit N] [--model chem-small] [--json FILE]

Three ways to read the same packed batches: the model's hidden states alone, the same and all logits, and their
log-probabilities as `score` computes them. Then whole runs of `bioxlstm score`, which read, check and write molecules
too, less what a run of one molecule takes: 100,000 would not notice it. Every way is timed in turn, several rounds, by
the processor's time, which neighbours on the machine hardly change.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import Measured, table

import bio_xlstm as bx
from bio_xlstm.embedding import batches, pack
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records import open_records
from bio_xlstm.scoring import score_batch
from bio_xlstm.tasks.files.opening import auto_batch_tokens
from bio_xlstm.tasks.score.request import ScoreRequest
from bio_xlstm.tasks.score.run import score_file

EXAMPLES = Path(__file__).parent.parent / "examples"
# the share of the bare model's tokens per second that scoring has to keep
ASKED = 0.8
START = "one molecule"


def main() -> None:
    """Measure, print the table and, if asked, write it as JSON."""
    options = parse()
    torch.set_num_threads(options.threads)
    model = bx.load(options.model, device=options.device)
    measured = Measured("scoring", model, options)
    texts = molecules(options)
    ids = [one for text in texts if len(one := model.tokenizer.prepare(text).ids)]
    tokens = sum(len(one) for one in ids)
    with tempfile.TemporaryDirectory() as folder:
        seconds = timed(ways(model, ids, texts, Path(folder), options), options.rounds)
    start = seconds.pop(START)
    bare = seconds["model, hidden states"]
    rows = [
        row(way, taken - start if way.startswith("bioxlstm") else taken, tokens, bare)
        for way, taken in seconds.items()
    ]
    measured.keep(sequences=len(ids), tokens=tokens, rows=rows, start_seconds=start, asked=ASKED)
    print(f"{len(ids):,} molecules, {tokens:,} tokens, {options.threads} threads, {model.name}\n")
    print(
        table(
            {
                "way": [str(row["way"]) for row in rows],
                "tokens per second": [shown(row["tokens_per_second"], ",.0f") for row in rows],
                "of the bare model's": [shown(row["share_of_bare"], ".0%") for row in rows],
            }
        )
    )


def row(way: str, seconds: float, tokens: int, bare: float) -> dict[str, Any]:
    """Describe one way; without speeds where a run took no longer than that of one molecule."""
    speed, share = (tokens / seconds, bare / seconds) if seconds > 0 else (None, None)
    return {"way": way, "seconds": seconds, "tokens_per_second": speed, "share_of_bare": share}


def shown(value: float | None, form: str) -> str:
    """Write a number, or that there is none."""
    return "too short to tell" if value is None else format(value, form)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", type=Path, help="SMILES [examples/molecules.smi, again and again]"
    )
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="chem-small")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def molecules(options: argparse.Namespace) -> list[str]:
    """Read SMILES, or repeat the example file."""
    files = options.files or [EXAMPLES / "molecules.smi"]
    texts = [record.text for path in files for record in open_records(path, kind="smiles")]
    return (texts if options.files else texts * 100)[: options.limit]


def ways(
    model: SequenceModel,
    ids: Sequence[np.ndarray],
    texts: Sequence[str],
    folder: Path,
    options: argparse.Namespace,
) -> dict[str, Callable[[], object]]:
    """Return everything that is timed."""
    budget = auto_batch_tokens(model.config.dim, None, causal=True)
    whole, one = folder / "in.smi", folder / "one.smi"
    whole.write_text("\n".join(texts) + "\n")
    one.write_text(f"{texts[0]}\n")

    def run(source: Path, allow_invalid: bool) -> None:
        request = ScoreRequest(
            input=str(source), output=str(folder / "out.csv"), model=options.model, device=options.device,
            overwrite=True, quiet=True, allow_invalid=allow_invalid, workers=0, input_format="smiles",
        )  # fmt: skip
        score_file(request)

    return {
        "model, hidden states": lambda: read(model, ids, budget, logits=False),
        "model, hidden states and logits": lambda: read(model, ids, budget, logits=True),
        "score_batch": lambda: score_batch(model, ids, batch_tokens=budget),
        "bioxlstm score --allow-invalid": lambda: run(whole, True),
        "bioxlstm score": lambda: run(whole, False),
        START: lambda: run(one, False),
    }


@torch.inference_mode()
def read(model: SequenceModel, ids: Sequence[np.ndarray], budget: int, *, logits: bool) -> None:
    """Read packed batches with the model alone."""
    for batch in batches(ids, budget):
        out = model(*pack(model, [ids[index] for index in batch]), with_state=False)
        if logits:
            _ = out.logits


def timed(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of every call, each made in turn; a first round warms up."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            taken[name].append(time.process_time() - begin)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


if __name__ == "__main__":
    main()
