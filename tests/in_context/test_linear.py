"""Laws of the learner of proteins: the equations of the textbook, no order, no company, fixed size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import bio_xlstm as bx
from bio_xlstm.errors import ModelError
from bio_xlstm.in_context import gaussian, mixture
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.linear import LinearLearner, LinearState
from bio_xlstm.in_context.mixture import View, choose, mixtures
from bio_xlstm.in_context.sequence_points import SequencePoints

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture(scope="module")
def learner() -> LinearLearner:
    """Make a learner of a tiny protein model."""
    model = bx.build("protein", dim=16, blocks=1, heads=2, seed=0)
    model.name = "tiny"
    return LinearLearner(model.eval().requires_grad_(False))


def variants(count: int, length: int = 24, changes: int = 3, seed: int = 0) -> list[str]:
    """Draw variants of one sequence."""
    wild = list("".join(np.random.default_rng(99).choice(list(LETTERS), length)))
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        one = wild.copy()
        for place in draw.choice(length, changes, replace=False):
            one[place] = str(draw.choice(list(LETTERS)))
        found.append("".join(one))
    return found


def labelled(count: int, task: str = "regression", seed: int = 0) -> Labels:
    """Label a support of some size; some numbers are bounds."""
    if task == "binary":
        return Labels.of_classes(torch.arange(count)[None] % 2)
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, count)))
    return Labels.of_numbers(values, torch.tensor([[0, 0, 1, -1] * count])[:, :count])


@pytest.mark.parametrize("count", [2, 12, 60])
@pytest.mark.parametrize("alike", [True, False])
def test_equals_ridge_regression(learner: LinearLearner, count: int, alike: bool) -> None:
    """With the shares and the noise that were found, answers are those of scikit-learn's ridge regression."""
    known, asked = variants(count), variants(9, seed=5)
    if not alike:
        known[0] += "W"
    labels = labelled(count)
    points, queries = learner.encode(known), learner.encode(asked)
    state = learner.read_support(points[None], labels)
    found = learner.answer(queries[None], state)
    assert state.length.item() == (24 if alike else -1)
    counts = np.where(labels.relations[0] == 0, 1.0, 0.5)
    shares = state.shares[0, 0 if alike else 1].double().numpy()
    assert shares.sum() == pytest.approx(1) and (alike or shares[1] == 0)
    middles = [view.double().mean(0).numpy() for view in learner.opened(points).views]
    parts = []
    for view, asked_view, middle, share in zip(
        learner.opened(points).views, learner.opened(queries).views, middles, shares, strict=True
    ):
        centred = view.double().numpy() - middle
        scale = np.sqrt((centred**2).sum(1).mean() / share) if share else np.inf
        parts.append((centred / scale, (asked_view.double().numpy() - middle) / scale))
    x, z = (np.concatenate(side, 1) for side in zip(*parts, strict=True))
    y = labels.values[0].double().numpy()
    middle = (counts * y).sum() / counts.sum()
    noise = float(state.noise[0, 0 if alike else 1])
    fitted = Ridge(alpha=noise, fit_intercept=False).fit(x, y - middle, sample_weight=counts)
    wanted = (fitted.predict(z) + middle) * labels.scale.item() + labels.shift.item()
    np.testing.assert_allclose(found.value[0].numpy(), wanted, rtol=2e-3, atol=1e-4)

    # leverage: the posterior variance of Bayesian regression on the embeddings, in units of the noise
    known_x = x[:, :16] / np.sqrt(shares[0]) if shares[0] else None
    if known_x is not None:
        known_z = z[:, :16] / np.sqrt(shares[0])
        system = known_x.T @ (counts[:, None] * known_x) + noise / shares[0] * np.eye(16)
        variance = (known_z * np.linalg.solve(system, known_z.T).T).sum(1)
        np.testing.assert_allclose(found.leverage[0].numpy(), variance, rtol=2e-3, atol=1e-5)


