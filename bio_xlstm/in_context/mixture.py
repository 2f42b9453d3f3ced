"""How much each of several kernels explains a support, and how noisy its labels are.

Shares and noise are those under which the labels are most likely, times how likely such shares and noises are before
(Rasmussen and Williams 2006, equations 5.8 and 5.9); the signal's variance is the best for them.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.in_context.gaussian import SPREAD

# examples by which mixtures are judged
JUDGED = 256
# logarithm of the noise, to base 10, that is expected
EXPECTED = -0.2
# deviation of the logarithm of a share from that of the expected one
_APART = 1.0
# deviations from what is expected, at most
_FARTHEST = 5.0
# more steps change no answer that could be seen
_STEPS = 12
_LOG_TEN = float(np.log(10))


class Mixture(NamedTuple):
    """Hold how much each of C kernels counts, and the noise in units of the same."""

    shares: Tensor  # (C,) float64
    noise: Tensor  # () float64


def weigh(kernels: Tensor, right: Tensor, expected: Tensor) -> Mixture:
    """Find the mixture of kernels (C, N, N), all of one size, that explains labels (N,).

    `expected` (C,) says how much each is expected to count; kernels that are 0 everywhere count nothing.
    """
    from scipy.optimize import minimize

    there = (kernels != 0).flatten(1).any(1) & (expected > 0)
    mean = torch.log(expected[there] / expected[there].sum()).numpy()
    if not len(mean):
        return Mixture(torch.zeros_like(expected), torch.tensor(10.0**EXPECTED, dtype=torch.float64))
    start = np.append(mean, EXPECTED * _LOG_TEN)
    apart = np.append(np.full_like(mean, _APART), SPREAD * _LOG_TEN)
    flat = kernels[there].flatten(1)

    def unlikely(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _unlikely(torch.from_numpy(np.exp(logarithms)), flat, right)
        far = (logarithms - start) / apart
        return value.item() + 0.5 * far @ far, slope.numpy() + far / apart

    # a step may try anything: beyond this nothing is likely, and rounding would decide
    bounds = list(zip(start - _FARTHEST * apart, start + _FARTHEST * apart, strict=True))
    options = {"maxiter": _STEPS}
    found = minimize(unlikely, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    shares = torch.zeros_like(expected)
    shares[there] = torch.from_numpy(np.exp(found[:-1]))
    return Mixture(shares, torch.tensor(float(np.exp(found[-1])), dtype=torch.float64))


def _unlikely(sizes: Tensor, flat: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return minus the logarithm of the likelihood of labels (N,), and its slope by that of sizes (C + 1,).

    All in torch: many small products, for which threads of another library's linear algebra would be in the way.
    """
    count = len(right)
    system = (sizes[:-1] @ flat).view(count, count)
    system.diagonal().add_(sizes[-1])
    root = torch.linalg.cholesky(system)
    inverse = torch.cholesky_inverse(root)
    solved = inverse @ right
    signal = (right @ solved / count).clamp_min(1e-12)
    value = 0.5 * count * signal.log() + root.diagonal().log().sum()
    slope = 0.5 * (inverse - torch.outer(solved, solved) / signal)
    return value, sizes * torch.cat([flat @ slope.flatten(), slope.trace()[None]])
