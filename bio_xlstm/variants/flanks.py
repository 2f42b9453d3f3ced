"""What stands before a change is read once: every variant goes on from the memory of its left flank.

The memory is kept after every `STEP` tokens of the wild type, where a variant needs it; a variant reads on from the
last such place before its first change. Glossary: T tokens, A tokens that are asked about, V symbols.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.layers.state import join
from bio_xlstm.likelihoods import target_logprobs
from bio_xlstm.positions import Places
from bio_xlstm.state import ModelState

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# the wild type is read in pieces that end at multiples of this: more memories cost calls, fewer cost tokens
STEP = 16
# bytes of memory that the states of one batch may take
_STATES = 256 << 20


class Tail(NamedTuple):
    """Hold what is read after the first `begin` tokens of a wild type."""

    begin: int
    tokens: np.ndarray  # (T,) int64
    targets: np.ndarray  # (T,) int64 what follows each token, negative where nobody asks


Answer = Callable[["SequenceModel", Tensor, np.ndarray], np.ndarray]


def target_answers(model: "SequenceModel", hidden: Tensor, targets: np.ndarray) -> np.ndarray:
    """Return log p of the targets that are asked for, (A,) float32."""
    return target_logprobs(model, hidden, targets)[targets >= 0]


def symbol_answers(model: "SequenceModel", hidden: Tensor, targets: np.ndarray) -> np.ndarray:
    """Return log p of every symbol where a target is asked for, (A, V) float32."""
    asked = torch.from_numpy(np.flatnonzero(targets >= 0)).to(hidden.device)
    logits = model.logits_of(hidden[asked][None])[0]
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide.log_softmax(-1).float().cpu().numpy()


def last_stop(first: int) -> int:
    """Return the last place up to `first` whose memory is kept."""
    return max(first, 0) // STEP * STEP


def read_tails(
    model: "SequenceModel",
    wild: np.ndarray,
    tails: Sequence[Tail],
    answer: Answer,
    *,
    state: ModelState | None,
    budget: int,
) -> list[np.ndarray]:
    """Answer what is asked about tails of the framed tokens (T,) of a wild type, in order; one array per tail.

    `state` is the memory of what stands before the wild type, `budget` the tokens that are read at once.
    """
    found: list[np.ndarray] = [np.empty(0)] * len(tails)
    for batch, before in _batches(model, wild, tails, state, budget):
        chosen = [tails[index] for index in batch]
        if len(chosen) == 1:
            found[batch[0]] = _alone(model, chosen[0], before, answer, budget)
            continue
        tokens, borders = _packed([tail.tokens for tail in chosen], model.device)
        hidden = model(tokens, borders, state=before, with_state=False).hidden[0]
        answers = answer(model, hidden, np.concatenate([tail.targets for tail in chosen]))
        ends = np.cumsum([(tail.targets >= 0).sum() for tail in chosen])
        for index, part in zip(batch, np.split(answers, ends[:-1]), strict=True):
            found[index] = part
    return found


def _alone(
    model: "SequenceModel", tail: Tail, state: ModelState | None, answer: Answer, budget: int
) -> np.ndarray:
    """Read one tail of any length, piece by piece."""
    if len(tail.tokens) <= budget:
        tokens, _ = _packed([tail.tokens], model.device)
        return answer(model, model(tokens, state=state, with_state=False).hidden[0], tail.targets)
    parts = []
    for begin in range(0, len(tail.tokens), budget):
        piece = slice(begin, begin + budget)
        out = model(_packed([tail.tokens[piece]], model.device)[0], state=state)
        parts.append(answer(model, out.hidden[0], tail.targets[piece]))
        state = out.state
    return np.concatenate(parts)


def _batches(
    model: "SequenceModel", wild: np.ndarray, tails: Sequence[Tail], state: ModelState | None, budget: int
) -> Iterator[tuple[list[int], ModelState | None]]:
    """Walk along the wild type and yield tails that fit together, with the memories they go on from."""
    order = sorted(
        range(len(tails)), key=lambda index: (tails[index].begin, -len(tails[index].tokens), index)
    )
    memories = _memories(model, wild, sorted({tail.begin for tail in tails}), state, budget)
    batch: list[int] = []
    kept: list[ModelState] = []
    owners: list[int] = []
    tokens, at, here = 0, -1, state
    for index in order:
        tail = tails[index]
        fresh = tail.begin != at
        full = tokens + len(tail.tokens) > budget or (here is not None and len(batch) * here.bytes > _STATES)
        # what begins with nothing cannot be read together with what goes on
        if batch and (full or (fresh and here is None)):
            yield batch, _chosen(kept, owners)
            batch, kept, owners, tokens = [], [], [], 0
        if fresh:
            at, here = tail.begin, next(memories)
        if here is not None:
            if fresh or not kept:
                kept.append(here)
            owners.append(len(kept) - 1)
        batch.append(index)
        tokens += len(tail.tokens)
    if batch:
        yield batch, _chosen(kept, owners)


def _memories(
    model: "SequenceModel", wild: np.ndarray, begins: Sequence[int], state: ModelState | None, budget: int
) -> Iterator[ModelState | None]:
    """Read the wild type and yield the memory at every place asked for, in their order."""
    at = 0
    for begin in begins:
        while at < begin:
            end = min(begin, at + budget)
            state = model(_packed([wild[at:end]], model.device)[0], state=state).state
            at = end
        yield state


def _chosen(kept: Sequence[ModelState], owners: Sequence[int]) -> ModelState | None:
    """Put memories together, one for every tail."""
    if not kept:
        return None
    joined = kept[0] if len(kept) == 1 else _joined(kept)
    return joined.select(list(owners))


def _joined(states: Sequence[ModelState]) -> ModelState:
    """Put the sequences of several states into one."""
    blocks = tuple(join(layer) for layer in zip(*(state.blocks for state in states), strict=True))
    places = [state.places for state in states if state.places is not None]
    return ModelState(
        blocks,
        torch.cat([state.position for state in states]),
        states[0].model_hash,
        Places(*(torch.cat(part) for part in zip(*places, strict=True))) if places else None,
    )


def _packed(rows: Sequence[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Lay tokens end to end: tokens (1, T) and cu_seqlens (N + 1,)."""
    borders = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
    tokens = torch.from_numpy(np.concatenate(rows).astype(np.int64))
    return tokens[None].to(device), torch.from_numpy(borders.astype(np.int32)).to(device)
