"""Sequences to vectors: pack, run, pool; long sequences stream through the state of a causal model."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.models.strands import split_strands
from bio_xlstm.pooling import POOLS, Pooler

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

RC_MODES = ("auto", "none", "average", "concat")
# the other strand is read from its own beginning, which is this one's end
_MIRRORED = {"first": "last", "last": "first"}
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
    rc="average" or "concat" adds the reverse complement, "concat" doubles D, "auto" averages where the model is made
    for it. A sequence longer than `batch_tokens` streams through the state of a causal model, and is read in
    overlapping windows by any other.
    """
    _check(model, sequences, pools, rc, batch_tokens)
    mode = rc_mode(model, rc)
    wanted = list(dict.fromkeys(model.layer_index(layer) for layer in layers))
    form = (pools, wanted, batch_tokens)
    strands = _embed_strands(model, sequences, *form)
    if mode == "none":
        return strands[0]
    if not model.config.equivariant:
        turned = [model.tokenizer.reverse_complement(ids) for ids in sequences]
        # per-token vectors of the other strand come from its beginning on
        strands.append([_turned(vectors) for vectors in _embed_strands(model, turned, *form)[0]])
    return [_join_strands(one, other, mode) for one, other in zip(*strands, strict=True)]


def rc_mode(model: "SequenceModel", rc: str) -> str:
    """Return what a mode means for a model: models that tie the strands average them unless told otherwise."""
    if rc != "auto":
        return rc
    return "none" if model.config.reverse_complement == "none" else "average"


def embed_sequences(
    model: "SequenceModel", sequences: Sequence[str], *, pool: str, layer: int, rc: str, batch_tokens: int
) -> np.ndarray | list[np.ndarray]:
    """Embed strings; the law behind `SequenceModel.embed`."""
    if isinstance(sequences, str):
        raise SequenceError("give a list of sequences, not one string")
    ids = [encode_listed(model, index, text) for index, text in enumerate(sequences)]
    found = embed_batch(model, ids, pools=(pool,), layers=(layer,), rc=rc, batch_tokens=batch_tokens)
    arrays = [vectors[model.layer_index(layer), pool] for vectors in found]
    if pool == "none":
        return arrays
    return np.stack(arrays) if arrays else np.empty((0, embedding_width(model, rc)), np.float32)


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


def embedding_width(model: "SequenceModel", rc: str) -> int:
    """Return the number of dimensions of an embedding."""
    width: int = model.config.dim * (2 if rc == "concat" else 1)
    return width


def _embed_strands(
    model: "SequenceModel",
    sequences: Sequence[np.ndarray],
    pools: Sequence[str],
    layers: list[int],
    budget: int,
) -> list[list[Vectors]]:
    """Embed every sequence, batches of like length first; an equivariant model embeds both strands at once."""
    count = 2 if model.config.equivariant else 1
    results: list[list[Vectors]] = [[{}] * len(sequences) for _ in range(count)]
    for batch in batches(sequences, budget):
        chosen = [sequences[index] for index in batch]
        pieces = _packed(model, chosen, layers) if len(batch) > 1 else _long(model, chosen[0], layers, budget)
        poolers = [_poolers(pools, layers, mirrored=strand == 1) for strand in range(count)]
        for hidden, lengths in pieces:
            for layer, values in hidden.items():
                for mine, strand in zip(
                    poolers, split_strands(values) if count == 2 else (values,), strict=True
                ):
                    for pool in pools:
                        mine[layer, pool].add(strand, lengths)
        for mine, found in zip(poolers, results, strict=True):
            arrays = {key: pooler.results() for key, pooler in mine.items()}
            for place, index in enumerate(batch):
                found[index] = {key: rows[place] for key, rows in arrays.items()}
    return results


def _poolers(pools: Sequence[str], layers: list[int], mirrored: bool) -> dict[Key, Pooler]:
    """Make a pooler for every layer and pool; mirrored ones pool a strand that lies in the order of the other."""
    return {
        (layer, pool): POOLS[_MIRRORED.get(pool, pool) if mirrored else pool]()
        for layer in layers
        for pool in pools
    }


def batches(sequences: Sequence[np.ndarray], budget: int, most: int | None = None) -> Iterator[list[int]]:
    """Group sequences of like length so that no group holds more than `budget` tokens, or `most` sequences."""
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(sequences)), key=lambda index: (-len(sequences[index]), index)):
        length = len(sequences[index]) + 1
        if batch and (tokens + length > budget or len(batch) == most):
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
    """Read a sequence in windows that overlap; every token is taken from the window in which it lies most central."""
    for window in cut_windows(len(ids), budget):
        piece = ids[window.begin : window.end]
        tokens = pack(model, [piece])[0]
        framing = tokens.shape[1] - len(piece)
        out = model(tokens, layers=layers, with_state=False)
        keep = slice(framing + window.first - window.begin, framing + window.last - window.begin)
        yield {layer: values[0, keep] for layer, values in out.layers.items()}


class Window(NamedTuple):
    """Hold a part of a sequence, and which of its tokens are taken from it."""

    begin: int
    end: int
    first: int
    last: int  # one past the last token that is taken


def cut_windows(length: int, budget: int) -> list[Window]:
    """Cut a sequence into windows of at most `budget` tokens that overlap by about a quarter.

    They look the same from both ends, so that a sequence and its reverse complement are cut alike.
    """
    if length <= budget:
        return [Window(0, length, 0, length)]
    budget, count = _symmetric(length, budget)
    begins = [index * (length - budget) // (count - 1) for index in range(count)]
    mirrored = [length - budget - begin for begin in reversed(begins)]
    begins = begins[: (count + 1) // 2] + mirrored[(count + 1) // 2 :]
    if count % 2:
        begins[count // 2] = (length - budget) // 2
    borders = [0, *((one + budget + other) // 2 for one, other in pairwise(begins)), length]
    opposite = [length - border for border in reversed(borders)]
    borders = borders[: (count + 1) // 2] + opposite[(count + 1) // 2 :]
    return [
        Window(begin, begin + budget, *pair) for begin, pair in zip(begins, pairwise(borders), strict=True)
    ]


def _symmetric(length: int, budget: int) -> tuple[int, int]:
    """Return the size and the number of windows that can lie symmetrically, at most `budget` tokens each."""
    for size in (budget, budget - 1):
        count = 1 + -(-(length - size) // max(1, size - size // 4))
        # the token in the middle of an odd sequence lies in the middle of a window
        count += length % 2 == 1 and count % 2 == 0
        if count % 2 == 0 or (length - size) % 2 == 0:
            return size, count
    raise AssertionError("one of two neighbouring sizes fits")


def _turned(vectors: Vectors) -> Vectors:
    """Bring per-token vectors of the other strand into the order of this one."""
    return {key: array[::-1] if key[1] == "none" else array for key, array in vectors.items()}


def _join_strands(forward: Vectors, backward: Vectors, rc: str) -> Vectors:
    """Put the two strands of a sequence together, per-token vectors base by base."""
    return {
        key: (one + backward[key]) / 2 if rc == "average" else np.concatenate((one, backward[key]), -1)
        for key, one in forward.items()
    }


def encode_listed(model: "SequenceModel", index: int, text: str) -> np.ndarray:
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
    if rc in ("average", "concat") and model.tokenizer.complement is None:
        raise ConfigError(f"rc={rc!r} needs a DNA model; {model.name} reads {model.kind}")
    if any(len(ids) == 0 for ids in sequences):
        raise SequenceError("an empty sequence has no embedding")
