"""Small problems for every primitive, chosen so that they reach what a compiler compiles differently."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bio_xlstm.kernels.mixer import MixerWeights

Run = Callable[..., tuple[Tensor, ...]]
Shape = tuple[int, ...]


class Problem(NamedTuple):
    """Describe a call of a primitive on random numbers."""

    run: Run  # takes tensors and the name of a backend
    shapes: list[Shape]
    gpu: bool = False  # left out elsewhere: GPU kernels alone are compiled for each width
    law: str = "reference"  # the backend that is right by definition


class Exam(NamedTuple):
    """Hold the problems of a primitive."""

    problems: list[Problem]
    backends: Mapping[str, object]
    trained: bool = True  # there are gradients

    @property
    def law(self) -> str:
        """Return the backend that is right by definition."""
        return self.problems[0].law


def _state(parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the parts of a state in the dtype of states, float32 or float64."""
    return tuple(part.to(torch.promote_types(part.dtype, torch.float32)) for part in parts)


def _mlstm(
    bounds: list[int], key: int, value: int, *, state: bool = False, gpu: bool = False, law: str = "reference",
    **form: object,
) -> Problem:  # fmt: skip
    """Read packed sequences with two heads; a state is followed by tokens that forget slowly, so that it matters."""
    from bio_xlstm.kernels.mlstm import MlstmState, mlstm

    tokens, sequences = bounds[-1], len(bounds) - 1

    def run(
        q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, *before: Tensor, backend: str
    ) -> tuple[Tensor, ...]:
        given = {}
        if before:
            c, n, m, i, f = _state((*before, i, f))
            # small weights keep the normaliser at its floor mostly: next to zero it would magnify rounding
            given, i, f = {"state": MlstmState(c, n, m - 2)}, i - 2, 4 * f.abs()
        lengths = torch.tensor(bounds, dtype=torch.int32)
        h, after = mlstm(q, k, v, i, f, cu_seqlens=lengths, backend=backend, **given, **form)  # type: ignore[arg-type]
        return h, *after

    shapes: list[Shape] = [(1, tokens, 2, width) for width in (key, key, value)] + [(1, tokens, 2)] * 2
    if state:
        shapes += [(sequences, 2, key, value), (sequences, 2, key), (sequences, 2)]
    return Problem(run, shapes, gpu, law)


def _mlstm_exam() -> Exam:
    """Read sequences of one token, one chunk and several, with heads of every size that is compiled differently."""
    from bio_xlstm.kernels.mlstm.dispatch import BACKENDS

    problems = [
        _mlstm([0, 1, 91, 150], 40, 40),
        _mlstm([0, 5, 46], 24, 56, state=True, reverse=True, input_gate="sigmoid", chunk_size=16),
        _mlstm([0, 3, 70], 64, 64, state=True, reverse=True, chunk_size=16, gpu=True),
        _mlstm([0, 70], 64, 128, normalize=False, input_gate="sigmoid", gpu=True),
        _mlstm([0, 9, 50], 128, 128, state=True, chunk_size=32, gpu=True),
        _mlstm([0, 40], 256, 256, gpu=True),
        # long enough for the scan over chunks to be cut too, which the reference would take too long for
        _mlstm([0, 1100], 16, 16, state=True, chunk_size=16, gpu=True, law="torch"),
    ]
    return Exam(problems, BACKENDS)


def _conv_exam() -> Exam:
    """Convolve a batch, and packed sequences that continue, right to left."""
    from bio_xlstm.kernels.conv import causal_conv
    from bio_xlstm.kernels.conv.dispatch import BACKENDS

    def batch(*inputs: Tensor, backend: str) -> tuple[Tensor, ...]:
        return causal_conv(*inputs, activation="silu", backend=backend)

    def packed(x: Tensor, weight: Tensor, state: Tensor, *, backend: str) -> tuple[Tensor, ...]:
        lengths = torch.tensor([0, 1, 3, 80], dtype=torch.int32)
        return causal_conv(x, weight, state=state, cu_seqlens=lengths, reverse=True, backend=backend)

    problems = [
        Problem(batch, [(2, 67, 24), (24, 4), (24,)]),
        Problem(packed, [(1, 80, 70), (70, 4), (3, 3, 70)]),
    ]
    return Exam(problems, BACKENDS)


