"""What holds for every architecture: packing, causality, states, steps, strands, gradients."""

import itertools

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.state import ModelState

SMALL = {"dim": 32, "blocks": 3, "heads": 2, "qkv_block": 4, "inner_dim": 64}
CAUSAL = {
    "mlstm": {},
    "slstm": {"slstm_at": (0, 1, 2), "slstm_heads": 4},
    "mixed": {"slstm_at": (1,), "bias": True},
    "no_conv": {"slstm_at": (0,), "slstm_conv_width": 0},
    "post_up": {"block": "post_up", "heads": 4},
    "post_up_mixed": {"block": "post_up", "slstm_at": (2,), "bias": True, "value_expansion": 2.0},
    "rotary": {"rotary": "head"},
    "rotary_inner": {"rotary": "inner"},
    "rotary_inner_2d": {"rotary": "inner_2d"},
    "rotary_absolute": {"rotary": "inner_absolute", "rotary_base": 10_000.0},
    "sinusoidal": {"position_embedding": "sinusoidal", "slstm_at": (0,)},
    "learned": {"position_embedding": "learned"},
    "learned_2d": {"position_embedding": "learned_2d", "max_sequences": 3},
    "tied": {"tie_weights": True},
    "no_final_norm": {"final_norm": False, "logit_cap": 5.0},
}
BOTH_WAYS = {
    "alternating": {"direction": "alternating"},
    "shared": {"direction": "shared"},
    "separate": {"direction": "separate"},
    "two_sided": {"direction": "two_sided"},
    "doubled": {"direction": "shared", "double_residual": True},
    "centred": {"conv_causal": False, "slstm_conv_causal": False},
}
MIXES = {"mlstm": {}, "slstm": {"slstm_at": (0, 1, 2)}, "mixed": {"slstm_at": (1,)}}
LENGTHS = (1, 7, 40, 3, 18)


def rough(family: str = "protein", dtype: torch.dtype = torch.float64, seed: int = 0, **settings):
    """Make a small model whose every parameter matters."""
    model = bx.build(family, **{**SMALL, **settings}, seed=seed).to(dtype).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator).to(dtype)
    return model


