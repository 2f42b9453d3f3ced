"""Laws of the learner of proteins: the equations of the textbook, no order, no company, fixed size."""

from pathlib import Path

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.errors import ModelError
from bio_xlstm.in_context import gaussian, sequence_process
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.changes import PLACES, Changes, Reference
from bio_xlstm.in_context.gaussian import Wanted
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.linear import LinearLearner, LinearState
from bio_xlstm.in_context.sequence_points import SequencePoints
from bio_xlstm.in_context.sequence_process import common_length, solve_sequences, usual_sizes
from bio_xlstm.in_context.substitutions import codes_of, substitutions
from bio_xlstm.in_context.view import View

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
    """Label a support of some size."""
    if task == "binary":
        return Labels.of_classes(torch.arange(count)[None] % 2)
    return Labels.of_numbers(torch.from_numpy(np.random.default_rng(seed).normal(size=(1, count))))


@pytest.mark.parametrize("count", [2, 12, 60])
@pytest.mark.parametrize("alike", [True, False])
def test_equals_a_gaussian_process(learner: LinearLearner, count: int, alike: bool) -> None:
    """With the mixture that was found, answers are those of a process on the kernels of examples and queries."""
    known, asked = variants(count), variants(9, seed=5)
    if not alike:
        known = [text + "W" * place for place, text in enumerate(known)]
    labels = labelled(count)
    points, queries = learner.encode(known), learner.encode(asked)
    state = learner.read_support(points[None], labels)
    found = learner.answer(queries[None], state)
    assert state.length.item() == (24 if alike else -1)
    wanted = Wanted.of(labels)
    opened, together = learner.opened(points), learner.opened(torch.cat([points, queries]))
    views = [View.of(numbers) for numbers in opened.views]
    changes = Changes(codes_of(opened.letters[:, :24]), "protein") if alike else None
    mixture = solve_sequences(views, changes, wanted).mixture
    kernels = [_linear(numbers, count) for numbers in together.views]
    if changes:
        codes = codes_of(together.letters[:, :24])
        wild, every = changes.reference.codes, Changes(codes, "protein")
        # kernels of examples and queries, by the reference of the examples
        every.reference = Reference(wild, (codes != wild).any(0).nonzero()[:, 0])
        every.places = torch.stack([every._alike(name) for name in PLACES])
        every.features = every._features(codes)
        kernels += list(every.kernels(slice(None)))
    # of views the examples decide the size
    sizes = [float(kernel[:count, :count].diagonal().mean()) or 1.0 for kernel in kernels[:2]]
    sizes += [1.0] * (len(kernels) - 2)
    kernel = sum(share * one / size for share, one, size in zip(mixture.shares, kernels, sizes, strict=True))
    # around the examples
    means = kernel[:, :count].mean(1)
    kernel = kernel[:, :count] - means[:, None] - means[:count] + means[:count].mean()
    system = kernel[:count] + mixture.noise * torch.eye(count)
    answers = kernel[count:] @ torch.linalg.solve(system, wanted.right[0]) + wanted.middle
    answers = answers * labels.scale.item() + labels.shift.item()
    torch.testing.assert_close(found.value[0], answers, rtol=2e-3, atol=1e-4)


def _linear(numbers: torch.Tensor, count: int) -> torch.Tensor:
    """Return the products of numbers (N + M, F) around the mean of the first N."""
    centred = numbers.double() - numbers[:count].double().mean(0)
    return centred @ centred.T


