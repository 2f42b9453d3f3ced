"""Log-probabilities of the tokens of sequences: of each after those before it, or of each among all others.

Logits are reduced to the targets' log-probabilities a piece at a time, so they are never held for a whole batch.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.embedding import batches, cut_windows, pack
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# logits that lie in memory at a time, 16 MB of them
_LOGITS = 1 << 22
# bytes of memory that the copies of a context's state may take in one batch
_STATES = 256 << 20
# tokens of masked copies that wait to be batched by length, in batches
_WAITING = 16
_UNASKED = -1


def causal_logprobs(
    model: "SequenceModel", sequences: Sequence[np.ndarray], *, state: ModelState | None, budget: int
) -> list[np.ndarray]:
    """Return log p of every token after those before it, and of the stop: (T,) or (T + 1,) float32 per sequence.

    NaN where nothing is predicted: symbols that stand for several (N), and the first one where there is no start
    token. Every sequence continues from `state` (of one sequence); longer ones than `budget` stream through it.
    """
    results: list[np.ndarray] = [np.empty(0, np.float32)] * len(sequences)
    most = len(sequences) if state is None else max(1, _STATES // max(state.bytes, 1))
    for batch in batches(sequences, budget, most):
        chosen = [sequences[index] for index in batch]
        if len(batch) == 1 and len(chosen[0]) >= budget:
            found = [_streamed(model, chosen[0], state, budget)]
        else:
            found = _packed(model, chosen, state)
        for index, values in zip(batch, found, strict=True):
            results[index] = _whole(model.tokenizer, values)
    return results


def masked_logprobs(
    model: "SequenceModel", sequences: Sequence[np.ndarray], *, stride: int, budget: int
) -> list[np.ndarray]:
    """Return log p of every letter where it is hidden, (T,) float32 per sequence; NaN for what is no single letter.

    A sequence is read `stride` times, each time with every stride-th letter masked, so that every letter is masked
    once; the sum is the pseudo-log-likelihood. Longer ones than `budget` are read in overlapping windows.
    """
    results = [np.full(len(ids), np.nan, np.float32) for ids in sequences]
    for copies in _waiting(_masked_copies(model.tokenizer, sequences, stride, budget), _WAITING * budget):
        for batch in batches([copy.shown for copy in copies], budget):
            chosen = [copies[index] for index in batch]
            tokens, borders = pack(model, [copy.shown for copy in chosen])
            framing = int(model.tokenizer.start is not None)
            targets = np.concatenate([np.pad(c.targets, (framing, 0), constant_values=-1) for c in chosen])
            hidden = model(tokens, borders, with_state=False).hidden
            values = np.split(target_logprobs(model, hidden[0], targets), borders.cpu().numpy()[1:-1])
            for copy, row in zip(chosen, values, strict=True):
                asked = np.flatnonzero(copy.targets >= 0)
                results[copy.number][copy.begin + asked] = row[framing + asked]
    return results


def asked_ids(tokenizer: Tokenizer, *, stops: bool) -> np.ndarray:
    """Mark the ids (V,) whose probability counts: those that stand for one thing, and with `stops` the end."""
    asked = np.array(tokenizer.targets, bool)
    for framing in (tokenizer.start, tokenizer.stop):
        if framing is not None:
            asked[framing] = False
    if stops and tokenizer.stop is not None:
        asked[tokenizer.stop] = True
    return asked


def _packed(
    model: "SequenceModel", sequences: Sequence[np.ndarray], state: ModelState | None
) -> list[np.ndarray]:
    """Read many sequences at once."""
    tokens, borders = pack(model, sequences)
    targets = np.concatenate([next_tokens(model.tokenizer, ids) for ids in sequences])
    before = None if state is None else state.select([0] * len(sequences))
    hidden = model(tokens, borders, state=before, with_state=False).hidden
    return np.split(target_logprobs(model, hidden[0], targets), borders.cpu().numpy()[1:-1])


def _streamed(model: "SequenceModel", ids: np.ndarray, state: ModelState | None, budget: int) -> np.ndarray:
    """Read one sequence of any length through the state."""
    tokens, _ = pack(model, [ids])
    targets = next_tokens(model.tokenizer, ids)
    found = []
    for begin in range(0, tokens.shape[1], budget):
        end = begin + budget
        out = model(tokens[:, begin:end], state=state, with_state=end < tokens.shape[1])
        found.append(target_logprobs(model, out.hidden[0], targets[begin:end]))
        state = out.state
    return np.concatenate(found)


def next_tokens(tokenizer: Tokenizer, ids: np.ndarray) -> np.ndarray:
    """Return what follows every token of a framed sequence, negative where it does not count."""
    stop = _UNASKED if tokenizer.stop is None else tokenizer.stop
    read = ids if tokenizer.start is not None else ids[1:]
    letters = np.where(asked_ids(tokenizer, stops=False)[read], read.astype(np.int64), _UNASKED)
    return np.append(letters, stop)


def _whole(tokenizer: Tokenizer, values: np.ndarray) -> np.ndarray:
    """Bring what was predicted, one number per token read, into the form of the result."""
    if tokenizer.start is None:
        # nothing stands before the first token
        values = np.concatenate((np.full(1, np.nan, np.float32), values))
    return values if tokenizer.stop is not None else values[:-1]


class _Masked(NamedTuple):
    """Hold a sequence, or a window of it, with some letters hidden."""

    number: int  # of the sequence
    begin: int  # where the window begins
    shown: np.ndarray  # (T,)
    targets: np.ndarray  # (T,) int64 the hidden letters that are taken from this window, negative elsewhere


def _masked_copies(
    tokenizer: Tokenizer, sequences: Sequence[np.ndarray], stride: int, budget: int
) -> Iterator[_Masked]:
    """Yield copies of sequences that together hide every letter once."""
    asked = asked_ids(tokenizer, stops=False)
    for index, ids in enumerate(sequences):
        for window in cut_windows(len(ids), budget):
            piece = ids[window.begin : window.end]
            places = np.arange(window.begin, window.end)
            mine = asked[piece] & (places >= window.first) & (places < window.last)
            for turn in range(min(stride, len(ids))):
                hidden = asked[piece] & (places % stride == turn)
                if (hidden & mine).any():
                    shown = np.where(hidden, np.array(tokenizer.mask, ids.dtype), piece)
                    targets = np.where(hidden & mine, piece.astype(np.int64), _UNASKED)
                    yield _Masked(index, window.begin, shown, targets)


def _waiting(copies: Iterator[_Masked], tokens: int) -> Iterator[list[_Masked]]:
    """Gather copies until there are enough to fill batches with such of like length."""
    waiting: list[_Masked] = []
    held = 0
    for copy in copies:
        waiting.append(copy)
        held += len(copy.shown)
        if held >= tokens:
            yield waiting
            waiting, held = [], 0
    if waiting:
        yield waiting


def target_logprobs(model: "SequenceModel", hidden: Tensor, targets: np.ndarray) -> np.ndarray:
    """Return log p of targets (T,) after hidden states (T, D): (T,) float32, NaN where there is no target.

    Where a broken model computes no number, the target has none of the probability: -inf.
    """
    found = np.full(len(targets), np.nan, np.float32)
    asked = np.flatnonzero(targets >= 0)
    rows = max(1, _LOGITS // model.config.vocabulary)
    for begin in range(0, len(asked), rows):
        some = asked[begin : begin + rows]
        # most often all of them
        states = hidden if len(some) == len(hidden) else hidden[torch.from_numpy(some).to(hidden.device)]
        wanted = torch.from_numpy(targets[some]).to(hidden.device)
        logits = model.logits_of(states[None])[0]
        nats = F.cross_entropy(
            logits.to(torch.promote_types(logits.dtype, torch.float32)), wanted, reduction="none"
        )
        values = -nats.float().cpu().numpy()
        found[some] = np.where(np.isnan(values), -np.inf, values)
    return found
