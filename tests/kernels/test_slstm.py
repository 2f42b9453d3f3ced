"""Every sLSTM backend equals the recurrence: outputs, final states and every gradient."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.slstm import SlstmState, slstm, slstm_step

NAMES = ("y", "h", "c", "n", "m", "dx", "dr", "db", "dh", "dc", "dn", "dm")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
BACKENDS = [("torch", torch.float64), ("numba", torch.float32)]
LAYOUTS: dict[str, tuple[int, ...] | None] = {
    "dense": None,
    "packed": (17, 1, 33, 16, 3),
    "blocks": (2, 9, 1, 4, 1, 1, 18, 3, 5, 1, 17),
    "single": (1,),
    "long": (34,),
}


def offsets(lengths: Sequence[int]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def problem(batch: int, time: int, sequences: int, width: int = 5, heads: int = 3) -> list[Tensor]:
    """Return x, r, b and the parts of a state, in float64 but with the digits of float32."""
    x, r, b = torch.randn(batch, time, heads, 4, width), torch.randn(heads, width, 4, width), None
    b = torch.randn(heads, 4, width)
    h, c, n, m = torch.randn(4, sequences, heads, width).unbind()
    return [part.double() for part in (2 * x, r * width**-0.5, b, h, c, n.exp(), m)]


def run(
    data: list[Tensor], backend: str, dtype: torch.dtype, with_state: bool, parts: int = 5, **form: Any
) -> list[Tensor]:
    """Return y, the final state and all gradients of a fixed loss of the first so many parts of those."""
    leaves = [part.to(dtype).clone().requires_grad_() for part in (data if with_state else data[:3])]
    state = SlstmState(*leaves[3:]) if with_state else None
    y, last = slstm(leaves[0], leaves[1], leaves[2], state=state, backend=backend, **form)
    outputs = [y, *last]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64) for part in outputs]
    loss = sum(
        (part * weight.to(part)).sum() for part, weight in list(zip(outputs, weights, strict=True))[:parts]
    )
    gradients = torch.autograd.grad(loss, leaves)
    return [part.detach() for part in (*outputs, *gradients)]


def compare(
    agree: Any, data: list[Tensor], backend: str, dtype: torch.dtype, with_state: bool, **form: Any
) -> None:
    """Hold a backend against the recurrence in float64."""
    expected = run(data, "reference", torch.float64, with_state, **form)
    actual = run(data, backend, dtype, with_state, **form)
    agree(zip(NAMES, actual, expected, strict=False), TOLERANCE[dtype])


@pytest.mark.parametrize(("backend", "dtype"), BACKENDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_form(
    backend: str, dtype: torch.dtype, reverse: bool, with_state: bool, layout: str, agree: Any
) -> None:
    """Agree in every layout, direction, with and without a state, where fresh memory holds NaN."""
    lengths = LAYOUTS[layout]
    batch, time = (3, 21) if lengths is None else (1, sum(lengths))
    data = problem(batch, time, 3 if lengths is None else len(lengths))
    boundaries = None if lengths is None else offsets(lengths)
    compare(agree, data, backend, dtype, with_state, cu_seqlens=boundaries, reverse=reverse)


@pytest.mark.parametrize(("backend", "dtype"), BACKENDS)
@pytest.mark.parametrize(("heads", "width"), [(1, 1), (2, 8), (1, 33), (2, 64)])
def test_every_width(backend: str, dtype: torch.dtype, heads: int, width: int, agree: Any) -> None:
    """Agree for heads of one unit, of odd width, and of several vector registers."""
    compare(agree, problem(2, 19, 2, width, heads), backend, dtype, True)


@pytest.mark.parametrize(("backend", "dtype"), BACKENDS)
@pytest.mark.parametrize("with_state", [False, True])
def test_extreme_gates(backend: str, dtype: torch.dtype, with_state: bool, agree: Any) -> None:
    """Agree when gates jump between -40 and 40: nothing overflows and no digit is lost."""
    data = problem(2, 45, 2)
    data[0] += 40.0 * torch.randint(-1, 2, data[0].shape)
    data[0] = data[0].float().double()
    compare(agree, data, backend, dtype, with_state)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_gradients_of_a_part(backend: str, parts: int, agree: Any) -> None:
    """Agree when the loss looks at y alone, or at only some parts of the final state."""
    data = problem(2, 20, 2)
    expected = run(data, "reference", torch.float64, True, parts=parts)
    actual = run(data, backend, torch.float32, True, parts=parts)
    # the gradient of m vanishes exactly where the loss is blind to the scale, up to rounding
    pairs = list(zip(NAMES, actual, expected, strict=True))[5 : 11 if parts < 3 else 12]
    agree(pairs, 1e-5)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_equal_gates_share_the_maximum(backend: str, agree: Any) -> None:
    """Split the gradient of the running maximum in halves where both gates reach it, as torch.maximum does."""
    data = problem(1, 3, 1, 2, 1)
    data[0].zero_()
    data[1].zero_()
    data[2].zero_()
    data[6].fill_(0.0)
    # an open forget gate: log(f) + m == i exactly, in float32 and in float64
    data[2][:, 1] = 1000.0
    compare(agree, data, backend, torch.float32, True)


def test_finite_differences() -> None:
    """Differentiate outputs and states as finite differences do, the stabiliser included."""
    leaves = [part.requires_grad_() for part in problem(1, 5, 2, 2, 1)]

    def every_output(*parts: Tensor) -> tuple[Tensor, ...]:
        """Return y and the final state."""
        form = {"state": SlstmState(*parts[3:]), "cu_seqlens": offsets((3, 2))}
        y, last = slstm(parts[0], parts[1], parts[2], backend="torch", **form)  # type: ignore[arg-type]
        return y, *last

    assert torch.autograd.gradcheck(every_output, leaves)


@pytest.mark.parametrize("backend", ["torch", "numba", "reference"])
@pytest.mark.parametrize("reverse", [False, True])
def test_packed_is_alone_is_split(backend: str, reverse: bool, agree: Any) -> None:
    """Return for a packed sequence what it gives alone, or in two parts through the state."""
    x, r, b = (part.float() for part in problem(1, 30, 1)[:3])
    form: dict[str, Any] = {"reverse": reverse, "backend": backend}
    packed, states = slstm(x, r, b, cu_seqlens=offsets((9, 21)), **form)
    alone, last = slstm(x[:, 9:], r, b, **form)
    first, second = (x[:, 15:], x[:, 9:15]) if reverse else (x[:, 9:15], x[:, 15:])
    y1, state = slstm(first, r, b, **form)
    y2, end = slstm(second, r, b, state=state, **form)
    halves = torch.cat([y2, y1] if reverse else [y1, y2], 1)
    agree([("alone", packed[:, 9:], alone), ("halves", halves, alone)], 1e-6)
    for name, packed_part, part, end_part in zip("hcnm", states, last, end, strict=True):
        agree([(name, packed_part[1:], part), (name + " in halves", end_part, part)], 1e-6)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_steps_are_the_sequence(backend: str, agree: Any) -> None:
    """Step through a sequence token by token and leave the given state alone."""
    x, r, b, *parts = (part.float() for part in problem(2, 18, 2))
    start = SlstmState(*parts)
    before = [part.clone() for part in start]
    expected, last = slstm(x, r, b, state=start, backend=backend)
    state, rows = start, []
    for t in range(18):
        y, state = slstm_step(x[:, t], r, b, state)
        rows.append(y)
    agree([("y", torch.stack(rows, 1), expected), *zip("hcnm", state, last, strict=True)], 1e-5)
    assert all(torch.equal(part, copy) for part, copy in zip(start, before, strict=True))


@pytest.mark.parametrize("backend", ["torch", "numba", "reference"])
def test_first_token_sets_the_scale(backend: str) -> None:
    """Give an empty memory the input gate of its first token as m, and nothing but that token."""
    x, r, b = (part.float() for part in problem(1, 1, 1)[:3])
    y, state = slstm(x, r, b, backend=backend)
    i, _, z, o = (x[:, 0] + b).unbind(2)
    assert torch.equal(state.m, i)
    assert torch.equal(state.n, torch.ones_like(i))
    torch.testing.assert_close(y[:, 0], torch.sigmoid(o) * torch.tanh(z))


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_counts_in_float32(backend: str, dtype: torch.dtype, agree: Any) -> None:
    """Round only what is returned: twice the spacing of the dtype covers one rounding of each number."""
    data = [part.to(dtype).double() for part in problem(2, 25, 2)]
    expected = run(data, "reference", torch.float64, False)
    actual = run(data, backend, dtype, False)
    assert [part.dtype for part in actual[:5]] == [dtype, *[torch.float32] * 4]
    assert [part.dtype for part in actual[5:]] == [dtype] * 3
    # the weights of the loss are rounded to the dtype of y as well
    agree(zip(NAMES, actual[:5], expected[:5], strict=False), torch.finfo(dtype).eps)
    agree(zip(NAMES[5:], actual[5:], expected[5:8], strict=False), 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_keeps_little(backend: str) -> None:
    """Keep less than five and a half numbers per token and unit for the way back, where x alone has four."""
    x, r, b = (part.float().requires_grad_() for part in problem(2, 64, 2, 32, 2)[:3])
    kept: dict[int, int] = {}

    def note(part: Tensor) -> Tensor:
        """Count every storage once."""
        kept[part.untyped_storage().data_ptr()] = part.untyped_storage().nbytes()
        return part

    with torch.autograd.graph.saved_tensors_hooks(note, lambda part: part):
        y, _ = slstm(x, r, b, backend=backend)
    weights = r.untyped_storage().nbytes()
    assert sum(kept.values()) - weights < 5.5 * y.untyped_storage().nbytes()


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_training_after_inference_at_the_same_lengths(backend: str) -> None:
    """Train on lengths that inference saw first."""
    x, r, b = (part.float() for part in problem(1, 12, 1)[:3])
    form: dict[str, Any] = {"cu_seqlens": offsets((5, 7)), "backend": backend}
    with torch.inference_mode():
        slstm(x, r, b, **form)
    x.requires_grad_()
    slstm(x, r, b, **form)[0].sum().backward()
    assert x.grad is not None


X, R, B = torch.randn(1, 6, 2, 4, 5), torch.randn(2, 5, 4, 5), torch.randn(2, 4, 5)
STATE = SlstmState(*(torch.zeros(1, 2, 5) for _ in range(4)))
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: slstm(X[0], R, B), r"x must be \(B, T, H, 4, K\) .*got \(6, 2, 4, 5\)"),
    (lambda: slstm(X[:, :0], R, B), "x must be .* at least one token"),
    (lambda: slstm(X[:, :, :, :3], R, B), r"x must be \(B, T, H, 4, K\)"),
    (lambda: slstm(X, R.mT, B), r"r must have shape \(2, 5, 4, 5\), got \(2, 5, 5, 4\)"),
    (lambda: slstm(X, R, B[0]), r"b must have shape \(2, 4, 5\), got \(4, 5\)"),
    (lambda: slstm(X, R, B.long()), "b must be a floating-point tensor, got torch.int64"),
    (
        lambda: slstm(X, R, B, state=STATE._replace(m=torch.zeros(2, 5))),
        r"state.m must have shape \(1, 2, 5\), got \(2, 5\)",
    ),
    (lambda: slstm(X, R, B, cu_seqlens=offsets((5,))), "cu_seqlens must run from 0 to T = 6, got 0 to 5"),
    (lambda: slstm(X, R, B, backend="cuda"), "slstm: no backend 'cuda'; available: auto, numba, reference"),
    (lambda: slstm_step(X, R, B, STATE), r"x must be \(N, H, 4, K\), got \(1, 6, 2, 4, 5\)"),
    (lambda: slstm_step(X[0], R, B, STATE), r"state.h must have shape \(6, 2, 5\), got \(1, 2, 5\)"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refuses(call: Callable[[], Any], message: str) -> None:
    """Raise ValueError naming the argument and the shapes."""
    with pytest.raises(ValueError, match=message):
        call()
