"""Infilling keeps the flanks, reads positions as in training, and ends every span as it should."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.infilling import hide
from bio_xlstm.records import open_records
from bio_xlstm.sampling import Sampling, draw
from bio_xlstm.tasks.generate.given import read_protein
from bio_xlstm.tasks.generate.repeats import few_kinds, has_repeat, remarks
from bio_xlstm.tasks.generate.spans import Redesign, SpanConstraint, open_redesign, parse_spans

from .conftest import rows_of

PROTEIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
Generate = Callable[..., Any]


@pytest.fixture(scope="module")
def model() -> Any:
    """Return a small model with positions that makes short spans."""
    model = bx.build("protein", dim=32, blocks=2, heads=2, rotary="head", objective="infill").eval()
    with torch.no_grad():
        model.head.weight.mul_(3.0)
    return model


@pytest.mark.parametrize("spans", [((3, 8),), ((2, 5), (9, 10), (20, 27))])
@pytest.mark.parametrize("keep_length", [True, False])
def test_filled_spans_have_the_probabilities_of_the_whole(model: Any, spans: Any, keep_length: bool) -> None:
    tokenizer = model.tokenizer
    redesign = Redesign(tokenizer.encode(PROTEIN).astype(np.int64), spans)
    opening = open_redesign(model, redesign, None)
    constraint = SpanConstraint(tokenizer, spans, 3, keep_length=keep_length)
    found = draw(
        Decoder(model, 3),
        range(5),
        Sampling(longest=40, temperature=0.8),
        opening_of=lambda number: opening,
        constraint=constraint,
    )
    for sample in found:
        filled = tokenizer.decode(redesign.fill(tokenizer, sample.ids))
        check_flanks(filled, spans)
        if not keep_length:
            continue
        assert sample.ended and len(filled) == len(PROTEIN)
        # all spans read at once, at the places that they have in training
        hidden = hide(tokenizer.encode(filled), spans, tokenizer)
        tokens = np.array([tokenizer.start, *hidden.ids])
        places = torch.tensor([[0, *hidden.positions]])
        logits = model(torch.from_numpy(tokens)[None], positions=places).logits[0].detach().double()
        drawn = len(sample.ids)
        follows = torch.tensor([*sample.ids, tokenizer.stop])[:, None]
        wanted = logits.log_softmax(1)[-drawn - 1 :].gather(1, follows).sum()
        assert tokens[-drawn:].tolist() == sample.ids.tolist()
        assert sample.logprob == pytest.approx(float(wanted), rel=1e-4)


def check_flanks(filled: str, spans: Any) -> None:
    """Find what was not hidden, in its order."""
    done = 0
    for begin, end in [*spans, (len(PROTEIN), len(PROTEIN))]:
        piece = PROTEIN[done:begin]
        assert piece in filled
        filled = filled[filled.index(piece) + len(piece) :]
        done = end


def test_the_command_keeps_the_flanks(generate: Generate) -> None:
    for context in (None, "family.faa"):
        if context:
            with open(context, "w") as file:
                file.write(f">a\n{PROTEIN}\n>b\n{PROTEIN.replace('K', 'R')}\n")
        generate(model=None, protein=PROTEIN, infill=("5-9", "20-21"), context=context, count=6)
        rows = rows_of()
        assert len(rows) == 6 and {row["seed"] for row in rows} == {"0"}
        for row in rows:
            check_flanks(row["sequence"], ((4, 9), (19, 21)))
    # a stretch that is given is not what the model is warned about
    low = PROTEIN + "GAGAAGGAGAGA" * 4 + PROTEIN
    generate(model=None, protein=low, infill=("2-3",), keep_length=True, count=4)
    assert "low complexity" in remarks(low, "protein") and {row["notes"] for row in rows_of()} == {""}
    generate(model=None, protein=PROTEIN, infill=("5-9",), keep_length=True, count=4)
    assert {len(row["sequence"]) for row in rows_of()} == {len(PROTEIN)}


def test_spans_have_room_for_masks_and_the_stop(generate: Generate) -> None:
    # two spans that are all of the protein: a mask between them, a stop behind
    for spans in (("1-20", "21-33"), ("1-33",)):
        generate(model=None, protein=PROTEIN, infill=spans, keep_length=True, count=4)
        assert {(len(row["sequence"]), row["ended"]) for row in rows_of()} == {(len(PROTEIN), "true")}
    for options, message in (
        (
            {"infill": ("5-9", "12-13"), "keep_length": True, "max_length": 8},
            "--max-length 8 is too short for 7 residues made anew: with masks between spans and the stop they take at "
            "least 9 tokens",
        ),
        ({"infill": ("5-9", "12-13"), "max_length": 1}, "--max-length 1 is too short for 2 spans made anew"),
    ):
        with pytest.raises(ConfigError) as error:
            generate(model=None, protein=PROTEIN, count=2, **options)
        assert message in str(error.value)
    generate(model=None, protein=PROTEIN, infill=("5-9", "12-13"), keep_length=True, max_length=9, count=2)
    assert {row["ended"] for row in rows_of()} == {"true"}


def test_what_does_not_finish_its_spans_is_refused(generate: Generate) -> None:
    spans = {"model": None, "protein": "MKTAYIAKQR", "infill": ("1-3", "5-6", "8-10"), "max_length": 9}
    outcome = generate(**spans, count=8)
    rows = rows_of()
    assert len(rows) == 8 and {row["ended"] for row in rows} == {"true"}
    assert " too long" in outcome.lines[-2] and any(int(row["index"]) >= 8 for row in rows)
    with pytest.raises(
        ConfigError, match="--preset prot-xlstm draws without refusing anything: with --infill it"
    ):
        generate(**(spans | {"max_length": None}), context="a", preset="prot-xlstm")


def test_spans_that_do_not_fit_are_refused(generate: Generate, tiny_models: dict[str, str]) -> None:
    for texts, message in (
        (["30-99"], "--infill 30-99 is outside the protein, which has residues 1 to 33"),
        (["0-3"], "is outside the protein"),
        (["9-3"], "is outside the protein"),
        (["x"], "--infill 'x' is no span of residues; spans are FIRST-LAST, as in 20-35"),
        (["2-5", "5-6"], "--infill: residue 5 is in two spans"),
    ):
        with pytest.raises(ConfigError) as error:
            parse_spans(texts, 33)
        assert message in str(error.value)
    assert parse_spans(["7-7,1-2"], 9) == ((0, 2), (6, 7))
    with pytest.raises(ConfigError, match="--infill: at most 5 spans can be hidden, not 6"):
        generate(model=None, protein=PROTEIN, infill=("1-2,4-5,7-8,10-11,13-14,16-17",))
    for name, strange in (("nofile.fasta", "."), ("some/MKT", "/"), ("JMKT", "J")):
        with pytest.raises(InputError) as refused:
            generate(model=None, protein=name, infill=("2-3",))
        assert str(refused.value) == (
            f"--protein '{name}' is neither a file nor a protein: there is no such file, "
            f"and {strange!r} is not an amino acid"
        )
    with pytest.raises(InputError, match="--protein 'M.K' is neither a file nor a protein"):
        generate(model=None, protein="M?K", infill=("1-2",))
    with pytest.raises(ConfigError, match="was not trained to fill in residues"):
        generate(model=tiny_models["protein"], protein=PROTEIN, infill=("1-2",))
    with open("two.faa", "w") as file:
        file.write(">a\nMKT\n>b\nMKV\n")
    with pytest.raises(InputError, match="--protein two.faa holds 2 sequences; one is made anew at a time"):
        generate(model=None, protein="two.faa", infill=("1-2",))


def test_repeats_and_low_complexity_are_seen() -> None:
    for text, seen in (
        ("MKT" + "A" * 7 + "DEFGH", True),
        ("MKT" + "A" * 6 + "DEFGH", False),
        ("MKTGSAGSAGSADEF", True),
        ("MKTGSAGSADEF", False),
        ("", False),
        ("".join("DEFGHIKLMN"[n % 7 :] for n in range(60)) + "A" * 7, False),
    ):
        assert has_repeat(text, "protein") == seen, text
    assert has_repeat("ACGT" * 5, "dna") and not has_repeat("ACGT" * 3 + "CATTGCA" * 2, "dna")
    assert few_kinds("AAKAAKAAAKAA") == 1 and few_kinds("MKTAYIAKQRQISFVKSHFSRQ") == few_kinds("") == 0
    assert remarks("AAKAAKAAAKAA" + PROTEIN + PROTEIN, "protein") == ()
    assert remarks("AAKAAKAAAKAA" * 2 + PROTEIN[:20], "protein")[-1] == "low complexity"


def test_few_natural_sequences_are_remarkable() -> None:
    folder = Path(__file__).parents[3] / "examples"
    proteins, genes = (
        ["".join(record.text.split()).replace("-", "").upper() for record in open_records(str(folder / name))]
        for name in ("receivers.fasta", "genes.fna")
    )
    assert len(proteins) > 40 and sum(bool(remarks(text, "protein")) for text in proteins) <= 2
    joined = "".join(genes)
    pieces = [joined[begin : begin + 1000] for begin in range(0, len(joined) - 999, 500)]
    # fifteen T in a row, which two of them share
    assert len(pieces) > 40 and sum(bool(remarks(piece, "dna")) for piece in pieces) <= 2


def test_what_is_removed_from_a_protein_is_said(model: Any) -> None:
    said: list[str] = []
    assert len(read_protein("mkt-ay*", model, said.append)) == 5
    assert said == [
        "--protein 'mkt-ay*' is read without what does not belong there: 1 gap, 1 trailing stop removed"
    ]
