"""The ridge inside the learner is ridge regression."""

import numpy as np
import pytest
import torch

from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.ridge import Ridge


@pytest.fixture
def ridge() -> Ridge:
    """Make a ridge with a penalty of 0.7 at 32 examples."""
    made = Ridge(InContextConfig(dim=8, heads=2)).double()
    with torch.no_grad():
        made.penalty.copy_(torch.tensor([0.7, 1.0], dtype=torch.float64).log())
        made.scale.zero_()
    return made


@pytest.mark.parametrize("examples", [1, 5, 40])
def test_equals_scikit_learn(ridge: Ridge, examples: int) -> None:
    """Weights are those of Ridge on unit vectors, labels centred."""
    from sklearn.linear_model import Ridge as Plain

    points = torch.randn(1, examples, 8, dtype=torch.float64)
    labels = Labels.of_numbers(torch.randn(1, examples, dtype=torch.float64))._replace(
        values=torch.randn(1, examples, dtype=torch.float64)
    )
    state = ridge.solve(points, labels)
    z = torch.nn.functional.normalize(ridge.project(points), dim=-1)[0].detach().numpy()
    y = labels.values[0].numpy()
    plain = Plain(alpha=0.7, fit_intercept=False).fit(z, y - y.mean())
    np.testing.assert_allclose(state.weights[0].detach().numpy(), plain.coef_, rtol=1e-8)
    said = ridge(points, state, "regression")[0].detach().numpy()
    np.testing.assert_allclose(said, plain.predict(z) + y.mean(), rtol=1e-8)


def test_leverage_falls_where_examples_lie(ridge: Ridge) -> None:
    """What was seen often is certain; what is orthogonal to everything is not."""
    with torch.no_grad():
        ridge.project.weight.copy_(torch.eye(8))
        ridge.project.bias.zero_()
    axes = torch.eye(8, dtype=torch.float64)
    points = axes[:1].repeat(20, 1)[None]
    state = ridge.solve(
        points, Labels.of_classes(torch.ones(1, 20))._replace(values=torch.ones(1, 20).double())
    )
    seen, unseen = ridge.leverage(axes[None, :2], state)[0].tolist()
    assert seen == pytest.approx(1 / 20.7)
    assert unseen == pytest.approx(1 / 0.7)


def test_a_bounded_value_counts_less() -> None:
    """The penalty sees the sum of what examples count."""
    ridge = Ridge(InContextConfig(dim=8, heads=2))
    with torch.no_grad():
        ridge.bounded.fill_(-30.0)
    points, numbers = torch.randn(1, 6, 8), torch.randn(1, 6)
    relations = torch.tensor([[0, 0, 0, 0, 1, -1]])
    whole = Labels.of_numbers(numbers, relations)
    state = ridge.solve(points, whole)
    exact = ridge.solve(
        points[:, :4], whole._replace(values=whole.values[:, :4], relations=whole.relations[:, :4])
    )
    torch.testing.assert_close(state.weights, exact.weights, rtol=1e-4, atol=1e-5)
