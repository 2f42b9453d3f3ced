"""Draw sequences from a causal model: many at once, each a function of the model, the seed and its number alone."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError
from bio_xlstm.sampling.choice import Sampling, likely, penalised, repeating
from bio_xlstm.sampling.constraint import Constraint, Letters
from bio_xlstm.sampling.counter import exponential
from bio_xlstm.sampling.opening import Opening, start_of, stop_of
from bio_xlstm.sampling.rows import Rows, Sample


def draw(
    decoder: Decoder,
    numbers: Iterable[int],
    sampling: Sampling | None = None,
    *,
    opening_of: Callable[[int], Opening] | None = None,
    constraint: Constraint | None = None,
) -> Iterator[Sample]:
    """Draw the sequences with the given numbers, as many at once as the decoder has slots; yield each as it ends.

    A slot takes up the next number as soon as its sequence ends, with the stop token or at the longest that is
    allowed. Compiled for the CPU, sequence i is the same bit for bit whatever the other numbers and the slots are;
    elsewhere unless two ids are equally likely to within rounding. `opening_of` tells how the sequence with a number
    begins, and must return equal things for equal numbers; without it the vocabulary has to have a start token.
    Without a stop token all sequences are as long as is allowed. ConfigError refuses an opening that leaves no room.

    >>> import bio_xlstm as bx
    >>> decoder = Decoder(bx.build("chem", dim=32, blocks=1, heads=2), slots=2)
    >>> sorted(sample.number for sample in draw(decoder, range(3), Sampling(longest=5)))
    [0, 1, 2]
    """
    sampling = sampling or Sampling()
    opening_of = opening_of or _plain(decoder)
    constraint = constraint or Letters(decoder.tokenizer)
    stop = stop_of(decoder.tokenizer)
    waiting, rows = iter(numbers), Rows(decoder.slots, sampling.longest)
    while True:
        _begin(decoder, rows, rows.take_up(waiting, with_room(opening_of, sampling)), constraint)
        slots = rows.busy()
        if not len(slots):
            return
        there = torch.from_numpy(slots)
        logits = decoder.step(torch.from_numpy(rows.last[slots]), there, constraint.places(slots)).double()
        allowed = torch.from_numpy(constraint.allowed(slots)).to(logits.device)
        chosen = choose(logits, allowed, rows, slots, sampling)
        logprob = logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(1)
        ids = chosen.cpu().numpy()
        constraint.add(slots, ids)
        yield from rows.add(slots, ids, logprob.cpu().numpy(), stop)


def _plain(decoder: Decoder) -> Callable[[int], Opening]:
    """Begin every sequence with the start token alone."""
    plain = Opening(start_of(decoder.tokenizer))
    return lambda number: plain


def _begin(decoder: Decoder, rows: Rows, taken: list[tuple[int, Opening]], constraint: Constraint) -> None:
    """Prepare slots for what begins in them."""
    by_state: dict[int, list[int]] = {}
    states = {id(opening.state): opening.state for _, opening in taken}
    for slot, opening in taken:
        by_state.setdefault(id(opening.state), []).append(slot)
        constraint.begin(slot, int(rows.number[slot]), opening.ids)
    for key, slots in by_state.items():
        state = states[key]
        if state is None:
            decoder.clear(slots)
        else:
            decoder.load(slots, state.select([0] * len(slots)))


def with_room(opening_of: Callable[[int], Opening], sampling: Sampling) -> Callable[[int], Opening]:
    """Refuse openings that leave nothing to draw."""

    def checked(number: int) -> Opening:
        opening = opening_of(number)
        if len(opening.ids) >= sampling.longest:
            raise ConfigError(
                f"{len(opening.ids)} tokens are given, which leaves no room in sequences of at most {sampling.longest}"
            )
        return opening

    return checked


def choose(logits: Tensor, allowed: Tensor, rows: Rows, slots: np.ndarray, sampling: Sampling) -> Tensor:
    """Choose an id (n,) in every slot."""
    assert bool(allowed.any(1).all()), "a constraint lets nothing follow"
    scores = logits.masked_fill(~allowed, -torch.inf)
    if sampling.looks_back:
        scores = _looking_back(scores, rows, slots, sampling)
    if sampling.greedy:
        return scores.argmax(1)
    luck = exponential(
        sampling.seed,
        torch.from_numpy(rows.number[slots]),
        torch.from_numpy(rows.length[slots]),
        logits.shape[1],
        logits.device,
    )
    return (likely(scores, sampling) / luck).argmax(1)


def _looking_back(scores: Tensor, rows: Rows, slots: np.ndarray, sampling: Sampling) -> Tensor:
    """Make less likely, or refuse, what repeats what was drawn."""
    ids, lengths = torch.from_numpy(rows.ids[slots]), torch.from_numpy(rows.length[slots])
    width = scores.shape[1]
    if sampling.repetition_penalty != 1:
        inside = torch.arange(ids.shape[1]) < lengths[:, None]
        seen = torch.zeros((len(ids), width + 1), dtype=torch.bool)
        seen.scatter_(1, torch.where(inside, ids, width), True)
        scores = penalised(scores, seen[:, :width].to(scores.device), sampling.repetition_penalty)
    if sampling.no_repeat is not None:
        again = repeating(ids, lengths, sampling.no_repeat, width).to(scores.device)
        # where nothing else may follow, what repeats has to
        stuck = (again | scores.isneginf()).all(1, keepdim=True)
        scores = scores.masked_fill(again & ~stuck, -torch.inf)
    return scores
