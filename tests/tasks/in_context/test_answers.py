"""What is said of queries: states of fixed size, spread, intervals that cover, probabilities that come true."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.in_context import process
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.in_context.points import Points
from bio_xlstm.in_context.prints import PARTS, assemble
from bio_xlstm.in_context.properties import PROPERTIES
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.in_context import build, left_out
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.in_context.build import build_assay, read_assay_points
from bio_xlstm.tasks.in_context.left_out import LeftOut, answer_left_out, deal, read_parts
from bio_xlstm.tasks.in_context.repeats import Example
from bio_xlstm.tasks.in_context.spelling import encode, spelled
from bio_xlstm.tasks.in_context.support import Support, make_support
from bio_xlstm.tasks.in_context.trust import PLAIN, Calibration, Intervals, fewest_for, residuals

CLASSES = Task("binary", ("y",), ("no", "yes"))
NUMBERS = Task("regression", ("y",))
ENDS = ("O", "N", "F", "S", "Br")


def molecules(count: int) -> list[str]:
    """Write different molecules."""
    return [f"{'C' * (1 + number // 5)}{ENDS[number % 5]}" for number in range(count)]


def support_of(values: np.ndarray, task: Task, relations: np.ndarray | None = None) -> Support:
    """Make a support of some values."""
    bounds = np.zeros(len(values), int) if relations is None else relations
    rows = zip(molecules(len(values)), values.tolist(), bounds.tolist(), strict=True)
    examples = [Example(text, text, text, row, value, bound) for row, (text, value, bound) in enumerate(rows)]
    return make_support(examples, task, issues=[], notes=[], source="made up")


@pytest.fixture(scope="module")
def learner(tiny_learner: str) -> InContextModel:
    """Load the small learner."""
    return load_in_context(tiny_learner)


def points_of(learner: InContextModel, count: int, seed: int = 0) -> torch.Tensor:
    """Draw points."""
    draw = torch.Generator().manual_seed(seed)
    learned = torch.randn(count, learner.config.dim, generator=draw)
    bits = torch.randint(0, 256, (count, PARTS * learner.config.prints // 8), generator=draw).byte()
    prints = assemble(bits.numpy(), torch.randn(count, PROPERTIES, generator=draw).numpy())
    return Points(learned, torch.from_numpy(prints)).packed()


@pytest.mark.parametrize("count", [2, 5, 70])
@pytest.mark.parametrize("task", [CLASSES, NUMBERS])
def test_left_out_is_what_a_smaller_support_says(learner: InContextModel, count: int, task: Task) -> None:
    values = np.random.default_rng(0).integers(0, 2, count).astype(float)
    support, points = support_of(values, task), points_of(learner, count)
    found = answer_left_out(learner, points, support)
    groups = deal(support, left_out.SINGLES)
    assert len(set(groups)) == min(count, 64)
    for row in (0, count - 1):
        kept = np.flatnonzero(groups != groups[row])
        state = learner.read_support(points[kept][None], support.labels(kept[None]))
        answer = learner.answer(points[row : row + 1][None], state)
        assert found.values[row] == pytest.approx(answer.value.item(), rel=1e-4, abs=1e-5)
        assert found.leverages[row] == pytest.approx(answer.leverage.item(), rel=1e-4)


def test_nothing_is_left_out_of_one(learner: InContextModel) -> None:
    support = support_of(np.ones(1), CLASSES)
    assert np.isnan(answer_left_out(learner, points_of(learner, 1), support).values).all()


@pytest.mark.parametrize(("count", "states"), [(1, 1), (3, 4), (8, 9), (70, 9)])
def test_the_state_of_the_whole_comes_first(learner: InContextModel, count: int, states: int) -> None:
    support, points = support_of(np.arange(count, dtype=float), NUMBERS), points_of(learner, count)
    parts = read_parts(learner, points, support)
    assert len(parts.base) == states
    whole = learner.read_support(points[None], support.labels(np.arange(count)[None]))
    torch.testing.assert_close(parts.ridge.weights[:1], whole.ridge.weights)
    if states > 1:
        kept = np.flatnonzero(deal(support, left_out.PARTS) != 1)
        without = learner.read_support(points[kept][None], support.labels(kept[None]))
        torch.testing.assert_close(parts.ridge.weights[2:3], without.ridge.weights, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(parts.memories[0].c[2:3], without.memories[0].c, rtol=1e-4, atol=1e-5)


def test_parts_are_alike() -> None:
    support = support_of((np.arange(40) % 5 == 0).astype(float), CLASSES)
    groups = deal(support, 8)
    assert [support.values[groups == group].sum() for group in range(8)] == [1] * 8


def test_a_large_support_leaves_no_more_than_its_slots(
    learner: InContextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_KEPT", 20)
    monkeypatch.setattr(process, "SLOTS", 20)
    found = []
    for count in (20, 60):
        support = support_of(np.arange(count, dtype=float), NUMBERS)
        found.append(read_assay_points(learner, points_of(learner, count), support))
    assert found[0].bytes == found[1].bytes and len(found[1].facts["names"]) == 20
    residual = found[1].tables["residuals"]
    assert residual.shape == (20,) and residual.isfinite().all()


@pytest.mark.parametrize("slots", [20, 1024])
def test_parts_share_the_slots_of_the_whole(
    learner: InContextModel, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    monkeypatch.setattr(process, "SLOTS", slots)
    count = 33
    support = support_of(np.random.default_rng(1).normal(size=count), NUMBERS)
    points, queries = points_of(learner, count), points_of(learner, 5, seed=1)
    parts = read_parts(learner, points, support)
    kept = min(count, slots)
    assert parts.process.prints.shape[:2] == (1, kept) and parts.process.there[0].all()
    groups = deal(support, left_out.PARTS)
    np.testing.assert_array_equal(parts.process.there[3], groups[:kept] != 2)
    if kept < count:
        return
    rows = np.flatnonzero(groups != 2)
    without = learner.read_support(points[rows][None], support.labels(rows[None]))
    one = learner.answer(queries[None], parts).value[3:4]
    torch.testing.assert_close(one, learner.answer(queries[None], without).value, rtol=2e-3, atol=2e-4)


def test_spread_and_company(learner: InContextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    support = support_of(np.random.default_rng(1).normal(size=24), NUMBERS)
    assay = Assay(learner, read_assay_points(learner, points_of(learner, 24), support))
    queries = points_of(learner, 11, seed=1)
    found = assay.answer(queries)
    every = learner.answer(queries[None].expand(9, -1, -1), assay.state.states).value.numpy()
    np.testing.assert_allclose(found.predicted, every[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.spread, every[1:].std(0), rtol=1e-3, atol=1e-5)
    assert (found.spread > 0).all()
    monkeypatch.setattr("bio_xlstm.tasks.in_context.answering.ANSWERED_AT_ONCE", 4)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(0))
    again = assay.answer(queries[order])
    for one, other in zip(found, again, strict=True):
        np.testing.assert_allclose(one[order.numpy()], other, rtol=1e-4, atol=1e-6)
    quick = assay.answer(queries, spread=False)
    np.testing.assert_allclose(quick.predicted, found.predicted, rtol=1e-4, atol=1e-6)
    assert np.isnan(quick.spread).all() and len(assay.answer(queries[:0]).predicted) == 0


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_cover(learner: InContextModel, coverage: float) -> None:
    draw, inside = np.random.default_rng(0), []
    for trial in range(60):
        points = points_of(learner, 130, seed=trial)
        values = learner.opened(points).learned[:, :3].sum(1).numpy() + draw.standard_t(4, 130)
        support = support_of(values[:30], NUMBERS)
        rows = [molecules(30).index(name) for name in support.names]
        assay = Assay(learner, read_assay_points(learner, points[:30][rows], support))
        found = assay.answer(points[30:], spread=False)
        low, high = assay.intervals(coverage)(found.predicted, found.leverage)
        inside.append(((values[30:] >= low) & (values[30:] <= high)).mean())
    assert coverage - 0.03 < np.mean(inside) < coverage + 0.04


def test_too_few_for_an_interval() -> None:
    assert [fewest_for(coverage) for coverage in (0.5, 0.8, 0.9, 0.95)] == [1, 4, 9, 19]
    missed = np.linspace(1, 2, 9)
    low, high = Intervals.of(missed, 0.9)(np.zeros(2), np.array([0.0, 3.0]))
    np.testing.assert_allclose(high, [2, 4])
    np.testing.assert_allclose(low, [-2, -4])
    assert np.isnan(Intervals.of(missed[:8], 0.9)(np.zeros(2), np.zeros(2))[0]).all()
    with pytest.raises(ConfigError, match=r"--coverage must be at least 0.5 and below 1, not 1"):
        Intervals.of(missed, 1.0)


def test_bounds_are_no_residuals() -> None:
    support = support_of(np.array([1.0, 2.0]), NUMBERS, np.array([0, 1]))
    found = residuals(support, LeftOut(np.zeros(2), np.zeros(2)))
    assert sorted(found[support.exact]) == [1] and np.isnan(found[~support.exact]).all()


@pytest.mark.parametrize("offset", [-2.0, 0.0, 1.5])
@pytest.mark.parametrize("factor", [3.0, 1.0, 1 / 3])
def test_calibration_undoes_what_was_done_to_log_odds(factor: float, offset: float) -> None:
    """Log-odds that were multiplied, of classes that are rarer than they say: both are found, and rates come true."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=400) * 2
    values = (draw.random(400) < 1 / (1 + np.exp(-logits - offset))).astype(float)
    support = support_of(values, CLASSES)
    rows = [molecules(400).index(name) for name in support.names]
    given = factor * logits[rows]
    found = Calibration.fit(support, LeftOut(given, np.zeros(400)))
    assert found.temperature == pytest.approx(factor, rel=0.25)
    assert found.offset == pytest.approx(offset, abs=0.35)
    assert found(given).mean() == pytest.approx(support.values.mean(), abs=0.02)


