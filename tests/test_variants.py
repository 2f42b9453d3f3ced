"""Ratios: the difference of two scores, whatever is read once and whatever is read together."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, ModelError, SequenceError
from bio_xlstm.infilling import hide
from bio_xlstm.likelihoods import masked_logprobs
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.state import ModelState
from bio_xlstm.variants.changes import find_changes
from bio_xlstm.variants.flanks import STEP
from bio_xlstm.variants.ratios import choose_method, score_variants, variant_ratios

SIZES = {"dim": 16, "blocks": 2, "heads": 2, "seed": 0}
WILD = "MSIQHFRVALIPFFAAFCLPVFAHPETLVKVKDAEDQLGARVGYIELDLNSGK"
DNA = "ACGTTGACCTAGCTAGGATTACATTGACAGGTA"


@pytest.fixture(scope="module")
def protein() -> SequenceModel:
    """Return a small model that fills in."""
    return bx.build("protein", **SIZES, objective="infill").eval()


@pytest.fixture(scope="module")
def dna() -> SequenceModel:
    """Return a small causal model of DNA that averages over the strands."""
    return bx.build("dna", **SIZES, reverse_complement="post_hoc").eval()


@pytest.fixture(scope="module")
def masked() -> SequenceModel:
    """Return a small masked model of DNA."""
    return bx.build("dna", **SIZES, direction="alternating", objective="masked").eval()


def exchanged(text: str, *changes: tuple[int, str]) -> str:
    """Put letters at places counted from 0."""
    letters = list(text)
    for place, letter in changes:
        letters[place] = letter
    return "".join(letters)


# at the beginning, at the end, around the places where memories are kept, several at once, and of other lengths
MUTANTS = [
    WILD,
    *(exchanged(WILD, (place, "W")) for place in (0, 1, STEP - 2, STEP - 1, STEP, STEP + 1, len(WILD) - 1)),
    exchanged(WILD, (3, "C"), (4, "C"), (40, "Y")),
    WILD[:20] + WILD[23:],
    WILD[:20] + "ACD" + WILD[20:],
    "A" + WILD,
    WILD[1:],
    WILD + "K",
    WILD[:-2],
]


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("budget", [20, 8192])
def test_likelihood_ratios_are_differences_of_scores(
    protein: SequenceModel, budget: int, context: bool
) -> None:
    state = protein.encode_context(["MKTAYIAKQR", "GSHM"]) if context else None
    found = protein.variants(WILD, MUTANTS, method="likelihood", state=state, batch_tokens=budget)
    expected = np.asarray(protein.score(MUTANTS, state=state)) - protein.score([WILD], state=state)[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found[0] == 0


def test_a_variant_does_not_depend_on_the_others(protein: SequenceModel) -> None:
    for method in ("likelihood", "marginal"):
        together = protein.variants(WILD, MUTANTS, method=method)
        alone = [protein.variants(WILD, [mutant], method=method)[0] for mutant in MUTANTS]
        np.testing.assert_allclose(together, alone, atol=1e-4)


def test_both_strands_of_dna_are_averaged(dna: SequenceModel) -> None:
    mutants = [exchanged(DNA, (5, "C")), DNA[:10] + DNA[12:], DNA + "A", exchanged(DNA, (0, "T"), (32, "C"))]
    pairs = [(dna.tokenizer.encode(DNA), dna.tokenizer.encode(mutant)) for mutant in mutants]
    found = variant_ratios(dna, pairs, rc="average")
    for direction, values in zip(
        ("forward", "reverse"), zip(*(r.strands for r in found), strict=True), strict=True
    ):
        expected = dna.score(mutants, direction=direction, rc="none") - dna.score(
            [DNA], direction=direction, rc="none"
        )
        np.testing.assert_allclose(values, expected, atol=1e-4)
    np.testing.assert_allclose([ratio.total for ratio in found], dna.variants(DNA, mutants), atol=1e-4)


def laid_out(
    model: SequenceModel,
    sequence: str,
    spans: Sequence[tuple[int, int]],
    ends: bool,
    state: ModelState | None,
) -> float:
    """Read a whole sequence with hidden spans, and add up log p of what they hold."""
    hidden = hide(model.tokenizer.encode(sequence), spans, model.tokenizer).ids.astype(np.int64)
    tokens = np.concatenate(([model.tokenizer.start], hidden))
    with torch.inference_mode():
        logprobs = model(torch.from_numpy(tokens)[None], state=state).logits[0].log_softmax(-1).numpy()
    total, at = 0.0, len(tokens)
    for begin, end in reversed(spans):
        for place in range(at - (end - begin), at):
            total += logprobs[place - 1, tokens[place]]
        at -= end - begin + 1
    return total + (logprobs[-1, model.tokenizer.stop] if ends else 0.0)


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize(
    ("mutant", "old", "new"),
    [
        (exchanged(WILD, (0, "W")), [(0, 1)], [(0, 1)]),
        (exchanged(WILD, (17, "W")), [(17, 18)], [(17, 18)]),
        (exchanged(WILD, (len(WILD) - 1, "W")), [(52, 53)], [(52, 53)]),
        (exchanged(WILD, (20, "W"), (21, "W"), (40, "Y")), [(20, 22), (40, 41)], [(20, 22), (40, 41)]),
        (WILD[:20] + WILD[23:], [(19, 23)], [(19, 20)]),
        (WILD[:20] + "CDC" + WILD[20:], [(19, 20)], [(19, 23)]),
    ],
)
def test_marginal_ratios_are_those_of_whole_layouts(
    protein: SequenceModel,
    mutant: str,
    old: list[tuple[int, int]],
    new: list[tuple[int, int]],
    context: bool,
) -> None:
    state = protein.encode_context(["MKTAYIAKQR", "GSHM"]) if context else None
    ends = len(mutant) != len(WILD)
    if ends:
        changes = find_changes(protein.tokenizer.encode(WILD), protein.tokenizer.encode(mutant), 5)
        (begin, end), length = changes[0].key(), len(changes[0].ids)
        old, new = [(begin, end)], [(begin, begin + length)]
    expected = laid_out(protein, mutant, new, ends, state) - laid_out(protein, WILD, old, ends, state)
    found = protein.variants(WILD, [mutant], method="marginal", state=state)
    np.testing.assert_allclose(found, [expected], atol=1e-4)


def test_too_many_changes_are_hidden_together(protein: SequenceModel) -> None:
    mutant = exchanged(WILD, *((place, "W") for place in (2, 4, 14, 24, 34, 44, 50)))
    ids = protein.tokenizer.encode(WILD), protein.tokenizer.encode(mutant)
    assert [change.key() for change in find_changes(*ids, 5)] == [
        (2, 5),
        (14, 15),
        (24, 25),
        (34, 35),
        (44, 51),
    ]
    assert np.isfinite(protein.variants(WILD, [mutant], method="marginal")).all()


@pytest.mark.parametrize("budget", [12, 8192])
def test_masked_models_hide_what_differs(masked: SequenceModel, budget: int) -> None:
    mutants = [exchanged(DNA, (4, "C")), exchanged(DNA, (4, "C"), (9, "G")), exchanged(DNA, (32, "C"))]
    found = masked.variants(DNA, mutants, batch_tokens=budget)
    encode, mask = masked.tokenizer.encode, masked.tokenizer.mask
    wild = encode(DNA)
    for value, mutant in zip(found, map(encode, mutants), strict=True):
        places = np.flatnonzero(wild != mutant)
        hidden = wild.astype(np.int64)
        hidden[places] = mask
        total = 0.0
        for place in places:
            begin = int(np.clip(place - budget // 2, 0, len(wild) - budget)) if budget < len(wild) else 0
            window = np.concatenate(([masked.tokenizer.start], hidden[begin : begin + budget]))
            with torch.inference_mode():
                row = masked(torch.from_numpy(window)[None]).logits[0, 1 + place - begin].log_softmax(-1)
            total += float(row[int(mutant[place])] - row[int(wild[place])])
        np.testing.assert_allclose(value, total, atol=1e-4)


def test_masked_models_compare_whole_sequences_of_other_lengths(masked: SequenceModel) -> None:
    shorter = DNA[:10] + DNA[12:]
    ids = [masked.tokenizer.encode(text) for text in (DNA, shorter)]
    with torch.inference_mode():
        before, after = (np.nansum(values) for values in masked_logprobs(masked, ids, stride=3, budget=8192))
    for method in ("auto", "likelihood"):
        found = masked.variants(DNA, [shorter], stride=3, method=method)
        np.testing.assert_allclose(found, [after - before], atol=1e-4)


def test_mutations_and_sequences_say_the_same(protein: SequenceModel) -> None:
    found = protein.variants(WILD, ["M1W", exchanged(WILD, (0, "W")), "wt"])
    assert found[0] == found[1] and found[2] == 0
    assert score_variants(protein, WILD, ["M11W"], offset=-10)[0] == found[0]
    assert score_variants(protein, WILD, []).shape == (0,)


def test_auto_is_marginal_for_masked_models_alone(
    protein: SequenceModel, dna: SequenceModel, masked: SequenceModel
) -> None:
    assert [choose_method(model, "auto") for model in (protein, dna, masked)] == [
        "likelihood",
        "likelihood",
        "marginal",
    ]


@pytest.mark.parametrize(
    ("variants", "options", "error", "message"),
    [
        ("M1W", {}, SequenceError, "give a list of variants, not one string"),
        (["S1W"], {}, SequenceError, "variant 0 'S1W': position 1 of the wild type is M, not S"),
        (["M1"], {}, SequenceError, "'M1' is no substitution such as A123T"),
        ([WILD.replace("K", "!")], {}, SequenceError, "is no substitution"),
        (
            ["M1W"],
            {"method": "best"},
            ConfigError,
            "unknown method 'best'; known: auto, likelihood, marginal",
        ),
    ],
)
def test_errors(
    protein: SequenceModel, variants: list[str], options: dict[str, str], error: type, message: str
) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(")):
        protein.variants(WILD, variants, **options)


def test_what_a_model_cannot_do_is_refused(dna: SequenceModel, masked: SequenceModel) -> None:
    with pytest.raises(SequenceError, match="variant 0 'A1N': position 1: N stands for several letters"):
        dna.variants(DNA, ["A1N"])
    with pytest.raises(
        ConfigError, match="the method marginal hides letters; dna reads them from left to right"
    ):
        dna.variants(DNA, ["A1C"], method="marginal")
    state = dna.encode_context([DNA])
    with pytest.raises(ModelError, match="reads no context"):
        masked.variants(DNA, ["A1C"], state=state)
