"""The card says what the code did, for every kind of recipe, and nothing else."""

import bio_xlstm
from bio_xlstm.tasks.catalogue import licence_in
from bio_xlstm.tasks.pretrain.card import card
from bio_xlstm.tasks.pretrain.corpus import Corpus
from bio_xlstm.tasks.pretrain.settings import parse_recipe
from bio_xlstm.tasks.pretrain.token_store import collect

STORE = collect([], "uint8")  # type: ignore[arg-type]
MODELS = {"smiles": "chem", "dna": "dna", "protein": "protein"}


def text_of(
    data: dict,
    counts: dict | None = None,
    model: dict | None = None,
    training: dict | None = None,
    steps: int = 4,
    test: dict | None = None,
    **top: str,
) -> str:
    """Write the card of a recipe whose only domain has some counts."""
    domain = {"name": "d", "files": ["x/a.smi"], "licence": "CC0", **data.pop("domain", {})}
    table = {
        "name": "tiny",
        "model": {"family": MODELS[data["kind"]], "dim": 32, "blocks": 1, "heads": 2, **(model or {})},
        "data": {**data, "domains": [domain]},
        "training": {"steps": 4, **(training or {})},
        **top,
    }
    recipe = parse_recipe(table)
    parts = {
        "train": 7,
        "train_tokens": 70,
        "held_out": 2,
        "held_out_tokens": 20,
        "test": 0,
        "test_tokens": 0,
    }
    report = {"d": {"read": 12, **parts, **(counts or {})}}
    corpus = Corpus(STORE, STORE, ("d",), report, STORE)
    return card(recipe, corpus, bio_xlstm.build(**recipe.model), {"d": 1.0}, steps, test)


def test_molecules_outside_of_sets_are_split_by_scaffold() -> None:
    text = text_of({"kind": "smiles", "split": "scaffold", "domain": {"held_out": 0.1}})
    assert "no molecule with one of these scaffolds was trained on." in text
    assert "sets as a whole" not in text and "\nExact repeats were removed.\n" in text


def test_sets_of_molecules_are_not_split_by_scaffold() -> None:
    domain = {"held_out": 0.1, "sets": "line", "set_share": 0.8, "randomize": 0.5}
    text = text_of({"kind": "smiles", "split": "scaffold", "domain": domain})
    assert "no molecule with one of these scaffolds" not in text
    assert "but others with their scaffolds may have been" in text
    assert (
        "Sequences of d were read in sets (lines) in random order, 80% of the sequences of an epoch." in text
    )
    assert "Exact repeats were removed within every set, and among all sequences outside of sets." in text
    assert "Molecules of d were spelled anew from a random atom with probability 0.5." in text


def test_families_and_their_relatives_are_held_out() -> None:
    domain = {"held_out": 0.1, "sets": "file"}
    data = {"kind": "protein", "split": "families", "domain": domain, "infill_loss": "filled"}
    text = text_of(data, model={"objective": "infill"})
    assert "Held out: families as a whole" in text and "8-residue words" in text
    assert "Held out: proteins chosen" not in text
    assert "Hidden spans: multiple; the loss was over residues of hidden spans." in text


def test_dna_says_its_strands_its_tails_and_its_regions() -> None:
    data = {"kind": "dna", "split": "tail", "reverse_complement": 0.5, "soft_mask_weight": 0.1}
    text = text_of({**data, "domain": {"held_out": 0.1}}, model={"objective": "masked"})
    assert "the contiguous last part of every sequence" in text
    assert "as its reverse complement with probability 0.5." in text and "counted 0.1 times" in text
    assert "Of the letters, 15% were to be predicted." in text
    text = text_of({**data, "domain": {"regions": "r.bed", "region_split": True}})
    assert "Held out of d: the regions that their BED file names." in text and "contiguous" not in text


def test_what_was_not_held_out_is_not_said_to_be() -> None:
    text = text_of({"kind": "dna"}, {"held_out": 0, "held_out_tokens": 0})
    assert "Nothing was held out." in text and "Held out: " not in text


def test_training_is_told_as_it_was() -> None:
    data = {"kind": "smiles", "window": 32, "stages": [[0, 16], [3, 64]], "held_out_limit": 5}
    text = text_of(
        data, training={"clip": 0, "schedule": "constant", "batch_tokens": 64, "warmup": 3}, steps=2
    )
    assert "2 of 4 planned steps of at most 64 tokens, windows of 16 tokens, 64 tokens from step 3 on" in text
    assert "gradients not clipped" in text and "(constant, 3 steps of warm-up)" in text
    assert "at most 5 sequences of a domain and part were kept" in text
    assert "(about 32,768 tokens of every domain) was looked at while training." in text
    text = text_of({"kind": "smiles"}, training={"validation_tokens": 0}, test={"d": 2.0})
    assert (
        "(all of every domain) was looked at while training; the test part (all of it) once, at the end."
        in text
    )
    assert "gradients clipped at 1" in text and "(cosine down to 0.0001," in text


def test_records_that_could_not_be_read_are_counted() -> None:
    text = text_of({"kind": "smiles"}, {"unreadable": {"unknown_token": 2, "empty": 1}})
    assert "Of d: left out 3 of 12 records (2 unknown_token, 1 empty)." in text


def test_weights_have_the_licence_of_their_recipe_and_no_other() -> None:
    assert licence_in(text_of({"kind": "smiles"})) == "data: CC0"
    told = licence_in(text_of({"kind": "smiles"}, licence="MIT"))
    assert told == "MIT for the weights; the training data keep the licences of the table below."


def test_blocks_are_named() -> None:
    assert ", 1 mLSTM block, 2 heads." in text_of({"kind": "smiles"})
    assert ", 1 post-up-projection mLSTM block, " in text_of({"kind": "smiles"}, model={"block": "post_up"})
    mixed = {"slstm_at": [1], "blocks": 2}
    assert ", 2 mLSTM and sLSTM blocks, " in text_of({"kind": "smiles"}, model=mixed)