def test_too_few_examples_calibrate_nothing() -> None:
    logits = np.random.default_rng(0).normal(size=20)
    values = (logits > 0).astype(float)
    assert Calibration.fit(support_of(values[:15], CLASSES), LeftOut(logits[:15], logits[:15])) == PLAIN
    assert Calibration.fit(support_of(np.ones(20), CLASSES), LeftOut(logits, logits)) == PLAIN


def test_few_examples_that_all_come_true_make_no_certainty() -> None:
    support = support_of((np.arange(16) % 2).astype(float), CLASSES)
    found = Calibration.fit(support, LeftOut(np.where(support.values == 1, 3.0, -3.0), np.zeros(16)))
    assert found.temperature > 0.6 and abs(found.offset) < 0.01


def test_a_rare_class_is_expected_to_be_rare(learner: InContextModel) -> None:
    """One positive in ten: probabilities of a library that is drawn alike average near that."""
    points, values = points_of(learner, 200), (np.arange(200) % 10 == 0).astype(float)
    support = support_of(values, CLASSES)
    assay = Assay(learner, read_assay_points(learner, points, support))
    found = assay.answer(points_of(learner, 60, seed=1)).predicted
    assert 0.05 < found.mean() < 0.2


def test_a_state_goes_through_a_file(learner: InContextModel, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2, 20).astype(float)
    state = build_assay(learner, support_of(values, CLASSES))
    state.save(tmp_path / "assay.state")
    queries = points_of(learner, 5)
    one = Assay(learner, state).answer(queries)
    other = Assay(learner, AssayState.load(tmp_path / "assay.state")).answer(queries)
    for before, after in zip(one, other, strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-6)
    assert ((one.predicted > 0) & (one.predicted < 1)).all() and ((one.prior > 0) & (one.prior < 1)).all()


def test_states_that_do_not_fit_are_refused(learner: InContextModel) -> None:
    state = build_assay(learner, support_of(np.array([0.0, 1.0]), CLASSES))
    other = AssayState(state.states, state.facts, state.tables, "another")
    with pytest.raises(ModelError, match="was made by another model than tiny-icl; build it again"):
        Assay(learner, other)
    with pytest.raises(ModelError, match="the assay state lacks 'prints'; build it again"):
        Assay(learner, AssayState(state.states, state.facts, {"residuals": torch.zeros(1)}, state.model_hash))


def test_a_molecule_has_one_answer_however_it_is_written(learner: InContextModel) -> None:
    one, other = encode(learner, ["OCC", "C(O)C"])
    torch.testing.assert_close(one, other)
    tokenizer = learner.language_model.tokenizer
    assert spelled(["C(O)C", "[Og]"], tokenizer) == ["CCO", "[Og]"]


def test_nearest(learner: InContextModel) -> None:
    assay = Assay(learner, build_assay(learner, support_of(np.arange(9.0), NUMBERS)))
    found = assay.nearest(["OC", "c1ccccc1"])
    assert assay.names[found.which[0]] == "CO" and found.similarity[0] == 1 > found.similarity[1]
