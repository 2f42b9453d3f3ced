"""What homologs as context change about the proteins that are drawn after them, and how many of them are worth it."""

import argparse
import csv
import lzma
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from timing import progress

import bio_xlstm as bx
from bio_xlstm.context import read_context
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records.alignment import read_alignment
from bio_xlstm.scoring import score_batch
from bio_xlstm.tasks.evaluate.profile import has_pyhmmer, read_profile, scores
from bio_xlstm.tasks.generate.contexts import Extent, read_contexts
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.run import generate_file

# out of training as wholes, and one of a kind that was trained on, for comparison
FAMILIES = (
    "esm_1a3a_1_A.a3m",
    "esm_1xcr_1_A.a3m",
    "pten_human.a2m",
    "rosettafold_input.a3m",
    "cath_funfam_1.10.2020.10-ff-423.sto",
    "openfold_6kwc_bfd.a3m",
)
CONTEXTS = (None, 2048, 8192, 32_768)  # tokens
# real members of a family that are judged after a context which lacks them
JUDGED = 16


def measure_families(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Draw proteins after contexts of several sizes, and score them by the family's profile."""
    count = options.count or (4 if options.tiny else 40 if options.quick else 200)
    families = FAMILIES[: options.domains or (1 if options.tiny else None)]
    sizes = CONTEXTS[:2] if options.tiny else CONTEXTS
    model = bx.load("protein-small")
    with TemporaryDirectory() as folder:
        for name in families:
            path = Path(folder) / name
            with lzma.open(options.data / "msas" / f"{name}.xz") as file:
                path.write_bytes(file.read())
            for tokens in sizes:
                row = {"family": path.stem} | read_members(model, path, tokens)
                yield row | draw_family(path, tokens, count, Path(folder))


def read_members(model: SequenceModel, path: Path, tokens: int | None) -> dict[str, Any]:
    """Measure how well a context tells what other members of the family are like."""
    sequences = list(dict.fromkeys(read_alignment(path).sequences))
    chosen = np.random.default_rng(1).permutation(len(sequences))[:JUDGED]
    judged = [model.tokenizer.prepare(sequences[index]).ids for index in chosen]
    state, members = None, []
    if tokens is not None:
        (members,) = read_contexts(str(path), model.tokenizer, Extent(tokens, None, 1), 0, progress)
        alike = {ids.tobytes() for ids in judged}
        members = [ids for ids in members if ids.tobytes() not in alike]
        state = read_context(model, members, batch_tokens=8192)
    nats = [-score.mean for score in score_batch(model, judged, state=state)]
    return {
        "context, tokens": tokens or 0,
        "homologs": len(members),
        "real members, nats per residue": float(np.mean(nats)),
    }


def draw_family(path: Path, tokens: int | None, count: int, folder: Path) -> dict[str, Any]:
    """Draw proteins after a context, and score them."""
    output = folder / "drawn.csv"
    generate_file(
        GenerateRequest(
            output=str(output),
            count=count,
            model="protein-small",
            context=None if tokens is None else str(path),
            context_tokens=tokens,
            max_length=400,
            top_k=10,
            top_p=0.95,
            overwrite=True,
            quiet=True,
        )
    )
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [row["sequence"] for row in rows if row["sequence"]]
    found: dict[str, Any] = {
        "ended": float(np.mean([row["ended"] == "true" for row in rows])),
        "residues": float(np.mean([len(text) for text in texts])),
        "perplexity": float(np.median([float(row["perplexity"]) for row in rows])),
    }
    if has_pyhmmer():
        bits, hit = scores(read_profile(path), texts)
        # what HMMER takes off for low complexity moves the mean
        found |= {"bits, median": float(np.median(bits)), "bits, mean": float(bits.mean())}
        found |= {"bits, best tenth": float(np.quantile(bits, 0.9))}
        found |= {"above 0 bits": float((bits > 0).mean()), "hits": float(hit.mean())}
    return found
