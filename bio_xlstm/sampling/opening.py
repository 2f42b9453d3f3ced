"""What stands before what is drawn: a prompt, a context, or only the start token."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError
from bio_xlstm.likelihoods import asked_ids
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer

# tokens that are read at once
_PIECE = 4096


class Opening(NamedTuple):
    """Hold where a sample begins; one opening serves any number of samples."""

    last: int  # the id that is read first
    state: ModelState | None = None  # of one sequence, before `last`
    ids: np.ndarray = np.zeros(0, np.int64)  # (P,) given ids that are part of the sample
    logprob: float = 0.0  # of these, in nats
    uncounted: int = 0  # of these: how many have no probability that counts


def open_sequence(
    model: SequenceModel, ids: np.ndarray | None = None, state: ModelState | None = None
) -> Opening:
    """Read the first ids (P,) of a sequence, after what a state remembers.

    Where sequences begin with no start token, the first id is given, not predicted; ConfigError where there is none.
    """
    if ids is None or not len(ids):
        return Opening(start_of(model.tokenizer), state)
    start = model.tokenizer.start
    tokens = np.concatenate(([] if start is None else [start], ids)).astype(np.int64)
    if len(tokens) == 1:
        return Opening(int(tokens[0]), state, tokens, uncounted=1)
    # what stands for several, such as N, has no probability that counts
    targets = np.where(asked_ids(model.tokenizer, stops=False)[tokens[1:]], tokens[1:], -1)
    after, logprob = read(model, tokens[:-1], state, targets=targets)
    counted = int((targets >= 0).sum())
    return Opening(int(tokens[-1]), after, tokens[-len(ids) :], logprob, len(ids) - counted)


@torch.no_grad()
def read(
    model: SequenceModel,
    tokens: np.ndarray,
    state: ModelState | None = None,
    *,
    targets: np.ndarray | None = None,
    positions: np.ndarray | None = None,
) -> tuple[ModelState, float]:
    """Read tokens (T,), any number of them, in pieces; return the state after them and log p of `targets` (T,).

    Negative targets do not count.
    """
    if not model.causal:
        raise ConfigError(f"{model.name} {model.config.sight}: only causal models can be read token by token")
    logprob = 0.0
    for begin in range(0, len(tokens), _PIECE):
        piece = slice(begin, begin + _PIECE)
        placed = None if positions is None else _row(model, positions[piece])
        out = model(_row(model, tokens[piece]), state=state, positions=placed)
        state = out.state
        if targets is not None:
            logprobs = out.logits[0].double().log_softmax(1)
            wanted = _row(model, targets[piece]).T
            found = logprobs.gather(1, wanted.clamp(min=0)).masked_fill(wanted < 0, 0.0)
            logprob += float(found.sum())
    assert state is not None, "there is at least one token"
    return state, logprob


def start_of(tokenizer: Tokenizer) -> int:
    """Return the start token; ConfigError where sequences begin with none."""
    if tokenizer.start is None:
        raise ConfigError(
            "sequences of this model begin with no start token: say with a prompt what they begin with"
        )
    return tokenizer.start


def stop_of(tokenizer: Tokenizer) -> int:
    """Return the stop token, -1 where sequences have no end: no id is that."""
    return -1 if tokenizer.stop is None else tokenizer.stop


def _row(model: SequenceModel, values: np.ndarray) -> Tensor:
    """Return numbers as (1, T)."""
    return torch.from_numpy(values.astype(np.int64))[None].to(model.device)
