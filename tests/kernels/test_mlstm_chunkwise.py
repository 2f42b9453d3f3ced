"""The chunkwise mLSTM equals the recurrence: outputs, final states and every gradient."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import Tensor

from bio_xlstm.kernels.mlstm import MlstmState, mlstm
from bio_xlstm.kernels.mlstm.numba_mlstm import choose_size
from bio_xlstm.kernels.mlstm.torch_chunkwise import choose_chunk

NAMES = ("h", "c", "n", "m", "dq", "dk", "dv", "di", "df", "dc", "dn", "dm")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
KINDS = [("torch", torch.float64), ("torch", torch.float32), ("numba", torch.float32)]


def offsets(lengths: Sequence[int]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def problem(
    batch: int, time: int, sequences: int, key: int = 5, value: int = 7, spread: float = 2.0
) -> list[Tensor]:
    """Return q, k, v, i, f and the parts of a state, in float64."""
    q, k, v = (torch.randn(batch, time, 2, width).double() for width in (key, key, value))
    i, f = torch.randn(2, batch, time, 2).double().unbind()
    state = [torch.randn(sequences, 2, *rest).double() for rest in ((key, value), (key,), ())]
    return [q, k, v, spread * i, spread * f + 1, *state]


def run(
    problem: list[Tensor], backend: str, dtype: torch.dtype, with_state: bool, **form: Any
) -> list[Tensor]:
    """Return h, the final state and all gradients of a fixed loss of all of them."""
    leaves = [x.to(dtype).clone().requires_grad_() for x in (problem if with_state else problem[:5])]
    state = MlstmState(*leaves[5:]) if with_state else None
    h, last = mlstm(*leaves[:5], state=state, backend=backend, **form)
    outputs = [h, *last]
    generator = torch.Generator().manual_seed(1)
    loss = sum((x * torch.randn(x.shape, generator=generator).to(x.dtype)).sum() for x in outputs)
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [
        *outputs,
        *(torch.zeros_like(x) if g is None else g for x, g in zip(leaves, gradients, strict=True)),
    ]


def compare(
    agree: Any, data: list[Tensor], dtype: torch.dtype, with_state: bool, backend: str = "torch", **form: Any
) -> None:
    """Hold the chunkwise form against the recurrence."""
    expected = run(data, "reference", torch.float64 if dtype == torch.float32 else dtype, with_state, **form)
    actual = run(data, backend, dtype, with_state, **form)
    agree(zip(NAMES, actual, expected, strict=False), TOLERANCE[dtype])


FORMS = [("exp", True), ("exp", False), ("sigmoid", True), ("sigmoid", False)]


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 16, 48, 64, None])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_every_chunk_size(
    chunk_size: int | None, form: tuple[str, bool], kind: tuple[str, torch.dtype], agree: Any
) -> None:
    """Agree at an odd length, alone and packed, whatever the chunk size."""
    backend, dtype = kind
    rest: dict[str, Any] = {"input_gate": form[0], "normalize": form[1], "chunk_size": chunk_size}
    compare(agree, problem(1, 67, 1), dtype, True, backend, **rest)
    compare(agree, problem(1, 84, 4), dtype, False, backend, cu_seqlens=offsets((5, 1, 61, 17)), **rest)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layout", ["dense", "even", "packed", "single"])
def test_every_form(
    kind: tuple[str, torch.dtype],
    reverse: bool,
    with_state: bool,
    form: tuple[str, bool],
    layout: str,
    agree: Any,
) -> None:
    """Agree in every combination of gate, normaliser, state, direction and layout."""
    backend, dtype = kind
    lengths = {"dense": None, "even": (19, 19), "packed": (3, 35, 1, 9), "single": (1,)}[layout]
    batch, time = (3, 37) if lengths is None else (1, sum(lengths))
    data = problem(batch, time, 3 if lengths is None else len(lengths))
    boundaries = None if lengths is None else offsets(lengths)
    compare(
        agree,
        data,
        dtype,
        with_state,
        backend,
        cu_seqlens=boundaries,
        reverse=reverse,
        input_gate=form[0],
        normalize=form[1],
        chunk_size=4,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("input_gate", ["exp", "sigmoid"])
def test_extreme_gates(kind: tuple[str, torch.dtype], input_gate: str, agree: Any) -> None:
    """Agree when gates jump between -40 and 40: nothing overflows and no digit is lost."""
    data = problem(2, 45, 2)
    for gate in (data[3], data[4]):
        gate.copy_(40.0 * torch.randint(-1, 2, gate.shape) + 0.1 * torch.randn(gate.shape))
    expected = run(data, "reference", torch.float64, False, input_gate=input_gate)
    actual = run(data, kind[0], kind[1], False, input_gate=input_gate, chunk_size=16)
    agree(zip(NAMES, actual, expected, strict=False), TOLERANCE[kind[1]])


@pytest.mark.parametrize("widths", [(16, 16), (33, 16), (16, 70), (130, 64), (512, 48)])
def test_every_width(widths: tuple[int, int], agree: Any) -> None:
    """Agree where heads are narrow, wide, odd, and where keys and values differ."""
    data = problem(1, 40, 2, *widths)
    form: dict[str, Any] = {"cu_seqlens": offsets((23, 17)), "chunk_size": 16}
    compare(agree, data, torch.float32, True, "numba", **form)


def test_nothing_unwritten_is_read(agree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agree when every array that is allocated without a value holds NaN."""
    import numpy as np

    def poisoned(shape: Any, dtype: Any) -> Any:
        return np.full(shape, np.nan, dtype)

    from bio_xlstm.kernels.mlstm import numba_mlstm

    monkeypatch.setattr(numba_mlstm.np, "empty", poisoned)
    for with_state in (False, True):
        data, lengths = problem(1, 40, 3), offsets((1, 22, 17))
        compare(agree, data, torch.float32, with_state, "numba", cu_seqlens=lengths, chunk_size=16)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    """Return the same bits however the work is shared out."""
    data = [x.float() for x in problem(1, 90, 4)[:5]]
    form: dict[str, Any] = {"cu_seqlens": offsets((40, 3, 30, 17)), "backend": "numba"}
    expected, _ = mlstm(*data, **form)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(mlstm(*data, **form)[0], expected)
    finally:
        torch.set_num_threads(before)


