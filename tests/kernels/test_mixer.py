"""The fused inside of an mLSTM layer equals the same put together from primitives, every gradient included."""

from itertools import accumulate
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.mixer import MixerWeights, Rotation, Variant, mlstm_mixer
from bio_xlstm.kernels.mixer.weights import can_pack
from bio_xlstm.kernels.mlstm import MlstmState


class Shape(NamedTuple):
    """Describe a layer."""

    inner: int
    heads: int
    block: int
    window: int
    bias: bool


# heads that share a diagonal block, blocks wider and narrower than a panel, one head, no window
SHAPES = [
    Shape(96, 2, 4, 4, False),
    Shape(192, 4, 32, 8, True),
    Shape(64, 4, 16, 1, False),
    Shape(64, 1, 8, 3, True),
    Shape(32, 2, 1, 16, False),
]
Lengths = tuple[int, ...] | None

# the head norm hides the scale of h, so that these gradients are small differences of large numbers; they are measured
# against gradients that are not
PARTNERS = {"dinput_bias": "dinput_gate", "dforget_bias": "dforget_gate", "dn": "dc", "dm": "dc"}


def make_weights(shape: Shape) -> MixerWeights:
    """Return random weights with gates as they are when trained."""
    inner, heads, block, window, bias = shape
    query, noise, value = torch.randn(3, inner // block, block, block) * block**-0.5
    # keys resemble queries, and by the bias of the convolution tokens resemble each other, so that n.q stays away from
    # zero, where the head norm magnifies its rounding
    blocks = [query, query + 0.3 * noise, value]
    shifts = [0.1 * torch.randn(inner) if bias else None for _ in range(3)]
    gates = [torch.randn(heads, 3 * inner) * inner**-0.5 for _ in range(2)]
    return MixerWeights(
        0.5 * torch.randn(inner, window),
        1 + 0.1 * torch.randn(inner),
        *blocks,
        *shifts,
        gates[0],
        torch.randn(heads),
        gates[1],
        torch.randn(heads) + 3,
        1 + 0.1 * torch.randn(inner),
        1 + 0.1 * torch.randn(inner),
    )


def make_state(weights: MixerWeights, sequences: int) -> list[Tensor]:
    """Return c, n, m and the window after twenty random tokens."""
    up = torch.randn(sequences, 20, 2 * weights.inner)
    _, state = mlstm_mixer(up, weights, backend="reference")
    assert state is not None
    return [*state[0], state[1]]


def run(
    up: Tensor, weights: MixerWeights, state: list[Tensor] | None, dtype: torch.dtype, **form: Any
) -> list[tuple[str, Tensor]]:
    """Return outputs, final state and the gradients of a fixed loss of all of them."""

    def leaf(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.to(dtype).clone().requires_grad_()

    leaves = {"up": leaf(up)} | {name: leaf(x) for name, x in weights._asdict().items()}
    given = None
    if state is not None:
        parts = [leaf(x) for x in state]
        leaves |= dict(zip(("c", "n", "m", "window"), parts, strict=True))
        given = (MlstmState(*parts[:3]), parts[3])
    own = MixerWeights(*(leaves[name] for name in MixerWeights._fields))
    y, last = mlstm_mixer(leaves["up"], own, state=given, **form)
    outputs = [("y", y), *(zip("cnmw", (*last[0], last[1]), strict=True) if last else ())]
    generator = torch.Generator().manual_seed(1)
    loss = sum((x * torch.randn(x.shape, generator=generator).to(x.dtype)).sum() for _, x in outputs)
    names = [name for name, x in leaves.items() if x is not None and x.numel()]
    gradients = torch.autograd.grad(loss, [leaves[name] for name in names], allow_unused=True)
    found = [
        (f"d{name}", torch.zeros(1) if g is None else g) for name, g in zip(names, gradients, strict=True)
    ]
    return outputs + found


def compare(agree: Any, shape: Shape, lengths: Lengths, with_given: bool, **form: Any) -> None:
    """Hold the fused layer against the reference in float64."""
    batch, time = (2, 37) if lengths is None else (1, sum(lengths))
    sequences = 2 if lengths is None else len(lengths)
    up, weights = torch.randn(batch, time, 2 * shape.inner), make_weights(shape)
    state = make_state(weights, sequences) if with_given else None
    if lengths is not None:
        form["cu_seqlens"] = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    assert can_pack(weights)
    expected = run(up, weights, state, torch.float64, backend="reference", **form)
    actual = run(up, weights, state, torch.float32, backend="numba", **form)
    sizes = {name: x.abs().max() for name, x in expected if x.numel()}
    triples = []
    for (name, x), (_, y) in zip(actual, expected, strict=True):
        shift = sizes.get(PARTNERS.get(name, ""), 0.0)
        triples.append((name, x + shift, y + shift))
    agree(triples, 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lengths", [None, (3, 41, 1, 33)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_given", [False, True])
def test_equals_the_reference(
    shape: Shape, lengths: Lengths, reverse: bool, with_given: bool, agree: Any
) -> None:
    """Agree for every kind of layer, layout, direction and state."""
    compare(agree, shape, lengths, with_given, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_without_the_final_state(reverse: bool, agree: Any) -> None:
    """Agree where the state is not asked for, over several chunks and in a single one."""
    for lengths in ((1, 5), (20, 7), (3, 290)):
        compare(agree, SHAPES[0], lengths, False, reverse=reverse, with_state=False)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("before_gates", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_turned_queries_and_keys(shape: Shape, before_gates: bool, reverse: bool, agree: Any) -> None:
    """Agree where pairs of channels turn with the positions of their tokens, which repeat and jump."""
    pairs = shape.inner // (1 if before_gates else shape.heads) // 2
    angles = torch.randn(9, pairs)
    turn = Rotation(angles.cos(), angles.sin(), torch.randint(0, 9, (1, 78)), before_gates)
    compare(agree, shape, (3, 41, 1, 33), True, reverse=reverse, variant=Variant(turn))


def test_variants_are_checked() -> None:
    """Refuse rotations of another width or of other tokens, and states of what looks ahead."""
    weights, up = make_weights(SHAPES[0]), torch.randn(1, 5, 192)
    index = torch.zeros(1, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"the rotation must have tables of 24 columns, got \(1, 4\)"):
        mlstm_mixer(up, weights, variant=Variant(Rotation(torch.ones(1, 4), torch.ones(1, 4), index)))
    with pytest.raises(ValueError, match=r"the rows of the rotation must be \(1, 5\), got \(1, 4\)"):
        tables = torch.ones(1, 24), torch.zeros(1, 24)
        mlstm_mixer(up, weights, variant=Variant(Rotation(*tables, index[:, :4])))
    for variant in (Variant(centred=True), Variant(two_sided=True)):
        with pytest.raises(ValueError, match="a mixer that looks ahead has no state"):
            mlstm_mixer(up, weights, variant=variant)


def test_inference_is_training_without_gradients() -> None:
    """Return the same bits with and without gradients."""
    up, weights = torch.randn(1, 70, 192), make_weights(SHAPES[0])
    lengths = torch.tensor([0, 30, 70], dtype=torch.int32)
    y, _ = mlstm_mixer(up.requires_grad_(), weights, cu_seqlens=lengths, backend="numba")
    with torch.no_grad():
        again, _ = mlstm_mixer(up, weights, cu_seqlens=lengths, backend="numba")
    assert torch.equal(y, again)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_counts_in_float32(dtype: torch.dtype, agree: Any) -> None:
    """Round only the result."""
    up, weights = torch.randn(1, 50, 192).to(dtype), make_weights(SHAPES[0])
    low = MixerWeights(*(None if x is None else x.to(dtype) for x in weights))
    high = MixerWeights(*(None if x is None else x.float() for x in low))
    y, _ = mlstm_mixer(up, low, backend="numba")
    expected, _ = mlstm_mixer(up.float(), high, backend="reference")
    assert y.dtype == dtype
    agree([("y", y, expected)], torch.finfo(dtype).eps)


def test_what_does_not_fit_panels_is_composed(agree: Any) -> None:
    """Compute layers whose heads are no multiple of sixteen, or whose window is long, from primitives."""
    for shape in (Shape(24, 2, 4, 4, True), Shape(32, 2, 4, 20, False)):
        weights, up = make_weights(shape), torch.randn(2, 30, 2 * shape.inner)
        actual, _ = mlstm_mixer(up, weights, backend="numba")
        expected, _ = mlstm_mixer(up, weights, backend="reference")
        agree([("y", actual, expected)], 1e-5)


def test_refuses_what_does_not_fit() -> None:
    """Name the width that is needed."""
    weights = make_weights(SHAPES[0])
    with pytest.raises(
        ValueError, match=r"up must be \(B, T, 192\) with at least one token, got \(1, 5, 96\)"
    ):
        mlstm_mixer(torch.randn(1, 5, 96), weights)
    with pytest.raises(ValueError, match="cu_seqlens must run from 0 to T = 5"):
        mlstm_mixer(torch.randn(1, 5, 192), weights, cu_seqlens=torch.tensor([0, 4], dtype=torch.int32))
    with pytest.raises(ValueError, match="mlstm_mixer: no backend 'fast'; available: auto, "):
        mlstm_mixer(torch.randn(1, 5, 192), weights, backend="fast")
