"""Laws of the in-context learner: no order, no company, fixed size, refusal of what is another's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.directory import is_in_context, load_in_context, save_in_context
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.in_context.points import Points
from bio_xlstm.in_context.prints import assemble
from bio_xlstm.in_context.process import SLOTS
from bio_xlstm.in_context.properties import PROPERTIES

SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "CCN", "CCCCO", "c1ccncc1", "CC(C)O", "OCC(O)CO"]


@pytest.fixture
def learner() -> InContextModel:
    """Make a small learner with random weights."""
    torch.manual_seed(3)
    made = InContextModel(
        InContextConfig(bits=64, prints=64, hidden=32, dim=16, reference=12, blocks=2, heads=2), "small"
    )
    return made.eval().requires_grad_(False)


def drawn(batch: int, count: int) -> torch.Tensor:
    """Draw points (B, N, W) of the small learner."""
    return drawn_points(batch, count).packed()


def drawn_points(batch: int, count: int) -> Points:
    """Draw points of the small learner, four fingerprints of 64 bits in each."""
    bits = torch.randint(0, 256, (batch, count, 32)).byte()
    prints = assemble(bits.numpy(), torch.randn(batch, count, PROPERTIES).numpy())
    return Points(torch.randn(batch, count, 16), torch.from_numpy(prints))


def labelled(count: int, task: str) -> Labels:
    """Label a support of some size."""
    if task == "binary":
        return Labels.of_classes(torch.arange(count)[None] % 2)
    relations = torch.tensor([[0, 1, -1] * count])[:, :count]
    return Labels.of_numbers(torch.linspace(-3, 9, count)[None], relations)


def reordered(labels: Labels, order: torch.Tensor) -> Labels:
    """Put labels into another order."""
    return labels._replace(values=labels.values[:, order], relations=labels.relations[:, order])


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_order_of_the_support_does_not_matter(learner: InContextModel, task: str) -> None:
    """Permuted supports give the same answers."""
    points, asked, labels = drawn(1, 11), drawn(1, 5), labelled(11, task)
    order = torch.randperm(11)
    one = learner.answer(asked, learner.read_support(points, labels))
    other = learner.answer(asked, learner.read_support(points[:, order], reordered(labels, order)))
    torch.testing.assert_close(one.value, other.value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_queries_do_not_see_each_other(learner: InContextModel, task: str) -> None:
    """A query is answered alike alone, in company, in any order."""
    state = learner.read_support(drawn(1, 9), labelled(9, task))
    asked = drawn(1, 7)
    whole = learner.answer(asked, state)
    for place in range(7):
        alone = learner.answer(asked[:, place : place + 1], state)
        torch.testing.assert_close(alone.value[:, 0], whole.value[:, place], rtol=1e-5, atol=1e-6)


def test_supports_do_not_see_each_other(learner: InContextModel) -> None:
    """Supports side by side are read as each alone."""
    points, asked = drawn(3, 6), drawn(3, 4)
    labels = Labels.of_classes(torch.randint(0, 2, (3, 6)))
    whole = learner.answer(asked, learner.read_support(points, labels)).value
    for place in range(3):
        own = slice(place, place + 1)
        alone = learner.read_support(points[own], Labels.of_classes(labels.values[own] > 0))
        torch.testing.assert_close(learner.answer(asked[own], alone).value, whole[own], rtol=1e-5, atol=1e-6)


def test_size_of_the_state_has_a_bound(learner: InContextModel) -> None:
    """From as many examples as there are slots on, supports leave the same number of bytes."""

    def size(count: int) -> int:
        states = learner.read_support(drawn(1, count), labelled(count, "binary"))
        return AssayState(states, {}, {}, learner.weight_hash()).bytes

    assert size(2) < size(SLOTS) == size(SLOTS + 400)


def test_points_go_through_bytes(learner: InContextModel) -> None:
    """Rows of bytes, cut and put together, are the same points."""
    whole = learner.opened(drawn(2, 5))
    again = learner.opened(torch.cat([whole.packed()[:, :2], whole.packed()[:, 2:]], 1))
    assert torch.equal(again.learned, whole.learned) and torch.equal(again.prints, whole.prints)
    with pytest.raises(ValueError, match="rows of 116 bytes, not 117 of uint8"):
        learner.opened(torch.zeros(3, 117, dtype=torch.uint8))
    with pytest.raises(ValueError, match="rows of 116 bytes, not 116 of float32"):
        learner.opened(torch.zeros(3, 116))


def test_weights_are_learned_for_every_part() -> None:
    """Every parameter gets a gradient, but those of the process, which has none."""
    torch.manual_seed(0)
    config = InContextConfig(
        bits=64, prints=64, hidden=32, dim=16, reference=12, blocks=2, heads=2, dropout=0
    )
    made = InContextModel(config, "small")
    nn.init.normal_(made.weighing.outer.weight)
    points = drawn_points(2, 9)
    state = made.read_support(points[:, :6], Labels.of_classes(torch.arange(12).view(2, 6) % 2))
    answer = made.answer(points[:, 6:], state)
    (answer.value.sum() + answer.prior.sum()).backward()
    silent = {name for name, weight in made.named_parameters() if weight.grad is None}
    assert silent == {
        name for name, _ in made.named_parameters() if name.startswith(("encoder.", "enrichment."))
    }
    assert not list(made.process.parameters())


def test_numbers_keep_their_units(learner: InContextModel) -> None:
    """Answers follow the units of the labels: ten times the values and a shift give ten times the answers, shifted."""
    points, asked, numbers = drawn(1, 8), drawn(1, 5), torch.randn(1, 8).double()
    plain = learner.answer(asked, learner.read_support(points, Labels.of_numbers(numbers))).value
    other = learner.answer(asked, learner.read_support(points, Labels.of_numbers(10 * numbers - 40))).value
    torch.testing.assert_close(other, 10 * plain - 40, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", [1e-300, 1e-9, 1e-6, 1e9, 1e150])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_labels_of_any_unit(learner: InContextModel, unit: float, shift: float) -> None:
    """Molar or nanomolar, far from zero or not: answers follow."""
    points, asked, numbers = drawn(1, 8), drawn(1, 5), torch.randn(1, 8).double()
    plain = learner.answer(asked, learner.read_support(points, Labels.of_numbers(numbers))).value
    labels = Labels.of_numbers(unit * (numbers + shift))
    other = learner.answer(asked, learner.read_support(points, labels)).value / unit - shift
    torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-4, check_dtype=False)


def test_equal_numbers_are_no_error(learner: InContextModel) -> None:
    """A support whose values are all equal is answered with that value."""
    for value in (7.0, 0.0, 1e-9):
        state = learner.read_support(drawn(1, 4), Labels.of_numbers(torch.full((1, 4), value).double()))
        found = learner.answer(drawn(1, 3), state).value
        torch.testing.assert_close(found, torch.full((1, 3), value), check_dtype=False, rtol=1e-6, atol=1e-11)


def test_a_molecule_is_encoded_alike_in_any_company(learner: InContextModel) -> None:
    """A molecule's point does not depend on the others."""
    whole = learner.encode(SMILES)
    assert whole.shape == (8, 116)
    one, other = learner.opened(learner.encode(SMILES[3:4])[0]), learner.opened(whole[3])
    torch.testing.assert_close(one.learned, other.learned, rtol=1e-4, atol=1e-5)
    assert torch.equal(one.prints, other.prints)
    assert learner.encode([]).shape == (0, 116)