def draw(model, length: int, seed: int = 0) -> torch.Tensor:
    """Draw tokens (1, T), start tokens among them."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 20 if model.kind == "protein" else 12, (1, length), generator=generator)
    if model.kind == "protein":
        ids[torch.rand(ids.shape, generator=generator) < 0.15] = 0
    return ids


def packed(parts: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay sequences end to end."""
    borders = torch.tensor([0, *itertools.accumulate(part.shape[1] for part in parts)], dtype=torch.int32)
    return torch.cat(parts, 1), borders


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the largest difference relative to the largest value."""
    return float((found - wanted).detach().abs().max() / wanted.detach().abs().max())


def tolerance(dtype: torch.dtype) -> float:
    """Return the relative error that is allowed."""
    return {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2**-6}[dtype]


def step_tolerance(dtype: torch.dtype) -> float:
    """Return the relative error that is allowed where one of two is computed in float32, as decoding kernels do."""
    return {torch.float64: 1e-6, torch.float32: 2e-5, torch.bfloat16: 0.1}[dtype]


ALL = {
    **CAUSAL,
    **{
        f"{direction}-{mix}": {**BOTH_WAYS[direction], **MIXES[mix], "objective": "masked"}
        for direction in BOTH_WAYS
        for mix in MIXES
    },
}
DTYPES = (torch.float64, torch.float32, torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ALL)
@torch.inference_mode()
def test_packed_is_alone(name, dtype):
    model = rough(dtype=dtype, **ALL[name])
    parts = [draw(model, length, seed) for seed, length in enumerate(LENGTHS)]
    together = model(*packed(parts)).logits[0].split(LENGTHS)
    for part, found in zip(parts, together, strict=True):
        assert error(found, model(part).logits[0]) < tolerance(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CAUSAL)
@torch.inference_mode()
def test_causal_models_never_look_ahead(name, dtype):
    model = rough(dtype=dtype, **CAUSAL[name])
    tokens = draw(model, 50)
    changed = tokens.clone()
    changed[0, 30] = 27 - changed[0, 30]
    before, after = model(tokens).logits, model(changed).logits
    assert error(before[:, :30], after[:, :30]) < 1e-3 * tolerance(dtype)
    assert error(before[:, 30:], after[:, 30:]) > tolerance(dtype)


@pytest.mark.parametrize("name", [name for name in ALL if name not in CAUSAL])
@torch.inference_mode()
def test_other_models_look_ahead_and_have_no_state(name):
    model = rough(**ALL[name])
    tokens = draw(model, 50)
    changed = tokens.clone()
    changed[0, 30] = 27 - changed[0, 30]
    out = model(tokens)
    assert error(out.logits[:, :30], model(changed).logits[:, :30]) > 1e-6
    assert out.state is None and not model.causal
    state = rough()(tokens).state
    with pytest.raises(ModelError, match="cannot continue from a state"):
        model(tokens, state=state)
    with pytest.raises(ConfigError, match="only causal models can be read token by token"):
        Decoder(model, 1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("cuts", [(1,), (3, 4), (20,)])
@pytest.mark.parametrize("name", CAUSAL)
@torch.inference_mode()
def test_states_continue(name, cuts, dtype, tmp_path):
    model = rough(dtype=dtype, **CAUSAL[name])
    parts = [draw(model, length, seed) for seed, length in enumerate((41, 26))]
    whole = [model(part) for part in parts]
    state, found, begin = None, [[], []], 0
    for end in (*cuts, 100):
        pieces = [part[:, begin:end] for part in parts]
        out = model(*packed(pieces), state=state)
        for row, piece in zip(found, out.logits[0].split([piece.shape[1] for piece in pieces]), strict=True):
            row.append(piece)
        out.state.save(tmp_path / "a.state")
        state, begin = ModelState.load(tmp_path / "a.state"), end
    for row, wanted in zip(found, whole, strict=True):
        assert error(torch.cat(row), wanted.logits[0]) < tolerance(dtype)
    assert state.position.tolist() == [41, 26]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CAUSAL)
def test_steps_equal_the_whole(name, dtype):
    model = rough(dtype=dtype, **CAUSAL[name])
    tokens = torch.cat([draw(model, 23, seed) for seed in range(3)])
    with torch.no_grad():
        whole = model(tokens)
    decoder, slots = Decoder(model, 4), [3, 0, 1]
    steps = torch.stack([decoder.step(column, slots) for column in tokens[:, :15].T], 1)
    assert error(steps, whole.logits[:, :15].float()) < step_tolerance(dtype)
    with torch.no_grad():
        rest = model(tokens[:, 15:], state=decoder.state(slots))
    assert error(rest.logits, whole.logits[:, 15:]) < step_tolerance(dtype)
    decoder.load([2], rest.state.select([1]))
    decoder.clear(slots)
    again = decoder.step(tokens[:, 0], slots)
    assert error(again, whole.logits[:, 0].float()) < step_tolerance(dtype)


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_learns_and_checkpointing_changes_nothing(name):
    model = rough(**ALL[name]).train()
    tokens, borders = packed([draw(model, length, seed) for seed, length in enumerate(LENGTHS)])
    model(tokens, borders).logits.square().mean().backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients.values())
    model.zero_grad()
    model.checkpointing = True
    model(tokens, borders).logits.square().mean().backward()
    for key, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, gradients[key], rtol=1e-9, atol=1e-12), key


@pytest.mark.parametrize("name", ALL)
@torch.inference_mode()
def test_saved_models_are_the_same(name, tmp_path):
    model = rough(dtype=torch.float32, **ALL[name])
    model.save(tmp_path / "model")
    again = bx.load(tmp_path / "model")
    assert again.config == model.config and again.weight_hash() == model.weight_hash()
    assert torch.equal(again(draw(model, 20)).logits, model(draw(model, 20)).logits)


EQUIVARIANT = {
    f"{direction}-{mix}-{heads}": {
        "direction": direction, **MIXES[mix], "heads": heads, "slstm_heads": heads,
        "inner_dim": 96 if heads == 3 else 64, "dim": 48 if heads == 3 else 32,
    }
    for direction in ("causal", "alternating", "shared", "separate", "two_sided")
    for mix in MIXES
    for heads in ((1, 2, 3, 4, 8) if direction == "shared" else (4,))
} | {
    "tied": {"tie_weights": True, "heads": 2},
    "centred": {"conv_causal": False, "direction": "alternating", "heads": 2},
    "post_up": {"block": "post_up", "direction": "alternating", "heads": 2},
    "rotary": {"rotary": "head", "direction": "shared", "heads": 2},
    "rotary-causal": {"rotary": "head", "direction": "causal", "heads": 2},
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", EQUIVARIANT)
@torch.inference_mode()
def test_reverse_complement_of_the_model_is_the_model_of_the_reverse_complement(name, dtype):
    settings = {"reverse_complement": "equivariant", "objective": "masked", **EQUIVARIANT[name]}
    model = rough("dna", dtype, **settings)
    tokens = draw(model, 31)
    turned = model.complement[tokens.flip(1)]
    out, back = model(tokens, layers=(0, 1)), model(turned, layers=(0, 1))
    assert error(back.logits, out.logits[..., model.complement].flip(1)) < tolerance(dtype)
    assert error(back.hidden, out.hidden.flip(1, 2)) < tolerance(dtype)
    for layer in (0, 1):
        assert error(back.layers[layer], out.layers[layer].flip(1, 2)) < tolerance(dtype)
    assert error(out.logits, out.logits[..., model.complement].flip(1)) > 0.01


@pytest.mark.parametrize("settings", ({"rotary": "inner"}, {"position_embedding": "sinusoidal"}))
def test_positions_that_count_from_one_end_would_break_the_symmetry(settings):
    with pytest.raises(ConfigError, match="positions that embeddings or gates see count from one end"):
        bx.build("dna", reverse_complement="equivariant", objective="masked", **settings)


def test_a_start_token_would_break_the_symmetry():
    from bio_xlstm.tokenizers import TOKENIZERS

    with pytest.raises(ConfigError, match="reads sequences without a start token"):
        bx.build("dna", reverse_complement="equivariant", objective="masked", tokenizer=TOKENIZERS["dna"]())
    with pytest.raises(ConfigError, match="reverse_complement='equivariant' is for DNA, not for protein"):
        bx.build("protein", reverse_complement="equivariant", objective="masked")


@torch.inference_mode()
def test_two_sided_is_the_quadratic_form():
    """Every token reads all others, with the forget gates between them, under one normaliser."""
    from bio_xlstm.kernels.mlstm.two_sided import two_sided_mlstm

    time, heads, width = 19, 2, 5
    q, k, v = (torch.randn(1, time, heads, width, dtype=torch.float64) for _ in range(3))
    i, f = 3 * torch.randn(2, 1, time, heads, dtype=torch.float64)
    log_f = torch.nn.functional.logsigmoid(f)
    decay = torch.zeros(heads, time, time, dtype=torch.float64)
    for t, s in itertools.product(range(time), repeat=2):
        between = log_f[0, s + 1 : t + 1] if s <= t else log_f[0, t:s]
        decay[:, t, s] = between.sum(0) + i[0, s]
    top = decay.amax(-1, keepdim=True)
    weights = torch.einsum("thk,shk->hts", q[0], k[0]) * width**-0.5 * torch.exp(decay - top)
    norm = torch.maximum(weights.sum(-1, keepdim=True).abs(), torch.exp(-top)) + 1e-6
    wanted = torch.einsum("hts,shv->thv", weights / norm, v[0])
    assert error(two_sided_mlstm(q, k, v, i, f)[0], wanted) < 1e-11


@torch.inference_mode()
def test_centred_convolution_is_torchs_same_padding():
    from bio_xlstm.kernels.conv.centred import centred_conv

    for width in (1, 2, 3, 4, 7):
        x, weight, bias = torch.randn(2, 11, 6), torch.randn(6, width), torch.randn(6)
        wanted = torch.nn.functional.conv1d(x.mT, weight[:, None], bias, padding="same", groups=6).mT
        found = centred_conv(x, weight, bias, cu_seqlens=None, reverse=False, backend="torch")
        assert torch.allclose(found, torch.nn.functional.silu(wanted), atol=1e-5)
        mirrored = centred_conv(x.flip(1), weight, bias, cu_seqlens=None, reverse=True, backend="torch")
        assert torch.allclose(mirrored.flip(1), found, atol=1e-6)


@torch.inference_mode()
def test_positions_may_be_given():
    model = rough(rotary="head")
    tokens = draw(model, 20)
    from bio_xlstm.positions import read_positions

    read = read_positions(tokens, None, model.tokenizer)
    plain = model(tokens).logits
    assert torch.equal(model(tokens, positions=read.place, sequence_index=read.sequence).logits, plain)
    assert error(model(tokens, positions=read.place * 2).logits, plain) > 1e-4
    # only distances count
    assert error(model(tokens, positions=read.place + 5).logits, plain) < 1e-10
    with pytest.raises(
        ValueError, match=r"positions must be whole numbers \(1, 20\), one per token, not \(1, 3\)"
    ):
        model(tokens, positions=read.place[:, :3])


@torch.inference_mode()
def test_logits_are_capped():
    model = rough(block="post_up", logit_cap=2.0)
    assert model(draw(model, 30)).logits.abs().max() < 2.0
    assert rough(block="post_up", logit_cap=0.0)(draw(model, 30)).logits.abs().max() > 2.0


@torch.inference_mode()
def test_whole_residual_outputs_double_the_stream():
    plain, doubled = (
        rough(direction="shared", objective="masked", double_residual=double) for double in (False, True)
    )
    tokens = draw(plain, 20)
    one, two = (model(tokens, layers=(0, 1)).layers for model in (plain, doubled))
    assert error(two[1], one[1] + one[0]) < 1e-12


@pytest.mark.parametrize("bias", (False, True))
def test_training_shares_projections_between_directions(bias):
    model = rough(direction="shared", objective="masked", bias=bias)
    tokens, borders = packed([draw(model, length) for length in LENGTHS])
    with torch.no_grad():
        plain = model(tokens, borders).logits
    assert error(model(tokens, borders).logits, plain) < 1e-12
