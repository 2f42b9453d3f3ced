"""How far a backend is from the reference, on the problems of its primitive."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bio_xlstm.kernels.problems import PROBLEMS, Problem

# relative to the norm; errors on a sound machine are below 2e-6 and 1e-2
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


class Errors(NamedTuple):
    """Hold relative errors against the reference in float64."""

    forward: float
    gradients: float

    def within(self, tolerance: float) -> bool:
        """Tell whether both are small; what is not a number is not."""
        return self.forward < tolerance and self.gradients < tolerance


def measure(
    primitive: str, backend: str, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> Errors:
    """Compare a backend with the reference: outputs and final states, and the gradient of every input.

    Returns the worst of all problems. What the caller has switched on, be it inference mode, autocast, hooks of a
    checkpointed step or a default device, reaches neither side.
    """
    place, exam = torch.device(device), PROBLEMS[primitive]()
    problems = [problem for problem in exam.problems if place.type == "cuda" or not problem.gpu]
    # all of these belong to the thread that switched them on
    with ThreadPoolExecutor(1) as alone:
        found = [
            alone.submit(_measure, problem, exam.trained, backend, place, dtype).result()
            for problem in problems
        ]
    return Errors(*(max(map(_finite, errors)) for errors in zip(*found, strict=True)))


def _measure(
    problem: Problem, trained: bool, backend: str, device: torch.device, dtype: torch.dtype
) -> Errors:
    """Compare a backend with the reference on one problem."""
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(shape, generator=generator, dtype=torch.float32) for shape in problem.shapes]
    inputs = [x.to(dtype) for x in draws]
    found = _run(problem, trained, [x.to(device) for x in inputs], backend)
    law = _run(problem, trained, [x.double() for x in inputs], problem.law)
    forward, gradients = (
        max((relative_error(one, two) for one, two in zip(*pair, strict=True)), default=0.0)
        for pair in zip(found, law, strict=True)
    )
    return Errors(forward, gradients)


def _run(
    problem: Problem, trained: bool, inputs: list[Tensor], backend: str
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the outputs, and the gradients of a fixed weighting of them with respect to every input."""
    if not trained:
        with torch.no_grad():
            return problem.run(*inputs, backend=backend), ()
    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = problem.run(*inputs, backend=backend)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(out.shape, generator=generator, dtype=torch.float32).to(out) for out in outputs]
    loss = torch.stack([(out * weight).sum() for out, weight in zip(outputs, weights, strict=True)]).sum()
    return tuple(out.detach() for out in outputs), torch.autograd.grad(loss, inputs)


def _finite(error: float) -> float:
    """Return what is not a number as infinite, which is worse than anything."""
    return error if error == error else float("inf")


def relative_error(found: Any, expected: Any) -> float:
    """Return |found - expected| / |expected| in float64, infinite where a number is not finite."""
    one = torch.as_tensor(found).detach().cpu().double()
    two = torch.as_tensor(expected).detach().cpu().double()
    error = float((one - two).norm() / two.norm().clamp_min(1e-30))
    return _finite(error)
