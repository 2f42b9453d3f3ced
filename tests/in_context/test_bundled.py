"""The bundled learner: whole, small enough, trained beside the bundled language model, and of use."""

from pathlib import Path

import bio_xlstm
from bio_xlstm.in_context.directory import DEFAULT, load_in_context
from bio_xlstm.models.directory import resolve
from bio_xlstm.tasks.catalogue import summarise
from bio_xlstm.tasks.estimators import InContextClassifier
from bio_xlstm.tasks.in_context.recipe import read_learner_recipe

MOST_BYTES = 15_000_000


def test_it_is_whole_and_small() -> None:
    """It fits into the wheel, and the language model beside it is the one that it was trained with."""
    directory = resolve(DEFAULT)
    assert sum(path.stat().st_size for path in directory.iterdir()) < MOST_BYTES
    learner = load_in_context()
    assert learner.config.encoder_hash == bio_xlstm.load(learner.config.encoder).weight_hash()
    assert learner.enrichment.reference.abs().sum() > 0
    assert "CC BY-SA" in summarise(DEFAULT).licence + summarise(DEFAULT).data + learner.card


def test_its_recipe_keeps_evaluation_apart(root: Path) -> None:
    """What docs/fewshot.md measures on is named in the recipe as not to be trained on, and the card says so."""
    data = read_learner_recipe(root / "recipes" / "chem-icl.toml").data
    apart = {data.validation, *data.held_apart}
    assert {Path(name).name for name in apart} == {
        "fsmol_valid.tsv.xz",
        "simpd_chembl_ki.csv.xz",
        "moleculeace.csv.xz",
    }
    assert all(name in load_in_context().card for name in apart)


def test_twelve_examples_say_what_matters(root: Path) -> None:
    """With the example support, a urea of the known kind is likelier to be active than an ester, an acid or a sugar."""
    lines = (root / "examples" / "epoxide_hydrolase.csv").read_text().splitlines()[1:]
    smiles, labels = zip(*(line.split(",") for line in lines), strict=True)
    model = InContextClassifier().fit(list(smiles), [label == "yes" for label in labels])
    others = ["CCOC(=O)c1ccccc1", "OC(=O)c1ccccc1O", "OCC1OC(O)C(O)C(O)C1O"]
    urea, *rest = model.predict_proba(["O=C(NC1CCCCC1)NC1CCCCC1", *others])[:, 1]
    assert urea > max(rest)
