"""SequenceEmbedder keeps scikit-learn's contract and equals the model."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.tasks.estimators import SequenceEmbedder

PROTEINS = ["MKTAYIAKQR", "GSHMLEDPVD", "mkv", "ACDEFGHIK"]


@pytest.fixture
def embedder(tiny_models: dict[str, str]) -> SequenceEmbedder:
    """Return an embedder with the tiny protein model."""
    return SequenceEmbedder(tiny_models["protein"])


def test_equals_the_model(embedder: SequenceEmbedder, tiny_models: dict[str, str]) -> None:
    vectors = embedder.fit_transform(PROTEINS)
    assert vectors.shape == (4, 16) and vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, bx.load(tiny_models["protein"]).embed(PROTEINS), rtol=1e-5, atol=1e-6)
    assert list(embedder.get_feature_names_out())[:2] == ["e0", "e1"]


@pytest.mark.parametrize("form", [list, tuple, np.array, lambda x: np.array(x, object)[:, None]])
def test_takes_what_pipelines_pass(embedder: SequenceEmbedder, form: type) -> None:
    np.testing.assert_array_equal(embedder.transform(form(PROTEINS)), embedder.transform(PROTEINS))


def test_takes_a_series(embedder: SequenceEmbedder) -> None:
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(embedder.transform(pandas.Series(PROTEINS)), embedder.transform(PROTEINS))


def test_clones_pickles_and_fits_into_a_pipeline(embedder: SequenceEmbedder) -> None:
    from sklearn.base import clone
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    expected = embedder.transform(PROTEINS)
    assert clone(embedder).get_params() == embedder.get_params()
    data = pickle.dumps(embedder)
    assert len(data) < 2000
    np.testing.assert_array_equal(pickle.loads(data).transform(PROTEINS), expected)
    search = GridSearchCV(make_pipeline(embedder, Ridge()), {"sequenceembedder__pool": ["mean", "max"]}, cv=2)
    assert search.fit(PROTEINS, [0.0, 1.0, 2.0, 3.0]).predict(PROTEINS).shape == (4,)


def test_takes_a_loaded_model(tiny_models: dict[str, str], embedder: SequenceEmbedder) -> None:
    from sklearn.base import clone

    held = SequenceEmbedder(bx.load(tiny_models["protein"]), pool="last")
    np.testing.assert_array_equal(
        clone(held).transform(PROTEINS), embedder.set_params(pool="last").transform(PROTEINS)
    )


def test_bad_sequences_raise_or_are_nan(tiny_models: dict[str, str]) -> None:
    rows = ["CCO", "C1CC", "", None, float("nan"), "C[Xx]", 7, "CCN"]
    vectors = SequenceEmbedder(tiny_models["smiles"], invalid="nan").transform(rows)
    assert np.isnan(vectors).all(1).tolist() == [False, True, True, True, True, True, True, False]
    embedder = SequenceEmbedder(tiny_models["smiles"])
    for row, message in [
        ("C1CC", "sequence 1: invalid_smiles: unclosed ring"), ("", "sequence 1: empty"),
        (7, "error: 7 is not a string"), ("C[Xx]", "unknown_token"),
    ]:  # fmt: skip
        with pytest.raises(SequenceError, match=message):
            embedder.transform(["CCO", row])


def test_empty_list_gives_no_rows(embedder: SequenceEmbedder) -> None:
    assert embedder.transform([]).shape == (0, 16)


def test_wrong_options(embedder: SequenceEmbedder) -> None:
    with pytest.raises(ConfigError, match="invalid must be one of raise, nan, not 'drop'"):
        SequenceEmbedder(invalid="drop").fit(PROTEINS)
    with pytest.raises(ConfigError, match="pool='none' gives no table"):
        SequenceEmbedder(pool="none").fit(PROTEINS)
    with pytest.raises(ConfigError, match="pool must be one of mean, .*, not 'x'"):
        SequenceEmbedder(pool="x").fit(PROTEINS)
    with pytest.raises(ConfigError, match="rc must be one of auto, none, average, concat, not 'x'"):
        SequenceEmbedder(rc="x").fit(PROTEINS)
    with pytest.raises(ConfigError, match="there is no layer 99"):
        embedder.set_params(layer=99).fit(PROTEINS)
    embedder.set_params(layer=-1)
    with pytest.raises(SequenceError, match="give a list of sequences, not one string"):
        embedder.transform("MKT")
    with pytest.raises(SequenceError, match=r"one column, not as an array of shape \(2, 2\)"):
        embedder.transform([["MKT", "MK"], ["MKL", "MV"]])


def test_takes_a_series_with_missing_values(embedder: SequenceEmbedder) -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["MKT", pandas.NA, "MKL"], dtype="string")
    vectors = embedder.set_params(invalid="nan").transform(series)
    assert np.isnan(vectors).all(1).tolist() == [False, True, False]


def test_takes_a_path(tiny_models: dict[str, str], embedder: SequenceEmbedder) -> None:
    held = SequenceEmbedder(Path(tiny_models["protein"]))
    np.testing.assert_array_equal(held.transform(PROTEINS), embedder.transform(PROTEINS))
