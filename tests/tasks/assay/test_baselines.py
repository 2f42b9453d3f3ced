"""Baselines learn what they can see, and answer in the shape of the task."""

import numpy as np
import pytest

from bio_xlstm.tasks.assay.baselines.choose import baselines_for
from bio_xlstm.tasks.assay.baselines.constant import Constant
from bio_xlstm.tasks.assay.baselines.features import Lengths, OneHot, WordCounts
from bio_xlstm.tasks.assay.baselines.forest import Forest
from bio_xlstm.tasks.assay.baselines.linear import Linear
from bio_xlstm.tasks.assay.baselines.per_letter import PerLetter
from bio_xlstm.tasks.assay.metrics.regression import spearman
from bio_xlstm.tasks.assay.task import Task
from tests.tasks.assay.conftest import MOLECULES, bases, proteins

REGRESSION = Task("regression", ("y",))
BINARY = Task("binary", ("y",), ("no", "yes"))
MULTICLASS = Task("multiclass", ("y",), ("a", "b", "c"))
PANEL = Task("multilabel", ("a", "b"), ("0", "1"))


def test_each_kind_has_its_baselines() -> None:
    def names(kind: str, task: Task, texts: list[str]) -> list[str]:
        return [one.name for one in baselines_for(kind, task, texts)]

    assert names("smiles", BINARY, MOLECULES) == ["mean", "length", "Morgan + random forest"]
    assert names("protein", REGRESSION, proteins(3)) == ["mean", "length", "one-hot ridge", "k-mer ridge"]
    assert names("dna", BINARY, ["ACG", "AC"]) == ["mean", "length", "k-mer logistic"]
    assert names("protein", Task("per_token", ("y",), ("a", "b")), proteins(3)) == ["mean", "letter"]


@pytest.mark.parametrize("task", [REGRESSION, BINARY, MULTICLASS, PANEL])
@pytest.mark.parametrize("kind", ["smiles", "protein"])
def test_predictions_have_the_shape_of_the_task(task: Task, kind: str) -> None:
    rng = np.random.default_rng(0)
    texts = MOLECULES if kind == "smiles" else proteins(30)
    values = rng.integers(2, size=(30, len(task.targets))).astype(float)
    if task.name == "multiclass":
        values = rng.integers(3, size=(30, 1)).astype(float)
    values[4] = np.nan
    for one in baselines_for(kind, task, texts):
        if isinstance(one, Forest):
            one.trees, one.jobs = 10, 1
        found = one.fit(texts, values, task, 0).predict(texts[:7])
        assert found.shape == (7, task.outputs) and np.isfinite(found).all()
        if not task.numeric:
            assert found.min() >= 0 and found.max() <= 1
        if task.name == "multiclass":
            np.testing.assert_allclose(found.sum(1), 1)


def test_the_mean_leaves_gaps_out() -> None:
    values = np.array([[1.0, 0], [3, np.nan], [np.nan, 1]])
    np.testing.assert_allclose(Constant().fit(["A"] * 3, values, PANEL).predict(["C", "D"]), [[2, 0.5]] * 2)
    shares = Constant().fit(["A"] * 4, np.array([[0.0], [0], [2], [np.nan]]), MULTICLASS).predict(["C"])
    np.testing.assert_allclose(shares, [[2 / 3, 0, 1 / 3]])


def test_length_is_found() -> None:
    texts = ["A" * length for length in range(5, 60)]
    values = np.array([[2.0 * len(text)] for text in texts])
    found = Linear("length", "", Lengths()).fit(texts, values, REGRESSION).predict(["A" * 30])
    assert found[0, 0] == pytest.approx(60, rel=0.05)


def test_one_hot_finds_an_additive_scan() -> None:
    rng = np.random.default_rng(0)
    parent = proteins(1, 25)[0]
    texts = []
    for _ in range(300):
        letters = list(parent)
        for place in rng.choice(6, 2, replace=False):
            letters[place] = rng.choice(list("ACDW"))
        texts.append("".join(letters))
    weight = {(place, letter): rng.normal() for place in range(6) for letter in "ACDEFGHIKLMNPQRSTVWY"}
    values = np.array([[sum(weight[place, text[place]] for place in range(6))] for text in texts])
    model = Linear("one-hot", "", OneHot()).fit(texts[:200], values[:200], REGRESSION)
    assert spearman(values[200:, 0], model.predict(texts[200:])[:, 0]) > 0.95
    # another length and other letters are no error
    assert np.isfinite(model.predict(["", "WWW", parent + "AAA"])).all()


def test_short_words_find_a_motif() -> None:
    rng = np.random.default_rng(0)
    texts = bases(200)
    values = rng.integers(2, size=(200, 1)).astype(float)
    texts = [
        text[:20] + "TATAAT" + text[26:] if one else text
        for text, one in zip(texts, values[:, 0], strict=True)
    ]
    model = Linear("k-mer", "", WordCounts("dna")).fit(texts[:150], values[:150], BINARY)
    found = model.predict(texts[150:])[:, 0]
    assert found[values[150:, 0] == 1].min() > found[values[150:, 0] == 0].mean()
    assert np.mean((found > 0.5) == (values[150:, 0] == 1)) > 0.9


def test_the_forest_reads_molecules() -> None:
    aromatic = np.array([[float("c1" in one)] for one in MOLECULES])
    model = Forest(trees=30, jobs=1).fit(MOLECULES, aromatic, BINARY)
    assert ((model.predict(["COc1ccccc1", "CCCCN", "no molecule"])[:2, 0] > 0.5) == [True, False]).all()
    again = Forest(trees=30, jobs=1).fit(MOLECULES, aromatic, BINARY)
    np.testing.assert_array_equal(model.predict(MOLECULES), again.predict(MOLECULES))


@pytest.mark.parametrize("kind", ["smiles", "protein"])
def test_one_class_in_training_is_predicted_for_all(kind: str) -> None:
    texts = MOLECULES if kind == "smiles" else proteins(30)
    for one in baselines_for(kind, BINARY, texts):
        assert (one.fit(texts, np.ones((30, 1)), BINARY).predict(texts[:3]) == 1).all()


def test_letters_and_their_neighbours() -> None:
    task = Task("per_token", ("y",), ("0", "1"))
    texts = proteins(20)
    values = [np.array([int(letter in "DE") for letter in text]) for text in texts]
    values[0][:] = -1
    found = PerLetter(1).fit(texts[:15], values[:15], task).predict(texts[15:])
    assert found[0].shape == (30, 2)
    np.testing.assert_allclose(found[0].sum(1), 1)
    # words of three letters are rarely seen again; the letter says it all
    right = [one.argmax(1) == truth for one, truth in zip(found, values[15:], strict=True)]
    assert np.concatenate(right).mean() > 0.95
    plain = PerLetter(0).fit(texts[:15], values[:15], task).predict(["AC"])[0]
    assert (plain[0] == plain[1]).all() and 0 < plain[0, 1] < 0.3


def test_neighbours_count_where_they_were_seen() -> None:
    task = Task("per_token", ("y",), ("0", "1"))
    values = [np.array([0, 1, 0]), np.array([0, 0, 0])] * 10
    baseline = PerLetter(1).fit(["CAD", "EAF"] * 10, values, task)
    assert [one[1].argmax() for one in baseline.predict(["CAD", "EAF"])] == [1, 0]
    # the letter with other neighbours: as often as either; never seen: the shares of all
    other, strange = (baseline.predict([text])[0][1, 1] for text in ("GAG", "GWG"))
    assert other == pytest.approx(10 / 20, abs=0.02) and strange == pytest.approx(10 / 60)