def test_molecules_that_cannot_be_read_are_refused(learner: InContextModel) -> None:
    """What RDKit cannot read is an error here; the commands find it first."""
    with pytest.raises(ValueError, match="C1CC"):
        learner.encode(["CCO", "C1CC"])


def test_directory_round_trip(learner: InContextModel, tmp_path: Path) -> None:
    """A learner that was saved and loaded answers as before, to the rounding of its weights."""
    save_in_context(learner, tmp_path)
    assert is_in_context(tmp_path)
    again = load_in_context(tmp_path)
    points, asked, labels = drawn(1, 6), drawn(1, 4), labelled(6, "binary")
    one = learner.answer(asked, learner.read_support(points, labels)).value
    other = again.answer(asked, again.read_support(points, labels)).value
    torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)
    assert load_in_context(tmp_path).weight_hash() == again.weight_hash()


def test_damaged_directories_are_refused(learner: InContextModel, tmp_path: Path) -> None:
    """The file that is wrong is named."""
    save_in_context(learner, tmp_path)
    with pytest.raises(ModelError, match="no in-context learner"):
        load_in_context("chem-small")
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_in_context(tmp_path)
    (tmp_path / "config.json").write_text('{"format": 1, "family": "in_context", "dime": 3}')
    with pytest.raises(ModelError, match="dime"):
        load_in_context(tmp_path)


@pytest.mark.parametrize("wrong", [{"dim": 10, "heads": 4}, {"bits": 0}, {"dropout": 1.0}, {"dim": "wide"}])
def test_settings_that_make_no_learner(wrong: dict[str, object]) -> None:
    """A setting is refused by its name."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        InContextConfig(**wrong)  # type: ignore[arg-type]


def test_another_encoder_is_refused() -> None:
    """A learner trained beside other weights of the language model says so."""
    made = InContextModel(InContextConfig(bits=64, hidden=8, dim=8, heads=2, encoder_hash="0" * 64), "old")
    with pytest.raises(ModelError, match="another chem-small"):
        made.encode(["CCO"])


def test_assay_state_round_trip(learner: InContextModel, tmp_path: Path) -> None:
    """A state comes back from its file as it was, and only to the learner that made it."""
    states = learner.read_support(drawn(2, 5), Labels.of_classes(torch.randint(0, 2, (2, 5))))
    path = tmp_path / "assay.state"
    AssayState(states, {"classes": ["0", "1"]}, {"bits": torch.ones(3, dtype=torch.uint8)}, "abc").save(path)
    found = AssayState.load(path)
    asked = drawn(2, 3)
    assert torch.equal(learner.answer(asked, found.states).value, learner.answer(asked, states).value)
    assert found.facts == {"classes": ["0", "1"]}
    assert found.tables["bits"].tolist() == [1, 1, 1]
    found.refuse_other("abc", "small")
    with pytest.raises(ModelError, match="another model"):
        found.refuse_other("abd", "small")


def test_files_that_are_no_assay_state(tmp_path: Path) -> None:
    """Each kind of wrong file is called what it is."""
    path = tmp_path / "x.state"
    with pytest.raises(ModelError, match="cannot read|no state file"):
        AssayState.load(path)
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match="no state file"):
        AssayState.load(path)
