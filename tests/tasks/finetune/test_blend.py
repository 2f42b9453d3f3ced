"""Views are taken where they help and weighted so that everything together is as large as the embedding alone."""

import numpy as np
import pytest
import torch

from bio_xlstm.heads.features import Features
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.finetune.blend import choose_views, mean_square, share_of
from bio_xlstm.tasks.finetune.candidates import Candidate
from bio_xlstm.tasks.finetune.closed_form import Chosen, Frozen, fit_form, fit_head, in_words, with_views
from bio_xlstm.tasks.finetune.folds import deal_folds
from bio_xlstm.tasks.finetune.ridge import dual_predict


def frozen(count: int, seed: int = 0) -> Frozen:
    """Make values of which the embedding tells a part, one view the rest, and another view nothing."""
    rng = np.random.default_rng(seed)
    points, view, noise = (rng.normal(size=(count, width)).astype(np.float32) for width in (4, 3, 3))
    values = points[:, :1] + 30 * (0.1 * view[:, :1])
    views = {"letters": torch.from_numpy(0.1 * view), "words": torch.from_numpy(noise)}
    folds = deal_folds(np.arange(count))
    return Frozen(
        torch.from_numpy(points), values.astype(float), folds, Features((0, 1), length=False), 2, views
    )


def test_dual_prediction_is_kernel_ridge_regression() -> None:
    from sklearn.kernel_ridge import KernelRidge

    rng = np.random.default_rng(0)
    points, targets, folds = rng.normal(size=(30, 4)), rng.normal(size=(30, 2)), rng.integers(3, size=30)
    kernel = points @ points.T
    found = dual_predict(torch.from_numpy(kernel), torch.from_numpy(targets), folds, 0.7).numpy()
    kernel = kernel + np.diag(kernel).mean()
    for fold in range(3):
        inner, outer = folds != fold, folds == fold
        model = KernelRidge(alpha=0.7, kernel="precomputed").fit(kernel[inner][:, inner], targets[inner])
        np.testing.assert_allclose(found[outer], model.predict(kernel[outer][:, inner]), rtol=1e-5)


def test_the_view_that_helps_is_taken() -> None:
    data = frozen(80)
    task = Task("regression", ("y",))
    start = Chosen(Candidate((0, 1)), 1.0, 0.0, [])
    chosen = with_views(data, task, start)
    assert [name for name, _ in chosen.views] == ["letters"]
    assert {tuple(one["views"]) for one in chosen.tried} >= {("letters",), ("words",)}
    head, chosen = fit_head(data, task)
    seen = torch.cat((data.points, data.views["letters"]), dim=1)
    if chosen.candidate.layers == (0, 1) and len(chosen.views) == 1:
        error = head.predict(seen).double() - torch.from_numpy(data.values)
        assert float(error.square().mean()) < 0.05 * data.values.var()
    assert "letters by position" in in_words(chosen, (0, 1))


def test_nothing_is_taken_without_folds_or_of_few_rows() -> None:
    data, task = frozen(30), Task("regression", ("y",))
    start = Chosen(Candidate((0, 1)), 1.0, 0.0, [])
    assert with_views(data, task, start).tried
    assert with_views(data._replace(folds=np.zeros(30, np.int64)), task, start) == start
    assert with_views(data.take(np.arange(29)), task, start) == start


@pytest.mark.parametrize("width", [None, 1.0])
def test_everything_together_is_as_large_as_the_embedding(width: float | None) -> None:
    data, task = frozen(80), Task("regression", ("y",))
    plain = Chosen(Candidate((0, 1), width), 1.0, 0.0, [])
    joint = plain._replace(views=(("letters", 10.0), ("words", 0.1)))
    sizes = []
    for chosen in (plain, joint):
        seen = torch.cat((data.points, *(data.views[name] for name, _ in chosen.views)), dim=1)
        sizes.append(mean_square(fit_form(data, task, chosen).lifted(seen)))
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-3)
    assert share_of(joint.views) == pytest.approx(1 / 11.1)


def test_panels_with_gaps_choose_views_too() -> None:
    data = frozen(90)
    values = np.concatenate((data.values, -data.values), axis=1)
    values[::4, 1] = np.nan
    chosen = with_views(
        data._replace(values=values), Task("regression", ("a", "b")), Chosen(Candidate((0, 1)), 1.0, 0.0, [])
    )
    assert dict(chosen.views).keys() == {"letters"}


def test_the_best_of_no_views_is_the_embedding() -> None:
    data = frozen(60)
    targets = torch.from_numpy(data.values)
    best, tried = choose_views(data.points, {}, [(np.arange(60), targets)], data.folds, 1.0)
    assert best.views == () and len(tried) == 1
