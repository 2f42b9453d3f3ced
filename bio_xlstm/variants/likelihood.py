"""Ratios of whole sequences, for causal models: log p of the variant minus log p of the wild type."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bio_xlstm.likelihoods import causal_logprobs, next_tokens
from bio_xlstm.state import ModelState
from bio_xlstm.variants.flanks import Tail, last_stop, read_tails, target_answers

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# fewer variants of a wild type than this are not worth a walk along it
WORTH_A_WALK = 4


def likelihood_ratios(
    model: "SequenceModel",
    wild: np.ndarray,
    mutants: Sequence[np.ndarray],
    *,
    state: ModelState | None,
    budget: int,
) -> np.ndarray:
    """Return log p(mutant) - log p(wild), (N,) float64, of bare ids; mutants read what follows their first change.

    The difference of two scores, to the precision of the sums: what stands before a change is the same in both.
    """
    framed, following = framed_tokens(model, wild), next_tokens(model.tokenizer, wild)
    tails = [_tail(model, framed, mutant) for mutant in mutants]
    whole, *answers = read_tails(
        model, framed, [Tail(0, framed, following), *tails], target_answers, state=state, budget=budget
    )
    nats = np.zeros(len(framed))
    nats[following >= 0] = whole
    # log p of what follows every token of the wild type, to its end
    suffixes = nats[::-1].cumsum()[::-1]
    return np.array(
        [
            # what was not changed is exactly as likely
            0.0 if np.array_equal(wild, mutant) else part.sum(dtype=np.float64) - suffixes[tail.begin]
            for mutant, tail, part in zip(mutants, tails, answers, strict=True)
        ]
    )


def likelihood_differences(
    model: "SequenceModel",
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    state: ModelState | None,
    budget: int,
) -> np.ndarray:
    """Do the same for pairs (wild, mutant) that share little: everything is read in full, in common batches."""
    sequences = {ids.tobytes(): ids for pair in pairs for ids in pair}
    values = causal_logprobs(model, list(sequences.values()), state=state, budget=budget)
    totals = {
        key: float(np.nansum(one, dtype=np.float64)) for key, one in zip(sequences, values, strict=True)
    }
    return np.array([totals[mutant.tobytes()] - totals[wild.tobytes()] for wild, mutant in pairs])


def framed_tokens(model: "SequenceModel", ids: np.ndarray) -> np.ndarray:
    """Return the tokens that a model reads of a sequence, its start among them."""
    start = [] if model.tokenizer.start is None else [model.tokenizer.start]
    return np.concatenate((start, ids)).astype(np.int64)


def _tail(model: "SequenceModel", wild: np.ndarray, mutant: np.ndarray) -> Tail:
    """Return what has to be read of a mutant: from the token on that predicts the first change, or from before it."""
    framed, following = framed_tokens(model, mutant), next_tokens(model.tokenizer, mutant)
    common = min(len(wild), len(framed))
    differs = np.flatnonzero(wild[:common] != framed[:common])
    begin = last_stop((int(differs[0]) if len(differs) else common) - 1)
    return Tail(begin, framed[begin:], following[begin:])
