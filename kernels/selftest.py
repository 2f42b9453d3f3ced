"""A small problem for every primitive, and how far a backend is from the reference on it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from bio_xlstm.kernels.mixer import MixerWeights

Run = Callable[..., tuple[Tensor, ...]]

# relative to the norm; errors on a sound machine are below 5e-7 and 5e-3
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


class Problem(NamedTuple):
    """Describe a call of a primitive on random numbers."""

    run: Run  # takes tensors and the name of a backend
    shapes: list[tuple[int, ...]]
    backends: Mapping[str, object]
    law: str = "reference"  # the backend that is right by definition
    trained: bool = True  # there are gradients


class Errors(NamedTuple):
    """Hold relative errors against the reference in float64."""

    forward: float
    gradients: float

    def within(self, tolerance: float) -> bool:
        """Tell whether both are small; what is not a number is not."""
        return self.forward < tolerance and self.gradients < tolerance


def _mlstm() -> Problem:
    """Read three packed sequences, one of a single token and one of several chunks."""
    from bio_xlstm.kernels.mlstm import mlstm
    from bio_xlstm.kernels.mlstm.dispatch import BACKENDS

    lengths = torch.tensor([0, 1, 91, 150], dtype=torch.int32)

    def run(*inputs: Tensor, backend: str) -> tuple[Tensor, ...]:
        h, state = mlstm(*inputs, cu_seqlens=lengths, backend=backend)
        return h, *state

    return Problem(run, [(1, 150, 2, 40)] * 3 + [(1, 150, 2)] * 2, BACKENDS)


def _conv() -> Problem:
    """Convolve two sequences."""
    from bio_xlstm.kernels.conv import causal_conv
    from bio_xlstm.kernels.conv.dispatch import BACKENDS

    def run(*inputs: Tensor, backend: str) -> tuple[Tensor, ...]:
        return causal_conv(*inputs, activation="silu", backend=backend)

    return Problem(run, [(2, 67, 24), (24, 4), (24,)], BACKENDS)


def _slstm() -> Problem:
    """Read three packed sequences."""
    from bio_xlstm.kernels.slstm import slstm
    from bio_xlstm.kernels.slstm.dispatch import BACKENDS

    lengths = torch.tensor([0, 1, 30, 50], dtype=torch.int32)

    def run(*inputs: Tensor, backend: str) -> tuple[Tensor, ...]:
        x, recurrent, bias = inputs
        y, state = slstm(x, 0.1 * recurrent, bias, cu_seqlens=lengths, backend=backend)
        return y, *state

    return Problem(run, [(1, 50, 2, 4, 24), (2, 24, 4, 24), (2, 4, 24)], BACKENDS)


def _layer(conv: Tensor, query: Tensor, value: Tensor, gates: Tensor) -> "MixerWeights":
    """Make the weights of a layer whose n.q stays away from zero, where the head norm magnifies its rounding."""
    from bio_xlstm.kernels.mixer import MixerWeights

    one = torch.ones_like(conv[:, 0])
    few, gates = one[: len(gates)], 0.1 * gates
    # keys are queries, and a bias makes tokens alike
    maps = (query, query, value, None, None, None)
    return MixerWeights(0.3 * conv, 2 * one, *maps, gates, few, gates, 3 * few, one, one)


_LAYER: list[tuple[int, ...]] = [(64, 4), (16, 4, 4), (16, 4, 4), (2, 192)]


def _mixer() -> Problem:
    """Run the inside of a layer on two packed sequences."""
    from bio_xlstm.kernels.mixer import mlstm_mixer
    from bio_xlstm.kernels.mixer.dispatch import BACKENDS

    lengths = torch.tensor([0, 7, 80], dtype=torch.int32)

    def run(up: Tensor, *weights: Tensor, backend: str) -> tuple[Tensor, ...]:
        return (mlstm_mixer(up, _layer(*weights), cu_seqlens=lengths, with_state=False, backend=backend)[0],)

    return Problem(run, [(1, 80, 128), *_LAYER], BACKENDS)


def _decode() -> Problem:
    """Read nine tokens of three sequences, with windows so short that they are folded."""
    from bio_xlstm.kernels.decode import Windows, allocate, decode_step, prepare
    from bio_xlstm.kernels.decode.dispatch import BACKENDS

    def run(up: Tensor, *weights: Tensor, backend: str) -> tuple[Tensor, ...]:
        dtype = torch.promote_types(up.dtype, torch.float32)
        prepared, slots = prepare(_layer(*weights)), torch.arange(3, device=up.device)
        cache = allocate(3, 2, 64, 4, device=up.device, dtype=dtype, windows=Windows(4, 2))
        return (torch.stack([decode_step(token, prepared, cache, slots, backend=backend) for token in up]),)

    return Problem(run, [(9, 3, 128), *_LAYER], BACKENDS, law="torch", trained=False)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "mlstm": _mlstm,
    "causal_conv": _conv,
    "slstm": _slstm,
    "mlstm_mixer": _mixer,
    "decode_step": _decode,
}


def measure(
    primitive: str, backend: str, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> Errors:
    """Compare a backend with the reference: outputs and final states, and the gradient of every input."""
    problem = PROBLEMS[primitive]()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator).to(dtype) for shape in problem.shapes]
    found = _run(problem, [x.to(device) for x in inputs], backend)
    law = _run(problem, [x.double() for x in inputs], problem.law)
    forward, gradients = (
        max((relative_error(one, two) for one, two in zip(*pair, strict=True)), default=0.0)
        for pair in zip(found, law, strict=True)
    )
    return Errors(forward, gradients)


def _run(
    problem: Problem, inputs: list[Tensor], backend: str
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the outputs, and the gradients of a fixed weighting of them with respect to every input."""
    if not problem.trained:
        with torch.no_grad():
            return problem.run(*inputs, backend=backend), ()
    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = problem.run(*inputs, backend=backend)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(out.shape, generator=generator).to(out) for out in outputs]
    loss = torch.stack([(out * weight).sum() for out, weight in zip(outputs, weights, strict=True)]).sum()
    return tuple(out.detach() for out in outputs), torch.autograd.grad(loss, inputs)


def relative_error(found: Any, expected: Any) -> float:
    """Return |found - expected| / |expected| in float64, infinite where a number is not finite."""
    one = torch.as_tensor(found).detach().cpu().double()
    two = torch.as_tensor(expected).detach().cpu().double()
    error = float((one - two).norm() / two.norm().clamp_min(1e-30))
    return error if error == error else float("inf")
