"""Every variant of the original architectures, converted, computes what a slow and independent network computes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import bio_xlstm as bx
from bio_xlstm.original.convert import convert
from tests.original.checkpoints import (
    COMPLEMENT,
    fused,
    large_weights,
    shared_strands,
    v1_weights,
    write_chem,
    write_dna,
    write_hub,
    write_large,
    write_protein,
)
from tests.original.reference import V1, large_logits, rcps_logits, v1_logits

# how a DNA configuration says what the reference calls by one word
DIRECTIONS: dict[str, dict[str, Any]] = {
    "causal": {},
    "alternating": {"bidirectional": True, "bidirectional_alternating": True},
    "shared": {"bidirectional": True},
    "two_sided": {"bidirectional": True, "m_backend_bidirectional": True},
}
STACKS: dict[str, dict[str, Any]] = {
    "mlstm": {},
    "slstm": {"slstm_at": (0, 1, 2)},
    "hybrid": {"slstm_at": (1,), "cuda": True},
}
TOLERANCE = {"rtol": 0, "atol": 1e-9}


def ids_of(vocabulary: int, time: int = 19) -> Tensor:
    """Draw token ids."""
    return torch.randint(0, vocabulary, (2, time), generator=torch.Generator().manual_seed(time))


def dna_config(stack: dict[str, Any], direction: str, **changes: Any) -> dict[str, Any]:
    """Describe a network as hydra writes it down."""
    return {
        "d_model": 40,
        "n_layer": 3,
        "vocab_size": 12,
        "s_lstm_at": list(stack.get("slstm_at", ())),
        "_target_": "anything",
        **DIRECTIONS[direction],
        **changes,
    }


def converted(folder: Path, target: Path) -> bx.models.model.SequenceModel:
    """Convert and load; the weights are float64, and stay it."""
    convert(folder, target)
    return bx.load(target)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("stack", STACKS)
def test_dna_in_every_direction(stack: str, direction: str, tmp_path: Path) -> None:
    weights = v1_weights(**STACKS[stack])
    folder = write_dna(tmp_path / "original", weights, dna_config(STACKS[stack], direction))
    model, ids = converted(folder, tmp_path / "model"), ids_of(12)
    wanted = v1_logits(weights, ids, V1(direction=direction))
    torch.testing.assert_close(model(ids).logits, wanted, **TOLERANCE)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("stack", ("mlstm", "hybrid"))
def test_dna_with_rotary_positions(stack: str, direction: str, tmp_path: Path) -> None:
    weights = v1_weights(**STACKS[stack])
    config = dna_config(STACKS[stack], direction, m_position_embeddings=True)
    model, ids = converted(write_dna(tmp_path / "original", weights, config), tmp_path / "model"), ids_of(12)
    wanted = v1_logits(weights, ids, V1(direction=direction, rotary="head"))
    torch.testing.assert_close(model(ids).logits, wanted, **TOLERANCE)


@pytest.mark.parametrize("direction", ("causal", "alternating", "shared"))
@pytest.mark.parametrize("stack", STACKS)
def test_dna_with_sinusoidal_positions(stack: str, direction: str, tmp_path: Path) -> None:
    weights = v1_weights(sinusoidal=True, **STACKS[stack])
    config = dna_config(STACKS[stack], direction, s_position_embeddings=True)
    model, ids = converted(write_dna(tmp_path / "original", weights, config), tmp_path / "model"), ids_of(12)
    wanted = v1_logits(weights, ids, V1(direction=direction))
    torch.testing.assert_close(model(ids).logits, wanted, **TOLERANCE)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("mlstm", "slstm"), ((False, True), (True, False), (False, False)))
def test_dna_with_convolutions_that_see_both_sides(
    mlstm: bool, slstm: bool, direction: str, tmp_path: Path
) -> None:
    weights = v1_weights(slstm_at=(1,), conv=5)
    config = dna_config({"slstm_at": (1,)}, direction, m_conv1d_causal=mlstm, s_conv1d_causal=slstm)
    folder = write_dna(tmp_path / "original", weights, config | {"m_conv1d_kernel_size": 5})
    model, ids = converted(folder, tmp_path / "model"), ids_of(12)
    assert not model.causal and model.config.objective == "masked"
    wanted = v1_logits(weights, ids, V1(direction=direction, conv_causal=mlstm, slstm_conv_causal=slstm))
    torch.testing.assert_close(model(ids).logits, wanted, **TOLERANCE)


@pytest.mark.parametrize("cuda", (False, True))
@pytest.mark.parametrize("heads", (1, 2, 5))
@pytest.mark.parametrize("direction", ("causal", "alternating", "shared"))
def test_dna_that_shares_parameters_between_strands(
    direction: str, heads: int, cuda: bool, tmp_path: Path
) -> None:
    weights = v1_weights(slstm_at=(0, 1, 2), slstm_heads=heads, cuda=cuda)
    config = dna_config({"slstm_at": (0, 1, 2)}, direction, rcps=True, s_num_heads=heads)
    folder = write_dna(tmp_path / "original", shared_strands(weights), config)
    model, ids = converted(folder, tmp_path / "model"), ids_of(12)
    wanted = rcps_logits(weights, ids, V1(slstm_heads=heads, direction=direction), COMPLEMENT)
    torch.testing.assert_close(model(ids).logits, wanted, **TOLERANCE)
    turned = model(COMPLEMENT[ids].flip(1)).logits.flip(1)[..., COMPLEMENT]
    # the original breaks its symmetry with more than one head, and so does what was made of it
    assert model.config.flip_strand_heads == (heads > 1)
    assert (turned - wanted).abs().max() < 1e-9 if heads == 1 else (turned - wanted).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "config"),
    (
        ({"bias": True}, {"m_bias": True}),
        ({"conv": 3, "slstm_conv": 2}, {"m_conv1d_kernel_size": 3, "s_conv1d_kernel_size": 2}),
        ({"slstm_conv": 0}, {"s_conv1d_kernel_size": 0}),
        ({"heads": 2, "slstm_heads": 8}, {"m_num_heads": 2, "s_num_heads": 8}),
        ({"inner": 128, "ffn": 64}, {"m_proj_factor": 3.5, "s_proj_factor": 1.3}),
        ({"slstm_heads": 40}, {"s_num_heads": "40"}),
        ({"vocabulary": 16}, {"vocab_size": 12}),
    ),
)
@pytest.mark.parametrize("cuda", (False, True))
def test_dna_of_other_sizes(
    changes: dict[str, Any], config: dict[str, Any], cuda: bool, tmp_path: Path
) -> None:
    weights = v1_weights(**({"slstm_at": (2,), "cuda": cuda} | changes))
    net = V1(heads=changes.get("heads", 4), slstm_heads=changes.get("slstm_heads", 4))
    folder = write_dna(tmp_path / "original", weights, dna_config({"slstm_at": (2,)}, "causal", **config))
    model, ids = converted(folder, tmp_path / "model"), ids_of(changes.get("vocabulary", 12), time=7)
    torch.testing.assert_close(model(ids).logits, v1_logits(weights, ids, net), **TOLERANCE)


PROTEIN = {"num_blocks": 3, "embedding_dim": 40, "vocab_size": 38, "slstm_at": [], "slstm_block": None}


# a head of the width of half an embedding does not fit
SCHEMES = [(scheme, False) for scheme in ("none", "abs_1d", "abs_2d", "rot_1d", "rot_2d", "rot")]


@pytest.mark.parametrize(("scheme", "tied"), [*SCHEMES, ("none", True), ("rot_1d", True)])
def test_proteins_with_every_kind_of_position(scheme: str, tied: bool, tmp_path: Path) -> None:
    weights = v1_weights(vocabulary=38, inner=128, positions=scheme, bias=tied, tied=tied)
    config = {
        **PROTEIN,
        "position_embeddings": scheme,
        "max_position_embeddings": 30,
        "max_seq_position_embeddings": 5,
        "rope_base_frequency": 5000,
        "tie_weights": tied,
    }
    model = converted(write_protein(tmp_path / "original", weights, config), tmp_path / "model")
    ids = ids_of(38)
    place, number = torch.randint(0, 30, ids.shape), torch.randint(0, 5, ids.shape)
    rotary = {"rot_1d": "inner", "rot_2d": "inner_2d", "rot": "inner_absolute"}.get(scheme, "none")
    net = V1(rotary=rotary, base=10_000 if scheme == "rot" else 5000, max_positions=30, max_sequences=5)
    wanted = v1_logits(weights, ids, net, place, number)
    found = model(ids, positions=place, sequence_index=number).logits
    torch.testing.assert_close(found, wanted, **TOLERANCE)
    assert model.config.objective == "infill" and ("head.weight" in model.state_dict()) != tied


@pytest.mark.parametrize("stack", STACKS)
def test_molecules_in_every_stack(stack: str, tmp_path: Path) -> None:
    weights = v1_weights(vocabulary=21, inner=128, heads=8, slstm_heads=2, **STACKS[stack])
    folder = write_chem(tmp_path / "original", weights, model_dim=40, n_layers=3)
    model, ids = converted(folder, tmp_path / "model"), ids_of(21)
    net = V1(heads=8, slstm_heads=2)
    torch.testing.assert_close(model(ids).logits, v1_logits(weights, ids, net), **TOLERANCE)
    assert model.config.heads == (2 if stack == "slstm" else 8) and model.config.dropout == 0


LARGE = {"embedding_dim": 40, "num_heads": 4, "num_blocks": 2, "vocab_size": 50, "mode": "train"}


@pytest.mark.parametrize("mode", ("single", "fused"))
@pytest.mark.parametrize(
    ("sizes", "config"),
    (
        ({}, {}),
        ({"bias": True}, {"use_bias": True}),
        ({"keys": 28, "values": 60, "ffn": 100}, {"qk_dim_factor": 0.7, "v_dim_factor": 1.5}),
        ({"out_norm": False}, {"add_out_norm": False, "norm_eps": 1e-4}),
        ({}, {"gate_soft_cap": None, "output_logit_soft_cap": None}),
        ({}, {"gate_soft_cap": 2.5, "output_logit_soft_cap": 1.5}),
    ),
)
def test_large_of_every_form(
    sizes: dict[str, Any], config: dict[str, Any], mode: str, tmp_path: Path
) -> None:
    weights = large_weights(**sizes)
    stored = fused(weights) if mode == "fused" else weights
    folder = write_large(tmp_path / "original", stored, {**LARGE, **config, "weight_mode": mode})
    model, ids = converted(folder, tmp_path / "model"), ids_of(50)
    torch.testing.assert_close(model(ids).logits, large_logits(weights, ids, LARGE | config), **TOLERANCE)


def test_the_layout_of_xlstm_7b(tmp_path: Path) -> None:
    weights = large_weights(bias=True)
    config = {"hidden_size": 40, "num_hidden_layers": 2, "num_heads": 4, "bos_token_id": 0, "eos_token_id": 2}
    # the last norm of that implementation has no bias whatever the others have
    stored = {name: weight for name, weight in weights.items() if name != "backbone.out_norm.bias"}
    model = converted(write_hub(tmp_path / "original", stored, config), tmp_path / "model")
    assert (model.tokenizer.start, model.tokenizer.stop) == (0, 2)
    ids = ids_of(50)
    torch.testing.assert_close(model(ids).logits, large_logits(stored, ids, LARGE), **TOLERANCE)


def test_the_layout_of_xlstm_7b_with_tied_weights(tmp_path: Path) -> None:
    weights = large_weights()
    stored = {name: weight for name, weight in weights.items() if name != "lm_head.weight"}
    config = {"hidden_size": 40, "num_blocks": 2, "num_heads": 4, "tie_word_embeddings": True}
    model = converted(write_hub(tmp_path / "original", stored, config), tmp_path / "model")
    ids = ids_of(50)
    tied = weights | {"lm_head.weight": weights["embedding.weight"]}
    torch.testing.assert_close(model(ids).logits, large_logits(tied, ids, LARGE), **TOLERANCE)
