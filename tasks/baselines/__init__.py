"""Simple language models that every trained model has to beat: unigram and back-off Markov."""

from bio_xlstm.tasks.baselines.contexts import Stream
from bio_xlstm.tasks.baselines.markov import Markov

__all__ = ["Markov", "Stream"]
