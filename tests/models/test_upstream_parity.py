"""The original implementations' numbers, from their own checkpoints: logits, losses, gradients, steps and states."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

import bio_xlstm as bx
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.original.convert import convert
from bio_xlstm.original.locate import locate
from bio_xlstm.original.original import Choices
from tests.original.checkpoints import COMPLEMENT
from tests.original.reference import V1, large_logits, rcps_logits, v1_logits

GOLDEN = Path(__file__).parent.parent / "golden" / "upstream_parity"
# Prot-xLSTM rounds rotated queries and keys to float32 even in a float64 model
EXACT = {
    "chem_mlstm": 1e-8,
    "dna_mlstm_uni": 1e-8,
    "dna_mlstm_bidir_shared": 1e-8,
    "dna_slstm_uni": 1e-8,
    "dna_slstm_rcps_bidir_shared_h1": 1e-8,
    "prot_rot1d": 1e-5,
    "xlstm_large_base": 1e-5,
}
CAUSAL = ("chem_mlstm", "dna_mlstm_uni", "dna_slstm_uni", "prot_rot1d", "xlstm_large_base")


def numbers_of(name: str) -> dict[str, Tensor]:
    """Read what the original computed."""
    return load_file(GOLDEN / name / "numbers.safetensors")


def inputs(numbers: dict[str, Tensor], part: slice = slice(None)) -> tuple[Tensor, dict[str, Tensor]]:
    """Return token ids, and the positions that the original was given."""
    given = {"positions": "position_ids", "sequence_index": "seq_position_ids"}
    placed = {name: numbers[key][:, part].long() for name, key in given.items() if key in numbers}
    return numbers["input_ids"][:, part].long(), placed


def logits_f64(numbers: dict[str, Tensor]) -> Tensor:
    """Return the original's float64 logits."""
    return numbers["logits_f64" if "logits_f64" in numbers else "logits_train_f64"]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Convert a checkpoint as a user does, and load it; in float64 nothing is rounded."""
    done: dict[str, Path] = {}

    def loaded(name: str, dtype: torch.dtype | None = torch.float64) -> SequenceModel:
        if name not in done:
            done[name] = tmp_path_factory.mktemp("converted") / name
            convert(GOLDEN / name, done[name])
        return bx.load(done[name], dtype=dtype)

    return loaded


def distance(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference."""
    return float((found.detach().double() - wanted.double()).abs().max())


def relative(found: Tensor, wanted: Tensor) -> float:
    """Return |found - wanted| / |wanted|."""
    return float((found.detach().double() - wanted.double()).norm() / wanted.double().norm())


@pytest.mark.parametrize("name", EXACT)
def test_outputs_equal_the_original_in_float64(name: str, load: Any) -> None:
    numbers = numbers_of(name)
    ids, placed = inputs(numbers)
    out = load(name)(ids, **placed)
    assert out.logits.dtype == torch.float64
    assert distance(out.logits, logits_f64(numbers)) < EXACT[name]
    if "hidden_f64" in numbers:
        assert distance(out.hidden, numbers["hidden_f64"]) < EXACT[name]


@pytest.mark.parametrize("name", EXACT)
def test_outputs_equal_the_original_in_float32(name: str, load: Any) -> None:
    numbers = numbers_of(name)
    ids, placed = inputs(numbers)
    model = load(name, None)
    assert model.dtype == torch.float32
    assert distance(model(ids, **placed).logits, logits_f64(numbers)) < 5e-4


@pytest.mark.parametrize("name", EXACT)
def test_loss_and_every_gradient_equal_the_original(name: str, load: Any) -> None:
    numbers = numbers_of(name)
    model = load(name).requires_grad_(True)
    ids, placed = inputs(numbers)
    key, ignore = ("loss_f64", -100) if "loss_f64" in numbers else ("loss_ignore_pad0_f64", 0)
    logits = model(ids, **placed).logits
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)
    assert loss.item() == pytest.approx(numbers[key].item(), abs=1e-6)
    loss.backward()
    found = dict(model.named_parameters())
    original = locate(GOLDEN / name)(Choices())
    for parameter, (sources, make) in original.origins(found).items():
        stored = [stored_name(name, original.weights.stored[source]) for source in sources]
        wanted = [numbers["grad." + one].double() for one in stored]
        # what is added on the way (the one of a gain) has no gradient
        wanted_grad = make(*wanted) - make(*(torch.zeros_like(one) for one in wanted))
        assert relative(found[parameter].grad, wanted_grad) < (1e-6 if EXACT[name] < 1e-6 else 1e-5), (
            parameter
        )


def stored_name(name: str, stored: str) -> str:
    """Return what the recorded gradients call a parameter: the name in the network, without the program's wrapper."""
    wrapper = {"dna": "model.backbone.", "chem": "model.", "prot": "backbone."}.get(name.split("_")[0], "")
    return stored.removeprefix(wrapper)


@pytest.mark.parametrize("name", CAUSAL)
def test_steps_equal_the_whole_and_the_original(name: str, load: Any) -> None:
    numbers, model = numbers_of(name), load(name)
    state, steps = None, []
    time = numbers["input_ids"].shape[1]
    for step in range(time):
        ids, placed = inputs(numbers, slice(step, step + 1))
        out = model(ids, state=state, **placed)
        state = out.state
        steps.append(out.logits)
    found = torch.cat(steps, 1)
    # the normaliser's epsilon is added to numbers of other scale than in the parallel form
    assert distance(found, logits_f64(numbers)) < 1e-4
    ids, placed = inputs(numbers)
    assert distance(found, model(ids, **placed).logits) < 1e-8
    if "step_logits_f32" in numbers:
        assert distance(found, numbers["step_logits_f32"]) < 5e-4


