"""Token by token a model says what it says about the whole sequence, in every slot, whatever the other slots do."""

import copy
import pickle

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.decoding.fused import _choose_stack, _stack_weights
from bio_xlstm.errors import ConfigError, ModelError
from bio_xlstm.kernels.arithmetic import computing_dtype
from bio_xlstm.kernels.decode import Windows, graph
from bio_xlstm.kernels.decode.graph import GraphedStack
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.layers.state import LayerState
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState

BACKENDS = ("torch", "numba")


def tiny(seed: int = 0, **settings: object) -> SequenceModel:
    """Build a small model whose gates depend on the input."""
    model = bx.build("chem", **{"dim": 32, "blocks": 2, "heads": 2, "seed": seed, **settings}).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gate.weight" in name or "bias" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def draw(*size: int) -> torch.Tensor:
    """Draw token ids."""
    return torch.randint(0, 60, size)


def read(decoder: Decoder, tokens: torch.Tensor, slots: torch.Tensor | None = None) -> torch.Tensor:
    """Step through tokens (n, T) and return logits (n, T, V)."""
    return torch.stack([decoder.step(column, slots) for column in tokens.unbind(1)], 1)


def error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the relative error; equal infinities are no error."""
    same = found == wanted
    found, wanted = found.double().masked_fill(same, 0), wanted.double()
    return float((found - wanted.masked_fill(same, 0)).norm() / wanted.masked_fill(wanted.isinf(), 0).norm())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("windows", (Windows(1, 1), Windows(5, 2), None))
@torch.no_grad()
def test_steps_equal_the_whole(backend, windows):
    model, tokens = tiny(), draw(3, 60)
    whole = model(tokens)
    decoder, slots = Decoder(model, 5, backend, windows), torch.tensor([4, 0, 2])
    assert error(read(decoder, tokens, slots), whole.logits) < 1e-5
    state = decoder.state(slots)
    assert state.position.tolist() == [60] * 3 and state.model_hash == whole.state.model_hash
    for block, wanted in zip(state.blocks, whole.state.blocks, strict=True):
        for part, expected in zip((*block.memory, block.conv), (*wanted.memory, wanted.conv), strict=True):
            assert part.dtype == expected.dtype and error(part, expected) < 1e-5


@pytest.mark.parametrize(
    "settings", ({"bias": True, "conv_width": 2}, {"heads": 1, "qkv_block": 64, "dim": 48})
)
@torch.no_grad()
def test_other_shapes(settings):
    model, tokens = tiny(**settings), draw(2, 20)
    assert error(read(Decoder(model, 2, windows=Windows(7, 3)), tokens), model(tokens).logits) < 1e-5


@torch.no_grad()
def test_heads_that_fit_no_panel():
    model, tokens = tiny(inner_dim=24, qkv_block=3), draw(2, 12)
    assert error(read(Decoder(model, 2), tokens), model(tokens).logits) < 1e-5


@torch.no_grad()
def test_double_precision_is_kept():
    model, tokens = tiny().double(), draw(2, 12)
    logits = read(Decoder(model, 2), tokens)
    assert logits.dtype == torch.float64 and error(logits, model(tokens).logits) < 1e-12


def let_compute_in_bfloat16(monkeypatch, able):
    """Make the processor one with arithmetic for bfloat16, or one without, whatever it is."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)


@pytest.mark.parametrize("able", (False, True))
@torch.no_grad()
def test_a_model_in_bfloat16_agrees_at_its_rounding(able, monkeypatch):
    let_compute_in_bfloat16(monkeypatch, able)
    model, tokens = tiny().bfloat16(), draw(3, 30)
    whole = model(tokens)
    decoder = Decoder(model, 3, windows=Windows(8, 4))
    logits = read(decoder, tokens)
    exact = tiny()
    exact.load_state_dict({name: weight.float() for name, weight in model.state_dict().items()})
    exact = exact(tokens).logits
    assert logits.dtype == torch.float32
    # both at the rounding of 8 bits; computed in float32, the decoder is no further away than the model itself
    assert max(error(logits, exact), error(whole.logits, exact)) < 2**-5
    assert able or error(logits, exact) <= error(whole.logits, exact)
    assert error(logits, whole.logits) < 2**-5
    state = decoder.state()
    assert state.blocks[0].conv.dtype == torch.bfloat16 and state.blocks[0].memory.c.dtype == torch.float32
    # and the model continues from the decoder's state
    following = draw(3, 1)
    continued = model(following, state=state).logits
    assert error(continued, model(torch.cat([tokens, following], 1)).logits[:, -1:]) < 2**-5


