"""Pictures are drawn of whatever there is."""

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate.evaluation import Sample
from bio_xlstm.tasks.evaluate.grid import draw_molecules
from bio_xlstm.tasks.evaluate.histograms import draw_histograms, edges

PNG = b"\x89PNG"


def size(picture: bytes) -> tuple[int, int]:
    """Read width and height of a PNG."""
    return int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])


@pytest.mark.parametrize("count", [1, 6, 7, 24])
def test_molecules_stand_in_rows_of_six(count: int) -> None:
    picture = draw_molecules([("c1ccccc1", f"row {n}") for n in range(count)])
    width, height = size(picture)
    assert picture[:4] == PNG and (width / min(count, 6), height / -(-count // 6)) == (230, 200)


def test_histograms_of_odd_samples() -> None:
    pytest.importorskip("matplotlib")
    nothing, same = np.array([np.nan]), np.full(3, 7.0)
    for samples in (
        [Sample("all alike", same, None, True)],
        [Sample("one", np.array([1.0]), np.array([1e9]))],
        [Sample("varies", np.arange(9.0), nothing), Sample("nothing", nothing, same)],
    ):
        assert draw_histograms(samples, {}, "title")[:4] == PNG
    assert draw_histograms([Sample("x", np.arange(5.0), None)], {"A": [0.4], "C": [0.6]}, "title")[:4] == PNG


def test_borders_hold_the_values() -> None:
    borders = edges(np.array([0.0, 1, 2, 3]), 4, True)
    assert borders.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5]
    wide = edges(np.arange(1000.0), 1000, True)
    assert set(np.diff(wide)) == {49} and wide[0] % 1 == 0.5 and wide[-1] > 990
    assert edges(np.full(4, 3.0), 4, False)[[0, -1]].tolist() == [2.5, 3.5]
    assert len(edges(np.random.default_rng(0).normal(size=10**5), 10**5, False)) == 41
