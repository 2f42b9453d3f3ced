"""Letters, words and properties of sequences are counted as by hand."""

from collections import Counter
from math import log2

import numpy as np
import pytest

from bio_xlstm.tasks.evaluate.kmers import (
    composition,
    encode,
    entropy,
    longest_runs,
    presence,
    spectrum,
    words,
)
from bio_xlstm.tasks.evaluate.letters import BASES, LETTERS, RESIDUES, measure
from bio_xlstm.tasks.evaluate.metric import Metric
from bio_xlstm.tasks.evaluate.sequences import apart, averages, quality, scored


def numbers(metrics: list[Metric]) -> dict[str, float | int | None]:
    return {metric.metric: metric.value for metric in metrics}


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_words_lie_within_one_sequence(k: int) -> None:
    rng = np.random.default_rng(k)
    texts = ["".join(rng.choice(list("ACGTN"), size)) for size in (0, 1, 2, 50, 5, 0, 33)]
    wanted = Counter(
        text[place : place + k]
        for text in texts
        for place in range(len(text) - k + 1)
        if "N" not in text[place : place + k]
    )
    counts = spectrum(encode(texts, BASES), k)
    found = {
        "".join(BASES[n // 4**place % 4] for place in reversed(range(k))): int(counts[n])
        for n in np.flatnonzero(counts)
    }
    assert found == wanted and counts.shape == (4**k,)


def test_owners_of_words() -> None:
    numbers_, owners = words(encode(["AC", "", "GT"], BASES), 2)
    assert numbers_.tolist() == [1, 11] and owners.tolist() == [0, 2]
    assert words(encode(["A"], BASES), 2)[0].size == 0 and words(encode([], BASES), 1)[0].size == 0


def test_composition_and_entropy() -> None:
    counts = composition(encode(["ACCA", "", "GGGG", "NNU"], BASES))
    assert counts.tolist() == [[2, 2, 0, 0], [0] * 4, [0, 0, 4, 0], [0, 0, 0, 1]]
    assert entropy(counts).tolist() == [1, 0, 0, 0]
    third = entropy(composition(encode(["AAC"], BASES)))
    assert third == pytest.approx([-(2 / 3 * log2(2 / 3) + 1 / 3 * log2(1 / 3))])


def test_runs_end_with_the_sequence() -> None:
    assert longest_runs(encode(["AACCCA", "", "AAA", "A", "ACGT"], BASES)).tolist() == [3, 0, 3, 1, 1]
    assert longest_runs(encode([], BASES)).tolist() == []


def test_presence_marks_words() -> None:
    marks = presence(encode(["MKTAY", "MKTAY", "MK", "WWWW"], RESIDUES), 3, 2048)
    assert marks.sum(1).tolist() == [3, 3, 0, 1] and (marks[0] == marks[1]).all()


def test_properties_of_proteins() -> None:
    found = measure(["AIKD", "FWYC", "XB"], LETTERS["protein"])
    # Kyte and Doolittle: A 1.8, I 4.5, K -3.9, D -3.5; F 2.8, W -0.9, Y -1.3, C 2.5
    np.testing.assert_allclose(found["hydropathy"], [-1.1 / 4, 3.1 / 4, np.nan])
    np.testing.assert_allclose(found["charge"], [0, 0, np.nan])
    np.testing.assert_allclose(found["aromatic"], [0, 0.75, np.nan])
    np.testing.assert_allclose(found["cysteine"], [0, 0.25, np.nan])
    np.testing.assert_allclose(found["unknown"], [0, 0, 1])
    assert found["length"].tolist() == [4, 4, 2]


def test_properties_of_dna() -> None:
    found = measure(["ACGCG", "AAAA", "GCNN"], LETTERS["dna"])
    np.testing.assert_allclose(found["gc"], [4 / 5, 0, 1])
    # two CG; two C and two G among five bases let expect 4/5 of one
    np.testing.assert_allclose(found["cpg_ratio"], [2 / (4 / 5), np.nan, 0])
    np.testing.assert_allclose(found["unknown"], [0, 0, 0.5])


def test_quality_of_sequences() -> None:
    found = numbers(quality(["MK", "MK", "ML"], 4, {"ML"}, "protein"))
    assert found == {"records": 4, "validity": 3 / 4, "uniqueness": 2 / 3, "novelty": 1 / 2}
    unknown = quality(["MK"], 1, None, "protein")[-1]
    assert (unknown.value, unknown.note) == (None, "no training file was given (--train)")


def test_distances_of_dna_by_hand() -> None:
    found = numbers(apart(["AAAA"], ["CCCC", "CC"], "dna"))
    assert found["jensen_shannon_1"] == found["jensen_shannon_3"] == 1
    assert found["jensen_shannon_6"] is None
    assert found["kolmogorov_smirnov_length"] == 0.5 and found["wasserstein_length"] == 1
    assert found["wasserstein_gc"] == 1
    same = numbers(apart(["ACGTACGTA"], ["ACGTACGTA"], "dna"))
    assert set(same.values()) == {0}


def test_averages_and_scores() -> None:
    assert numbers(averages(["ACG", "A"], "dna"))["mean_length"] == 2
    found = scored("fit", np.array([1.0, 3, np.nan]), np.array([1.0, 1]), "how well it fits")
    assert [(m.metric, m.value, m.reference) for m in found] == [
        ("mean_fit", 2, 1), ("median_fit", 2, 1), ("kolmogorov_smirnov_fit", 0.5, None),
    ]  # fmt: skip
    assert [m.value for m in scored("fit", np.full(2, np.nan), None, "")] == [None] * 3
