"""The Triton mLSTM equals the recurrence: outputs, final states and every gradient.

Without a GPU the kernels run in Triton's interpreter (see conftest.py). Fresh memory holds NaN, so nothing unwritten
is ever read.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

pytest.importorskip("triton")

from bio_xlstm.kernels.mlstm import MlstmState, mlstm, mlstm_step
from bio_xlstm.kernels.mlstm import triton_memory as memory_module
from bio_xlstm.kernels.mlstm import triton_mlstm as door
from bio_xlstm.kernels.mlstm.triton_mlstm import mlstm_triton
from bio_xlstm.kernels.mlstm.triton_plan import choose_sizes, plan_chunks
from bio_xlstm.kernels.mlstm.triton_step import mlstm_step_triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GOLDEN = Path(__file__).parents[1] / "golden" / "mlstm_cell"
NAMES = ("h", "c", "n", "m", "dq", "dk", "dv", "di", "df", "dc", "dn", "dm")
FORMS = [("exp", True), ("exp", False), ("sigmoid", True), ("sigmoid", False)]
Run = Callable[..., tuple[Tensor, MlstmState]]


def offsets(lengths: Sequence[int]) -> Tensor:
    """Return cu_seqlens of the lengths."""
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=DEVICE)


def problem(
    batch: int, time: int, sequences: int, heads: int = 2, key: int = 5, value: int = 7, spread: float = 2.0
) -> list[Tensor]:
    """Return q, k, v, i, f and the parts of a state, in float64."""
    q, k, v = (torch.randn(batch, time, heads, width).double() for width in (key, key, value))
    i, f = torch.randn(2, batch, time, heads).double().unbind()
    state = [torch.randn(sequences, heads, *rest).double() for rest in ((key, value), (key,), ())]
    return [x.to(DEVICE) for x in (q, k, v, spread * i, spread * f + 1, *state)]


def reference(*inputs: Tensor, **form: Any) -> tuple[Tensor, MlstmState]:
    """Run the law."""
    return mlstm(*inputs, **form, backend="reference")


def run(
    run: Run, data: list[Tensor], dtype: torch.dtype, with_state: bool, parts: str = "hcnm", **form: Any
) -> list[Tensor]:
    """Return h, the final state and all gradients of a fixed loss of some of them."""
    leaves = [x.to(dtype).clone().requires_grad_() for x in (data if with_state else data[:5])]
    state = MlstmState(*leaves[5:]) if with_state else None
    h, last = run(*leaves[:5], state=state, **form)
    outputs = [h, *last]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(x.shape, generator=generator).to(x) for x in outputs]
    terms = zip("hcnm", outputs, weights, strict=True)
    # with the sigmoid gate m is a constant
    loss = sum((x * weight).sum() for name, x, weight in terms if name in parts and x.requires_grad)
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)  # type: ignore[arg-type]
    return [
        *outputs,
        *(torch.zeros_like(x) if g is None else g for x, g in zip(leaves, gradients, strict=True)),
    ]


def compare(agree: Any, data: list[Tensor], with_state: bool, **form: Any) -> None:
    """Hold the kernels in float32 against the recurrence in float64."""
    expected = run(reference, data, torch.float64, with_state, **form)
    actual = run(mlstm_triton, data, torch.float32, with_state, **form)
    agree(zip(NAMES, actual, expected, strict=False), 1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layout", ["dense", "packed"])
def test_every_form(form: tuple[str, bool], reverse: bool, layout: str, agree: Any) -> None:
    """Agree in every combination of gate, normaliser, direction and layout, from empty and given states."""
    lengths = {"dense": None, "packed": (3, 19, 1)}[layout]
    batch, time = (2, 7) if lengths is None else (1, sum(lengths))
    data = problem(batch, time, 2 if lengths is None else len(lengths), heads=1)
    compare(
        agree,
        data,
        with_state=reverse == form[1],
        cu_seqlens=None if lengths is None else offsets(lengths),
        reverse=reverse,
        input_gate=form[0],
        normalize=form[1],
        chunk_size=16,
    )


@pytest.mark.parametrize("time", [1, 7, 67])
@pytest.mark.parametrize("with_state", [False, True])
def test_odd_lengths(time: int, with_state: bool, agree: Any) -> None:
    """Agree at lengths that fill no tile, in one chunk and in several."""
    compare(agree, problem(1, time, 1, heads=1 if time == 67 else 2), with_state, chunk_size=32)


@pytest.mark.parametrize("reverse", [False, True])
def test_several_tiles_of_a_chunk(reverse: bool, agree: Any) -> None:
    """Agree where gate gradients pass over tiles that lie between."""
    compare(
        agree,
        problem(1, 111, 2, heads=1),
        True,
        cu_seqlens=offsets((100, 11)),
        chunk_size=96,
        reverse=reverse,
    )


def test_several_blocks_of_columns(agree: Any) -> None:
    """Agree where keys and values are wider than a block, and unequally so."""
    compare(agree, problem(1, 19, 1, heads=1, key=40, value=70), True, chunk_size=16)
    compare(agree, problem(1, 19, 1, heads=1, key=33, value=5), True, chunk_size=16, reverse=True)


@pytest.mark.parametrize("input_gate", ["exp", "sigmoid"])
def test_extreme_gates(input_gate: str, agree: Any) -> None:
    """Agree when gates jump between -40 and 40: nothing overflows and no digit is lost."""
    data = problem(1, 90, 1)
    # keys and queries of one sign: n.q is a sum without cancellation, so float32 carries it
    data[:2] = [x.abs() for x in data[:2]]
    for gate in data[3:5]:
        gate.copy_(40.0 * torch.randint(-1, 2, gate.shape) + 0.1 * torch.randn(gate.shape))
    compare(agree, data, False, input_gate=input_gate, chunk_size=64)


def test_strong_forgetting_keeps_its_digits(agree: Any) -> None:
    """Agree over chunks whose forget gates multiply to nothing."""
    data = problem(1, 130, 1, heads=1, spread=6.0)
    data[:2] = [x.abs() for x in data[:2]]
    compare(agree, data, False, chunk_size=128)


@pytest.mark.parametrize("reverse", [False, True])
def test_segments_of_long_sequences(reverse: bool, agree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agree where the scan over chunks is itself cut into segments."""
    monkeypatch.setattr(door, "SEGMENT", 2)
    compare(
        agree, problem(1, 81, 2, heads=1), True, cu_seqlens=offsets((75, 6)), chunk_size=16, reverse=reverse
    )


