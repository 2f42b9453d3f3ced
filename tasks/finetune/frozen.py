"""`--method head`: features computed once, a head solved for every round and every member."""

from typing import NamedTuple

import numpy as np
import torch

from bio_xlstm.heads.features import Features, embed_features
from bio_xlstm.tasks.finetune.answers import Answers
from bio_xlstm.tasks.finetune.candidates import columns_of
from bio_xlstm.tasks.finetune.closed_form import Chosen, Frozen, fit_head
from bio_xlstm.tasks.finetune.folds import deal_folds
from bio_xlstm.tasks.finetune.member import Member, answer_features
from bio_xlstm.tasks.finetune.plan import Plan

# letters of a per-token task that a head is solved for
_MOST_LETTERS = 40_000


class Embedded(NamedTuple):
    """Hold what the frozen model makes of every usable sequence, of all layers that may be chosen."""

    rows: list[np.ndarray]  # (F,) each, or (L, F) per token
    features: Features


def embed_all(plan: Plan) -> Embedded:
    """Embed every usable sequence once."""
    per_token = plan.assay.task.name == "per_token"
    features = Features(plan.layers, ("none",) if per_token else plan.request.pools, length=not per_token)
    rows = embed_features(plan.model, plan.ids, features, batch_tokens=plan.batch_tokens)
    return Embedded(rows, features)


def frozen_data(plan: Plan, embedded: Embedded, rows: np.ndarray, seed: int) -> Frozen:
    """Return features, values and folds of the sequences of a training part, or of their letters."""
    folds = deal_folds(plan.groups[rows], seed=seed)
    width = plan.model.config.dim
    if not embedded.features.per_token:
        points = np.stack([embedded.rows[row] for row in rows.tolist()])
        return Frozen(torch.from_numpy(points), plan.assay.values[rows], folds, embedded.features, width)
    labels = [plan.assay.token_values[row] for row in rows.tolist()]
    known = [one >= 0 for one in labels]
    points = np.concatenate([embedded.rows[row][k] for row, k in zip(rows.tolist(), known, strict=True)])
    values = np.concatenate([one[k] for one, k in zip(labels, known, strict=True)]).astype(float)[:, None]
    of_letters = np.repeat(folds, [int(k.sum()) for k in known])
    data = Frozen(torch.from_numpy(points), values, of_letters, embedded.features, width)
    if len(values) <= _MOST_LETTERS:
        return data
    return data.take(np.sort(np.random.default_rng(seed).permutation(len(values))[:_MOST_LETTERS]))


def fit_frozen(
    plan: Plan, embedded: Embedded, train: np.ndarray, *, seed: int, bagged: bool, curve: str
) -> tuple[Member, Chosen]:
    """Solve for the head of one member; members of an ensemble see the training rows drawn anew."""
    rows = train
    if bagged:
        rows = np.sort(np.random.default_rng(seed).choice(train, len(train)))
    data = frozen_data(plan, embedded, rows, seed)
    balanced = plan.request.class_weights == "balanced"
    head, chosen = fit_head(data, plan.assay.task, curve=curve, balanced=balanced, seed=seed)
    features = embedded.features._replace(layers=chosen.candidate.layers)
    return Member(plan.model, features, head.to(plan.model.device)), chosen


def answer_embedded(member: Member, embedded: Embedded, rows: np.ndarray) -> Answers:
    """Answer for some sequences from what was computed once."""
    columns = columns_of(embedded.features, member.features.layers, member.model.config.dim)
    found = [embedded.rows[row][..., columns] for row in rows.tolist()]
    return answer_features(member.head, found, member.features.per_token)
