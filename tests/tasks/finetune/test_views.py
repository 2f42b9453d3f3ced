"""Views describe sequence by sequence, keep what they learned, and refuse what they cannot describe."""

from collections.abc import Callable

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.assay.baselines.features import WordCounts
from bio_xlstm.tasks.finetune.views.choose import VIEWS, make_views
from bio_xlstm.tasks.finetune.views.landmarks import root
from bio_xlstm.tasks.finetune.views.letters import Letters
from bio_xlstm.tasks.finetune.views.positions import Positions
from bio_xlstm.tasks.finetune.views.short_words import ShortWords
from bio_xlstm.tasks.finetune.views.substructures import Substructures

DNA = ["ACGTTGCA", "ACGTTGCC", "TCGTAGCA", "TCGAAGCC"]
SMILES = ["CCO", "CCN", "c1ccccc1O", "CCOC"]


@pytest.fixture
def dna() -> SequenceModel:
    """Return a tiny causal model of DNA."""
    return bx.build("dna", dim=16, blocks=2, heads=2, seed=0).eval()


@pytest.fixture
def chem() -> SequenceModel:
    """Return a tiny model of molecules."""
    return bx.build("chem", dim=16, blocks=2, heads=2, seed=0).eval()


def ids_of(model: SequenceModel, texts: list[str]) -> list[np.ndarray]:
    """Encode sequences."""
    return [model.tokenizer.encode(text) for text in texts]


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_is_kept_and_describes_one_by_one(
    name: str, dna: SequenceModel, chem: SequenceModel
) -> None:
    model, texts = (chem, SMILES) if name == "substructures" else (dna, DNA)
    ids = ids_of(model, texts)
    view = VIEWS[name].make(model, ids)
    assert view is not None and all(view.takes(one) for one in ids)
    found = view.describe(model, ids)
    assert found.dtype == np.float32 and len(found) == len(texts)
    again = VIEWS[name].of(view.arrays())
    alone = np.concatenate([again.describe(model, [one]) for one in ids])
    np.testing.assert_allclose(alone, found, rtol=1e-4, atol=1e-5)
    assert view.describe(model, []).shape == (0, found.shape[1])
    assert view.takes(ids[0][:2]) != view.by_position


def test_letters_that_vary_stand_at_their_place(dna: SequenceModel) -> None:
    view = Letters.make(dna, ids_of(dna, DNA))
    assert view is not None
    # two letters at the first place, the fifth and the last, T alone at the fourth: its A is seen once
    found = view.describe(dna, ids_of(dna, ["ACGTTGCA", "GCGTTGCG"]))
    assert found.shape == (2, 7) and found.sum(1).tolist() == [4, 2]
    assert Letters.make(dna, ids_of(dna, ["ACGT"] * 3)) is None


def test_views_that_do_not_suit(dna: SequenceModel, chem: SequenceModel) -> None:
    uneven = ids_of(dna, ["ACGT", "ACGTA", "ACG"])
    names = {view.name for view in make_views(dna, uneven)}
    assert names == {"words"}
    assert {view.name for view in make_views(chem, ids_of(chem, SMILES))} == {"substructures"}
    assert Positions.make(dna, [np.zeros(1000, np.int64)]) is None


def test_products_of_columns_are_similarities(dna: SequenceModel, chem: SequenceModel) -> None:
    words = ShortWords.make(dna, ids_of(dna, DNA))
    assert words is not None
    counts = WordCounts("dna").fit(DNA)
    found = words.describe(dna, ids_of(dna, DNA))
    np.testing.assert_allclose(found @ found.T, (counts @ counts.T).toarray(), rtol=1e-3, atol=1e-3)
    shared = Substructures.make(chem, ids_of(chem, SMILES))
    assert shared is not None
    found = shared.describe(chem, ids_of(chem, SMILES))
    np.testing.assert_allclose((found**2).sum(1), 1, rtol=1e-3)
    assert (found @ found.T).min() > -1e-3


def test_the_root_leaves_out_what_is_rounding() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 3))
    similar = points @ points.T
    found = similar @ root(similar)
    assert found.shape == (9, 3)
    np.testing.assert_allclose(found @ found.T, similar, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [Letters.make, Positions.make])
def test_views_by_position_want_one_length(make: Callable[..., object], dna: SequenceModel) -> None:
    assert make(dna, ids_of(dna, ["ACGT", "ACG"])) is None