def test_many_heads_need_no_segments(agree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agree where the sequences are long, but enough of them run at once."""
    monkeypatch.setattr(door, "SEGMENT", 2)
    monkeypatch.setattr(memory_module, "BUSY", 0)
    compare(agree, problem(1, 75, 1, heads=1), False, chunk_size=16)


@pytest.mark.parametrize("parts", ["h", "c", "m", "hn"])
@pytest.mark.parametrize("with_state", [False, True])
def test_gradient_of_some_outputs(parts: str, with_state: bool, agree: Any) -> None:
    """Agree where only some outputs are used, in one chunk."""
    compare(agree, problem(1, 9, 1, heads=1), with_state, parts=parts)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs(dtype: torch.dtype, agree: Any) -> None:
    """Cost the rounding of operands and results, as in any product of low precision.

    Scores and shares enter products rounded to half a unit in the last place (eps / 2), as do h and the gradients
    themselves; a gradient passes at most a few such roundings.
    """
    data = [x.to(dtype) for x in problem(1, 75, 1, heads=1, spread=1.0)]
    data[3:] = [x.float() for x in data[3:]]
    leaves = [x.clone().requires_grad_() for x in data]
    exact = [x.double().requires_grad_() for x in data]
    h, last = mlstm_triton(*leaves[:5], state=MlstmState(*leaves[5:]), chunk_size=64)
    expected, end = reference(*exact[:5], state=MlstmState(*exact[5:]), chunk_size=64)
    assert h.dtype == dtype and last.c.dtype == torch.float32
    weight = torch.randn(h.shape).to(DEVICE)
    (h.float() * weight).sum().backward()
    (expected * weight).sum().backward()
    pairs = [("h", h, expected), *zip("cnm", last, end, strict=True)]
    names = ("dq", "dk", "dv", "di", "df", "dc", "dn", "dm")
    pairs += [(name, a.grad, b.grad) for name, a, b in zip(names, leaves, exact, strict=True)]
    agree(pairs, 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("case", ["exp_with_state_grad", "sig_nonorm"])
def test_reproduces_the_original_cell(case: str, agree: Any) -> None:
    """Agree with the numbers of the original implementation, as far as float32 carries them."""
    golden = {name: x.to(DEVICE) for name, x in load_file(GOLDEN / "s17_init.safetensors").items()}
    stem = "exp" if case.startswith("exp") else "sig"
    leaves = {name: golden[name].transpose(1, 2).float().requires_grad_() for name in "qkvif"}
    m = golden["m_initial"].squeeze(-1) if stem == "exp" else torch.zeros_like(golden["n_initial"][..., 0])
    state = MlstmState(*(x.float().requires_grad_() for x in (golden["C_initial"], golden["n_initial"], m)))
    gate = "exp" if stem == "exp" else "sigmoid"
    h, last = mlstm_triton(
        *leaves.values(), state=state, input_gate=gate, normalize=stem == "exp", chunk_size=16
    )
    loss = (h.transpose(1, 2) * golden["dh"]).sum()
    if stem == "exp":
        loss = loss + (last.c * golden["exp.gC_last"]).sum() + (last.n * golden["exp.gn_last"]).sum()
    loss.backward()
    outputs = "exp" if stem == "exp" else case
    pairs = [("h", h.transpose(1, 2), golden[f"{outputs}.h"]), ("c", last.c, golden[f"{outputs}.C_last"])]
    pairs += [(name, x.grad.transpose(1, 2), golden[f"{case}.d{name}"]) for name, x in leaves.items()]
    agree(pairs, 1e-5)


def test_without_gradients_and_with_other_strides(agree: Any) -> None:
    """Return the same without autograd, from inputs that are not contiguous, and leave the given state alone."""
    data = [x.float() for x in problem(2, 20, 2)]
    state = MlstmState(*data[5:])
    before = [x.clone() for x in state]
    expected, last = reference(
        *(x.double() for x in data[:5]), state=MlstmState(*(x.double() for x in state))
    )
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in data[:5]]
    with torch.inference_mode():
        h, end = mlstm_triton(*strided, state=state, chunk_size=16)
    agree([("h", h, expected), *zip("cnm", end, last, strict=True)], 1e-5)
    assert all(torch.equal(a, b) for a, b in zip(state, before, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("in_place", [False, True])
def test_step(form: tuple[str, bool], in_place: bool, agree: Any) -> None:
    """Equal the step of the recurrence, from empty and given states, in several blocks of columns too."""
    rest: dict[str, Any] = {"input_gate": form[0], "normalize": form[1]}
    for value in (7, 70):
        data = [x.float() for x in problem(3, 1, 3, key=40, value=value)]
        token, state = [x[:, 0] for x in data[:5]], MlstmState(*data[5:])
        state.c[0], state.n[0], state.m[0] = 0, 0, -torch.inf
        before = MlstmState(*(x.clone() for x in state))
        exact = MlstmState(*(x.double() for x in state))
        expected, last = mlstm_step(*(x.double() for x in token), exact, **rest)
        h, new = mlstm_step_triton(*token, state, **rest, out_state=state if in_place else None)
        agree([("h", h, expected), *zip("cnm", new, last, strict=True)], 1e-5)
        kept = before if not in_place else new
        assert all(torch.equal(a, b) for a, b in zip(state, kept, strict=True))


def test_step_keeps_the_digits_of_open_gates(agree: Any) -> None:
    """Forget as little as a forget gate close to one says."""
    token = [torch.zeros(1, 1, 4) for _ in range(3)] + [torch.full((1, 1), -30.0), torch.full((1, 1), 12.0)]
    state = MlstmState(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4), torch.zeros(1, 1))
    token, state = [x.to(DEVICE) for x in token], MlstmState(*(x.to(DEVICE) for x in state))
    _, new = mlstm_step_triton(*token, state)
    lost = torch.nn.functional.logsigmoid(torch.tensor([[12.0]], dtype=torch.float64, device=DEVICE))
    agree([("m", new.m, lost)], 1e-6)


def test_refuses_float64_and_foreign_targets() -> None:
    """Raise ValueError naming what the kernels cannot do."""
    data = problem(1, 3, 1)
    with pytest.raises(ValueError, match="mlstm: the triton backend counts in float32"):
        mlstm_triton(*data[:5])
    token, state = [x[:, 0] for x in data[:5]], MlstmState(*data[5:])
    with pytest.raises(ValueError, match="mlstm_step: the triton backend counts in float32"):
        mlstm_step_triton(*token, state)
    with pytest.raises(ValueError, match="out_state must be contiguous float32"):
        mlstm_step_triton(*(x.float() for x in token), state, out_state=state)


def test_plan_cuts_every_token_once() -> None:
    """Cover every token once, in reading order, with 64-bit positions."""
    for reverse in (False, True):
        plan = plan_chunks((0, 5, 6, 50), 16, 1, reverse, 1, torch.device("cpu"))
        assert plan.first.dtype == torch.int64
        step = -1 if reverse else 1
        tokens = [
            int(first) + step * place
            for first, size in zip(plan.first, plan.size, strict=True)
            for place in range(int(size))
        ]
        pieces = [range(0, 5), range(5, 6), range(6, 50)]
        assert tokens == [token for piece in pieces for token in (piece[::-1] if reverse else piece)]
        assert plan.bounds.tolist() == [0, 1, 2, 5] and plan.segments is not None
        assert plan.segments.chunks.tolist() == [0, 1, 2, 3, 4, 5]
        assert plan.segments.sequences.tolist() == [0, 1, 2, 5]


def test_chunks_follow_the_lengths() -> None:
    """Keep short sequences in one chunk, and round chunks up to tiles."""
    assert choose_sizes(1, 64, None, 64) == (16, 1)
    assert choose_sizes(100, 64, None, 64) == (64, 2)
    assert choose_sizes(65536, 64, None, 64) == (64, 2)
    assert choose_sizes(65536, 512, None, 64) == (64, 4)
    assert choose_sizes(65536, 64, 40, 32) == (32, 2)
