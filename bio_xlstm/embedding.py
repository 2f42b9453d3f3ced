"""Sequences to vectors: pack, run, pool; long sequences stream through the state of a causal model."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.pooling import POOLS

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

RC_MODES = ("none", "average", "concat")
Key = tuple[int, str]
Vectors = dict[Key, np.ndarray]
Hidden = dict[int, Tensor]
Piece = tuple[Hidden, Tensor]

# the records that embed_stream takes at a time: enough to fill batches with sequences of like length
_STREAM_RECORDS = 512


@torch.inference_mode()
def embed_batch(
    model: "SequenceModel",
    sequences: Sequence[np.ndarray],
    *,
    pools: Sequence[str] = ("mean",),
    layers: Sequence[int] = (-1,),
    rc: str = "none",
    batch_tokens: int = 8192,
) -> list[Vectors]:
    """Embed sequences of token ids; one dict {(layer, pool): array} per sequence, in order.

    Arrays are float32, (D,) per pool and (length, D) for pool "none"; layers are numbered 0 .. layer_count - 1;
    rc="average" or "concat" adds the reverse complement, "concat" doubles D. A sequence longer than `batch_tokens`
    streams through the state of a causal model, and is read in overlapping windows by any other.
    """
    _check(model, sequences, pools, rc, batch_tokens)
    wanted = list(dict.fromkeys(model.layer_index(layer) for layer in layers))
    forward = _embed_strand(model, sequences, pools, wanted, batch_tokens)
    if rc == "none":
        return forward
    strands = [model.tokenizer.reverse_complement(ids) for ids in sequences]
    backward = _embed_strand(model, strands, pools, wanted, batch_tokens)
    return [_join_strands(one, other, rc) for one, other in zip(forward, backward, strict=True)]


def embed_sequences(
    model: "SequenceModel", sequences: Sequence[str], *, pool: str, layer: int, rc: str, batch_tokens: int
) -> np.ndarray | list[np.ndarray]:
    """Embed strings; the law behind `SequenceModel.embed`."""
    if isinstance(sequences, str):
        raise SequenceError("give a list of sequences, not one string")
    ids = [_encode(model, index, text) for index, text in enumerate(sequences)]
    found = embed_batch(model, ids, pools=(pool,), layers=(layer,), rc=rc, batch_tokens=batch_tokens)
    arrays = [vectors[model.layer_index(layer), pool] for vectors in found]
    if pool == "none":
        return arrays
    return (
        np.stack(arrays) if arrays else np.empty((0, model.config.dim * (1 + (rc == "concat"))), np.float32)
    )


def embed_stream(
    model: "SequenceModel", records: Iterable[Any], *, pool: str, layer: int, rc: str, batch_tokens: int
) -> Iterator[tuple[Any, np.ndarray | None]]:
    """Embed records (or strings) a few hundred at a time; the law behind `SequenceModel.embed_iter`."""
    key = model.layer_index(layer), pool
    _check(model, [], (pool,), rc, batch_tokens)
    stream = iter(records)
    while unit := list(islice(stream, _STREAM_RECORDS)):
        ids = [_readable_ids(model, record) for record in unit]
        readable = [one for one in ids if len(one)]
        found = iter(
            embed_batch(model, readable, pools=(pool,), layers=(layer,), rc=rc, batch_tokens=batch_tokens)
        )
        for record, one in zip(unit, ids, strict=True):
            yield record, next(found)[key] if len(one) else None


def pack(model: "SequenceModel", sequences: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Frame sequences with the start token and lay them end to end: tokens (1, T) and cu_seqlens (N + 1,)."""
    start = [] if model.tokenizer.start is None else [model.tokenizer.start]
    rows = [np.concatenate((np.asarray(start, ids.dtype), ids)) for ids in sequences]
    borders = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    tokens = torch.from_numpy(np.concatenate(rows).astype(np.int64))
    return tokens[None].to(model.device), torch.from_numpy(borders.astype(np.int32)).to(model.device)


def _embed_strand(
    model: "SequenceModel",
    sequences: Sequence[np.ndarray],
    pools: Sequence[str],
    layers: list[int],
    budget: int,
) -> list[Vectors]:
    """Embed one strand of every sequence, batches of like length first."""
    results: list[Vectors] = [{}] * len(sequences)
    for batch in _batches(sequences, budget):
        chosen = [sequences[index] for index in batch]
        pieces = _packed(model, chosen, layers) if len(batch) > 1 else _long(model, chosen[0], layers, budget)
        poolers = {(layer, pool): POOLS[pool]() for layer in layers for pool in pools}
        for hidden, lengths in pieces:
            for (layer, _), pooler in poolers.items():
                pooler.add(hidden[layer], lengths)
        found = {key: pooler.results() for key, pooler in poolers.items()}
        for place, index in enumerate(batch):
            results[index] = {key: arrays[place] for key, arrays in found.items()}
    return results


