"""`--method head`: features computed once, a head solved for every round and every member."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch

from bio_xlstm.heads.features import Features, embed_features
from bio_xlstm.heads.prediction_head import PredictionHead
from bio_xlstm.tasks.finetune.answers import Answers
from bio_xlstm.tasks.finetune.candidates import columns_of
from bio_xlstm.tasks.finetune.closed_form import Chosen, Frozen, fit_head, fit_plain
from bio_xlstm.tasks.finetune.folds import deal_folds
from bio_xlstm.tasks.finetune.member import Member, answer_features, describable
from bio_xlstm.tasks.finetune.plan import Plan
from bio_xlstm.tasks.finetune.views.choose import make_views
from bio_xlstm.tasks.finetune.views.view import View

# letters of a per-token task that a head is solved for
_MOST_LETTERS = 40_000


class Embedded(NamedTuple):
    """Hold what the frozen model makes of every usable sequence, of all layers that may be chosen."""

    rows: list[np.ndarray]  # (F,) each, or (L, F) per token
    features: Features
    views: tuple[View, ...] = ()
    described: Mapping[str, np.ndarray] = MappingProxyType(
        {}
    )  # (N, F) each; 0 where a view does not take one


def embed_all(plan: Plan, embed: Callable[..., list[np.ndarray]] = embed_features) -> Embedded:
    """Embed every usable sequence once, and describe it by all views that suit the training parts.

    `embed` is called as `embed_features`: who fits many plans of the same sequences may remember what it gives.
    """
    per_token = plan.assay.task.name == "per_token"
    features = Features(plan.layers, ("none",) if per_token else plan.request.pools, length=not per_token)
    rows = embed(plan.model, plan.ids, features, batch_tokens=plan.batch_tokens)
    if per_token or plan.request.method != "head" or plan.request.head != "auto":
        return Embedded(rows, features)
    seen = np.unique(np.concatenate([one.train for one in plan.rounds]))
    views = make_views(plan.model, [plan.ids[row] for row in seen.tolist()], plan.request.seed)
    return Embedded(rows, features, views, {view.name: _described(view, plan) for view in views})


def frozen_data(plan: Plan, embedded: Embedded, rows: np.ndarray, seed: int) -> Frozen:
    """Return features, values and folds of the sequences of a training part, or of their letters."""
    folds = deal_folds(plan.groups[rows], seed=seed)
    width = plan.model.config.dim
    if not embedded.features.per_token:
        points = np.stack([embedded.rows[row] for row in rows.tolist()])
        views = {name: torch.from_numpy(found[rows]) for name, found in embedded.described.items()}
        values = plan.assay.values[rows]
        return Frozen(torch.from_numpy(points), values, folds, embedded.features, width, views)
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
    member = as_member(plan, embedded, head, chosen)
    plain = fit_plain(data, plan.assay.task, chosen, balanced=balanced, seed=seed)
    if plain is None:
        return member, chosen
    return replace(member, plain=plain.to(plan.model.device)), chosen


def as_member(plan: Plan, embedded: Embedded, head: PredictionHead, chosen: Chosen) -> Member:
    """Put a head together with what it sees."""
    features = embedded.features._replace(layers=chosen.candidate.layers)
    views = {view.name: view for view in embedded.views}
    own = tuple(views[name] for name, _ in chosen.views)
    return Member(plan.model, features, head.to(plan.model.device), views=own)


def answer_embedded(plan: Plan, member: Member, embedded: Embedded, rows: np.ndarray) -> Answers:
    """Answer for some sequences from what was computed once."""
    columns = columns_of(embedded.features, member.features.layers, member.model.config.dim)
    found = [embedded.rows[row][..., columns] for row in rows.tolist()]
    if not member.views:
        return answer_features(member.head, found, member.features.per_token)
    seen = describable(member.views, [plan.ids[row] for row in rows.tolist()])
    described = {view.name: embedded.described[view.name][rows[seen]] for view in member.views}
    return member.answer_seen(found, described, seen)


def _described(view: View, plan: Plan) -> np.ndarray:
    """Describe all usable sequences that a view takes."""
    taken = np.flatnonzero(describable((view,), plan.ids))
    some = view.describe(plan.model, [plan.ids[row] for row in taken.tolist()])
    found = np.zeros((len(plan.ids), some.shape[1]), np.float32)
    found[taken] = some
    return found
