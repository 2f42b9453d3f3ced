"""Decoding reads what the recurrence reads, whatever the windows, the backend and the other slots."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.kernels.conv import causal_conv
from bio_xlstm.kernels.decode import (
    DecodeCache,
    DecodeWeights,
    Windows,
    allocate,
    decode_step,
    prepare,
    window_costs,
    window_lengths,
)
from bio_xlstm.kernels.mixer import Rotation, Variant, mlstm_mixer
from bio_xlstm.kernels.mixer.weights import MixerWeights
from bio_xlstm.kernels.mlstm import MlstmState, mlstm

EPS = 1e-5
SLOTS = 5
SHAPES = (
    # I, H, P, W, biases
    (64, 4, 4, 4, False),
    (96, 2, 16, 3, True),
    (64, 1, 32, 1, True),
    (128, 2, 2, 2, False),
)
WINDOWS = (Windows(1, 1), Windows(2, 2), Windows(5, 5), Windows(7, 3), None)
# the last shape goes through all windows, the others through one that folds and one that does not
CASES = [(shape, windows) for shape in SHAPES[:-1] for windows in WINDOWS[3:]] + [
    (SHAPES[-1], w) for w in WINDOWS
]
BACKENDS = [("torch", torch.float64, 1e-11), ("numba", torch.float32, 2e-5)]


def draw(inner: int, heads: int, block: int, width: int, biases: bool, gate: float = 0.0) -> MixerWeights:
    """Draw a layer; `gate` is the size of the gates' biases."""

    def some(*size: int) -> Tensor:
        return 0.5 * torch.randn(*size, dtype=torch.float64)

    maps = [some(inner // block, block, block) for _ in range(3)]
    shifts = [some(inner) if biases else None for _ in range(3)]
    sign = torch.tensor([(-1.0) ** head for head in range(heads)], dtype=torch.float64)
    return MixerWeights(
        some(inner, width), some(inner), *maps, *shifts,
        some(heads, 3 * inner), some(heads) + gate * sign,
        some(heads, 3 * inner), some(heads) + 3 - gate * sign,
        some(inner), some(inner),
    )  # fmt: skip


def cast(weights: MixerWeights, dtype: torch.dtype) -> DecodeWeights:
    """Prepare weights in another dtype."""
    return prepare(MixerWeights(*(None if part is None else part.to(dtype) for part in weights)))


def law(up: Tensor, w: MixerWeights) -> tuple[Tensor, MlstmState, Tensor]:
    """Read whole sequences (N, T, 2 I) as the layer does, with the reference primitives."""
    branch, gate = up.chunk(2, -1)
    convolved, window = causal_conv(branch, w.conv, w.conv_bias, activation="silu", backend="reference")
    sources = (
        (convolved, w.query, w.query_bias),
        (convolved, w.key, w.key_bias),
        (branch, w.value, w.value_bias),
    )
    q, k, v = (
        torch.einsum("goi,ntgi->ntgo", blocks, x.unflatten(-1, (len(blocks), -1))).flatten(2)
        + (0 if bias is None else bias)
        for x, blocks, bias in sources
    )
    both = torch.cat([q, k, v], -1)
    i, f = F.linear(both, w.input_gate, w.input_bias), F.linear(both, w.forget_gate, w.forget_bias)
    heads = (x.unflatten(-1, (w.heads, -1)) for x in (q, k, v))
    h, state = mlstm(*heads, i, f, backend="reference")
    normed = F.layer_norm(h, h.shape[-1:], eps=EPS).flatten(2) * w.norm
    return (normed + w.skip * convolved) * F.silu(gate), state, window


def cache_for(
    weights: MixerWeights, dtype: torch.dtype, windows: Windows | None = None, **more: object
) -> DecodeCache:
    """Make room for a few slots."""
    return allocate(
        SLOTS,
        weights.heads,
        weights.inner,
        weights.conv.shape[1],
        dtype=dtype,
        windows=windows,
        **more,  # type: ignore[arg-type]
    )


def read_all(up: Tensor, weights: DecodeWeights, cache: DecodeCache, slots: Tensor, backend: str) -> Tensor:
    """Read sequences (N, T, 2 I) token by token."""
    return torch.stack([decode_step(x, weights, cache, slots, EPS, backend) for x in up.unbind(1)], 1)


@pytest.mark.parametrize(("shape", "windows"), CASES)
@pytest.mark.parametrize(("backend", "dtype", "tolerance"), BACKENDS)
def test_equals_the_recurrence(agree, shape, windows, backend, dtype, tolerance):
    weights, up = draw(*shape), torch.randn(3, 20, 2 * shape[0], dtype=torch.float64)
    y, state, window = law(up, weights)
    cache, slots = cache_for(weights, dtype, windows), torch.tensor([4, 0, 3])
    found = read_all(up.to(dtype), cast(weights, dtype), cache, slots, backend)
    memory, conv = cache.read(slots)
    agree([("y", found, y)], tolerance)
    agree(zip(MlstmState._fields, memory, state, strict=True), tolerance)
    agree([("conv", conv, window)], 1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("backend", "dtype", "tolerance"), BACKENDS)
def test_turned_queries_and_keys(agree, shape, backend, dtype, tolerance):
    """Tokens at random places, which repeat: what the mixer turns, decoding turns."""
    weights, up = draw(*shape), torch.randn(3, 20, 2 * shape[0], dtype=torch.float64)
    angles, index = (
        torch.randn(7, shape[0] // shape[1] // 2, dtype=torch.float64),
        torch.randint(0, 7, (3, 20)),
    )
    turn = Variant(Rotation(angles.cos(), angles.sin(), index))
    y, _ = mlstm_mixer(up, weights, eps=EPS, variant=turn, backend="reference", with_state=False)
    cache, slots = cache_for(weights, dtype, Windows(7, 3)), torch.tensor([4, 0, 3])
    turns = torch.stack((angles.cos(), angles.sin()), 1)[index].to(dtype)  # (N, T, 2, K / 2)
    steps = zip(up.to(dtype).unbind(1), turns.unbind(1), strict=True)
    plain = cast(weights, dtype)
    found = [decode_step(x, plain, cache, slots, EPS, backend, turn=turn) for x, turn in steps]
    agree([("y", torch.stack(found, 1), y)], tolerance)


def test_turns_are_checked():
    weights = cast(draw(*SHAPES[0]), torch.float32)
    cache, up = cache_for(weights.plain, torch.float32), torch.randn(1, 128)
    with pytest.raises(
        ValueError, match=r"turn must be \(1, 2, 8\) torch.float32 of an even K, got \(1, 2, 4\)"
    ):
        decode_step(up, weights, cache, torch.tensor([0]), turn=torch.ones(1, 2, 4))


@pytest.mark.parametrize(("backend", "dtype", "tolerance"), BACKENDS)
@pytest.mark.parametrize("windows", (Windows(3, 2), None))
def test_extreme_gates(agree, windows, backend, dtype, tolerance):
    weights, up = draw(64, 4, 4, 4, False, gate=40.0), torch.randn(2, 30, 128, dtype=torch.float64)
    y, state, _ = law(up, weights)
    cache, slots = cache_for(weights, dtype, windows), torch.tensor([1, 2])
    found = read_all(up.to(dtype), cast(weights, dtype), cache, slots, backend)
    agree([("y", found, y)], tolerance)
    # head by head: a head whose memory is tiny must not hide behind one whose memory is large
    memory, _ = cache.read(slots)
    for head in range(weights.heads):
        agree([(f"m {head}", memory.m[:, head], state.m[:, head])], tolerance)
        agree([(f"c {head}", memory.c[:, head], state.c[:, head])], 5 * tolerance)


def test_a_fold_changes_nothing(agree):
    weights, up = draw(64, 2, 4, 4, False), torch.randn(2, 11, 128, dtype=torch.float64)
    slots, plain = torch.tensor([0, 1]), cast(weights, torch.float64)
    folded, kept = (
        cache_for(weights, torch.float64, windows) for windows in (Windows(10, 10), Windows(99, 99))
    )
    states = []
    for cache in (folded, kept):
        read_all(up, plain, cache, slots, "torch")
        states.append(cache.read(slots)[0])
    assert folded.count[0, 0] == 1 and kept.count[0, 0] == 11
    agree(zip(MlstmState._fields, *states, strict=True), 1e-13)


@pytest.mark.parametrize("backend", ("torch", "numba"))
def test_states_are_loaded_and_read(agree, backend):
    dtype = torch.float64 if backend == "torch" else torch.float32
    weights, up = draw(96, 2, 16, 3, True), torch.randn(3, 30, 192, dtype=torch.float64)
    y, state, _ = law(up, weights)
    _, before, window = law(up[:, :12], weights)
    cache, slots = cache_for(weights, dtype), torch.tensor([2, 4, 1])
    cache.load(slots, before, window)
    agree(zip(MlstmState._fields, cache.read(slots)[0], before, strict=True), 1e-6)
    assert torch.equal(cache.read(slots)[1], window.to(dtype))
    found = read_all(up[:, 12:].to(dtype), cast(weights, dtype), cache, slots, backend)
    agree([("y", found, y[:, 12:])], 2e-5)
    agree(zip(MlstmState._fields, cache.read(slots)[0], state, strict=True), 2e-5)


def test_an_empty_slot_reads_as_no_memory():
    cache = cache_for(draw(64, 4, 4, 4, False), torch.float32)
    memory, conv = cache.read(torch.arange(SLOTS))
    assert not memory.c.any() and not memory.n.any() and not conv.any()
    assert (memory.m == float("-inf")).all()
    # and loading it gives an empty slot again, whose memory need not be read
    cache.load(torch.tensor([1]), MlstmState(*(part[:1] for part in memory)), conv[:1])
    assert cache.limit[1, 0] == cache.windows.first


@pytest.mark.parametrize("backend", ("torch", "numba"))
def test_slots_are_independent(agree, backend):
    weights = draw(64, 4, 4, 4, False)
    prepared, up = cast(weights, torch.float32), torch.randn(SLOTS, 12, 128)
    cache = cache_for(weights, torch.float32, Windows(4, 2))
    everyone, some = torch.arange(SLOTS), torch.tensor([3, 1])
    read_all(up, prepared, cache, everyone, backend)
    before = cache.read(torch.tensor([0, 2, 4]))
    read_all(up[:2], prepared, cache, some, backend)
    after = cache.read(torch.tensor([0, 2, 4]))
    assert all(map(torch.equal, (*before[0], before[1]), (*after[0], after[1])))
    # a freed slot starts anew
    cache.clear(some)
    again = read_all(up[:2], prepared, cache, some, backend)
    agree([("y", again, law(up[:2].double(), weights)[0])], 2e-5)


def test_compiled_results_do_not_depend_on_the_others():
    weights = draw(64, 4, 4, 4, False)
    prepared, up = cast(weights, torch.float32), torch.randn(SLOTS, 9, 128)
    together, alone = (cache_for(weights, torch.float32, Windows(4, 2)) for _ in range(2))
    y = read_all(up, prepared, together, torch.arange(SLOTS), "numba")
    for slot in range(SLOTS):
        only = read_all(up[slot : slot + 1], prepared, alone, torch.tensor([slot]), "numba")
        assert torch.equal(only[0], y[slot])


@pytest.mark.parametrize("backend", ("torch", "numba"))
def test_a_window_of_bfloat16_agrees_at_its_rounding(agree, backend):
    weights, up = draw(64, 4, 4, 4, False), torch.randn(2, 20, 128, dtype=torch.float64)
    cache = cache_for(weights, torch.float32, Windows(6, 4), window_dtype=torch.bfloat16)
    found = read_all(up.float(), cast(weights, torch.float32), cache, torch.tensor([0, 1]), backend)
    y = law(up, weights)[0]
    # keys and values are rounded to 8 bits; the norm over the head may magnify that a few times
    assert float((found - y).norm() / y.norm()) < 2**-7
    agree([("y", found, y)], 2**-4)


def test_bfloat16_is_rounded_as_torch_rounds():
    from bio_xlstm.kernels.decode.numba_window import _bits_of

    exact = torch.tensor(
        [0.0, -0.0, 1.0, 1.00390625, 1.01171875, -3.3, 3.4e38, 1e-40, float("inf"), float("-inf")]
    )
    x = torch.cat([exact, torch.randn(200) * 10.0 ** torch.randint(-20, 20, (200,))])
    found = torch.tensor([_bits_of(number) for number in x.numpy()], dtype=torch.int16).view(torch.bfloat16)
    assert torch.equal(found, x.bfloat16())
    assert (
        torch.tensor([_bits_of(torch.tensor(float("nan")).numpy()[()])], dtype=torch.int16)
        .view(torch.bfloat16)
        .isnan()
    )


def test_heads_that_fit_no_panel_are_read_by_torch(agree):
    weights, up = draw(18, 2, 3, 4, False), torch.randn(2, 10, 36, dtype=torch.float64)
    prepared = cast(weights, torch.float32)
    assert prepared.packed is None
    cache, slots = cache_for(weights, torch.float32, Windows(3, 2)), torch.tensor([0, 1])
    agree([("y", read_all(up.float(), prepared, cache, slots, "numba"), law(up, weights)[0])], 2e-5)


@pytest.mark.parametrize("key", (8, 16, 64, 128, 256, 512))
def test_windows_are_the_cheapest(key):
    first, later = window_lengths(key, key)
    costs = {window: window_costs(key, key, window) for window in range(1, 200)}
    assert costs[later] == min(costs.values())
    # a step with the longest first window costs no more than twice a step with memory
    assert later < first and (first - 16) * 2 * key < 2 * costs[later]


def test_a_molecule_never_touches_the_memory():
    weights = draw(128, 1, 4, 4, False)
    cache = cache_for(weights, torch.float32)
    read_all(torch.randn(1, 101, 256), cast(weights, torch.float32), cache, torch.tensor([0]), "numba")
    assert cache.scale[0, 0] == float("-inf")


REFUSED = [
    ({"up": torch.randn(2, 64)}, r"up must be \(n, 2 I\) with n > 0 and I = 64, got \(2, 64\)"),
    ({"up": torch.randn(0, 128), "slots": torch.zeros(0, dtype=torch.int64)}, "up must be .* n > 0"),
    ({"slots": torch.tensor([0])}, r"slots must be \(2,\) int64, got \(1,\)"),
    (
        {"slots": torch.tensor([0, 1], dtype=torch.int32)},
        r"slots must be \(2,\) int64, got \(2,\) torch.int32",
    ),
    ({"slots": torch.tensor([0, 5])}, r"slots must be from 0 to 4, got \[0, 5\]"),
    (
        {"weights": cast(draw(64, 2, 4, 4, False), torch.float32)},
        "the cache is for I, H, W = 64, 4, 4, the weights for",
    ),
    ({"slots": torch.tensor([3, 3])}, r"a slot is named twice: \[3, 3\]"),
    (
        {"up": torch.ones(2, 128, dtype=torch.int64)},
        "up must be of the weights' floating dtype, got torch.int64",
    ),
    ({"up": torch.ones(2, 128).bfloat16()}, "got torch.bfloat16 and weights of torch.float32"),
    (
        {"weights": cast(draw(64, 4, 4, 4, False), torch.float64)},
        "got torch.float32 and weights of torch.float64",
    ),
    (
        {"cache": allocate(SLOTS, 4, 64, 4, dtype=torch.float64)},
        "the cache must be float32, .* got torch.float64 for torch.float32",
    ),
    (
        {"cache": allocate(SLOTS, 4, 64, 4, device="meta")},
        "all tensors must be on one device: up on cpu, weights on cpu, cache on meta, slots on cpu",
    ),
    ({"backend": "cuda"}, "decode_step: no backend 'cuda'; available: auto, numba, torch, triton"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_decode_step_refuses(changes, message):
    weights = draw(64, 4, 4, 4, False)
    given = {
        "up": torch.randn(2, 128),
        "weights": cast(weights, torch.float32),
        "cache": cache_for(weights, torch.float32),
        "slots": torch.tensor([0, 1]),
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        decode_step(**given)


ROOM = {"slots": 3, "heads": 2, "inner": 32, "conv_width": 4}
NO_ROOM = [
    *[
        ({name: value}, f"{name} must be a positive whole number, not {value!r}")
        for name in ROOM
        for value in (0, -2, 2.0, True, "4", None)
    ],
    ({"slots": 1 << 40}, "slots must be at most 1,048,576, not 1,099,511,627,776"),
    ({"heads": 5}, "inner must be a multiple of heads: 32 channels do not make 5 equal heads"),
    ({"dtype": torch.bfloat16}, "dtype must be float32 or float64, not torch.bfloat16"),
    ({"window_dtype": torch.float16}, "window_dtype must be bfloat16 or torch.float32, not torch.float16"),
    ({"windows": Windows(0, 0)}, "windows.first must be a positive whole number, not 0"),
    ({"windows": Windows(4, -1)}, "windows.later must be a positive whole number, not -1"),
    ({"windows": Windows(4.0, 2)}, "windows.first must be a positive whole number, not 4.0"),
    ({"windows": Windows(1 << 17, 2)}, "windows.first must be at most 65,536, not 131,072"),
    ({"windows": 4}, r"windows must be Windows\(first, later\), not 4"),
]


@pytest.mark.parametrize(("changes", "message"), NO_ROOM)
def test_allocate_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        allocate(**{**ROOM, **changes})


def test_a_state_of_another_size_is_refused():
    cache, empty = allocate(**ROOM), torch.zeros
    memory = MlstmState(empty(1, 2, 16, 16), empty(1, 2, 16), empty(1, 2))
    cache.load(torch.tensor([0]), memory, empty(1, 3, 32))
    before = cache.read(torch.arange(3))
    for part, conv, message in (
        (memory._replace(n=empty(1, 1, 16)), empty(1, 3, 32), r"the normaliser .* must be \(1, 2, 16\)"),
        (
            memory._replace(m=empty(2, 2)),
            empty(1, 3, 32),
            r"the stabiliser .* must be \(1, 2\), not \(2, 2\)",
        ),
        (memory, empty(1, 2, 32), "the convolution's last inputs"),
    ):
        with pytest.raises(ValueError, match=f"the state does not fit the cache: {message}"):
            cache.load(torch.tensor([1]), part, conv)
    after = cache.read(torch.arange(3))
    assert all(map(torch.equal, (*before[0], before[1]), (*after[0], after[1])))


@pytest.mark.parametrize("backend", ("torch", "numba"))
def test_modes_change_no_number(backend):
    weights, up = draw(64, 4, 4, 4, True), torch.randn(2, 7, 128)

    def use() -> Tensor:
        cache = cache_for(weights, torch.float32, Windows(3, 2))
        return read_all(up, cast(weights, torch.float32), cache, torch.tensor([3, 1]), backend)

    wanted = use()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(use(), wanted)
    with torch.inference_mode():
        assert torch.equal(use(), wanted)
    # and nothing is recorded for a backward pass that there is not
    up.requires_grad_()
    assert not use().requires_grad
