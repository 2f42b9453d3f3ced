"""The likeliest sequences of a model, as far as a beam sees."""

from typing import NamedTuple

import numpy as np
import torch

from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError
from bio_xlstm.sampling.constraint import letters_and_stop
from bio_xlstm.sampling.opening import Opening, start_of, stop_of
from bio_xlstm.sampling.rows import Sample


class _Beams(NamedTuple):
    """Hold what is written in every slot, the likeliest first."""

    ids: np.ndarray  # (W, T)
    logprob: np.ndarray  # (W,)


@torch.no_grad()
def beam_search(
    decoder: Decoder, width: int, *, longest: int, opening: Opening | None = None
) -> list[Sample]:
    """Return up to `width` sequences of high log-probability; with width 1 the greedy one, unless it is empty.

    At every step the `width` likeliest continuations of all beams are kept; a sequence that ends leaves its place to
    the others, until no beam can become likelier than the `width` best that have ended. The model's own log-probability
    decides, stop included, without regard to length; a sequence without any letter is none. Those that have ended come
    first, the likeliest of them first; those at the limit, which are beginnings, come behind, in the same order.
    ConfigError refuses a beam that is wider than the decoder has slots, and a limit that leaves no room.
    """
    opening = opening or Opening(start_of(decoder.tokenizer))
    if not 1 <= width <= decoder.slots:
        raise ConfigError(
            f"a beam of width {width} does not fit into the {decoder.slots} slots of the decoder"
        )
    if len(opening.ids) >= longest:
        raise ConfigError(
            f"{len(opening.ids)} tokens are given, which leaves no room in sequences of at most {longest}"
        )
    stop = stop_of(decoder.tokenizer)
    refused = torch.from_numpy(~letters_and_stop(decoder.tokenizer)).to(decoder.device)
    ended: list[tuple[float, np.ndarray]] = []
    beams = _Beams(opening.ids[None], np.array([opening.logprob]))
    _fill(decoder, opening)
    last = torch.tensor([opening.last])
    while len(beams.ids) and beams.ids.shape[1] < longest:
        slots = torch.arange(len(beams.ids))
        logprobs = decoder.step(last, slots).double().log_softmax(1).masked_fill(refused, -torch.inf)
        if stop >= 0 and not beams.ids.shape[1]:
            logprobs[:, stop] = -torch.inf
        totals = (torch.from_numpy(beams.logprob)[:, None] + logprobs.cpu()).flatten()
        # a stop of every beam may be among them, and enough go on
        best = totals.topk(min(width + len(beams.ids), int(totals.isfinite().sum())))
        parents, chosen = (
            part.numpy() for part in (best.indices // len(refused), best.indices % len(refused))
        )
        values, stops = best.values.numpy(), chosen == stop
        # what stops further down the list was beaten by others
        ended += [(float(values[i]), beams.ids[parents[i]]) for i in np.flatnonzero(stops) if i < width]
        going = np.flatnonzero(~stops)[:width]
        ended = sorted(ended, key=lambda pair: -pair[0])[:width]
        if len(ended) == width:
            # log-probabilities only fall
            going = going[values[going] > ended[-1][0]]
        if not len(going):
            beams = _Beams(beams.ids[:0], beams.logprob[:0])
            break
        state = decoder.state(slots).select(torch.from_numpy(parents[going]))
        decoder.load(torch.arange(len(going)), state)
        ids = np.concatenate((beams.ids[parents[going]], chosen[going, None]), 1)
        beams, last = _Beams(ids, values[going]), torch.from_numpy(chosen[going])
    cut = [(float(value), ids) for value, ids in zip(beams.logprob, beams.ids, strict=True)]
    found = [(*pair, True) for pair in ended] + [(*pair, False) for pair in cut]
    return [
        Sample(number, ids.astype(np.int64), logprob, whole)
        for number, (logprob, ids, whole) in enumerate(found[:width])
    ]


def _fill(decoder: Decoder, opening: Opening) -> None:
    """Bring the first slot to the opening."""
    if opening.state is None:
        decoder.clear([0])
    else:
        decoder.load([0], opening.state)
