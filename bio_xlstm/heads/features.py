"""What a head sees of a sequence: hidden states of some layers, pooled, side by side.

`read_features` is differentiable and reads one batch; `embed_features` reads any number of sequences of any length.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.embedding import embed_batch, pack, rc_mode
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.models.strands import split_strands

TOKENS = "none"
"""The pool that keeps one vector per letter."""


class Features(NamedTuple):
    """Name layers (0 .. layer_count - 1) and pools; every pair adds D numbers."""

    layers: tuple[int, ...]
    pools: tuple[str, ...] = ("mean",)
    length: bool = True
    """Whether the length and its logarithm stand beside the vectors: a mean does not know how much it is of."""

    @property
    def per_token(self) -> bool:
        """Tell whether every letter has features of its own."""
        return TOKENS in self.pools


def embed_features(
    model: SequenceModel, sequences: Sequence[np.ndarray], features: Features, *, batch_tokens: int = 8192
) -> list[np.ndarray]:
    """Return the features of sequences of token ids: (F,) float32 each, or (length, F) per token."""
    found = embed_batch(
        model,
        sequences,
        pools=features.pools,
        layers=features.layers,
        rc=rc_mode(model, "auto"),
        batch_tokens=batch_tokens,
    )
    keys = [(layer, pool) for layer in features.layers for pool in features.pools]
    rows = [np.concatenate([vectors[key] for key in keys], axis=-1) for vectors in found]
    if not features.length or features.per_token:
        return rows
    return [
        np.concatenate((row, sizes(len(ids)))).astype(np.float32)
        for row, ids in zip(rows, sequences, strict=True)
    ]


def read_features(model: SequenceModel, sequences: Sequence[np.ndarray], features: Features) -> Tensor:
    """Return the features (N, F) of one batch, or (sum of lengths, F) per token; gradients flow to the weights."""
    found = _strands(model, sequences, features)
    if rc_mode(model, "auto") == "average" and not model.config.equivariant:
        turned = [model.tokenizer.reverse_complement(ids) for ids in sequences]
        other = _strands(model, turned, features)[0]
        found.append(_turned(other, sequences) if features.per_token else other)
    pooled = torch.stack(found).mean(0)
    if not features.length or features.per_token:
        return pooled
    about = np.stack([sizes(len(ids)) for ids in sequences]).astype(np.float32)
    return torch.cat((pooled, torch.from_numpy(about).to(pooled.device)), dim=-1)


def sizes(length: int) -> tuple[float, float]:
    """Return what is said of the length of a sequence."""
    return float(length), float(np.log(length))


def _strands(model: SequenceModel, sequences: Sequence[np.ndarray], features: Features) -> list[Tensor]:
    """Return what is pooled of one strand, or of both where the model reads both at once."""
    tokens, borders = pack(model, sequences)
    out = model(tokens, borders, layers=features.layers, with_state=False)
    inside = torch.ones(tokens.shape[1], dtype=torch.bool, device=model.device)
    lengths = borders.diff().long()
    if model.tokenizer.start is not None:
        inside[borders[:-1].long()] = False
        lengths = lengths - 1
    layers = [out.layers[layer][0, inside].float() for layer in features.layers]  # (T, D) or (T, 2 D) each
    if not model.config.equivariant:
        return [_pooled(layers, lengths, features.pools)]
    pairs = [split_strands(hidden) for hidden in layers]
    mirrored = tuple({"first": "last", "last": "first"}.get(pool, pool) for pool in features.pools)
    return [
        _pooled([pair[strand] for pair in pairs], lengths, pools)
        for strand, pools in enumerate((features.pools, mirrored))
    ]


def _pooled(layers: Sequence[Tensor], lengths: Tensor, pools: Sequence[str]) -> Tensor:
    """Pool hidden states (T, D) of every layer and lay them side by side."""
    return torch.cat([pool_packed(hidden, lengths, pool) for hidden in layers for pool in pools], dim=-1)


def pool_packed(hidden: Tensor, lengths: Tensor, pool: str) -> Tensor:
    """Pool hidden states (T, D) of N sequences end to end, `lengths` (N,) of them each: (N, D)."""
    if pool in ("mean", "max"):
        return torch.segment_reduce(hidden, pool, lengths=lengths)
    if pool == "last":
        return hidden[lengths.cumsum(0) - 1]
    if pool == "first":
        return hidden[lengths.cumsum(0) - lengths]
    if pool == TOKENS:
        return hidden
    raise ConfigError(f"unknown pool {pool!r}; known: mean, last, first, max, none")


def _turned(hidden: Tensor, sequences: Sequence[np.ndarray]) -> Tensor:
    """Bring vectors (T, D) of the other strand into the order of this one."""
    return torch.cat([part.flip(0) for part in hidden.split([len(ids) for ids in sequences])])