def test_many_segments(agree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agree when sequences fall into several groups and each group into several segments."""
    from bio_xlstm.kernels.mlstm import torch_chunkwise

    monkeypatch.setattr(torch_chunkwise, "SEGMENT_ROWS", 32)
    for reverse in (False, True):
        data = problem(1, 40, 6)
        lengths = offsets((4, 14, 1, 10, 6, 5))
        compare(agree, data, torch.float64, True, cu_seqlens=lengths, chunk_size=4, reverse=reverse)
    compare(agree, problem(2, 16, 2), torch.float64, False, chunk_size=4)


def test_packed_is_alone_is_split(agree: Any) -> None:
    """Return for a packed sequence what it gives alone, or in two halves through the state."""
    data = problem(1, 40, 1)[:5]
    packed, states = mlstm(*data, cu_seqlens=offsets((11, 29)), chunk_size=8)
    alone, last = mlstm(*(x[:, 11:] for x in data), chunk_size=16)
    head, middle = mlstm(*(x[:, 11:24] for x in data))
    tail, end = mlstm(*(x[:, 24:] for x in data), state=middle)
    pairs = [("alone", packed[:, 11:], alone), ("halves", torch.cat([head, tail], 1), alone)]
    for name, part in zip("cnm", range(3), strict=True):
        pairs += [(name, states[part][1:], last[part]), (name + " halves", end[part], last[part])]
    agree(pairs, 1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_finite_differences(form: tuple[str, bool]) -> None:
    """Match finite differences through the final state and to the initial one."""
    parts = problem(1, 4, 2, key=2, value=1, spread=1.0)
    # one head is enough, finite differences are slow
    leaves = [x.narrow(2 if row < 5 else 1, 0, 1).clone().requires_grad_() for row, x in enumerate(parts)]

    def function(*parts: Tensor) -> tuple[Tensor, ...]:
        state = MlstmState(*parts[5:])
        lengths = offsets((3, 1))
        rest: dict[str, Any] = {"input_gate": form[0], "normalize": form[1], "chunk_size": 2}
        h, last = mlstm(*parts[:5], state=state, cu_seqlens=lengths, backend="torch", **rest)
        return (h, *last) if form[0] == "exp" else (h, last.c, last.n)

    assert torch.autograd.gradcheck(function, leaves, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs(dtype: torch.dtype, backend: str, agree: Any) -> None:
    """Count in float32: half-precision activations only cost the rounding of inputs and outputs."""
    data = [x.to(dtype) for x in problem(2, 45, 2, spread=1.0)[:5]]
    data[3:] = [gate.float() for gate in data[3:]]
    leaves = [x.clone().requires_grad_() for x in data]
    h, _ = mlstm(*leaves, chunk_size=16, backend=backend)
    exact = [x.float().requires_grad_() for x in data]
    expected, _ = mlstm(*exact, backend="reference")
    assert h.dtype == dtype
    weight = torch.randn(h.shape)
    (h.float() * weight).sum().backward()
    (expected * weight).sum().backward()
    pairs = [
        ("h", h, expected),
        *((n, a.grad, b.grad) for n, a, b in zip("qkvif", leaves, exact, strict=True)),
    ]
    agree(pairs, 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_long_forgetting_keeps_its_digits(backend: str, agree: Any) -> None:
    """Keep a long sequence with strong forgetting at float32 accuracy."""
    data = [x.float() for x in problem(1, 250, 1, spread=6.0)[:5]]
    actual, _ = mlstm(*data, chunk_size=128, backend=backend)
    expected, _ = mlstm(*(x.double() for x in data), backend="reference")
    agree([("h", actual, expected)], 1e-5)


def test_chunks_follow_the_lengths() -> None:
    """Choose short chunks for short sequences and never waste most of a tile."""
    assert choose_chunk([10] * 50, 4, 96, 96) == 16
    assert choose_chunk([50] * 40, 4, 96, 96) == 64
    assert choose_chunk([65536], 4, 96, 96) in (32, 64, 128)
    assert choose_size(100, 128, 128) == 112
    assert choose_size(65536, 64, 64) <= 64


def slopes_of_h(
    data: list[Tensor], backend: str, dtypes: tuple[torch.dtype, torch.dtype], **form: Any
) -> list[Tensor]:
    """Return h and its gradients, with q, k and v in the first dtype, gates and state in the second."""
    leaves = [x.to(dtypes[part > 2]).clone().requires_grad_() for part, x in enumerate(data)]
    h, _ = mlstm(*leaves[:5], state=MlstmState(*leaves[5:]) if leaves[5:] else None, backend=backend, **form)
    slope = torch.randn(h.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    return [h, *torch.autograd.grad((h * slope.to(h)).sum(), leaves)]


EXACT, SINGLE = (torch.float64, torch.float64), (torch.float32, torch.float32)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_large_gates_without_normaliser(backend: str, agree: Any) -> None:
    """Agree where h is so large that its product with its own scale is no float32."""
    data = problem(1, 4, 1)[:5]
    for gate, signs in zip(data[3:], ((-60.0, 60.0, -60.0, 20.0), (60.0, -60.0, -60.0, 60.0)), strict=True):
        gate.copy_(torch.tensor(signs).view(1, 4, 1).expand_as(gate))
    expected = slopes_of_h(data, "reference", EXACT, normalize=False)
    actual = slopes_of_h(data, backend, SINGLE, normalize=False)
    agree(zip(("h", *NAMES[4:]), actual, expected, strict=False), 1e-5)


@pytest.mark.parametrize("backend", ["torch", "numba"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gate_gradients_keep_float32(backend: str, dtype: torch.dtype, agree: Any) -> None:
    """Round only what is half precision: the gradients of float32 gates are sums over unrounded outputs."""
    data = problem(2, 45, 2)[:5]
    data[:3] = [x.to(dtype).double() for x in data[:3]]
    expected = slopes_of_h(data, "reference", EXACT)
    actual = slopes_of_h(data, backend, (dtype, torch.float32))
    agree(zip(("di", "df"), actual[4:], expected[4:], strict=True), 1e-5)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_vanishing_normaliser(backend: str) -> None:
    """Where n.q all but vanishes, bound the error of the gates' gradients by the terms that cancel in them.

    One token that writes nothing reads c and n, so the forget gate and m scale both alike: their true gradients are
    zero, as the difference of terms that a form without the normaliser's gradient would leave standing.
    """
    data = problem(1, 1, 1)
    q, i, n, m = data[0], data[3], data[6], data[7]
    i.fill_(-30.0)
    m.fill_(12.0)
    n -= ((n * q[:, 0]).sum(-1, keepdim=True) / (q[:, 0] ** 2).sum(-1, keepdim=True) - 1e-4) * q[:, 0]
    expected, actual = slopes_of_h(data, "reference", EXACT), slopes_of_h(data, backend, SINGLE)
    terms = float((expected[1] * q).abs().max())
    assert terms > 1e6 and expected[5].abs().max() < 1e-6
    for place in (5, 8):  # of the forget gate and of m
        assert float((actual[place] - expected[place]).abs().max()) <= 1e-6 * terms
