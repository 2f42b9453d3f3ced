"""Features are the same with and without gradients; heads keep what they learned; losses leave out what is missing."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError
from bio_xlstm.heads.features import Features, embed_features, pool_packed, read_features
from bio_xlstm.heads.lift import RadialLift, square_distances
from bio_xlstm.heads.losses import LOSSES, class_weights
from bio_xlstm.heads.prediction_head import PredictionHead

DNA = ["ACGTTGCA", "GGC", "A", "TTTTTACGNACG"]
MODELS = {
    "causal": {},
    "both ways": {"direction": "alternating", "objective": "masked"},
    "post hoc": {"reverse_complement": "post_hoc"},
    "equivariant": {"direction": "alternating", "objective": "masked", "reverse_complement": "equivariant"},
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("pools", [("mean",), ("last", "first"), ("max",), ("none",)])
def test_features_are_the_same_with_and_without_gradients(name: str, pools: tuple[str, ...]) -> None:
    model = bx.build("dna", dim=16, blocks=2, heads=2, seed=0, **MODELS[name]).eval()
    ids = [model.tokenizer.encode(text) for text in DNA]
    features = Features((0, 2), pools)
    found = embed_features(model, ids, features)
    read = read_features(model, ids, features)
    assert read.requires_grad
    together = np.concatenate(found) if features.per_token else np.stack(found)
    np.testing.assert_allclose(read.detach().numpy(), together, rtol=1e-4, atol=1e-5)
    alone = read_features(model, ids[3:], features)
    rows = len(ids[3]) if features.per_token else 1
    torch.testing.assert_close(read[-rows:], alone, rtol=1e-4, atol=1e-5)


def test_the_length_stands_beside_the_vectors() -> None:
    model = bx.build("dna", dim=16, blocks=1, heads=2).eval()
    found = embed_features(model, [model.tokenizer.encode("ACGTA")], Features((1,)))[0]
    assert found.shape == (18,)
    np.testing.assert_allclose(found[-2:], [5, np.log(5)], rtol=1e-6)
    without = embed_features(model, [model.tokenizer.encode("ACGTA")], Features((1,), length=False))[0]
    np.testing.assert_array_equal(found[:-2], without)


def test_an_unknown_pool_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown pool 'sum'; known: mean, last, first, max, none"):
        pool_packed(torch.zeros(3, 2), torch.tensor([3]), "sum")


def test_radial_features_have_the_kernel_as_their_product() -> None:
    torch.manual_seed(0)
    points = torch.randn(7, 3)
    lifted = RadialLift.of(points, gamma=0.4)(points)
    wanted = torch.exp(-0.4 * square_distances(points, points))
    torch.testing.assert_close(lifted @ lifted.T, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("link", ["identity", "sigmoid", "softmax"])
def test_a_head_is_kept(link: str, lifted: bool) -> None:
    torch.manual_seed(0)
    lift = RadialLift.of(torch.randn(4, 5), 0.2) if lifted else None
    head = PredictionHead(5, 3, link, lift).set_(
        centre=torch.randn(5), scale=torch.rand(5) + 1, weight=torch.randn(3, 4 if lifted else 5),
        bias=torch.randn(3), target_scale=torch.rand(3) + 1, noise=torch.ones(3), spread=torch.eye(5 if lifted else 6),
    )  # fmt: skip
    points = torch.randn(6, 5)
    again = PredictionHead.of(head.tensors(), link)
    torch.testing.assert_close(again.predict(points), head.predict(points), rtol=0, atol=0)
    torch.testing.assert_close(again.deviation(points), head.deviation(points), rtol=0, atol=0)
    if link == "softmax":
        torch.testing.assert_close(head.predict(points).sum(-1), torch.ones(6))


def test_a_head_knows_values_that_differ_in_their_last_digits() -> None:
    head = PredictionHead(1, 1, "identity").set_(
        weight=torch.ones(1, 1),
        target_centre=[1e9],
        target_scale=[1e-3],
        noise=torch.ones(1),
        spread=torch.zeros(2, 2),
    )
    points = torch.tensor([[1.0], [2.0]])
    for one in (head, PredictionHead.of(head.tensors(), "identity")):
        assert one.predict(points)[:, 0].tolist() == pytest.approx([1e9 + 1e-3, 1e9 + 2e-3], abs=1e-6, rel=0)
        np.testing.assert_allclose(one.deviation(points), 1e-3)
    # files of before hold them in single precision
    old = {name: part.float() for name, part in head.tensors().items()}
    assert float(PredictionHead.of(old, "identity").predict(points)[0, 0]) == pytest.approx(1e9, rel=1e-6)


def test_of_the_spread_only_its_triangle_is_kept() -> None:
    torch.manual_seed(0)
    points = torch.randn(6, 5)
    head = PredictionHead(5, 1, "identity").set_(noise=torch.ones(1), spread=torch.randn(6, 6).triu())
    kept = head.tensors()
    assert kept["spread"].shape == (21,)
    wanted = head.deviation(points)
    # files of before hold all of it
    for found in (kept, {**kept, "spread": head.spread}):
        again = PredictionHead.of(found, "identity")
        torch.testing.assert_close(again.spread, head.spread, rtol=0, atol=0)
        torch.testing.assert_close(again.deviation(points), wanted, rtol=0, atol=0)
    full = head.set_(spread=torch.randn(6, 6))
    assert full.tensors()["spread"].shape == (6, 6)
    with pytest.raises(ValueError, match="spread has 20 numbers, which make no triangle"):
        PredictionHead.of({**kept, "spread": kept["spread"][1:]}, "identity")


def test_a_head_without_spread_knows_no_deviation() -> None:
    assert PredictionHead(5, 1, "identity").deviation(torch.zeros(2, 5)) is None


NAN = float("nan")


@pytest.mark.parametrize(
    ("task", "outputs", "values"),
    [
        ("regression", [[1.0, 2.0], [0.5, 9.0]], [[0.0, 1.0], [1.0, NAN]]),
        ("multilabel", [[1.0, 2.0], [0.5, 9.0]], [[0.0, 1.0], [1.0, NAN]]),
        ("multiclass", [[1.0, 2.0], [9.0, 3.0]], [[1.0], [NAN]]),
        ("ranking", [[1.0], [2.0], [9.0]], [[0.0], [1.0], [NAN]]),
    ],
)
def test_missing_values_do_not_count(
    task: str, outputs: list[list[float]], values: list[list[float]]
) -> None:
    given, known = torch.tensor(outputs), torch.tensor(values)
    moved = torch.where(
        known.isnan().expand_as(given) if known.shape == given.shape else known.isnan(), given + 5, given
    )
    loss = LOSSES[task]
    torch.testing.assert_close(loss(given, known, None), loss(moved, known, None))
    assert float(loss(given, torch.full_like(known, NAN), None)) == 0.0


def test_losses_are_those_of_torch() -> None:
    torch.manual_seed(0)
    outputs, values, labels = torch.randn(6, 3), torch.randn(6, 3), torch.randint(0, 2, (6, 3)).float()
    torch.testing.assert_close(LOSSES["regression"](outputs, values, None), F.mse_loss(outputs, values))
    torch.testing.assert_close(
        LOSSES["multilabel"](outputs, labels, None), F.binary_cross_entropy_with_logits(outputs, labels)
    )
    classes = torch.tensor([0, 1, 2, 2, 2, 2])
    weights = class_weights(classes[:, None].float(), 3)
    torch.testing.assert_close(
        LOSSES["multiclass"](outputs, classes[:, None].float(), weights),
        F.cross_entropy(outputs, classes, weights[0]),
    )


def test_weights_let_classes_count_alike() -> None:
    values = torch.tensor([[0.0], [0.0], [0.0], [1.0], [NAN]])
    weights = class_weights(values, 3)
    torch.testing.assert_close(weights, torch.tensor([[2 / 3, 2.0, 1.0]]))


def test_ranking_wants_the_order_alone() -> None:
    values = torch.tensor([[1.0], [2.0], [3.0]])
    right, wrong = torch.tensor([[0.0], [5.0], [10.0]]), torch.tensor([[10.0], [5.0], [0.0]])
    loss = LOSSES["ranking"]
    assert float(loss(right, values, None)) < 0.01 < 5 < float(loss(wrong, values, None))
    torch.testing.assert_close(loss(right, values, None), loss(right, values * 100 - 3, None))


def test_what_a_lift_was_not_made_for_passes_it_by() -> None:
    torch.manual_seed(0)
    lift = RadialLift.of(torch.randn(4, 5), 0.2)
    head = PredictionHead(7, 2, "identity", lift)
    points = torch.randn(3, 7)
    torch.testing.assert_close(head.lifted(points), torch.cat((lift(points[:, :5]), points[:, 5:]), 1))
    again = PredictionHead.of(head.tensors(), "identity")
    torch.testing.assert_close(again.lifted(points), head.lifted(points), rtol=0, atol=0)