@pytest.mark.parametrize("count", [2, 60])
def test_leverage_is_the_variance_of_bayesian_regression(learner: LinearLearner, count: int) -> None:
    """On the embeddings, in units of the noise."""
    points, queries, labels = (
        learner.encode(variants(count)),
        learner.encode(variants(9, seed=5)),
        labelled(count),
    )
    state = learner.read_support(points[None], labels)
    x, z = (
        (one.embeddings.double() - state.centre[0]) / state.spread[0]
        for one in map(learner.opened, (points, queries))
    )
    penalty = state.noise[0, 0] / state.shares[0, 0, 0]
    system = x.T @ x + penalty * torch.eye(16)
    variance = (z * torch.linalg.solve(system, z.T).T).sum(1)
    found = learner.answer(queries[None], state).leverage[0]
    torch.testing.assert_close(found.double(), variance, rtol=2e-3, atol=1e-5)


def test_variants_of_several_lengths_in_one_batch(learner: LinearLearner) -> None:
    """Supports of two proteins are read and asked together as they are alone."""
    short, long = learner.encode(variants(8)), learner.encode(variants(8, length=31))
    asked = learner.encode([*variants(3, seed=4), *variants(3, length=31, seed=4)])
    labels = Labels.of_numbers(torch.randn(2, 8))
    state = learner.read_support(torch.stack([short, long]), labels)
    assert state.length.tolist() == [24, 31]
    whole = learner.answer(asked[None], state).value
    torch.testing.assert_close(learner.answer(asked.expand(2, -1, -1), state).value, whole)
    for place, points in enumerate((short, long)):
        own = Labels(*(part[place : place + 1] if torch.is_tensor(part) else part for part in labels))
        alone = learner.answer(asked[None], learner.read_support(points[None], own)).value[0]
        torch.testing.assert_close(alone, whole[place])


def test_most_examples_have_one_length(learner: LinearLearner) -> None:
    """A few of other lengths do not take the letters by place from the rest, nor count among them."""
    texts, labels = variants(30), labelled(30)
    mixed = [text if place % 5 else text + "WW" for place, text in enumerate(texts)]
    state = learner.read_support(learner.encode(mixed)[None], labels)
    assert state.length.item() == 24
    own = torch.tensor([place for place in range(30) if place % 5])
    alone = learner.read_support(
        learner.encode([texts[place] for place in own])[None],
        labels._replace(values=labels.values[:, own], relations=labels.relations[:, own]),
    )
    torch.testing.assert_close(state.shares[0, 0], alone.shares[0, 0], rtol=0.05, atol=0.01)
    asked = learner.encode(variants(9, seed=5))[None]
    found, wanted = (learner.answer(asked, one).value[0] for one in (state, alone))
    assert np.corrcoef(found, wanted)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("lengths", "wanted"),
    [([5, 5, 5, 9], 5), ([5, 9], None), ([5, 5, 9, 9], None), ([7], None), ([2049] * 3, None)],
)
def test_common_length(lengths: list[int], wanted: int | None) -> None:
    assert common_length(torch.tensor(lengths)) == wanted


def test_a_mixture_that_is_known_is_taken(learner: LinearLearner) -> None:
    """A state of most examples can take shares and noise from that of all; its own labels decide the rest."""
    points, labels = learner.encode(variants(30)), labelled(30)
    whole = learner.read_support(points[None], labels)
    same = learner.read_support(points[None], labels, like=whole)
    asked = learner.encode(variants(9, seed=5))[None]
    torch.testing.assert_close(learner.answer(asked, same), learner.answer(asked, whole))
    most = labels._replace(values=labels.values[:, :25], relations=labels.relations[:, :25])
    part = learner.read_support(points[None, :25], most, like=whole)
    assert torch.equal(part.shares, whole.shares) and torch.equal(part.noise, whole.noise)
    assert (part.effects != whole.effects).any()


