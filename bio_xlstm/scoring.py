"""Sequences to likelihoods: one strand or both, alone or in a context; per token, or summed."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from bio_xlstm.embedding import encode_listed
from bio_xlstm.errors import ConfigError, ModelError, SequenceError
from bio_xlstm.likelihoods import causal_logprobs, masked_logprobs
from bio_xlstm.state import ModelState

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

DIRECTIONS = ("forward", "reverse", "both")
RC_MODES = ("auto", "none", "average")
# an eighth of the letters is hidden at a time, about as many as masked models are trained with
STRIDE = 8


class Score(NamedTuple):
    """Hold the log-likelihood of one sequence, token by token, in nats."""

    logprobs: np.ndarray
    """Log p of every token and, where there is one, of the stop: (T,) or (T + 1,) float32; NaN where none counts.
    Averages over the strands where both are read."""
    strands: tuple[float, ...]
    """Sum of every strand that was read, in nats."""

    @property
    def n_tokens(self) -> int:
        """Return how many tokens count."""
        return int((~np.isnan(self.logprobs)).sum())

    @property
    def total(self) -> float:
        """Return the log-likelihood in nats, the mean over the strands that were read."""
        return sum(self.strands) / len(self.strands)

    @property
    def mean(self) -> float:
        """Return the log-likelihood per token that counts; NaN where none does."""
        return self.total / self.n_tokens if self.n_tokens else float("nan")

    @property
    def perplexity(self) -> float:
        """Return exp(-mean)."""
        return float(np.exp(-self.mean))


REDUCTIONS: dict[str, Callable[[Score], float]] = {
    "sum": lambda score: score.total,
    "mean": lambda score: score.mean,
    "perplexity": lambda score: score.perplexity,
}


@torch.inference_mode()
def score_batch(
    model: "SequenceModel",
    sequences: Sequence[np.ndarray],
    *,
    direction: str = "forward",
    rc: str = "none",
    stride: int = STRIDE,
    state: ModelState | None = None,
    batch_tokens: int = 8192,
) -> list[Score]:
    """Score sequences of token ids, in order.

    Causal models give the exact log-likelihood, stop included; a sequence longer than `batch_tokens` streams through
    the state. Masked models give the pseudo-log-likelihood, `stride` readings of each sequence. direction="reverse"
    reads the other strand of DNA, "both" (or rc="average") averages over the strands, and rc="auto" does so where the
    model is made for it. `state` is the memory of a context of one sequence, from which every sequence goes on.
    """
    strands = check_score(
        model, direction=direction, rc=rc, stride=stride, state=state, batch_tokens=batch_tokens
    )
    if any(len(ids) == 0 for ids in sequences):
        raise SequenceError("an empty sequence has no likelihood")
    found = []
    for strand in strands:
        ids = (
            sequences
            if strand == "forward"
            else [model.tokenizer.reverse_complement(one) for one in sequences]
        )
        values = _logprobs(model, ids, stride, state, batch_tokens)
        found.append(
            values if strand == "forward" else [_turned(*pair) for pair in zip(values, ids, strict=True)]
        )
    return [_joined(several) for several in zip(*found, strict=True)]


def score_sequences(
    model: "SequenceModel",
    sequences: Sequence[str],
    *,
    reduce: str = "sum",
    direction: str = "forward",
    rc: str = "auto",
    stride: int = STRIDE,
    state: ModelState | None = None,
    batch_tokens: int = 8192,
) -> np.ndarray | list[np.ndarray]:
    """Score strings; the law behind `SequenceModel.score`. The options are those of `score_batch`.

    `reduce` is sum (nats), mean (nats per token) or perplexity, (N,) float64 each; none gives a list with log p of
    every token, (T + 1,) float32 where the stop counts. SequenceError names what cannot be read. Molecules are read
    as text.

    >>> import bio_xlstm as bx
    >>> score_sequences(bx.load("chem-small"), ["CCO", "c1ccccc1O"]).shape
    (2,)
    """
    if isinstance(sequences, str):
        raise SequenceError("give a list of sequences, not one string")
    if reduce != "none" and reduce not in REDUCTIONS:
        raise ConfigError(f"unknown reduce {reduce!r}; known: {', '.join(REDUCTIONS)}, none")
    ids = [encode_listed(model, index, text) for index, text in enumerate(sequences)]
    found = score_batch(
        model, ids, direction=direction, rc=rc, stride=stride, state=state, batch_tokens=batch_tokens
    )
    if reduce == "none":
        return [score.logprobs for score in found]
    return np.array([REDUCTIONS[reduce](score) for score in found], np.float64)


def check_score(
    model: "SequenceModel",
    *,
    direction: str,
    rc: str,
    stride: int,
    state: ModelState | None,
    batch_tokens: int,
) -> tuple[str, ...]:
    """Refuse options that contradict each other or the model; return the strands to read."""
    for name, value, known in (("direction", direction, DIRECTIONS), ("rc mode", rc, RC_MODES)):
        if value not in known:
            raise ConfigError(f"unknown {name} {value!r}; known: {', '.join(known)}")
    for name, number in (("stride", stride), ("batch_tokens", batch_tokens)):
        if number < 1:
            raise ConfigError(f"{name} must be at least 1, not {number}")
    if (rc == "average" or direction != "forward") and model.tokenizer.complement is None:
        asked = "rc='average'" if rc == "average" else f"direction={direction!r}"
        raise ConfigError(
            f"{asked} reads the other strand of DNA; {model.name} reads {model.kind} from its beginning"
        )
    if rc == "average" and direction == "reverse":
        raise ConfigError("rc='average' reads both strands, direction='reverse' only one of them")
    if is_masked(model) and model.tokenizer.mask is None:
        raise ModelError(f"{model.name} hides letters, but its {model.kind} vocabulary has no mask")
    if state is not None and is_masked(model):
        raise ModelError(f"{model.name} is a masked model: it reads no context")
    if state is not None and len(state) != 1:
        raise ModelError(f"the state holds {len(state)} sequences; a context is one")
    if rc == "average" or (rc == "auto" and model.config.reverse_complement == "post_hoc"):
        return ("forward", "reverse") if direction != "reverse" else ("reverse",)
    return ("forward", "reverse") if direction == "both" else (direction,)


def is_masked(model: "SequenceModel") -> bool:
    """Tell whether a model knows hidden letters, so that it has a pseudo-likelihood only."""
    return model.config.objective == "masked"


def _logprobs(
    model: "SequenceModel", ids: Sequence[np.ndarray], stride: int, state: ModelState | None, budget: int
) -> list[np.ndarray]:
    """Read sequences as the model's objective asks."""
    if is_masked(model):
        return masked_logprobs(model, ids, stride=stride, budget=budget)
    return causal_logprobs(model, ids, state=state, budget=budget)


def _turned(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Bring the values of the other strand into the order of this one; its end stays behind the letters."""
    return np.concatenate((values[: len(ids)][::-1], values[len(ids) :]))


def _joined(strands: Sequence[np.ndarray]) -> Score:
    """Put the strands of a sequence together, base by base."""
    sums = tuple(float(np.nansum(values, dtype=np.float64)) for values in strands)
    if len(strands) == 1:
        return Score(strands[0], sums)
    values = np.stack(strands)
    mean = np.where(np.isnan(values), 0, values).mean(0, dtype=np.float64).astype(np.float32)
    return Score(np.where(np.isnan(values).all(0), np.float32(np.nan), mean), sums)
