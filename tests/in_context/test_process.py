"""The process inside the learner is Gaussian process regression."""

import numpy as np
import pytest
import torch

from bio_xlstm.in_context import gaussian
from bio_xlstm.in_context import process as module
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.likeness import distance, similarity
from bio_xlstm.in_context.prints import assemble
from bio_xlstm.in_context.process import Process
from bio_xlstm.in_context.properties import PROPERTIES


def packed(batch: int, count: int, seed: int = 0) -> torch.Tensor:
    """Draw prints (B, N, P) of relatives: each has most bits, and nearly the properties, of one of three ancestors."""
    draw = np.random.default_rng(seed)
    families = np.random.default_rng(99).random((3, 512)) < 0.15
    chosen = draw.integers(0, 3, (batch, count))
    bits = families[chosen] ^ (draw.random((batch, count, 512)) < 0.03)
    numbers = chosen[..., None] + 0.3 * draw.normal(size=(batch, count, PROPERTIES))
    return torch.from_numpy(assemble(np.packbits(bits, axis=-1), numbers))


def numbers(count: int, seed: int = 0) -> torch.Tensor:
    """Draw labels."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, count)))


@pytest.mark.parametrize("count", [1, 2, 9, 60])
def test_equals_the_equations(count: int) -> None:
    """With the noise that was found, the posterior mean is that of the textbook; no other noise is likelier."""
    prints, asked, labels = packed(1, count), packed(1, 7, 5), Labels.of_numbers(numbers(count))
    state = Process().solve(prints, labels)[0]
    found = Process()(asked, state)
    near = similarity(asked, prints)[0].double().numpy()
    kernel, between = (
        0.5
        + 0.85 * similarity(one, prints)[0].double().numpy() ** 1.5
        + 0.15 * np.exp(distance(one, prints)[0].double().numpy() / -3)
        for one in (prints, asked)
    )
    y = labels.values[0].double().numpy()
    noise = float(state.noise[0])
    weights = np.linalg.solve(kernel + noise * np.eye(count), y - y.mean())
    np.testing.assert_allclose(found.value[0].numpy(), between @ weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.nearest[0].numpy(), near.max(1), rtol=1e-6)

    def evidence(one: float) -> float:
        """Take the signal's variance that is best for a noise."""
        system = kernel + one * np.eye(count)
        variance = (y - y.mean()) @ np.linalg.solve(system, y - y.mean()) / count
        likelihood = -0.5 * (count * np.log(max(variance, 1e-12)) + np.linalg.slogdet(system)[1])
        return float(likelihood - 0.5 * ((np.log10(one) - module.EXPECTED) / gaussian.SPREAD) ** 2)

    if count > 2:
        assert evidence(noise) >= max(evidence(one) for one in gaussian.NOISES.tolist()) - 1e-6


def test_order_and_company() -> None:
    """Examples in any order give the same; supports do not see each other."""
    prints, asked, values = packed(2, 12), packed(2, 5, 3), torch.cat([numbers(12), numbers(12, 1)])
    process = Process()
    whole = process(asked, process.solve(prints, Labels.of_numbers(values))[0]).value
    order = torch.randperm(12)
    for place in range(2):
        own = slice(place, place + 1)
        labels = Labels.of_numbers(values[own][:, order])
        alone = process(asked[own], process.solve(prints[own][:, order], labels)[0]).value
        torch.testing.assert_close(alone, whole[own], rtol=1e-4, atol=1e-5)


def test_given_slots_change_nothing_where_they_hold_the_examples() -> None:
    """Solved on slots that hold all examples and more, a support says the same."""
    prints, asked, labels = packed(1, 14), packed(1, 6, 3), Labels.of_numbers(numbers(10))
    process = Process()
    plain = process(asked, process.solve(prints[:, 2:12], labels)[0])
    given = process(asked, process.solve(prints[:, 2:12], labels, prints)[0])
    torch.testing.assert_close(given.value, plain.value, rtol=2e-3, atol=1e-4)


def test_many_examples_speak_through_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """With slots for a quarter, answers stay close to those of all; memory does not grow."""
    prints, asked = packed(1, 400), packed(1, 50, 7)
    seen = similarity(prints, packed(1, 3, 11))[0]
    labels = Labels.of_numbers((seen @ torch.tensor([3.0, -2.0, 1.0]))[None])
    process = Process()
    whole = process(asked, process.solve(prints, labels)[0])
    monkeypatch.setattr(module, "SLOTS", 100)
    monkeypatch.setattr(gaussian, "BLOCK", 150)
    state = process.solve(prints, labels)[0]
    assert state.prints.shape[1] == 100
    few = process(asked, state)
    assert np.corrcoef(few.value[0], whole.value[0])[0, 1] > 0.98


def test_equal_labels_and_equal_molecules() -> None:
    """Nothing to learn is no error, and neither are molecules whose fingerprints are equal."""
    prints = packed(1, 1).expand(1, 6, -1)
    process = Process()
    same = process(prints, process.solve(prints, Labels.of_classes(torch.ones(1, 6)))[0])
    assert same.value.abs().max() == 0
    found = process(prints, process.solve(prints, Labels.of_classes(torch.arange(6)[None] % 2))[0])
    assert torch.isfinite(found.value).all() and found.value.abs().max() < 1e-5


def test_slots_that_are_no_examples_are_never_near() -> None:
    """The nearest example is looked for among those of each support, whether supports share their slots or not."""
    torch.manual_seed(0)
    there = torch.rand(4, 9) < 0.6
    there[1], there[2] = True, False
    for found in (torch.rand(1, 30, 9), torch.rand(4, 30, 9)):
        wanted = torch.where(there[:, None], found, 0.0).amax(-1)
        assert torch.equal(module._nearest(found, there), wanted)


def test_bounds_have_a_side() -> None:
    """Values of which it is only known that they lie below are answered lower than those that lie above."""
    prints, numbers = packed(1, 12), torch.arange(12).double()[None]
    process = Process()

    def mean(sign: float) -> float:
        labels = Labels.of_numbers(numbers.clamp(3, 8), sign * (numbers > 8) + 0.0)
        return float(process(prints, process.solve(prints, labels)[0]).value.mean())

    assert mean(-1) < mean(0) - 0.03 and mean(0) <= mean(1)
