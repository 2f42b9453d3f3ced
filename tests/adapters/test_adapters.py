"""Low-rank changes merge exactly, a learned state is a state, and only what a method names is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.adapters.initial_state import InitialState
from bio_xlstm.adapters.low_rank import LowRank, add_low_rank, is_adapted, merge_low_rank
from bio_xlstm.adapters.methods import adapt
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState

SMILES = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "C"]


def small(**settings: object) -> SequenceModel:
    """Build a small model of molecules."""
    model = bx.build("chem", **{"dim": 32, "blocks": 3, "heads": 2, "seed": 1, **settings})
    return model.eval().requires_grad_(False)


def stirred(model: SequenceModel) -> SequenceModel:
    """Give every low-rank change something to add."""
    generator = torch.Generator().manual_seed(0)
    for change in model.modules():
        if isinstance(change, LowRank):
            with torch.no_grad():
                change.up.copy_(0.1 * torch.randn(change.up.shape, generator=generator))
    return model


@pytest.mark.parametrize(
    "settings", [{}, {"slstm_at": (1,)}, {"block": "post_up"}, {"qkv_block": 4}, {"bias": True}]
)
def test_a_change_begins_as_none_and_merges_exactly(settings: dict[str, object], tmp_path: Path) -> None:
    model = small(**settings)
    plain = model.embed(SMILES)
    add_low_rank(model, rank=3, seed=0)
    np.testing.assert_array_equal(model.embed(SMILES), plain)
    changed = stirred(model).embed(SMILES)
    assert np.abs(changed - plain).max() > 1e-3
    merged = merge_low_rank(model)
    np.testing.assert_array_equal(merged.embed(SMILES), changed)
    assert not is_adapted(merged)
    merged.save(tmp_path / "merged")
    np.testing.assert_array_equal(bx.load(tmp_path / "merged").embed(SMILES), changed)


@pytest.mark.parametrize("kind", ["numba", "torch"])
def test_every_backend_sees_the_changes(kind: str) -> None:
    model = stirred_of(small())
    np.testing.assert_allclose(
        model.use_backend(kind).embed(SMILES), merge_low_rank(model).embed(SMILES), rtol=1e-5, atol=1e-6
    )


def stirred_of(model: SequenceModel) -> SequenceModel:
    """Return a model whose matrices are changed."""
    add_low_rank(model, rank=2)
    return stirred(model)


def test_only_the_changes_are_trained() -> None:
    model = small()
    found = add_low_rank(model, rank=2)
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert len(trained) == len(found)
    assert all("parametrizations.weight.0" in name for name in trained)
    # 3 blocks: up, query, key, value, two gates and down, each with two factors
    assert len(found) == 3 * 7 * 2
    tokens = torch.tensor([[1, 5, 6, 7]])
    model.train()(tokens).hidden.square().sum().backward()
    assert all(one.grad is not None for one in found)
    assert all(one.grad is None for one in model.parameters() if not one.requires_grad)


def test_a_rank_is_at_most_that_of_the_matrix() -> None:
    weight = torch.randn(3, 4, 4)
    change = LowRank(weight, rank=9, strength=1.0)
    assert change.up.shape == (3, 4, 4) and change.down.shape == (3, 4, 4)


def test_wrong_changes_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be at least 1, not 0"):
        add_low_rank(small(), rank=0)
    model = small()
    add_low_rank(model)
    with pytest.raises(ConfigError, match="has low-rank changes already"):
        add_low_rank(model)


@pytest.mark.parametrize("settings", [{}, {"slstm_at": (1,)}, {"block": "post_up"}])
def test_an_untrained_state_changes_nothing(settings: dict[str, object]) -> None:
    model = small(**settings)
    plain = model.embed(SMILES)
    with InitialState(model).before(model):
        np.testing.assert_allclose(model.embed(SMILES), plain, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.embed(SMILES), plain)


def filled(model: SequenceModel) -> InitialState:
    """Return a state that says something."""
    state = InitialState(model)
    with torch.no_grad():
        for name, part in state.named_parameters():
            # a small normaliser is not looked at
            size = 30.0 if name.endswith(".n") else 0.3
            part.copy_(size * torch.randn(part.shape, generator=torch.Generator().manual_seed(len(part))))
    return state


def test_gradients_flow_to_all_of_a_state() -> None:
    model = small()
    state = filled(model)
    with state.before(model.train()):
        model(torch.tensor([[1, 5, 6, 7], [1, 8, 9, 9]])).hidden.square().sum().backward()
    for name, part in state.named_parameters():
        assert part.grad is not None and part.grad.abs().sum() > 0, name
    assert all(one.grad is None for one in model.parameters())


def test_a_state_is_kept_streamed_and_given_like_any_other(tmp_path: Path) -> None:
    model = small()
    state = filled(model)
    with state.before(model), torch.no_grad():
        whole = model.embed(SMILES)
        pieces = model.embed(SMILES, batch_tokens=4)
    np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5)
    state.keep(model).save(tmp_path / "kept.state")
    kept = ModelState.load(tmp_path / "kept.state")
    with InitialState.of(model, kept).before(model):
        np.testing.assert_array_equal(model.embed(SMILES), whole)
    # an ordinary state file: other commands take it
    assert model.score(["CCO"], state=kept)[0] != model.score(["CCO"])[0]
    with pytest.raises(ModelError, match="made by another model"):
        InitialState.of(small(seed=2), kept)


def test_a_model_that_reads_both_ways_has_no_state() -> None:
    model = bx.build("dna", dim=16, blocks=2, heads=2, direction="alternating", objective="masked")
    with pytest.raises(ConfigError, match="has no initial state to tune"):
        InitialState(model)


@pytest.mark.parametrize("method", ["head", "lora", "state", "full"])
def test_a_method_trains_what_it_names(method: str) -> None:
    model = small()
    adapted = adapt(model, method, rank=2)
    inside = {name for name, one in model.named_parameters() if one.requires_grad}
    if method in ("head", "state"):
        assert not inside and (adapted.state is None) == (method == "head")
    if method == "lora":
        assert inside and all("parametrizations" in name for name in inside)
    if method == "full":
        assert not any(name.startswith("head.") for name in inside)
        assert len(inside) == len(list(model.named_parameters())) - 1
    assert len(adapted.parameters) == (0 if method == "head" else len(adapted.parameters))
    with pytest.raises(ConfigError, match="--method must be one of head, lora, state, full, not 'tea'"):
        adapt(model, "tea")
