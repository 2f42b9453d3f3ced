"""The head on frozen features, without gradient descent: form and penalty by cross-validation, then one solution."""

import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.heads.features import Features
from bio_xlstm.heads.lift import RadialLift
from bio_xlstm.heads.losses import LINK_OF
from bio_xlstm.heads.prediction_head import PredictionHead
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.blend import FEWEST, ROWS, Weights, choose_views, mean_square, share_of
from bio_xlstm.tasks.finetune.candidates import (
    FEW_LANDMARKS,
    LANDMARKS,
    Candidate,
    Standard,
    candidates,
    columns_of,
    make_lift,
    standardise,
)
from bio_xlstm.tasks.finetune.ridge import cross_predict, explained, solve
from bio_xlstm.tasks.finetune.views.choose import VIEWS

# rows by which the form is chosen; all of them are fitted
_CHOOSING = 6000
# strengths of logistic regression around the penalty that ridge regression prefers
_STRENGTHS = tuple(10.0**power for power in (3, 2, 1, 0, -1, -2))


class Chosen(NamedTuple):
    """Hold what cross-validation chose, and what it saw of every form that was tried."""

    candidate: Candidate
    penalty: float
    explained: float
    tried: list[dict[str, Any]]
    views: Weights = ()
    """what stands beside the embedding, and how much it counts"""


class Frozen(NamedTuple):
    """Hold features (N, F) of sequences or letters, their values (N, T) with NaN, and folds (N,)."""

    points: Tensor  # float32
    values: np.ndarray
    folds: np.ndarray
    features: Features
    width: int  # of one layer and pool
    views: Mapping[str, Tensor] = MappingProxyType({})  # (N, F) each

    def of(self, layers: Sequence[int]) -> Tensor:
        """Return the features of some layers."""
        return self.points[:, torch.from_numpy(columns_of(self.features, layers, self.width))]

    def take(self, rows: np.ndarray) -> "Frozen":
        """Pick rows."""
        return self._replace(
            points=self.points[rows],
            values=self.values[rows],
            folds=self.folds[rows],
            views={name: view[rows] for name, view in self.views.items()},
        )


def fit_head(
    data: Frozen, task: Task, *, curve: str = "auto", balanced: bool = False, seed: int = 0
) -> tuple[PredictionHead, Chosen]:
    """Choose a form by cross-validation on the training part, fit it to all of it, and return the head."""
    chosen = choose(data, task, candidates(data.features.layers, curve), seed)
    if data.views:
        chosen = with_views(data, task, chosen, seed)
    chosen = refined(data, task, chosen, seed)
    return fit_form(data, task, chosen, balanced=balanced, seed=seed), chosen


def in_words(chosen: Chosen, layers: Sequence[int]) -> str:
    """Say in a line what a head sees; `layers` are those that it might have seen."""
    form = chosen.candidate
    own = "all layers" if form.layers == tuple(layers) else f"layer {form.layers[0]}"
    curve = "linear" if form.width is None else "radial"
    beside = [f"{VIEWS[name].words} (weight {weight:g})" for name, weight in chosen.views]
    seen = " + ".join([f"embedding of {own}, {curve}", *beside])
    return f"{seen}; explains {chosen.explained:.0%} of held-out folds"


def fit_plain(
    data: Frozen, task: Task, chosen: Chosen, *, balanced: bool = False, seed: int = 0
) -> PredictionHead | None:
    """Fit the embedding alone, for sequences that the views of a form cannot describe; None where there are none."""
    if not any(VIEWS[name].by_position for name, _ in chosen.views):
        return None
    return fit_form(data, task, chosen._replace(views=()), balanced=balanced, seed=seed)


def choose(data: Frozen, task: Task, forms: Sequence[Candidate], seed: int = 0) -> Chosen:
    """Return the form and the penalty that explain most of held-out folds, by ridge regression for all tasks."""
    data = _thinned(data, _CHOOSING, seed)
    tried: list[dict[str, Any]] = []
    best = Chosen(forms[0], 1.0, -np.inf, tried)
    for form in forms:
        points = _lifted(data, Chosen(form, 1.0, 0.0, []), seed, FEW_LANDMARKS)[0]
        penalty, found = _best_penalty(points, data, task, form.penalties)
        tried.append(
            {"layers": list(form.layers), "width": form.width, "penalty": penalty, "explained": found}
        )
        if found > best.explained:
            best = Chosen(form, penalty, found, tried)
    return best


