"""One fine-tuned model: network, what its head sees, the head; a finished one answers for any sequence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bio_xlstm.adapters.initial_state import InitialState
from bio_xlstm.heads.features import Features, embed_features
from bio_xlstm.heads.prediction_head import PredictionHead
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.finetune.answers import Answers


@dataclass(frozen=True)
class Member:
    """Hold a network, its features and its head; `state` is what every sequence begins with."""

    model: SequenceModel
    features: Features
    head: PredictionHead
    state: InitialState | None = None

    def answer(self, sequences: Sequence[np.ndarray], batch_tokens: int = 8192) -> Answers:
        """Answer for sequences of token ids."""
        found = self.embed(sequences, batch_tokens)
        return answer_features(self.head, found, self.features.per_token)

    def embed(self, sequences: Sequence[np.ndarray], batch_tokens: int = 8192) -> list[np.ndarray]:
        """Return what the head sees of sequences."""
        if self.state is None:
            return embed_features(self.model, sequences, self.features, batch_tokens=batch_tokens)
        with self.state.before(self.model):
            return embed_features(self.model, sequences, self.features, batch_tokens=batch_tokens)


def answer_features(head: PredictionHead, features: Sequence[np.ndarray], per_token: bool) -> Answers:
    """Answer for sequences whose features are known: (F,) each, or (L, F)."""
    device = head.weight.device
    if not len(features):
        return Answers([] if per_token else np.zeros((0, len(head.bias))))
    if per_token:
        return Answers([head.predict(torch.from_numpy(one).to(device)).cpu().numpy() for one in features])
    points = torch.from_numpy(np.stack(features)).to(device)
    deviation = head.deviation(points)
    return Answers(
        head.predict(points).double().cpu().numpy(),
        None if deviation is None else deviation.double().cpu().numpy(),
    )
