"""Ridge by folds equals ridge fold by fold; forms are chosen by what they explain; folds keep groups together."""

import numpy as np
import pytest
import torch

from bio_xlstm.heads.features import Features
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.candidates import Candidate, candidates, columns_of
from bio_xlstm.tasks.finetune.closed_form import Frozen, choose, fit_head
from bio_xlstm.tasks.finetune.folds import deal_folds
from bio_xlstm.tasks.finetune.ridge import cross_predict, explained, solve


def test_cross_prediction_equals_scikit_learn() -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    points, targets = rng.normal(size=(50, 7)), rng.normal(size=(50, 2))
    folds = rng.integers(3, size=50)
    found = cross_predict(torch.from_numpy(points).float(), torch.from_numpy(targets), folds, [0.1, 10.0])
    for place, penalty in enumerate([0.1, 10.0]):
        for fold in range(3):
            model = Ridge(alpha=penalty).fit(points[folds != fold], targets[folds != fold])
            wanted = model.predict(points[folds == fold])
            np.testing.assert_allclose(found[place, folds == fold], wanted, rtol=1e-3, atol=1e-4)
    assert float(explained(torch.from_numpy(targets)[None], torch.from_numpy(targets))[0]) == 1.0


def test_the_spread_is_that_of_bayesian_ridge_regression() -> None:
    torch.manual_seed(0)
    points = torch.randn(30, 4)
    solved = solve(points, torch.randn(30, 1).double(), 0.5)
    inputs = torch.cat((points, torch.ones(30, 1)), 1).double()
    normal = inputs.T @ inputs + torch.diag(torch.tensor([0.5] * 4 + [0.0]))
    found = solved.spread @ solved.spread.T
    torch.testing.assert_close(found, torch.linalg.inv(normal), rtol=1e-4, atol=1e-6)


def test_folds_keep_groups_together_and_are_alike() -> None:
    groups = np.repeat(np.arange(20), 5)
    folds = deal_folds(groups, 4, seed=1)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(20))
    assert np.bincount(folds).tolist() == [25, 25, 25, 25]
    assert set(deal_folds(["a", "a"], 4).tolist()) == {0}
    np.testing.assert_array_equal(folds, deal_folds(groups, 4, seed=1))


def test_columns_of_layers() -> None:
    features = Features((0, 2, 5), ("mean", "max"))
    assert columns_of(features, (2,), 3).tolist() == [*range(6, 12), 18, 19]
    assert columns_of(features._replace(length=False), (0, 5), 3).tolist() == [*range(6), *range(12, 18)]


def test_forms_to_try() -> None:
    forms = candidates((0, 1, 2), "auto")
    assert Candidate((0, 1, 2)) in forms and Candidate((2,), 1.0) in forms and len(set(forms)) == 12
    assert all(form.width is None for form in candidates((4,), "linear"))
    assert all(form.width for form in candidates((4,), "radial"))


def frozen(values: np.ndarray, points: np.ndarray) -> Frozen:
    """Put points (N, 4) of two layers of width 2 and values together."""
    count = len(points)
    features = Features((0, 1), length=False)
    return Frozen(torch.from_numpy(points).float(), values, deal_folds(np.arange(count)), features, 2)


def test_a_curved_head_is_chosen_for_a_curved_answer() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 4))
    task = Task("regression", ("y",))
    curved = frozen((points[:, :1] * points[:, 1:2]), points)
    straight = frozen(points @ np.array([[1.0], [2.0], [0.5], [0.0]]), points)
    head, chosen = fit_head(curved, task)
    assert chosen.candidate.width is not None and chosen.explained > 0.8 and head.lift is not None
    assert fit_head(straight, task)[1].candidate == Candidate((0, 1))


def test_the_unit_of_numbers_does_not_matter() -> None:
    points = np.random.default_rng(0).normal(size=(60, 4))
    values = points @ np.array([[1.0], [2.0], [0.5], [0.0]])
    seen, task = torch.from_numpy(points).float(), Task("regression", ("y",))
    plain = fit_head(frozen(values, points), task, curve="linear")[0].predict(seen).numpy()
    # as small as molar affinities are, large, and far from nothing
    for scale, shift in ((1e-14, 0.0), (1e30, 0.0), (1.0, 1e7)):
        head = fit_head(frozen(scale * values + shift, points), task, curve="linear")[0]
        np.testing.assert_allclose((head.predict(seen).numpy() - shift) / scale, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
def test_classes_are_learned(name: str) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(150, 4))
    values = np.stack([points[:, 0] > 0, points[:, 1] > 0], 1).astype(float)
    if name == "binary":
        values = values[:, :1]
    if name == "multiclass":
        values = values.sum(1, keepdims=True)
    if name == "multilabel":
        values[::7, 1] = np.nan
    task = Task(name, ("a", "b")[: values.shape[1]], ("x", "y", "z")[: 3 if name == "multiclass" else 2])
    found = fit_head(frozen(values, points), task)[0].predict(torch.from_numpy(points).float()).numpy()
    if name == "multiclass":
        assert (found.argmax(1) == values[:, 0]).mean() > 0.85
    else:
        known = ~np.isnan(values)
        assert ((found > 0.5) == (values > 0.5))[known].mean() > 0.9


def test_a_class_without_an_example_is_never_predicted() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 4))
    values = (points[:, :1] > 0) * 2.0  # the second of three classes is missing
    head = fit_head(frozen(values, points), Task("multiclass", ("y",), ("a", "b", "c")))[0]
    found = head.predict(torch.from_numpy(points).float()).numpy()
    assert found[:, 1].max() < 1e-6 and (found.argmax(1) == values[:, 0]).mean() > 0.9
    constant = fit_head(frozen(np.zeros((40, 1)), points), Task("binary", ("y",), ("a", "b")))[0]
    assert constant.predict(torch.from_numpy(points).float()).max() < 1e-6


def test_one_group_alone_still_gives_a_head() -> None:
    points = np.random.default_rng(0).normal(size=(12, 4))
    data = frozen(points[:, :1], points)._replace(folds=np.zeros(12, np.int64))
    chosen = choose(data, Task("regression", ("y",)), candidates((0, 1), "linear"))
    assert chosen.penalty == 1000.0