def with_views(data: Frozen, task: Task, chosen: Chosen, seed: int = 0) -> Chosen:
    """Choose what stands beside the form that was chosen; nothing where rows are too few to tell."""
    data = _thinned(data, ROWS, seed)
    groups = [
        (rows, _standard_targets(targets)[0])
        for rows, targets in _known_together(one_hot(data.values, task))
        if len(rows) >= FEWEST and len(np.unique(data.folds[rows])) > 1
    ]
    if not groups:
        return chosen
    base = _lifted(data, chosen, seed, FEW_LANDMARKS)[0]
    best, trials = choose_views(base, data.views, groups, data.folds, chosen.penalty)
    tried = [
        {"views": dict(one.views), "penalty": one.penalty, "error": float(one.errors.mean())}
        for one in trials
    ]
    penalty = best.penalty if best.views else chosen.penalty
    return chosen._replace(views=best.views, penalty=penalty, tried=[*chosen.tried, *tried])


def refined(data: Frozen, task: Task, chosen: Chosen, seed: int = 0) -> Chosen:
    """Choose the penalty of a form anew, finer and with all landmarks."""
    data = _thinned(data, 2 * _CHOOSING, seed)
    points = _lifted(data, chosen, seed)[0]
    penalties = [chosen.penalty * step for step in (0.1, 0.3, 1.0, 3.0)]
    penalty, found = _best_penalty(points, data, task, penalties)
    return chosen._replace(penalty=penalty, explained=found)


def fit_form(
    data: Frozen, task: Task, chosen: Chosen, *, balanced: bool = False, seed: int = 0
) -> PredictionHead:
    """Fit one form to all rows."""
    points, standard, lift = _lifted(data, chosen, seed)
    head = PredictionHead(len(standard.centre), task.outputs, LINK_OF[task.name], lift)
    head.set_(centre=standard.centre, scale=standard.scale)
    if task.numeric:
        _fit_numbers(head, points, data, chosen.penalty)
    else:
        _fit_classes(head, points, data, task, balanced)
    return head.requires_grad_(False)


def one_hot(values: np.ndarray, task: Task) -> np.ndarray:
    """Return what ridge regression is to predict: numbers as they are, classes as 0 and 1; NaN stays."""
    if LINK_OF[task.name] != "softmax":
        return values
    known = ~np.isnan(values[:, 0])
    found = np.full((len(values), len(task.classes)), np.nan)
    found[known] = np.eye(len(task.classes))[values[known, 0].astype(np.int64)]
    return found


def _thinned(data: Frozen, most: int, seed: int) -> Frozen:
    """Draw rows where there are more than so many."""
    if len(data.values) <= most:
        return data
    return data.take(np.sort(np.random.default_rng(seed).permutation(len(data.values))[:most]))


def _lifted(
    data: Frozen, chosen: Chosen, seed: int, landmarks: int = LANDMARKS
) -> tuple[Tensor, Standard, RadialLift | None]:
    """Return what the linear map of a form sees, and how it is made; its mean square is that of the embedding alone."""
    form = chosen.candidate
    raw = data.of(form.layers)
    standard = standardise(raw)
    points = (raw - standard.centre) / standard.scale
    lift = None if form.width is None else make_lift(points, form.width, seed, landmarks)
    seen = points if lift is None else lift(points)
    if not chosen.views:
        return seen, standard, lift
    size, share = mean_square(seen), share_of(chosen.views)
    if lift is None:
        standard = standard._replace(scale=standard.scale / share**0.5)
    else:
        lift = RadialLift(lift.landmarks, lift.gamma, lift.root * share**0.5)
    blocks = [seen * share**0.5]
    for name, weight in chosen.views:
        view = data.views[name]
        scale = (mean_square(view) / (size * share * weight)) ** 0.5
        own = Standard(view.mean(0), torch.full(view.shape[1:], scale))
        blocks.append((view - own.centre) / own.scale)
        standard = Standard(*(torch.cat(pair) for pair in zip(standard, own, strict=True)))
    return torch.cat(blocks, dim=1), standard, lift


def _best_penalty(
    points: Tensor, data: Frozen, task: Task, penalties: Sequence[float]
) -> tuple[float, float]:
    """Return the penalty that explains most of the variance of held-out folds, and the share of it."""
    total, count = torch.zeros(len(penalties), dtype=torch.float64), 0
    for rows, targets in _known_together(one_hot(data.values, task)):
        folds = data.folds[rows]
        if len(np.unique(folds)) < 2:
            continue
        wanted = _standard_targets(targets)[0]
        predicted = cross_predict(points[rows], wanted, folds, penalties)
        total += explained(predicted, wanted) * targets.shape[1]
        count += targets.shape[1]
    # where nothing can be held out, a middle one
    place = int(total.argmax()) if count else len(penalties) // 2
    return penalties[place], float(total[place]) / max(count, 1)