def _slstm(bounds: list[int], width: int, *, state: bool, reverse: bool, gpu: bool = False) -> Problem:
    """Read packed sequences with two heads."""
    from bio_xlstm.kernels.slstm import SlstmState, slstm

    def run(x: Tensor, recurrent: Tensor, bias: Tensor, *before: Tensor, backend: str) -> tuple[Tensor, ...]:
        given = {}
        if before:
            h, c, n, m = _state(before)
            # a normaliser is positive, and outputs lie between -1 and 1
            given["state"] = SlstmState(torch.tanh(h), c, 1 + n * n, m)
        lengths = torch.tensor(bounds, dtype=torch.int32)
        y, after = slstm(
            x, recurrent / 16, bias, cu_seqlens=lengths, reverse=reverse, backend=backend, **given
        )
        return y, *after

    shapes: list[Shape] = [(1, bounds[-1], 2, 4, width), (2, width, 4, width), (2, 4, width)]
    return Problem(run, shapes + [(len(bounds) - 1, 2, width)] * (4 if state else 0), gpu)


def _slstm_exam() -> Exam:
    """Read with recurrent weights that stay on the chip of a GPU both ways, one way, and not at all."""
    from bio_xlstm.kernels.slstm.dispatch import BACKENDS

    problems = [
        _slstm([0, 1, 30, 50], 24, state=False, reverse=False),
        _slstm([0, 2, 20], 20, state=True, reverse=True),
        _slstm([0, 1, 20], 64, state=True, reverse=True, gpu=True),
        _slstm([0, 20], 128, state=True, reverse=False, gpu=True),
    ]
    return Exam(problems, BACKENDS)


def _layer(conv: Tensor, query: Tensor, value: Tensor, gates: Tensor) -> "MixerWeights":
    """Make the weights of a layer whose n.q stays away from zero, where the head norm magnifies its rounding."""
    from bio_xlstm.kernels.mixer import MixerWeights

    one = torch.ones_like(conv[:, 0])
    few, gates = one[: len(gates)], 0.1 * gates
    # keys are queries, and a bias makes tokens alike
    maps = (query, query, value, None, None, None)
    return MixerWeights(0.3 * conv, 2 * one, *maps, gates, few, gates, 3 * few, one, one)


def _layer_shapes(inner: int) -> list[Shape]:
    """Return the shapes of the random weights of a layer of two heads."""
    return [(inner, 4), (inner // 4, 4, 4), (inner // 4, 4, 4), (2, 3 * inner)]


def _mixer_exam() -> Exam:
    """Run the inside of a layer on two packed sequences."""
    from bio_xlstm.kernels.mixer import mlstm_mixer
    from bio_xlstm.kernels.mixer.dispatch import BACKENDS

    def run(up: Tensor, *weights: Tensor, backend: str) -> tuple[Tensor, ...]:
        lengths = torch.tensor([0, 7, 80], dtype=torch.int32)
        return (mlstm_mixer(up, _layer(*weights), cu_seqlens=lengths, with_state=False, backend=backend)[0],)

    return Exam([Problem(run, [(1, 80, 128), *_layer_shapes(64)])], BACKENDS)


def _decode(inner: int, *, turned: bool = False, gpu: bool = False) -> Problem:
    """Read nine tokens of three sequences, with windows so short that they are folded, rotary positions or none."""
    from bio_xlstm.kernels.decode import Windows, allocate, decode_step, prepare

    def run(up: Tensor, *weights: Tensor, backend: str) -> tuple[Tensor, ...]:
        dtype = torch.promote_types(up.dtype, torch.float32)
        prepared, slots = prepare(_layer(*weights)), torch.arange(3, device=up.device)
        cache = allocate(3, 2, inner, 4, device=up.device, dtype=dtype, windows=Windows(4, 2))
        turns = [_turn(place, inner // 2, up) if turned else None for place in range(len(up))]
        steps = zip(up, turns, strict=True)
        return (
            torch.stack(
                [decode_step(x, prepared, cache, slots, turn=turn, backend=backend) for x, turn in steps]
            ),
        )

    return Problem(run, [(9, 3, 2 * inner), *_layer_shapes(inner)], gpu, law="torch")


def _turn(place: int, width: int, like: Tensor) -> Tensor:
    """Return cosines and sines (3, 2, K / 2) for three sequences that are at a place."""
    angles = torch.linspace(0.1, 3.0, 3 * width // 2).view(3, -1) * place
    return torch.stack((angles.cos(), angles.sin()), 1).to(
        like.device, torch.promote_types(like.dtype, torch.float32)
    )


def _decode_exam() -> Exam:
    """Read token by token with heads of two widths, and with rotary positions."""
    from bio_xlstm.kernels.decode.dispatch import BACKENDS

    return Exam([_decode(64), _decode(64, turned=True), _decode(256, gpu=True)], BACKENDS, trained=False)


PROBLEMS: dict[str, Callable[[], Exam]] = {
    "mlstm": _mlstm_exam,
    "causal_conv": _conv_exam,
    "slstm": _slstm_exam,
    "mlstm_mixer": _mixer_exam,
    "decode_step": _decode_exam,
}
