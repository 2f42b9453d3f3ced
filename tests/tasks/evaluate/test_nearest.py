"""The nearest natural sequence is found, and its distance is that of the alignment."""

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate.nearest import nearest_distances


def test_distances_by_hand() -> None:
    natural = ["MKTAYIAKQR", "GSHMLEDPVD"]
    found = nearest_distances(["MKTAYIAKQR", "MKTAYIAKQK", "MKTAYIAQR", "GSHMLEDPVDAA"], natural)
    # a copy; one residue of ten; one gap in ten columns; two gaps in twelve
    assert found.tolist() == pytest.approx([0, 1 / 10, 1 / 10, 2 / 12])


def test_the_nearest_of_many_is_found() -> None:
    rng = np.random.default_rng(0)
    natural = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 60)) for _ in range(40)]
    changed = [text[:30] + ("A" if text[30] != "A" else "C") + text[31:] for text in natural]
    assert nearest_distances(changed, natural) == pytest.approx([1 / 60] * 40)


def test_short_and_missing_sequences() -> None:
    assert nearest_distances(["M", "K"], ["M"]).tolist() == [0, 1]
    assert np.isnan(nearest_distances(["MK"], [])).all()
    assert nearest_distances([], ["MK"]).shape == (0,)