def _known_together(targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Group targets (N, T) that are known for the same rows: their rows, and their values without NaN."""
    masks: dict[bytes, list[int]] = {}
    for place, column in enumerate(targets.T):
        masks.setdefault((~np.isnan(column)).tobytes(), []).append(place)
    found = []
    for mask, places in masks.items():
        rows = np.flatnonzero(np.frombuffer(mask, bool))
        if len(rows) > 1:
            found.append((rows, targets[rows][:, places]))
    return found


def _standard_targets(targets: np.ndarray) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Return targets (N, T) with mean 0 and deviation 1, and what was taken from them."""
    centre, scale = targets.mean(0), targets.std(0)
    scale = np.where(scale > 1e-12 * np.abs(centre), scale, 1.0)
    return torch.from_numpy((targets - centre) / scale), centre, scale


def _fit_numbers(head: PredictionHead, points: Tensor, data: Frozen, penalty: float) -> None:
    """Solve for numbers, one target after the other where they miss different rows."""
    weight, bias = head.weight.detach().double().clone(), head.bias.detach().double().clone()
    centre, scale, noise = np.zeros(len(bias)), np.ones(len(bias)), np.ones(len(bias))
    for place, column in enumerate(data.values.T):
        rows = np.flatnonzero(~np.isnan(column))
        if len(rows) < 2:
            continue
        wanted, centre[[place]], scale[[place]] = _standard_targets(column[rows, None])
        solved = solve(points[rows], wanted, penalty)
        weight[place], bias[place] = solved.weight[0], solved.bias[0]
        if len(np.unique(data.folds[rows])) > 1:
            held = cross_predict(points[rows], wanted, data.folds[rows], [penalty])[0]
            noise[place] = float((held - wanted).square().mean().sqrt())
        if not head.spread.numel():
            head.set_(spread=solved.spread)
    head.set_(weight=weight, bias=bias, target_centre=centre, target_scale=scale, noise=noise)


def _fit_classes(head: PredictionHead, points: Tensor, data: Frozen, task: Task, balanced: bool) -> None:
    """Fit logistic regression to every target, its strength by cross-validation."""
    inputs = points.numpy().astype(np.float64)
    for place, column in enumerate(data.values.T):
        rows = np.flatnonzero(~np.isnan(column))
        labels = column[rows].astype(np.int64)
        present = np.unique(labels)
        softmax = head.link == "softmax"
        if len(present) < 2:
            # one class alone: always that one
            _set_constant(head, place, int(present[0]) if len(present) else 0, softmax)
            continue
        weight, bias = _logistic(inputs[rows], labels, data.folds[rows], balanced)
        if not softmax:
            head.weight.data[place], head.bias.data[place] = weight[0], bias[0]
            continue
        # a class without an example is never predicted
        head.bias.data.fill_(-30.0)
        both = len(present) == 2
        head.weight.data[present[-1] if both else present] = weight[0] if both else weight
        head.bias.data[present] = torch.cat((torch.zeros(1), bias)) if both else bias


def _logistic(
    inputs: np.ndarray, labels: np.ndarray, folds: np.ndarray, balanced: bool
) -> tuple[Tensor, Tensor]:
    """Return weight (C, M) and bias (C,) of the strength with the least held-out log loss (two classes: C is 1)."""
    losses = np.zeros(len(_STRENGTHS))
    for fold in np.unique(folds).tolist() if len(np.unique(folds)) > 1 else []:
        inner, outer = folds != fold, folds == fold
        if len(np.unique(labels[inner])) < len(np.unique(labels)):
            continue
        model = _model(balanced)
        for place, strength in enumerate(_STRENGTHS):
            _fit(model, strength, inputs[inner], labels[inner])
            shares = np.log(np.clip(model.predict_proba(inputs[outer]), 1e-12, 1))
            own = np.searchsorted(model.classes_, labels[outer])
            losses[place] -= shares[np.arange(len(own)), own].sum()
    model = _model(balanced)
    # from the strongest on, as far as to the best
    for strength in _STRENGTHS[: int(losses.argmin()) + 1 if losses.any() else 3]:
        _fit(model, strength, inputs, labels)
    return torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()


def _model(balanced: bool) -> Any:
    """Return logistic regression that goes on from its last solution."""
    from sklearn.linear_model import LogisticRegression

    weights = "balanced" if balanced else None
    return LogisticRegression(max_iter=200, tol=1e-3, warm_start=True, class_weight=weights)


def _fit(model: Any, strength: float, inputs: np.ndarray, labels: np.ndarray) -> None:
    """Fit with a penalty; weak ones need not be followed to the end."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(C=1 / strength).fit(inputs, labels)


def _set_constant(head: PredictionHead, place: int, label: int, softmax: bool) -> None:
    """Let a head say always the same."""
    if softmax:
        head.bias.data.fill_(-30.0)
        head.bias.data[label] = 0.0
    else:
        head.bias.data[place] = 30.0 if label else -30.0