@pytest.mark.parametrize("slots", (1, 3, 40))
@torch.no_grad()
def test_weights_kept_in_bfloat16_lose_nothing(slots, monkeypatch):
    from bio_xlstm.kernels.decode import numba_stack

    let_compute_in_bfloat16(monkeypatch, False)
    model, tokens, full = tiny().bfloat16(), draw(slots, 12), numba_stack.NumbaStack
    found = Decoder(model, slots, "numba", windows=Windows(8, 4))
    monkeypatch.setattr(numba_stack, "NumbaStack", lambda weights, caches, half: full(weights, caches))
    expected = Decoder(model, slots, "numba", windows=Windows(8, 4))
    assert found.reader._stack.head.panels.nbytes * 2 == expected.reader._stack.head.panels.nbytes
    assert torch.equal(read(found, tokens), read(expected, tokens))


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_states_go_in_and_out(backend):
    model, tokens = tiny(), draw(3, 40)
    whole, half = model(tokens), model(tokens[:, :17])
    decoder, slots = Decoder(model, 4, backend, Windows(6, 3)), torch.tensor([3, 1, 0])
    decoder.load(slots, half.state)
    for block, wanted in zip(decoder.state(slots).blocks, half.state.blocks, strict=True):
        for part, expected in zip((*block.memory, block.conv), (*wanted.memory, wanted.conv), strict=True):
            assert torch.equal(part, expected)
    assert error(read(decoder, tokens[:, 17:30], slots), whole.logits[:, 17:30]) < 1e-5
    # the model goes on where the decoder stopped
    rest = model(tokens[:, 30:], state=decoder.state(slots))
    assert error(rest.logits, whole.logits[:, 30:]) < 1e-5
    assert rest.state.position.tolist() == [40] * 3


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_slots_finish_and_are_refilled(backend):
    model = tiny()
    waiting = [draw(length) for length in (5, 1, 9, 3, 12, 7, 4)]
    wanted = [model(tokens[None]).logits[0] for tokens in waiting]
    decoder = Decoder(model, 3, backend, Windows(4, 2))
    held: dict[int, tuple[int, int]] = {}  # slot -> sequence, tokens read
    found = [[] for _ in waiting]
    following = 0
    while held or following < len(waiting):
        for slot in range(3):
            if slot not in held and following < len(waiting):
                decoder.clear(torch.tensor([slot]))
                held[slot], following = (following, 0), following + 1
        slots = sorted(held, reverse=True)
        tokens = torch.stack([waiting[held[slot][0]][held[slot][1]] for slot in slots])
        for slot, row in zip(slots, decoder.step(tokens, torch.tensor(slots)), strict=True):
            sequence, position = held.pop(slot)
            found[sequence].append(row)
            if position + 1 < len(waiting[sequence]):
                held[slot] = (sequence, position + 1)
    for rows, expected in zip(found, wanted, strict=True):
        assert error(torch.stack(rows), expected) < 1e-5


