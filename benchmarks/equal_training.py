"""Train any language model on the batches of a recipe with its optimiser, one step after the other."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from held_out_nats import Batches, Reader, nats_per_target, on, reader_of, token_nats
from language_model_peers import Peer, fitting_lstm, fitting_transformer
from torch import nn

import bio_xlstm
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.positions import read_positions
from bio_xlstm.tasks.pretrain.batch_order import BatchOrder
from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.data_module import PretrainData
from bio_xlstm.tasks.pretrain.optimizer import clip_gradients, follow, make_optimizer, undecayed_names
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch, as_tensors
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

# most rates that are tried for a model
MOST_TRIALS = 6


class Contender(NamedTuple):
    """Hold a model in training, what reads with it, and which of its weights do not decay."""

    model: nn.Module
    read: Reader
    undecayed: frozenset[str]

    @property
    def parameters(self) -> int:
        """Return the number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.model.parameters())


class Sizes(NamedTuple):
    """Hold what is free to choose about the peers."""

    lstm_layers: int
    transformer_layers: int  # 0: as many as the xLSTM has blocks


Maker = Callable[[Recipe, Sizes, int], Contender]


def xlstm(recipe: Recipe, sizes: Sizes, seed: int) -> Contender:
    """Build the model of a recipe."""
    model = bio_xlstm.build(**recipe.model, seed=seed)
    return Contender(model, reader_of(model), undecayed_names(model))


def lstm(recipe: Recipe, sizes: Sizes, seed: int) -> Contender:
    """Build an LSTM with as many parameters."""
    like = bio_xlstm.build(**recipe.model, seed=seed)
    torch.manual_seed(seed)
    peer = fitting_lstm(
        like.parameter_count,
        like.config.vocabulary,
        layers=sizes.lstm_layers,
        causal=like.config.objective != "masked",
    )
    return _peer(peer, like)


def transformer(recipe: Recipe, sizes: Sizes, seed: int) -> Contender:
    """Build a Transformer with as many parameters."""
    like = bio_xlstm.build(**recipe.model, seed=seed)
    torch.manual_seed(seed)
    peer = fitting_transformer(
        like.parameter_count,
        like.config.vocabulary,
        layers=sizes.transformer_layers or like.config.blocks,
        heads=like.config.heads,
        causal=like.config.objective != "masked",
    )
    return _peer(peer, like)


MAKERS: dict[str, Maker] = {"xLSTM": xlstm, "LSTM": lstm, "Transformer": transformer}


def _peer(peer: Peer, like: SequenceModel) -> Contender:
    """Let a peer hear of places where the xLSTM does; as there, matrices decay and embeddings, norms, biases do not."""

    def read(batch: TensorBatch) -> torch.Tensor:
        places = batch.positions
        if like.config.positioned and places is None:
            places = read_positions(batch.tokens, batch.cu_seqlens, like.tokenizer).place
        logits: torch.Tensor = peer(batch.tokens, batch.cu_seqlens, places)
        return logits

    free = [name for name, weight in peer.named_parameters() if weight.ndim < 2 or "embedding" in name]
    return Contender(peer, read, frozenset(free))


def training_data(recipe: Recipe, corpus: Corpus, seed: int) -> PretrainData:
    """Return the batches of a recipe in the order of a seed."""
    like = bio_xlstm.build(**recipe.model)
    seeded = replace(recipe, training=replace(recipe.training, seed=seed))
    return PretrainData(seeded, corpus, like.tokenizer, objective=like.config.objective)


def shortened(settings: TrainingSettings, steps: int, rate: float) -> TrainingSettings:
    """Return the settings of a run of other steps and another rate: warm-up and last rate keep their shares."""
    warmup = math.ceil(settings.warmup * min(1.0, steps / settings.steps))
    final = settings.final_learning_rate * rate / settings.learning_rate
    return replace(settings, steps=steps, warmup=warmup, learning_rate=rate, final_learning_rate=final)


def train(contender: Contender, order: BatchOrder, settings: TrainingSettings, device: str) -> Iterator[int]:
    """Train step by step; yield the tokens of every step."""
    contender.model.to(device).train()
    optimizer = make_optimizer(contender.model.named_parameters(), contender.undecayed, settings)
    half = settings.precision == "bf16-mixed"
    for step in range(settings.steps):
        follow(optimizer, step, settings)
        batch = on(as_tensors(order.batch(step)), device)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            nats = token_nats(contender.read, batch)
        loss = (nats * batch.weights.flatten()).sum() / (batch.total or 1.0)
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(contender.model, settings.clip)
        optimizer.step()
        yield batch.tokens.numel()


def run(
    contender: Contender, order: BatchOrder, settings: TrainingSettings, device: str, batches: Batches
) -> dict[str, Any]:
    """Train and read held-out batches; return what it took and the nats per target of every domain."""
    begin = time.perf_counter()
    tokens = sum(train(contender, order, settings, device))
    seconds = time.perf_counter() - begin
    return {"tokens": tokens, "seconds": round(seconds, 1), "nats": evaluate(contender, batches, device)}


def evaluate(contender: Contender, batches: Batches, device: str) -> dict[str, float]:
    """Return the nats per target of every domain."""
    contender.model.eval()
    return {domain: nats_per_target(contender.read, mine, device) for domain, mine in batches.items()}


def next_rate(trials: dict[float, float], first: float, factor: float) -> float | None:
    """Return the rate to try next, None when a best one stands between two that are worse or enough were tried.

    `trials` holds the held-out nats of rates that were tried; what did not learn has nan.
    """
    known = {rate: nats if math.isfinite(nats) else math.inf for rate, nats in trials.items()}
    if not known or len(known) >= MOST_TRIALS:
        return None if known else first
    best = min(known, key=lambda rate: known[rate])
    if math.isinf(known[best]):
        return min(known) / factor
    beside = [best * factor, best / factor]
    missing = [rate for rate in beside if not any(math.isclose(rate, one) for one in known)]
    return missing[0] if missing else None
