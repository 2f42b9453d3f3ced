"""A prototype network without training: distances of embeddings to the means of the classes.

Distances are those of Mahalanobis with the covariance of a class mixed with that of the support and the identity
(Bateni et al. 2020, arXiv 1912.03432, equation 3), as the prototype network of FS-Mol measures them.
"""

import numpy as np

from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.question import One


def prototypes(library: Library, one: One) -> np.ndarray:
    """Predict (M,) how much nearer queries are to the positive class than to the negative one."""
    support, queries = library.embeddings(one.support), library.embeddings(one.queries)
    middle, scale = support.mean(0), support.std(0) + 1e-6
    support, queries = (support - middle) / scale, (queries - middle) / scale
    whole = _covariance(support)
    near, far = (_distance(support[one.values == which], queries, whole) for which in (1, 0))
    return far - near


def _distance(members: np.ndarray, queries: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the squared distances (M,) to the mean of a class."""
    own = len(members) / (len(members) + 1)
    shrunken = own * _covariance(members) + (1 - own) * whole + np.eye(len(whole))
    root = np.linalg.cholesky(shrunken)
    solved = np.linalg.solve(root, (queries - members.mean(0)).T)  # (E, M)
    found: np.ndarray = (solved**2).sum(0)
    return found


def _covariance(rows: np.ndarray) -> np.ndarray:
    """Return the covariance (E, E) of rows (N, E), zero for one row."""
    centred = rows - rows.mean(0)
    return np.asarray(centred.T @ centred / max(len(rows) - 1, 1), np.float64)
