"""The log-probability of drawn DNA on both of its strands, for models that are made to read them."""

import numpy as np

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling.rows import Sample
from bio_xlstm.scoring import score_batch
from bio_xlstm.state import ModelState

COLUMN = "logprob_both_strands"


def reads_strands(model: SequenceModel) -> bool:
    """Tell whether `score` averages over the strands for this model unless it is told otherwise."""
    return model.config.reverse_complement == "post_hoc"


def both_strands(model: SequenceModel, sample: Sample, state: ModelState | None = None) -> float:
    """Return the mean of the log-probabilities of the two strands, of as many tokens of each as were drawn.

    `state` is the memory of the context that the sample was drawn after: both strands are read after it.
    """
    if not len(sample.ids):
        # nothing reads the same both ways
        return sample.logprob
    (other,) = score_batch(model, [sample.ids], direction="reverse", state=state)
    kept = other.logprobs[: len(sample.ids) + sample.ended]
    return (sample.logprob + float(np.nansum(kept, dtype=np.float64))) / 2
