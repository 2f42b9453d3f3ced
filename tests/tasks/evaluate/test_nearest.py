"""The nearest natural sequence is found, and its distance is that of the alignment."""

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate.nearest import (
    CANDIDATES,
    _aligner,
    _differing,
    choose_candidates,
    nearest_distances,
)


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


def test_all_are_scored_where_there_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    natural = ["".join(rng.choice(letters, 50)) for _ in range(30)]
    texts = ["".join(rng.choice(letters, 50)) for _ in range(20)]
    every, few = nearest_distances(texts, natural), nearest_distances(texts, natural, 3)
    wanted = []
    for text in texts:
        scores = [_aligner().score(text, other) for other in natural]
        wanted.append(_differing(_aligner(), text, natural[int(np.argmax(scores))]))
    assert every == pytest.approx(wanted)
    # the nearest is not always among those that share most words
    assert few.mean() > every.mean()
    assert choose_candidates((texts, natural), (natural, natural)) is None
    monkeypatch.setattr("bio_xlstm.tasks.evaluate.nearest.ALL_CELLS", 50 * 20 * 50 * 30)
    assert choose_candidates((texts, natural * 2)) is None
    assert choose_candidates((texts, natural), (natural, natural)) == CANDIDATES


def test_short_and_missing_sequences() -> None:
    assert nearest_distances(["M", "K"], ["M"]).tolist() == [0, 1]
    assert np.isnan(nearest_distances(["MK"], [])).all()
    assert nearest_distances([], ["MK"]).shape == (0,)