@pytest.mark.parametrize("threads", (1, 2))
@torch.no_grad()
def test_compiled_results_do_not_depend_on_the_others(threads, monkeypatch):
    from bio_xlstm.kernels.decode import numba_decode, numba_stack

    # few rows are shared among threads map by map, many row by row; both must give the same
    model, tokens = tiny(), draw(40, 6)
    alone = Decoder(model, 1, "numba")
    wanted = []
    for row in tokens:
        alone.clear()
        wanted.append(read(alone, row[None])[0])
    for module in (numba_decode, numba_stack):
        monkeypatch.setattr(module, "count_threads", lambda: threads)
    monkeypatch.setattr(numba_stack, "_WORTH_WAKING", 1)
    for count in (3, 18, 40):
        logits = read(Decoder(model, 40, "numba"), tokens[:count], torch.arange(count))
        assert all(torch.equal(row, one) for row, one in zip(logits, wanted[:count], strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_inference_mode_may_come_and_go(backend):
    with torch.inference_mode():
        model, tokens = tiny(), draw(2, 3)
        decoder = Decoder(model, 2, backend)
        decoder.step(tokens[:, 0])
    logits = decoder.step(tokens[:, 1])
    logits /= 2
    state = decoder.state()
    decoder.clear()
    decoder.load(torch.arange(2), state)
    with torch.inference_mode():
        assert error(decoder.step(tokens[:, 2]), model(tokens).logits[:, 2]) < 1e-5


def test_half_precision_is_computed_where_it_can_be(monkeypatch):
    cpu = torch.device("cpu")
    for able, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        let_compute_in_bfloat16(monkeypatch, able)
        assert computing_dtype(torch.bfloat16, cpu) == dtype
        assert computing_dtype(torch.float16, cpu) == torch.float32
    assert computing_dtype(torch.float64, cpu) == torch.float64
    assert computing_dtype(torch.bfloat16, torch.device("cuda")) == torch.bfloat16


def test_what_cannot_be_decoded_is_refused():
    both = bx.build("dna", dim=32, blocks=2, heads=2, direction="shared", objective="masked")
    with pytest.raises(ConfigError, match=r"dna reads both ways \(shared\): only causal"):
        Decoder(both, 1)
    with pytest.raises(ValueError, match="no backend 'cuda'"):
        Decoder(tiny(), 1, "cuda")
    with pytest.raises(ValueError, match="model must be a model, as bio_xlstm.load returns it, not str"):
        Decoder("chem-small", 1)


def test_modules_that_do_more_than_their_weights_are_refused():
    wrapped, hooked = tiny(), tiny()
    wrapped.blocks[1].mixer.up = torch.nn.Sequential(wrapped.blocks[1].mixer.up)
    with pytest.raises(ConfigError, match=r"blocks\.1\.mixer\.up was replaced by Sequential"):
        Decoder(wrapped, 1)
    hooked.blocks[0].mixer.register_forward_hook(lambda *_: None)
    with pytest.raises(ConfigError, match=r"blocks\.0\.mixer has forward hooks"):
        Decoder(hooked, 1)


@pytest.mark.parametrize("copied", (copy.copy, copy.deepcopy, pickle.dumps))
def test_a_decoder_is_not_copied(copied):
    """Its compiled loops would go on writing to the memory of the first."""
    with pytest.raises(TypeError, match="make another of the same model and load the state into it"):
        copied(Decoder(tiny(), 1))


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_weights_are_copied(backend):
    """Go on with the weights that the states belong to, whatever happens to the model."""
    model, tokens = tiny(), draw(2, 6)
    expected = read(Decoder(model, 2, backend), tokens)
    decoder = Decoder(model, 2, backend)
    for parameter in model.parameters():
        parameter.add_(1)
    assert torch.equal(read(decoder, tokens), expected)


@pytest.mark.parametrize("slots", (0, -1, True, 2.5, "3", None))
def test_slots_are_counted_in_whole_numbers(slots):
    with pytest.raises(ValueError, match=f"slots must be a positive whole number, not {slots!r}"):
        Decoder(tiny(), slots)


@pytest.mark.parametrize("windows", (Windows(0, 0), Windows(4, -1), Windows(8.0, 4), (4, True)))
def test_windows_are_counted_in_whole_numbers(windows):
    for model in (tiny(), tiny(slstm_at=(0,))):
        with pytest.raises(ValueError, match=r"windows\.(first|later) must be a positive whole number, not"):
            Decoder(model, 2, windows=windows)


REFUSED = [
    ((draw(2), None), r"tokens must be \(3,\) whole numbers, one per slot, not \(2,\)"),
    ((draw(2).float(), [0, 1]), r"tokens must be \(2,\) whole numbers, .*, not \(2,\) torch.float32"),
    ((draw(2) > 0, [0, 1]), r"tokens must be \(2,\) whole numbers, .*, not \(2,\) torch.bool"),
    (([5, 1.5], [0, 1]), r"tokens must be \(2,\) whole numbers, .*, not \(2,\) torch.float32"),
    (([[5], [1]], [0, 1]), r"tokens must be \(2,\) whole numbers, .*, not \(2, 1\) torch.int64"),
    (("CC", [0, 1]), r"tokens must be \(2,\) whole numbers, not 'CC'"),
    ((5, [0]), r"tokens must be \(1,\) whole numbers, at least one, not \(\)"),
    ((torch.tensor([1, 9999]), torch.tensor([0, 1])), "token id 9999 is not in the vocabulary of"),
    ((torch.tensor([-1]), torch.tensor([0])), "token id -1 is not in the vocabulary of"),
    ((draw(2), torch.tensor([0, 3])), r"slots must be from 0 to 2, not \[0, 3\]"),
    ((draw(2), torch.tensor([1, 1])), r"a slot is named twice: \[1, 1\]"),
    ((draw(2), torch.tensor([0.0, 1.0])), r"slots must be \(n,\) whole numbers, .* torch.float32"),
    ((draw(2), [True, False]), r"slots must be \(n,\) whole numbers, .* torch.bool"),
    ((draw(0), []), r"slots must be \(n,\) whole numbers, at least one, not \(0,\)"),
    ((draw(2), [1, [2]]), r"slots must be \(n,\) whole numbers, not \[1, \[2\]\]"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_step_refuses(given, message):
    decoder = Decoder(tiny(), 3)
    with pytest.raises(ValueError, match=message):
        decoder.step(*given)
    assert decoder.position.tolist() == [0, 0, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_tokens_and_slots_may_be_lists(backend):
    model, tokens = tiny(), draw(2, 6)
    with torch.no_grad():
        wanted = model(tokens).logits
    decoder = Decoder(model, 3, backend)
    for position, (one, other) in enumerate(tokens.T.tolist()):
        logits = decoder.step([one, other], [2, 0])
        assert error(logits, wanted[:, position]) < 1e-5
    state = decoder.state([0])
    assert state.position.tolist() == [6]
    decoder.clear([2])
    decoder.load([1], state)
    assert decoder.position.tolist() == [6, 6, 0]
    with pytest.raises(ValueError, match=r"slots must be from 0 to 2, not \[3\]"):
        decoder.clear([3])
    # other kinds of whole numbers
    assert decoder.step(tokens[:, 0].to(torch.int32), torch.tensor([2, 1], dtype=torch.uint8)).shape[0] == 2


@torch.no_grad()
def test_states_of_others_are_refused():
    decoder, state = Decoder(tiny(), 3), tiny(1)(draw(2, 4)).state
    with pytest.raises(ModelError, match="the state was made by another model"):
        decoder.load(torch.tensor([0, 1]), state)
    with pytest.raises(ModelError, match="the state holds 2 sequences, but 3 slots are to be filled"):
        decoder.load(torch.arange(3), tiny()(draw(2, 4)).state)
    with pytest.raises(ValueError, match="state must be a ModelState, not tuple"):
        decoder.load([0], tuple(state.blocks))


OTHERS = [
    ({"blocks": 3}, "it has 3 blocks, this decoder's model 2"),
    ({"heads": 4}, r"in block 1 the matrix memory .* must be \(2, 2, 32, 32\), not \(2, 4, 16, 16\)"),
    ({"dim": 64}, r"in block 1 the matrix memory .* must be \(2, 2, 32, 32\), not \(2, 2, 64, 64\)"),
    (
        {"conv_width": 3},
        r"in block 1 the convolution's last inputs .* must be \(2, 3, 64\), not \(2, 2, 64\)",
    ),
]


@pytest.mark.parametrize(("settings", "message"), OTHERS)
@torch.no_grad()
def test_states_of_other_sizes_change_nothing(settings, message):
    # in training no hash is made that would tell models apart
    state = tiny(**settings).train()(draw(2, 4)).state
    decoder, tokens = Decoder(tiny(), 3), draw(3, 5)
    read(decoder, tokens)
    before = decoder.state()
    with pytest.raises(ModelError, match=message):
        decoder.load([0, 2], state)
    assert same(decoder.state(), before)


PLAIN_OTHERS = [
    ({"slstm_at": (0, 1)}, "in block 2"),
    ({"slstm_at": (0,), "blocks": 3}, "it has 3 blocks, this decoder's model 2"),
    ({"slstm_at": (0,), "dim": 64}, "in block 1"),
    ({}, "in block 1"),
]


@pytest.mark.parametrize(("settings", "message"), PLAIN_OTHERS)
@torch.no_grad()
def test_states_of_other_kinds_change_nothing_where_layers_are_read_either(settings, message):
    state = tiny(**settings).train()(draw(2, 4)).state
    decoder, tokens = Decoder(tiny(slstm_at=(0,)), 3), draw(3, 5)
    read(decoder, tokens)
    before = decoder.state()
    with pytest.raises(ModelError, match=f"the state was made by another model: .*{message}"):
        decoder.load([0, 2], state)
    assert same(decoder.state(), before)


@torch.no_grad()
def test_a_state_that_fits_in_its_first_block_only_changes_nothing():
    model = tiny()
    decoder, good, bad = Decoder(model, 2), model(draw(2, 4)).state, tiny(heads=4)(draw(2, 4)).state
    before = decoder.state()
    mixed = ModelState((good.blocks[0], bad.blocks[1]), good.position, "")
    with pytest.raises(ModelError, match="in block 2 the matrix memory"):
        decoder.load([0, 1], mixed)
    assert same(decoder.state(), before)


def same(one: ModelState, other: ModelState) -> bool:
    """Compare two states bit by bit."""
    parts = (
        [state.position, *(part for block in state.blocks for part in block.tensors().values())]
        for state in (one, other)
    )
    return all(map(torch.equal, *parts))


@pytest.mark.parametrize("backend", BACKENDS)
@torch.no_grad()
def test_numbers_that_are_none_stay_in_their_slot(backend):
    model, tokens = tiny(), draw(3, 12)
    wanted, state = model(tokens).logits, model(tokens[:1, :4]).state
    decoder = Decoder(model, 3, backend, Windows(4, 2))
    spoilt = [
        LayerState(MlstmState(*(part * float("nan") for part in b.memory)), b.conv) for b in state.blocks
    ]
    decoder.load([1], ModelState(tuple(spoilt), state.position, state.model_hash))
    logits = read(decoder, tokens[:, :6])
    assert logits[1].isnan().all() and error(logits[[0, 2]], wanted[[0, 2], :6]) < 1e-5
    decoder.clear([1])
    assert error(read(decoder, tokens[1:2], [1])[0], wanted[1]) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", (lambda: torch.autocast("cpu", torch.bfloat16), torch.inference_mode))
def test_modes_change_no_number(backend, mode):
    model, tokens = tiny(), draw(2, 9)

    def use() -> tuple[torch.Tensor, ModelState]:
        decoder = Decoder(model, 2, backend, Windows(3, 2))
        logits = read(decoder, tokens)
        decoder.load([1, 0], decoder.state())
        return torch.cat([logits, read(decoder, tokens)]), decoder.state()

    wanted, state = use()
    with mode():
        found, after = use()
    assert found.dtype == torch.float32 and torch.equal(found, wanted) and same(after, state)


@pytest.mark.parametrize(("passed", "kind"), ((True, "graphed"), (False, "torch")))
def test_a_gpu_kernel_is_used_only_after_its_self_test(monkeypatch, passed, kind):
    from bio_xlstm.kernels import choice, trust

    asked = []
    monkeypatch.setattr(choice, "find_obstacle", lambda name, device: "")
    monkeypatch.setattr(graph, "GraphedStack", lambda stack, slots, device: ("graphed", stack.backend))
    monkeypatch.setattr(
        trust, "judge", lambda name, index: asked.append(name) or trust.Verdict(passed, "as told")
    )
    decoder, weights = Decoder(tiny(), 2, "torch"), _stack_weights(tiny(), torch.float32)
    stack = _choose_stack(weights, decoder.reader.caches, "auto", 2, torch.device("cuda", 0))
    assert asked == ["decode_step"]
    assert stack == ("graphed", "triton") if kind == "graphed" else stack.backend == "torch"


def test_without_a_graph_steps_run_as_they_are():
    def double(tokens: torch.Tensor, slots: torch.Tensor, turn: torch.Tensor | None) -> torch.Tensor:
        return 2 * tokens + slots

    # nothing can be recorded on a CPU
    graphed = GraphedStack(double, 4, torch.device("cpu"))
    with pytest.warns(RuntimeWarning, match="decoding without a CUDA graph"):
        assert graphed(torch.tensor([5]), torch.tensor([3])).tolist() == [13]
    assert graphed(torch.tensor([6]), torch.tensor([3])).tolist() == [15]


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@torch.no_grad()
def test_a_gpu_replays_its_graph(dtype):
    model, tokens = tiny(dim=64, heads=2).to("cuda", dtype), draw(3, 40).cuda()
    wanted = model(tokens).logits
    decoder, slots = Decoder(model, 5, windows=Windows(9, 4)), torch.tensor([4, 0, 2], device="cuda")
    assert isinstance(decoder.reader._stack, GraphedStack)
    assert error(read(decoder, tokens, slots), wanted) < (1e-5 if dtype == torch.float32 else 2**-5)
    assert decoder.reader._stack.graph is not None
    assert decoder.position.tolist() == [40, 0, 40, 0, 40]
