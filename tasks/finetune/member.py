"""One fine-tuned model: network, what its head sees, the head; a finished one answers for any sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bio_xlstm.adapters.initial_state import InitialState
from bio_xlstm.heads.features import Features, embed_features
from bio_xlstm.heads.prediction_head import PredictionHead
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.finetune.answers import Answers, blank_like, put
from bio_xlstm.tasks.finetune.views.view import View


@dataclass(frozen=True)
class Member:
    """Hold a network, its features and its head; `state` is what every sequence begins with."""

    model: SequenceModel
    features: Features
    head: PredictionHead
    state: InitialState | None = None
    views: tuple[View, ...] = ()
    """what the head sees beside the features, in this order"""
    plain: PredictionHead | None = None
    """a head on the features alone, for sequences that a view cannot describe"""

    def answer(self, sequences: Sequence[np.ndarray], batch_tokens: int = 8192) -> Answers:
        """Answer for sequences of token ids."""
        found = self.embed(sequences, batch_tokens)
        if not self.views:
            return answer_features(self.head, found, self.features.per_token)
        seen = describable(self.views, sequences)
        some = [sequences[row] for row in np.flatnonzero(seen).tolist()]
        described = {view.name: view.describe(self.model, some) for view in self.views}
        return self.answer_seen(found, described, seen)

    def answer_seen(
        self, found: Sequence[np.ndarray], described: Mapping[str, np.ndarray], seen: np.ndarray
    ) -> Answers:
        """Answer where features (F,) of N sequences are known, and views (M, F) of those that are `seen` (N,)."""
        parts: list[tuple[np.ndarray, Answers]] = []
        rows, others = np.flatnonzero(seen), np.flatnonzero(~seen)
        if len(rows):
            blocks = [np.stack([found[row] for row in rows.tolist()])]
            blocks += [described[view.name] for view in self.views]
            parts.append((rows, answer_features(self.head, list(np.concatenate(blocks, axis=1)), False)))
        if len(others) and self.plain is not None:
            parts.append(
                (others, answer_features(self.plain, [found[row] for row in others.tolist()], False))
            )
        if not parts:
            return answer_features(self.head, [], False)
        joint = blank_like(parts[0][1], len(seen))
        for where, answers in parts:
            put(joint, where, answers)
        return joint

    def embed(self, sequences: Sequence[np.ndarray], batch_tokens: int = 8192) -> list[np.ndarray]:
        """Return what the head sees of sequences, without views."""
        if self.state is None:
            return embed_features(self.model, sequences, self.features, batch_tokens=batch_tokens)
        with self.state.before(self.model):
            return embed_features(self.model, sequences, self.features, batch_tokens=batch_tokens)


def describable(views: Sequence[View], sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Tell which sequences (N,) all views can describe."""
    return np.array([all(view.takes(ids) for view in views) for ids in sequences], bool)


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
