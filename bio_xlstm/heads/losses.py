"""Losses of the tasks on outputs (N, O) and values (N, T), in which NaN stands for what was not measured."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def squared_error(outputs: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average the squared error over all measured values; both sides are standardised."""
    known = ~values.isnan()
    error = (outputs - values.nan_to_num()).square()
    return _mean(error, known, None)


def binary_cross_entropy(outputs: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average the cross entropy of labels 0 and 1; `weights` (T, 2) are those of the two classes of every target."""
    known = ~values.isnan()
    labels = values.nan_to_num()
    nats = F.binary_cross_entropy_with_logits(outputs, labels, reduction="none")
    if weights is None:
        return _mean(nats, known, None)
    return _mean(nats, known, torch.where(labels > 0.5, weights[:, 1], weights[:, 0]))


def cross_entropy(outputs: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average the cross entropy of classes, values (N, 1); `weights` (1, C) are those of the classes."""
    known = ~values[:, 0].isnan()
    classes = values[:, 0].nan_to_num().long()
    nats = F.cross_entropy(outputs, classes, reduction="none")
    return _mean(nats, known, None if weights is None else weights[0][classes])


def pairwise_ranking(outputs: Tensor, values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average -log p that the greater of two values has the greater output, over all pairs of a batch (RankNet)."""
    above = values[:, None] > values[None]  # (N, N, T); NaN is above nothing
    nats = F.softplus(outputs[None] - outputs[:, None])
    return _mean(nats, above, None)


LOSSES: dict[str, Loss] = {
    "regression": squared_error,
    "binary": binary_cross_entropy,
    "multilabel": binary_cross_entropy,
    "multiclass": cross_entropy,
    "per_token": cross_entropy,
    "ranking": pairwise_ranking,
}
LINK_OF = {
    "regression": "identity",
    "ranking": "identity",
    "binary": "sigmoid",
    "multilabel": "sigmoid",
    "multiclass": "softmax",
    "per_token": "softmax",
}


def class_weights(values: Tensor, classes: int) -> Tensor:
    """Return weights (T, C) by which all classes of a target count alike, at most a hundredfold; absent ones get 1."""
    counts = torch.stack([(values == number).sum(0) for number in range(classes)], dim=-1).float()  # (T, C)
    present = (counts > 0).sum(-1, keepdim=True)
    total = counts.sum(-1, keepdim=True)
    return torch.where(counts > 0, total / (present * counts.clamp_min(1)), torch.ones(())).clamp_max(100.0)


def _mean(losses: Tensor, known: Tensor, weights: Tensor | None) -> Tensor:
    """Average what is known, with weights; 0 where nothing is."""
    weight = known.to(losses.dtype) if weights is None else known * weights
    return (losses * weight).sum() / weight.sum().clamp_min(1e-12)