def test_no_other_mixture_is_likelier() -> None:
    """Among all shares and noises, the best marginal likelihood is taken."""
    torch.manual_seed(1)
    views = [View.of(torch.randn(30, size).double()) for size in (4, 9, 2)]
    right = views[1].values[:, 0] + 0.1 * torch.randn(30)
    right, counts = (right - right.mean()).double(), torch.ones(30).double()
    found = choose(views, right, counts, (True, True, True))
    assert found.shares.argmax() == 1

    def evidence(shares: torch.Tensor, noise: float) -> float:
        """Take the signal's variance that is best."""
        kernel = sum(share * view.values @ view.values.T for share, view in zip(shares, views, strict=True))
        system = (kernel + noise * torch.eye(30)).numpy()
        variance = float(right.numpy() @ np.linalg.solve(system, right.numpy())) / 30
        likelihood = -0.5 * (30 * np.log(variance) + np.linalg.slogdet(system)[1])
        return float(likelihood - 0.5 * ((np.log10(noise) - gaussian.EXPECTED) / gaussian.SPREAD) ** 2)

    best = evidence(found.shares, float(found.noise))
    for shares in mixtures((True, True, True)):
        assert best >= max(evidence(shares, noise) for noise in gaussian.NOISES.tolist()[::5]) - 1e-6


def test_mixtures_are_different() -> None:
    every = mixtures((True, True, True))
    assert len(torch.unique(every, dim=0)) == len(every) and (every.sum(1) - 1).abs().max() < 1e-12
    assert len(mixtures((True, False, True))) == 5 and not mixtures((True, False, True))[:, 1].any()


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_order_of_the_support_does_not_matter(learner: LinearLearner, task: str) -> None:
    points, asked, labels = (
        learner.encode(variants(20))[None],
        learner.encode(variants(6, seed=3))[None],
        labelled(20, task),
    )
    order = torch.randperm(20)
    turned = labels._replace(values=labels.values[:, order], relations=labels.relations[:, order])
    one = learner.answer(asked, learner.read_support(points, labels))
    other = learner.answer(asked, learner.read_support(points[:, order], turned))
    for column in ("value", "prior", "leverage"):
        torch.testing.assert_close(getattr(one, column), getattr(other, column), rtol=1e-4, atol=1e-5)