def test_what_was_not_changed_is_better_than_what_was(learner: LinearLearner) -> None:
    """Single mutants that lose the more the more harmful their change: the wild type is above, doubles are below."""
    wild = "MKTAYIAKQRQISFVKSHFSRQLE"
    harm = substitutions("protein").harm
    single = [(p, x) for p, w in enumerate(wild) for x in LETTERS if x != w][::7]

    def put(*changes: tuple[int, str]) -> str:
        letters = list(wild)
        for place, letter in changes:
            letters[place] = letter
        return "".join(letters)

    values = [-float(harm[ord(wild[p]) - 65, ord(x) - 65]) for p, x in single]
    labels = Labels.of_numbers(torch.tensor(values)[None].double())
    state = learner.read_support(learner.encode([put(one) for one in single])[None], labels)
    doubles = [
        put(one, other) for one, other in zip(single[::2], single[1::2], strict=False) if one[0] != other[0]
    ]
    asked = learner.encode([wild, *doubles])[None]
    none, *two = learner.answer(asked, state).value[0].tolist()
    assert none > np.quantile(values, 0.8) and np.mean(two) < np.mean(values) - 0.5 * np.std(values)


def test_letters_beyond_what_a_point_holds(learner: LinearLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of long sequences the letters are not kept: no solution by places, but answers."""
    long = ["".join(np.random.default_rng(one).choice(list(LETTERS), 2049)) for one in range(4)]
    points = learner.encode(long)
    assert not learner.opened(points).letters.any()
    state = learner.read_support(points[None], labelled(4))
    assert state.length.item() == -1 and not state.effects.any()
    assert torch.isfinite(learner.answer(points[None], state).value).all()


def test_an_effect_that_was_seen_is_found_again(learner: LinearLearner) -> None:
    """Additive effects of variants with several changes are told from each other."""
    known, asked = variants(150), variants(60, seed=9)
    effect = np.random.default_rng(4).normal(size=(24, 128)) + 2 * np.random.default_rng(5).normal(
        size=(24, 1)
    )
    wild = variants(1, changes=0)[0]

    def values(texts: list[str]) -> np.ndarray:
        return np.array(
            [sum(effect[n, ord(one)] for n, one in enumerate(text) if one != wild[n]) for text in texts]
        )

    labels = Labels.of_numbers(torch.from_numpy(values(known))[None])
    state = learner.read_support(learner.encode(known)[None], labels)
    found = learner.answer(learner.encode(asked)[None], state).value[0]
    assert np.corrcoef(found, values(asked))[0, 1] > 0.9


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
    shorter = learner.encode([text[:-1] for text in variants(3, seed=3)])[None]
    same = learner.encode(variants(3, seed=3))[None]
    assert torch.isfinite(learner.answer(shorter, state).value).all()
    assert (learner.answer(same, state).value != learner.answer(same, moved).value).all()


def test_size_of_the_state_is_fixed(learner: LinearLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of examples leaves the same number of bytes, more than there are slots too."""
    monkeypatch.setattr(sequence_process, "_SLOTS", slice(0, 40))
    monkeypatch.setattr(sequence_process, "SLOTS", 40)

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
    monkeypatch.setattr(sequence_process, "_SLOTS", slice(0, 100))
    monkeypatch.setattr(sequence_process, "SLOTS", 100)
    monkeypatch.setattr(gaussian, "BLOCK", 64)
    few = learner.answer(asked, learner.read_support(known, labels)).value[0]
    assert np.corrcoef(whole, few)[0, 1] > 0.9


def test_many_examples_without_noise_are_no_error(learner: LinearLearner) -> None:
    """Labels that letters explain without rest, of more examples than there are slots, which are nearly alike."""
    texts, wild = variants(1500), variants(1, changes=0)[0]
    effect = np.random.default_rng(0).normal(size=(24, 128))
    points = learner.encode(texts)[None]
    for values in (
        [float(sum(one != other for one, other in zip(text, wild, strict=True))) for text in texts],
        [sum(effect[place, ord(letter)] for place, letter in enumerate(text)) for text in texts],
    ):
        labels = Labels.of_numbers(torch.tensor(values)[None].double())
        found = learner.answer(points, learner.read_support(points, labels)).value[0]
        assert np.corrcoef(found, values)[0, 1] > 0.6


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
    assert torch.equal(whole.letters[3], alone.letters[0])


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


def test_variants_of_dna_on_either_strand() -> None:
    """A labelled sequence and its reverse complement are answered alike, wherever the examples stand."""
    model = bx.build(
        "dna", dim=16, blocks=1, heads=2, seed=0, reverse_complement="equivariant", objective="masked"
    )
    learner, draw = LinearLearner(model.eval().requires_grad_(False)), np.random.default_rng(0)
    wild = draw.choice(list("ACGT"), 60)
    known = []
    for _ in range(24):
        one = wild.copy()
        one[draw.choice(60, 3, replace=False)] = draw.choice(list("ACGT"), 3)
        known.append("".join(one))
    turned = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in known]
    labels = labelled(24)
    state = learner.read_support(learner.encode(known)[None], labels)
    found, other = (learner.answer(learner.encode(some)[None], state).value for some in (known, turned))
    torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-5)
    mixed = [texts[place % 2] for place, texts in enumerate(zip(known, turned, strict=True))]
    again = learner.read_support(learner.encode(mixed)[None], labels)
    torch.testing.assert_close(
        learner.answer(learner.encode(known)[None], again).value, found, rtol=1e-3, atol=1e-3
    )


