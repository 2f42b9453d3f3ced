"""Episodes: of one assay each, no molecule in support and queries, the same for the same step."""

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.in_context.assays import Assay
from bio_xlstm.tasks.in_context.episodes import EpisodeSampler
from bio_xlstm.tasks.in_context.recipe import EpisodeSettings


def assay(number: int, rows: int, share: float = 0.5) -> Assay:
    """Make an assay whose molecules are numbered from 1,000 times its number on."""
    draw = np.random.default_rng(number)
    classes = (np.arange(rows) < max(1, round(rows * share))).astype(np.float32)
    numbers = draw.normal(size=rows).astype(np.float32)
    relations = draw.choice([-1, 0, 0, 0, 1], rows).astype(np.int8)
    return Assay(f"A{number}", np.arange(rows) + 1000 * number, classes, numbers, relations)


def sampler(**settings: object) -> EpisodeSampler:
    """Make a sampler over assays of odd sizes."""
    sizes = [(40, 0.5), (41, 0.3), (63, 0.05), (200, 0.9), (12, 0.5), (37, 0.5)]
    assays = [assay(number, *size) for number, size in enumerate(sizes)]
    given = {"supports": (4, 16), "queries": 20, "examples": 150, "steps": 500, **settings}
    return EpisodeSampler(assays, EpisodeSettings(**given), 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [0.0, 1.0])
def test_episodes_are_of_one_assay_and_share_nothing(numbers: float) -> None:
    """Support and counted queries of an episode are different molecules of one assay."""
    drawing = sampler(numbers=numbers)
    for step in range(40):
        episodes = drawing.draw(step)
        size = episodes.support.values.shape[1]
        assert episodes.molecules.shape[1] == size + 20
        assert episodes.molecules.size <= 150
        for row, counted in zip(episodes.molecules, episodes.counted.bool().numpy(), strict=True):
            members = np.concatenate([row[:size], row[size:][counted]])
            assert len(set(members // 1000)) == 1
            assert len(set(members)) == len(members)
            assert counted.sum() >= 8


def test_supports_hold_both_classes() -> None:
    """However rare a class is, and whatever share is drawn."""
    drawing = sampler(numbers=0.0, unbalanced=1.0)
    for step in range(60):
        values = drawing.draw(step).support.values
        assert ((values > 0).any(1) & (values < 0).any(1)).all()


def test_labels_are_those_of_the_molecules() -> None:
    """Classes and numbers belong to the molecules of their places."""
    drawing = sampler(numbers=0.0)
    episodes = drawing.draw(5)
    pool = {
        int(one): float(value)
        for each in drawing.pools["binary"]
        for one, value in zip(each[1], each[2], strict=True)
    }
    size = episodes.support.values.shape[1]
    both = set()
    for step in range(5, 12):
        episodes = drawing.draw(step)
        size = episodes.support.values.shape[1]
        parts = episodes.molecules, episodes.support.values, episodes.targets, episodes.turned
        for row, support, targets, turned in zip(*parts, strict=True):
            both.add(float(turned))
            wanted = [abs(float(turned) - pool[int(one)]) for one in row]
            assert wanted[:size] == ((support + 1) / 2).tolist()
            assert wanted[size:] == targets.tolist()
    assert both == {0.0, 1.0}


def test_numbers_turn_with_their_bounds() -> None:
    """The opposite of at least 3 is at most -3."""
    drawing = sampler(numbers=1.0)
    found = [drawing.draw(step) for step in range(20)]
    pool = {
        int(one): place for each in drawing.pools["regression"] for place, one in enumerate(each.molecules)
    }
    known = {int(one): each for each in drawing.pools["regression"] for one in each.molecules}
    for episodes in found:
        size = episodes.support.values.shape[1]
        for place, row in enumerate(episodes.molecules):
            sign = 1 - 2 * float(episodes.turned[place])
            relations = [sign * float(known[int(one)].relations[pool[int(one)]]) for one in row]
            assert relations[:size] == episodes.support.relations[place].tolist()
            assert relations[size:] == episodes.relations[place].tolist()
            numbers = np.array([known[int(one)].numbers[pool[int(one)]] for one in row], np.float32)
            scaled = (
                sign * (numbers - float(episodes.support.shift[place])) / float(episodes.support.scale[place])
            )
            np.testing.assert_allclose(scaled[size:], episodes.targets[place].numpy(), atol=1e-4)
            np.testing.assert_allclose(scaled[:size], episodes.support.values[place].numpy(), atol=1e-4)


def test_a_step_draws_the_same_again() -> None:
    """Episodes depend on seed and step alone."""
    one, other = sampler().draw(7), sampler().draw(7)
    assert np.array_equal(one.molecules, other.molecules)
    assert np.array_equal(one.reference, other.reference)
    assert not np.array_equal(one.reference, sampler(seed=1).draw(7).reference)
    assert not np.array_equal(one.reference, sampler().draw(8).reference)


def test_supports_larger_than_any_assay_are_refused() -> None:
    """The recipe's setting is named, before the first step."""
    with pytest.raises(
        ConfigError, match="supports of 512 need an assay of 520 molecules; the largest for binary has 200"
    ):
        sampler(supports=(512,), examples=600)