def assert_memory(block: Any, numbers: dict[str, Tensor], names: tuple[str, str, str], scaled: bool) -> None:
    """Compare a matrix memory up to the scale that its stabiliser carries."""
    c, n, m = (numbers[name].double() for name in names)
    mine = block.memory
    shift = torch.exp(mine.m.double() - m.reshape(mine.m.shape))  # (B, H)
    # the v1 programs scale keys by K ** -0.5, we scale queries: their C and n are smaller by sqrt(K)
    scale = shift / (mine.c.shape[-2] ** 0.5 if scaled else 1.0)
    assert relative(mine.c * scale[..., None, None], c) < 1e-5
    assert relative(mine.n * scale[..., None], n.reshape(mine.n.shape)) < 1e-5


def test_memory_equals_the_original_after_reading_step_by_step(load: Any) -> None:
    numbers = numbers_of("chem_mlstm")
    state = load("chem_mlstm")(inputs(numbers)[0]).state
    for index, block in enumerate(state.blocks):
        prefix = f"final_state.block_{index}."
        names = tuple(f"{prefix}mlstm_state.{part}" for part in range(3))
        assert_memory(block, numbers, names, scaled=True)
        # (B, W, I): one input more than we keep
        assert relative(block.conv, numbers[prefix + "conv_state.0"][:, 1:]) < 1e-5


def test_a_context_in_two_segments_equals_the_original(load: Any) -> None:
    numbers, model = numbers_of("prot_rot1d"), load("prot_rot1d")
    cut = numbers["seg_logits_a_f32"].shape[1]
    ids, placed = inputs(numbers, slice(cut))
    first = model(ids, **placed)
    assert distance(first.logits, numbers["seg_logits_a_f32"]) < 5e-4
    for index, block in enumerate(first.state.blocks):
        names = tuple(f"seg_state.block_{index}.{part}" for part in "Cnm")
        assert_memory(block, numbers, names, scaled=True)
        assert relative(block.conv, numbers[f"seg_state.block_{index}.conv"][:, 1:]) < 1e-5
    ids, placed = inputs(numbers, slice(cut, None))
    assert distance(model(ids, state=first.state, **placed).logits, numbers["seg_logits_b_f32"]) < 5e-4


def test_positions_read_from_the_tokens_are_those_of_the_original(load: Any) -> None:
    numbers, model = numbers_of("prot_rot1d"), load("prot_rot1d")
    ids, _ = inputs(numbers)
    read = ids[1] != 1  # nothing is padded here
    found = model(ids[:1]).logits, model(ids[1:, read]).logits
    assert distance(found[0], numbers["logits_f64"][:1]) < 1e-5
    assert distance(found[1], numbers["logits_f64"][1:, read]) < 1e-5


def test_the_other_strand_equals_the_original(load: Any) -> None:
    name = "dna_slstm_rcps_bidir_shared_h1"
    numbers, model = numbers_of(name), load(name)
    turned = model(numbers["input_ids_rc"].long()).logits
    assert distance(turned, numbers["logits_rc_input_f64"]) < 1e-8
    assert distance(turned.flip(1)[..., COMPLEMENT], numbers["logits_f64"]) < 1e-8


def test_large_continues_and_generates_like_the_original(load: Any) -> None:
    numbers, model = numbers_of("xlstm_large_base"), load("xlstm_large_base")
    out = model(numbers["input_ids_arbitrary_len"])
    assert distance(out.logits, numbers["logits_inference_arb_f32"]) < 5e-4
    for index, block in enumerate(out.state.blocks):
        names = tuple(f"state_after_arb.block_{index}.{part}" for part in "Cnm")
        assert_memory(block, numbers, names, scaled=False)
    state, logits = out.state, []
    for piece in (*numbers["input_ids_continue"][:, :7].split(1, 1), numbers["input_ids_continue"][:, 7:]):
        out = model(piece, state=state)
        state = out.state
        logits.append(out.logits)
    assert distance(torch.cat(logits, 1), numbers["logits_continue_f32"]) < 5e-4
    for index, block in enumerate(state.blocks):
        names = tuple(f"state_after_continue.block_{index}.{part}" for part in "Cnm")
        assert_memory(block, numbers, names, scaled=False)


def test_large_decodes_the_tokens_of_the_original(load: Any) -> None:
    numbers, model = numbers_of("xlstm_large_base"), load("xlstm_large_base")
    out = model(numbers["generate_prefill"])
    chosen = []
    for _ in range(numbers["generate_greedy20"].shape[1]):
        chosen.append(out.logits[:, -1:].argmax(-1))
        out = model(chosen[-1], state=out.state)
    assert torch.equal(torch.cat(chosen, 1), numbers["generate_greedy20"])


@pytest.mark.parametrize("name", EXACT)
def test_the_slow_reference_of_the_variants_equals_the_original(name: str) -> None:
    numbers = numbers_of(name)
    weights = locate(GOLDEN / name)(Choices()).weights
    stored = {one: weights.read(one).double() for one in weights.shapes}
    ids, placed = inputs(numbers)
    if name == "xlstm_large_base":
        spelled = {
            k if k.startswith(("embedding", "lm_head")) else f"backbone.{k}": v for k, v in stored.items()
        }
        found = large_logits(spelled, ids, {"num_heads": 4})
    elif "rcps" in name:
        found = rcps_logits(stored, ids, V1(slstm_heads=1, direction="shared"), COMPLEMENT)
    else:
        rotary = "inner" if name == "prot_rot1d" else "none"
        net = V1(direction="shared" if "shared" in name else "causal", rotary=rotary)
        found = v1_logits(stored, ids, net, *placed.values())
    assert distance(found, logits_f64(numbers)) < EXACT[name]