def test_a_stray_sequence_does_not_speak_of_letters(learner: LinearLearner) -> None:
    """Variants learn of each other as they do without it, and it is answered as one of another length is."""
    texts, stray = variants(30, length=40), "".join(np.random.default_rng(7).choice(list(LETTERS), 40))
    points, values = learner.encode([*texts, stray]), np.append(np.random.default_rng(0).normal(size=30), 9.0)
    labels, own = (Labels.of_numbers(torch.from_numpy(values[None, :count])) for count in (31, 30))
    whole, alone = learner.read_support(points[None], labels), learner.read_support(points[None, :30], own)
    answers = [
        learner.answer(learner.encode(variants(9, length=40, seed=3))[None], state).value
        for state in (whole, alone)
    ]
    torch.testing.assert_close(*answers, rtol=1e-3, atol=1e-3)
    assert whole.most.item() == 20 and whole.length.item() == 40
    longer = learner.encode([stray, stray[:-1]])
    both = learner.answer(longer[None], whole).value[0]
    effects = LinearState(*whole)._replace(effects=whole.effects + 100)
    torch.testing.assert_close(learner.answer(longer[None], effects).value[0], both)


def test_one_example_does_not_say_how_large_a_kernel_is() -> None:
    """Most have one change, one has eighteen; what says nothing of any has the size 1."""
    own = torch.tensor([[1.0] * 30 + [324.0], [0.0] * 16 + [1.0] * 15, [0.0] * 31], dtype=torch.float64)
    wanted = torch.tensor([46 / 31, 15 / 31, 1.0], dtype=torch.float64)
    torch.testing.assert_close(usual_sizes(torch.diag_embed(own)), wanted)


def test_states_of_different_variants_answer_one_batch(learner: LinearLearner) -> None:
    """States that are told apart by different sequences of one length, as those of left-out parts may be."""
    supports = [variants(8), [text[1:] + "C" for text in variants(8)]]
    asked = learner.encode([*variants(3, seed=4), supports[1][0]])
    points = torch.stack([learner.encode(texts) for texts in supports])
    state = learner.read_support(points, Labels.of_numbers(torch.randn(2, 8)))
    assert state.length.tolist() == [24, 24] and not torch.equal(*state.template)
    together = learner.answer(asked[None], state).value
    torch.testing.assert_close(learner.answer(asked.expand(2, -1, -1), state).value, together)
    # the first is about one family, the second about the other
    more = state._replace(effects=state.effects + 100)
    moved = (learner.answer(asked[None], more).value - together).abs() > 1
    assert moved.tolist() == [[True] * 3 + [False], [False] * 3 + [True]]
