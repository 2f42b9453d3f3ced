"""A small problem for every primitive, and how far a backend is from the reference on it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

Run = Callable[..., tuple[Tensor, ...]]

# relative to the norm; errors on a sound machine are below 5e-7 and 5e-3
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


class Problem(NamedTuple):
    """Describe a call of a primitive on random numbers."""

    run: Run  # takes tensors and the name of a backend
    shapes: list[tuple[int, ...]]
    backends: Mapping[str, object]


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


def _mixer() -> Problem:
    """Run the inside of a layer on two packed sequences."""
    from bio_xlstm.kernels.mixer import MixerWeights, mlstm_mixer
    from bio_xlstm.kernels.mixer.dispatch import BACKENDS

    lengths = torch.tensor([0, 7, 80], dtype=torch.int32)

    def run(*inputs: Tensor, backend: str) -> tuple[Tensor, ...]:
        up, conv, query, value, gates = inputs
        one = torch.ones_like(conv[:, 0])
        few = one[:2]
        # keys are queries and tokens alike: n.q stays away from zero, where the head norm magnifies its rounding
        weights = MixerWeights(
            0.3 * conv,
            2 * one,
            query,
            query,
            value,
            None,
            None,
            None,
            0.1 * gates,
            few,
            0.1 * gates,
            3 * few,
            one,
            one,
        )
        return (mlstm_mixer(up, weights, cu_seqlens=lengths, with_state=False, backend=backend)[0],)

    return Problem(run, [(1, 80, 128), (64, 4), (16, 4, 4), (16, 4, 4), (2, 192)], BACKENDS)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "mlstm": _mlstm,
    "causal_conv": _conv,
    "slstm": _slstm,
    "mlstm_mixer": _mixer,
}


def measure(
    primitive: str, backend: str, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> Errors:
    """Compare a backend with the reference: outputs and final states, and the gradient of every input."""
    problem = PROBLEMS[primitive]()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator).to(dtype) for shape in problem.shapes]
    found = _forward_and_backward(problem.run, [x.to(device) for x in inputs], backend)
    law = _forward_and_backward(problem.run, [x.double() for x in inputs], "reference")
    forward, gradients = (
        max(relative_error(one, two) for one, two in zip(*pair, strict=True))
        for pair in zip(found, law, strict=True)
    )
    return Errors(forward, gradients)


def _forward_and_backward(
    run: Run, inputs: list[Tensor], backend: str
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the outputs, and the gradients of a fixed weighting of them with respect to every input."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = run(*inputs, backend=backend)
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
