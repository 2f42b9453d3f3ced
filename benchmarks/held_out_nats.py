"""Batches of what a corpus holds out, and the nats that models of any kind need for their targets."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.objectives import Objective
from bio_xlstm.tasks.pretrain.packing import IGNORED, PackedBatch
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch, as_tensors
from bio_xlstm.tasks.pretrain.token_store import TokenStore

PARTS = ("test", "held_out")
PART_NAMES = {"test": "the test part", "held_out": "the held-out part, which was looked at while choosing"}

Batches = dict[str, list[PackedBatch]]
Reader = Callable[[TensorBatch], Tensor]
"""Logits (1, T, V) of a packed batch."""


def last_part(corpus: Corpus, wanted: str = "") -> tuple[str, TokenStore]:
    """Return the part that a result is reported on: the test part, or the held-out part where there is no test part."""
    name = wanted or ("test" if len(corpus.test) else "held_out")
    store: TokenStore = getattr(corpus, name)
    if not len(store):
        raise SystemExit(f"the recipe keeps nothing for its {name} part")
    return name, store


def domain_batches(
    corpus: Corpus, store: TokenStore, objective: Objective, *, window: int, budget: int, tokens: int = 0
) -> Batches:
    """Return the batches of every domain that a part holds anything of, of about `tokens` tokens of each (0: all)."""
    filler = Filler(store, objective)
    found = {
        domain: list(
            held_out_batches(filler, number, window=window, budget=max(window, budget), tokens=tokens)
        )
        for number, domain in enumerate(corpus.domains)
    }
    return {domain: batches for domain, batches in found.items() if targets_in(batches)}


def targets_in(batches: Sequence[PackedBatch]) -> int:
    """Count what is to be predicted."""
    return sum(int((batch.targets != IGNORED).sum()) for batch in batches)


@torch.inference_mode()
def nats_per_target(read: Reader, batches: Sequence[PackedBatch], device: torch.device | str) -> float:
    """Return the mean of -log p over all targets."""
    total = sum(float(token_nats(read, on(as_tensors(batch), device)).double().sum()) for batch in batches)
    return total / targets_in(batches)


def token_nats(read: Reader, batch: TensorBatch) -> Tensor:
    """Return -log p of every target of a batch, (T,) float32, 0 where there is none."""
    logits = read(batch).flatten(0, 1).float()
    return F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORED, reduction="none")


def on(batch: TensorBatch, device: torch.device | str) -> TensorBatch:
    """Move a batch to a device."""
    moved = {name: part.to(device) for name, part in batch._asdict().items() if isinstance(part, Tensor)}
    return batch._replace(**moved)


def reader_of(model: Any) -> Reader:
    """Return what reads packed batches with a model of this library."""

    def read(batch: TensorBatch) -> Tensor:
        placed = {"positions": batch.positions} if model.config.positioned else {}
        logits: Tensor = model(batch.tokens, batch.cu_seqlens, with_state=False, **placed).logits
        return logits

    return read


def mean_nats(nats: dict[str, float], batches: Batches) -> float:
    """Average over all targets of all domains."""
    counts = {domain: targets_in(batches[domain]) for domain in nats}
    return float(np.average(list(nats.values()), weights=[counts[domain] for domain in nats]))


def unit(kind: str, objective: str) -> str:
    """Name what losses are shown in: bits for DNA, perplexity for all others."""
    if kind == "dna":
        return "bits per masked base" if objective == "masked" else "bits per base"
    return "perplexity per masked token" if objective == "masked" else "perplexity per token"


def shown(nats: float | None, kind: str) -> str:
    """Write a loss in its unit; a dash where there is none."""
    if nats is None or math.isnan(nats):
        return "-"
    return f"{nats / math.log(2) if kind == 'dna' else math.exp(nats):.3f}"
