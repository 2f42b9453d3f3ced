"""A Gaussian process with the Tanimoto kernel; classes are regressed on as -1 and 1.

Noise is the one with the highest marginal likelihood, the signal's variance being the best for it (Rasmussen and
Williams 2006, equation 5.8); the kernel is that of Ralaivola et al. (2005, doi:10.1016/j.neunet.2005.07.009).
"""

import numpy as np

from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.question import One
from bio_xlstm.tasks.fewshot.methods.similarity import tanimoto

# variance of the noise in units of the signal's
NOISES = 10.0 ** np.linspace(-3, 2, 51)


def gaussian_process(library: Library, one: One) -> np.ndarray:
    """Predict (M,) the posterior mean."""
    values = one.values if one.numeric else 2 * one.values - 1
    middle = values.mean()
    kernel = tanimoto(library, one.support, one.support)
    spectrum, basis = np.linalg.eigh(kernel)
    turned = basis.T @ (values - middle)  # (N,)
    noise = NOISES[int(np.argmax(_evidence(np.maximum(spectrum, 0), turned)))]
    weights = basis @ (turned / (np.maximum(spectrum, 0) + noise))
    found: np.ndarray = middle + tanimoto(library, one.queries, one.support) @ weights
    return found


def _evidence(spectrum: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Return the logarithm of the marginal likelihood for every noise, constants left out."""
    total = spectrum[None] + NOISES[:, None]  # (noises, N)
    variance = np.maximum((turned**2 / total).mean(1), 1e-12)
    found: np.ndarray = -0.5 * (len(turned) * np.log(variance) + np.log(total).sum(1))
    return found
