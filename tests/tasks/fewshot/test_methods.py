"""The baselines against plain computations of the same."""

from collections.abc import Callable

import numpy as np
import pytest

from bio_xlstm.tasks.fewshot.library import Library
from bio_xlstm.tasks.fewshot.methods.gaussian_process import NOISES, gaussian_process
from bio_xlstm.tasks.fewshot.methods.linear import linear
from bio_xlstm.tasks.fewshot.methods.neighbours import neighbours
from bio_xlstm.tasks.fewshot.methods.prototypes import prototypes
from bio_xlstm.tasks.fewshot.methods.question import One
from bio_xlstm.tasks.fewshot.methods.similarity import tanimoto

SMILES = [f"{'C' * size}{end}" for size in range(1, 11) for end in ("O", "N", "c1ccccc1")]
METHODS = [gaussian_process, linear, neighbours, prototypes]


class Known(Library):
    """Hold molecules whose embeddings are given."""

    def __init__(self) -> None:
        super().__init__(SMILES, lambda: pytest.fail("no model is needed"))
        rng = np.random.default_rng(0)
        self.given = rng.normal(size=(30, 5)).astype(np.float32)
        # every third molecule, those with a ring, lies elsewhere
        self.given[2::3] += 3

    def embeddings(self, rows: np.ndarray) -> np.ndarray:
        """Return what is given."""
        return self.given[rows]


def one(seed: int = 0, *, numeric: bool = False) -> One:
    """Make a support in which rings decide."""
    order = np.random.default_rng(seed).permutation(30)
    values = (np.arange(30) % 3 == 2) * (2.5 if numeric else 1.0) + (np.arange(30) * 0.01 if numeric else 0)
    return One(order[:16], values[order[:16]], order[16:], numeric, seed)


@pytest.mark.parametrize("predict", METHODS)
def test_what_decides_is_found(predict: Callable[[Library, One], np.ndarray]) -> None:
    asked = one()
    found = predict(Known(), asked)
    ring = asked.queries % 3 == 2
    assert found[ring].min() > found[~ring].max()
    assert found == pytest.approx(predict(Known(), asked), abs=0)


@pytest.mark.parametrize("predict", [gaussian_process, linear, neighbours])
def test_numbers_are_predicted(predict: Callable[[Library, One], np.ndarray]) -> None:
    asked = one(numeric=True)
    truth = (asked.queries % 3 == 2) * 2.5 + asked.queries * 0.01
    found = predict(Known(), asked)
    assert np.mean((found - truth) ** 2) < 0.3 * np.var(truth)


def test_the_gaussian_process_is_the_plain_one() -> None:
    """The posterior mean and the choice of noise agree with systems solved noise by noise."""
    library, asked = Known(), one(3)
    values = 2 * asked.values - 1
    kernel = tanimoto(library, asked.support, asked.support)
    found = gaussian_process(library, asked)

    def plain(noise: float) -> tuple[float, np.ndarray]:
        centred = values - values.mean()
        total = kernel + noise * np.eye(16)
        variance = centred @ np.linalg.solve(total, centred) / 16
        evidence = -0.5 * np.linalg.slogdet(variance * total)[1] - 8
        cross = tanimoto(library, asked.queries, asked.support)
        return evidence, values.mean() + cross @ np.linalg.solve(total, centred)

    best = max((plain(noise) for noise in NOISES), key=lambda pair: pair[0])
    assert found == pytest.approx(best[1], rel=1e-6, abs=1e-9)


def test_a_repeated_class_alone_stops_nobody() -> None:
    """With one example of a class, nothing can be tuned, and everything is still predicted."""
    order = np.arange(30)
    alone = One(order[:16], (order[:16] == 2).astype(float), order[16:], numeric=False, seed=0)
    for predict in METHODS:
        assert np.isfinite(predict(Known(), alone)).all()


def test_similarities_are_those_of_rdkit() -> None:
    from rdkit.Chem import MolFromSmiles, rdFingerprintGenerator
    from rdkit.DataStructs import TanimotoSimilarity

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(MolFromSmiles(text)) for text in SMILES[:8]]
    plain = [[TanimotoSimilarity(a, b) for b in prints] for a in prints]
    assert tanimoto(Known(), np.arange(8), np.arange(8)) == pytest.approx(np.array(plain), abs=1e-6)