def _batches(sequences: Sequence[np.ndarray], budget: int) -> Iterator[list[int]]:
    """Group sequences of like length so that no group holds more than `budget` tokens."""
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(sequences)), key=lambda index: (-len(sequences[index]), index)):
        length = len(sequences[index]) + 1
        if batch and tokens + length > budget:
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += length
    if batch:
        yield batch


def _packed(model: "SequenceModel", sequences: Sequence[np.ndarray], layers: list[int]) -> Iterator[Piece]:
    """Read many sequences at once."""
    tokens, borders = pack(model, sequences)
    out = model(tokens, borders, layers=layers, with_state=False)
    inside = torch.ones(tokens.shape[1], dtype=torch.bool, device=model.device)
    lengths = borders.diff().to(torch.int64)
    if model.tokenizer.start is not None:
        inside[borders[:-1].to(torch.int64)] = False
        lengths = lengths - 1
    yield {layer: values[0, inside] for layer, values in out.layers.items()}, lengths


def _long(model: "SequenceModel", ids: np.ndarray, layers: list[int], budget: int) -> Iterator[Piece]:
    """Read one sequence of any length, piece by piece."""
    pieces = _streamed(model, ids, layers, budget) if model.causal else _windowed(model, ids, layers, budget)
    for hidden in pieces:
        length = next(iter(hidden.values())).shape[0]
        yield hidden, torch.tensor([length], device=model.device)


def _streamed(model: "SequenceModel", ids: np.ndarray, layers: list[int], budget: int) -> Iterator[Hidden]:
    """Read a sequence through the state; the start token is read and left out of what is yielded."""
    state = None
    for begin in range(0, len(ids), budget):
        piece = ids[begin : begin + budget]
        tokens = pack(model, [piece])[0]  # (1, 1 + T) with the start token
        framing = tokens.shape[1] - len(piece)
        if begin > 0:
            tokens, framing = tokens[:, framing:], 0
        out = model(tokens, state=state, layers=layers)
        state = out.state
        yield {layer: values[0, framing:] for layer, values in out.layers.items()}


def _windowed(model: "SequenceModel", ids: np.ndarray, layers: list[int], budget: int) -> Iterator[Hidden]:
    """Read a sequence in windows that overlap by a quarter; every token is taken where it lies most central."""
    overlap = min(budget // 4, budget - 1)
    taken = begin = 0
    while taken < len(ids):
        window = ids[begin : begin + budget]
        last = begin + len(window) == len(ids)
        end = begin + len(window) - (0 if last else overlap // 2)
        tokens = pack(model, [window])[0]
        framing = tokens.shape[1] - len(window)
        out = model(tokens, layers=layers, with_state=False)
        keep = slice(framing + taken - begin, framing + end - begin)
        yield {layer: values[0, keep] for layer, values in out.layers.items()}
        taken, begin = end, begin + budget - overlap


def _join_strands(forward: Vectors, backward: Vectors, rc: str) -> Vectors:
    """Put the two strands of a sequence together, per-token vectors base by base."""
    joined = {}
    for (layer, pool), one in forward.items():
        other = backward[layer, pool][::-1] if pool == "none" else backward[layer, pool]
        joined[layer, pool] = (one + other) / 2 if rc == "average" else np.concatenate((one, other), -1)
    return joined


def _encode(model: "SequenceModel", index: int, text: str) -> np.ndarray:
    """Encode one string, naming its place in the list where it cannot be read."""
    if not isinstance(text, str | bytes):
        raise SequenceError(f"sequence {index} of the list is not text but {type(text).__name__}")
    prepared = model.tokenizer.prepare(text)
    if prepared.status not in ("ok", "cleaned"):
        raise SequenceError(f"sequence {index} of the list: {prepared.detail}")
    return prepared.ids


def _readable_ids(model: "SequenceModel", record: Any) -> np.ndarray:
    """Return the token ids of a record or string, none where it cannot be read."""
    text = getattr(record, "text", record)
    return model.tokenizer.prepare(text if isinstance(text, str | bytes) else "").ids


def _check(
    model: "SequenceModel", sequences: Sequence[np.ndarray], pools: Sequence[str], rc: str, batch_tokens: int
) -> None:
    """Refuse wrong options before any work."""
    if batch_tokens < 1:
        raise ConfigError(f"batch_tokens must be at least 1, not {batch_tokens}")
    unknown = [pool for pool in pools if pool not in POOLS]
    if unknown:
        raise ConfigError(f"unknown pool {unknown[0]!r}; known: {', '.join(POOLS)}")
    if rc not in RC_MODES:
        raise ConfigError(f"unknown rc mode {rc!r}; known: {', '.join(RC_MODES)}")
    if rc != "none" and model.tokenizer.complement is None:
        raise ConfigError(f"rc={rc!r} needs a DNA model; {model.name} reads {model.kind}")
    if any(len(ids) == 0 for ids in sequences):
        raise SequenceError("an empty sequence has no embedding")