def test_neither_queries_nor_supports_see_each_other(learner: LinearLearner) -> None:
    known, asked = (
        learner.encode(variants(24)).unflatten(0, (2, 12)),
        learner.encode(variants(7, seed=2))[None],
    )
    labels = Labels.of_numbers(torch.randn(2, 12))
    state = learner.read_support(known, labels)
    whole = learner.answer(asked, state)
    for place in range(2):
        own = slice(place, place + 1)
        alone = learner.read_support(
            known[own], Labels(*(part[own] if torch.is_tensor(part) else part for part in labels))
        )
        torch.testing.assert_close(learner.answer(asked, alone).value, whole.value[own])
        twice = learner.answer(asked.expand(2, -1, -1), state)
        torch.testing.assert_close(twice.value, whole.value)
    for query in range(7):
        alone = learner.answer(asked[:, query : query + 1], state)
        torch.testing.assert_close(alone.value[:, 0], whole.value[:, query], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(alone.leverage[:, 0], whole.leverage[:, query], rtol=1e-4, atol=1e-5)


def test_a_query_of_another_length_is_answered_without_positions(learner: LinearLearner) -> None:
    """The second solution is that of a support whose lengths differ."""
    state = learner.read_support(learner.encode(variants(30))[None], labelled(30))
    longer = learner.encode([text + "W" for text in variants(4, seed=3)])[None]
    moved = state._replace(length=torch.tensor([-1]))
    torch.testing.assert_close(learner.answer(longer, state).value, learner.answer(longer, moved).value)
    positions = slice(16, 16 + 2048)
    assert not state.weights[0, 1, positions].any()


def test_size_of_the_state_is_fixed(learner: LinearLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of examples leaves the same number of bytes, more than there are slots too."""
    monkeypatch.setattr(mixture, "SLOTS", 40)

    def state(count: int) -> LinearState:
        return learner.read_support(learner.encode(variants(count, changes=6))[None], labelled(count))

    sizes = {AssayState(state(count), {}, {}, "").bytes for count in (1, 2, 40, 90)}
    assert len(sizes) == 1


def test_many_examples_speak_through_few(learner: LinearLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """With slots for half, answers stay close to those of all."""
    known, asked = learner.encode(variants(200))[None], learner.encode(variants(50, seed=8))[None]
    effect = np.random.default_rng(4).normal(size=(24, 128))
    values = [sum(effect[place, ord(letter)] for place, letter in enumerate(text)) for text in variants(200)]
    labels = Labels.of_numbers(torch.tensor(values)[None])
    whole = learner.answer(asked, learner.read_support(known, labels)).value[0]
    monkeypatch.setattr(mixture, "SLOTS", 100)
    monkeypatch.setattr(gaussian, "BLOCK", 64)
    few = learner.answer(asked, learner.read_support(known, labels)).value[0]
    assert np.corrcoef(whole, few)[0, 1] > 0.9


def test_what_there_is_nothing_to_learn_from(learner: LinearLearner) -> None:
    """One example, one class, equal numbers: finite answers around what is known."""
    asked = learner.encode(variants(3, seed=2))[None]
    for count, labels in (
        (1, Labels.of_numbers(torch.tensor([[7.0]]))),
        (5, Labels.of_numbers(torch.full((1, 5), 7.0))),
    ):
        found = learner.answer(asked, learner.read_support(learner.encode(variants(count))[None], labels))
        torch.testing.assert_close(found.value, torch.full((1, 3), 7.0).double(), check_dtype=False)
        assert torch.isfinite(found.leverage).all()
    sure = learner.read_support(learner.encode(variants(4))[None], Labels.of_classes(torch.ones(1, 4)))
    found = learner.answer(asked, sure)
    assert torch.isfinite(found.value).all() and (found.value > 3).all()


def test_the_prior_is_the_share_of_positives(learner: LinearLearner) -> None:
    positive = torch.tensor([[1, 0, 0, 0]])
    state = learner.read_support(learner.encode(variants(4))[None], Labels.of_classes(positive))
    prior = learner.answer(learner.encode(variants(3, seed=2))[None], state).prior
    torch.testing.assert_close(torch.sigmoid(prior), torch.full((1, 3), 0.25).double())


def test_numbers_keep_their_units(learner: LinearLearner) -> None:
    known, asked = learner.encode(variants(10))[None], learner.encode(variants(4, seed=2))[None]
    numbers = torch.randn(1, 10).double()
    one = learner.answer(asked, learner.read_support(known, Labels.of_numbers(numbers))).value
    other = learner.answer(asked, learner.read_support(known, Labels.of_numbers(10 * numbers - 40))).value
    torch.testing.assert_close(other, 10 * one - 40, rtol=1e-4, atol=1e-4)


def test_points_go_through_bytes(learner: LinearLearner) -> None:
    points = learner.encode(["MKTAYIAKQR", "MK"])
    assert points.shape == (2, learner.width) and points.dtype == torch.uint8
    opened = learner.opened(points)
    assert opened.lengths.tolist() == [10, 2] and opened.embeddings.shape == (2, 16)
    assert torch.equal(SequencePoints.of(opened.packed(), 16).packed(), points)
    assert torch.equal(opened[1:].packed(), points[1:])
    assert learner.encode([]).shape == (0, learner.width)
    with pytest.raises(ValueError, match=f"points of tiny are rows of {learner.width} bytes, not 3 of uint8"):
        learner.opened(points[:, :3])


def test_a_sequence_is_encoded_alike_in_any_company(learner: LinearLearner) -> None:
    texts = variants(6)
    whole, alone = learner.opened(learner.encode(texts)), learner.opened(learner.encode(texts[3:4]))
    torch.testing.assert_close(whole.embeddings[3], alone.embeddings[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(whole.positions[3], alone.positions[0])


def test_round_trip_through_a_file(learner: LinearLearner, tmp_path: Path) -> None:
    """A state comes back as it was, and only to the learner that made it."""
    state = learner.read_support(
        learner.encode(variants(8)).unflatten(0, (2, 4)), Labels.of_numbers(torch.randn(2, 4))
    )
    AssayState(state, {"kind": "protein"}, {}, learner.weight_hash()).save(tmp_path / "a.state")
    found = AssayState.load(tmp_path / "a.state")
    asked = learner.encode(variants(5, seed=2))[None]
    assert isinstance(found.states, LinearState)
    assert torch.equal(learner.answer(asked, found.states).value, learner.answer(asked, state).value)
    other = LinearLearner(bx.build("protein", dim=16, blocks=1, heads=2, seed=1))
    with pytest.raises(ModelError, match="made by another model than other; build it again"):
        found.refuse_other(other.weight_hash(), "other")


def test_dna_and_its_other_strand() -> None:
    """Words do not know strands; neither does the embedding of a model that averages them."""
    model = bx.build("dna", dim=16, blocks=1, heads=2, seed=0)
    learner = LinearLearner(model.eval())
    points = learner.opened(learner.encode(["ACGTTTGACCA", "TGGTCAAACGT"]))
    assert learner.kind == "dna" and torch.equal(points.words[0], points.words[1])
