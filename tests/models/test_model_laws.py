"""Laws of every model: packed = alone = shuffled = split through the state; causality; directions."""

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.state import ModelState

DIRECTIONS = ("causal", "alternating", "shared", "separate")
LENGTHS = (1, 7, 64, 65, 3, 131)


def tiny(direction: str = "causal", seed: int = 0):
    """Build a small model whose gates depend on the input."""
    objective = "causal" if direction == "causal" else "masked"
    model = bx.build(
        "dna", dim=32, blocks=3, heads=2, seed=seed, direction=direction, objective=objective
    ).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gate.weight" in name or "bias" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def tokens_of(length: int, seed: int = 0) -> torch.Tensor:
    """Draw bases."""
    return torch.randint(7, 11, (1, length), generator=torch.Generator().manual_seed(length + 1000 * seed))


def packed(parts: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay sequences end to end."""
    borders = np.cumsum([0, *(part.shape[1] for part in parts)])
    return torch.cat(parts, 1), torch.tensor(borders, dtype=torch.int32)


def assert_close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Compare to 1e-5 relative error."""
    assert float((found - wanted).norm() / wanted.norm()) < 1e-5


@pytest.mark.parametrize("direction", DIRECTIONS)
@torch.inference_mode()
def test_packed_equals_alone_equals_shuffled(direction):
    model = tiny(direction)
    parts = [tokens_of(length) for length in LENGTHS]
    alone = [model(part).hidden[0] for part in parts]
    tokens, borders = packed(parts)
    for found, wanted in zip(model(tokens, borders).hidden[0].split(LENGTHS), alone, strict=True):
        assert_close(found, wanted)
    order = [3, 0, 5, 2, 1, 4]
    tokens, borders = packed([parts[index] for index in order])
    pieces = model(tokens, borders).hidden[0].split([LENGTHS[index] for index in order])
    for found, index in zip(pieces, order, strict=True):
        assert_close(found, alone[index])


@torch.inference_mode()
def test_equal_lengths_may_be_a_plain_batch():
    model = tiny()
    parts = [tokens_of(33, seed) for seed in range(4)]
    together = model(torch.cat(parts)).hidden
    for row, part in zip(together, parts, strict=True):
        assert_close(row, model(part).hidden[0])


@pytest.mark.parametrize("cut", (1, 2, 3, 64, 100, 130))
@torch.inference_mode()
def test_split_through_the_state_equals_whole(cut):
    model, tokens = tiny(), tokens_of(131)
    whole = model(tokens)
    first = model(tokens[:, :cut])
    second = model(tokens[:, cut:], state=first.state)
    assert_close(torch.cat((first.hidden, second.hidden), 1), whole.hidden)
    assert second.state.position.tolist() == [131]
    for found, wanted in zip(second.state.blocks, whole.state.blocks, strict=True):
        assert_close(found.conv, wanted.conv)
        scale = torch.exp(found.memory.m - wanted.memory.m)[..., None, None]
        assert_close(found.memory.c * scale, wanted.memory.c)


@torch.inference_mode()
def test_packed_sequences_continue_from_packed_states():
    model = tiny()
    parts = [tokens_of(length) for length in (9, 70, 25)]
    cuts = (4, 66, 1)
    first = model(*packed([part[:, :cut] for part, cut in zip(parts, cuts, strict=True)]))
    second = model(*packed([part[:, cut:] for part, cut in zip(parts, cuts, strict=True)]), state=first.state)
    pieces = second.hidden[0].split([part.shape[1] - cut for part, cut in zip(parts, cuts, strict=True)])
    for found, part, cut in zip(pieces, parts, cuts, strict=True):
        assert_close(found, model(part).hidden[0, cut:])


@torch.inference_mode()
def test_states_are_values(tmp_path):
    model, tokens = tiny(), tokens_of(20)
    state = model(tokens).state
    before = [tensor.clone() for block in state.blocks for tensor in (*block.memory, block.conv)]
    one = model(tokens, state=state).hidden
    assert torch.equal(one, model(tokens, state=state).hidden)
    after = [tensor for block in state.blocks for tensor in (*block.memory, block.conv)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    state.save(tmp_path / "family.state")
    again = ModelState.load(tmp_path / "family.state")
    assert torch.equal(one, model(tokens, state=again).hidden)
    doubled = model(tokens.expand(2, -1), state=again.select([0, 0]))
    assert_close(doubled.hidden[1], one[0])


@torch.inference_mode()
def test_state_size_does_not_depend_on_what_was_read():
    model = tiny()
    assert model(tokens_of(5)).state.bytes == model(tokens_of(500)).state.bytes


@torch.inference_mode()
def test_a_state_is_described_in_a_line():
    model = tiny()
    state = model(torch.tensor([[1, 2, 3]])).state
    assert repr(state) == (
        f"ModelState(1 sequences, 3 tokens read, {len(state.blocks)} blocks, {state.bytes:,} bytes, "
        f"model {model.weight_hash()[:12]})"
    )


@torch.inference_mode()
def test_causal_model_never_looks_ahead():
    model, tokens = tiny(), tokens_of(100)
    changed = tokens.clone()
    changed[0, 60] = 17 - changed[0, 60]
    before, after = model(tokens).hidden, model(changed).hidden
    assert torch.equal(before[:, :60], after[:, :60])
    assert not torch.allclose(before[:, 60:], after[:, 60:])


@pytest.mark.parametrize("direction", DIRECTIONS[1:])
@torch.inference_mode()
def test_other_directions_see_both_sides(direction):
    model, tokens = tiny(direction), tokens_of(100)
    changed = tokens.clone()
    changed[0, 60] = 17 - changed[0, 60]
    before, after = model(tokens).hidden, model(changed).hidden
    assert not torch.allclose(before[:, :60], after[:, :60])
    assert not torch.allclose(before[:, 61:], after[:, 61:])
    assert model(tokens).state is None


@torch.inference_mode()
def test_shared_direction_is_symmetric_under_reversal():
    model, tokens = tiny("shared"), tokens_of(50)
    assert_close(model(tokens.flip(1)).hidden.flip(1), model(tokens).hidden)


def test_layers_are_numbered_from_the_embedding():
    model, tokens = tiny(), tokens_of(10)
    out = model(tokens, layers=(0, 1, -1))
    assert sorted(out.layers) == [0, 1, 3]
    assert torch.equal(out.layers[3], out.hidden)
    assert torch.equal(out.layers[0], model.embedding(tokens))
    with pytest.raises(ConfigError, match=r"there is no layer 4: this model has layers 0 to 3 \(-4 to -1\)"):
        model(tokens, layers=(4,))


def test_state_of_another_model_is_refused():
    state = tiny(seed=1)(tokens_of(5)).state
    with pytest.raises(ModelError, match="the state was made by another model"):
        tiny(seed=2)(tokens_of(5), state=state)
    with pytest.raises(ModelError, match=r"reads both ways \(shared\): it cannot continue from a state"):
        tiny("shared")(tokens_of(5), state=state)


def test_wrong_tokens_and_states_are_explained():
    model, state = tiny(), tiny()(tokens_of(5)).state
    with pytest.raises(ModelError, match="the state holds 1 sequences, but 2 are to be read"):
        model(tokens_of(5).expand(2, -1), state=state)
    for tokens in (tokens_of(5)[0], tokens_of(5).float(), tokens_of(5)[:, :0]):
        with pytest.raises(ValueError, match=r"tokens must be \(B, T\) int64 with B, T > 0, not "):
            model(tokens)
    for token in (-1, 12):
        with pytest.raises(ValueError, match=f"token id {token} is not in the vocabulary of 12"):
            model(torch.tensor([[7, token]]))
    with pytest.raises(ValueError, match="state must be a ModelState, not int"):
        model(tokens_of(5), state=3)
    with pytest.raises(ValueError, match="cu_seqlens must be a torch tensor, not list"):
        model(tokens_of(5), [0, 5])


def test_weight_hash_follows_the_weights():
    model = tiny()
    before = model.weight_hash()
    assert before == tiny().weight_hash() != tiny(seed=1).weight_hash()
    with torch.no_grad():
        model.norm.weight.mul_(2)
    changed = model.weight_hash()
    assert changed != before
    # torch counts no writes through .data
    model.norm.weight.data.mul_(0.5)
    assert model.weight_hash() == before


def test_a_replaced_module_is_refused():
    """Weights that are read without a call would leave the replacement without effect."""
    model, tokens = tiny(), tokens_of(5)
    mixer = model.blocks[0].mixer
    plain = mixer.input_gate

    class Adapter(torch.nn.Module):
        weight, bias = plain.weight, plain.bias

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return plain(x)

    mixer.input_gate = Adapter()
    with pytest.raises(ConfigError, match="input_gate was replaced by Adapter.*parametrize"):
        model(tokens)
    mixer.input_gate = plain
    torch.nn.utils.parametrize.register_parametrization(plain, "weight", torch.nn.Identity())
    model(tokens)


def test_only_matrices_decay():
    model = tiny()
    decayed, kept = model.parameter_groups()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)].split(".")[-2] for p in decayed["params"]} == {
        "up", "down", "query", "key", "value", "head"
    }  # fmt: skip
    assert len(decayed["params"]) + len(kept["params"]) == len(names)
    assert kept["weight_decay"] == 0.0


def test_gradients_do_not_depend_on_packing():
    model = tiny()
    parts = [tokens_of(length) for length in (5, 40, 17)]
    for part in parts:
        model(part).logits.square().sum().backward()
    alone = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model(*packed(parts)).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert float((parameter.grad - alone[name]).norm() / alone[name].norm()) < 1e-5, name
