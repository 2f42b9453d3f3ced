"""The grammar lets every molecule through, and what it lets through can be ended within the limit."""

import copy
import random

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.errors import ConfigError
from bio_xlstm.sampling import Sampling, draw
from bio_xlstm.sampling.drawing import choose
from bio_xlstm.sampling.rows import Rows
from bio_xlstm.sampling.smiles_constraint import MOST_ADDED, SmilesConstraint
from bio_xlstm.sampling.smiles_writer import Writer
from bio_xlstm.tokenizers import TOKENIZERS

MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@@H]1CC[C@H](N)C1",
    "O=C([O-])c1cc[nH]c1.[Na+]",
    "C1CC2CCC1C2",
    "F/C=C/F",
    "c1ccc2c(c1)=NC=2",
    "C%10CCCCC%10",
    "[13CH3][NH3+]",
    "C12(CC1)CC2",
    "[Fe+2].[2H]O[2H]",
    "N#Cc1ccc(-n2cccn2)cc1",
)


def walk(text: str) -> Writer:
    """Write a SMILES, and see that every token may follow."""
    tokenizer, writer = TOKENIZERS["smiles"](), Writer()
    for token in tokenizer.encode(text).tolist():
        symbol = tokenizer.vocabulary.symbols[token]
        assert writer.may_follow(symbol), (text, symbol)
        writer.add(symbol)
    return writer


@pytest.mark.parametrize("text", MOLECULES)
def test_molecules_are_let_through(text: str) -> None:
    assert walk(text).whole and walk(text).needed() == 0


@pytest.mark.parametrize(
    ("begun", "wrong"),
    [("", ")"), ("C", ")"), ("C=", "="), ("C(", ")"), ("", "1"), ("C1", "1"), ("C1C", "1"), ("C=1CC#", "1"),
     ("C(", "1"), ("C(=", "1"), ("C(C)", "1"), ("C[", "]"), ("C[N+", "H"), ("C[N+2", "+"), ("C.", ")"), ("", "=")],
)  # fmt: skip
def test_what_no_grammar_allows_is_refused(begun: str, wrong: str) -> None:
    tokenizer, writer = TOKENIZERS["smiles"](), Writer()
    for symbol in begun:
        writer.add(symbol)
    assert not writer.may_follow(wrong)
    assert tokenizer.vocabulary.index[wrong] >= 0


@pytest.mark.parametrize(
    ("begun", "needed"),
    [("", 1), ("C", 0), ("C(", 2), ("C1", 3), ("C1C", 2), ("C1CC", 1), ("C12", 5), ("C(C(", 3), ("C=", 1),
     ("C1CC(", 3), ("C1CC(C)", 2), ("CC1(C)", 3), ("CC(C1)", 2), ("C1C=", 2), ("C1C.", 2)],
)  # fmt: skip
def test_how_much_is_missing(begun: str, needed: int) -> None:
    writer = Writer()
    for symbol in begun:
        writer.add(symbol)
    assert writer.needed() == needed


SYMBOLS = ("C", "n", "-", "=", "/", "\\", "(", ")", "1", "2", "%10", ".", "[", "]", "N", "@", "H", "+", "3")


def after(writer: Writer, symbol: str) -> Writer:
    """Return a writer that has written one more symbol."""
    ahead = copy.deepcopy(writer)
    ahead.add(symbol)
    return ahead


@pytest.mark.parametrize("seed", range(20))
def test_what_is_missing_can_be_written(seed: int) -> None:
    """From every beginning, some symbol that may follow brings the end nearer by one."""
    luck, writer, written = random.Random(seed), Writer(), ""
    for _ in range(40):
        following = [symbol for symbol in SYMBOLS if writer.may_follow(symbol)]
        ways = {symbol: after(writer, symbol).needed() for symbol in following}
        needed = writer.needed()
        assert writer.whole if needed == 0 else min(ways.values()) < needed, written
        # more than the constraint expects of a symbol would let it run out of room
        assert max(ways.values()) <= needed + MOST_ADDED, written
        # brackets, branches and rings are what goes wrong
        symbol = luck.choice([one for one in following for _ in range(3 if one in "[()12" else 1)])
        writer, written = after(writer, symbol), written + symbol


def test_every_sample_of_a_trained_model_is_whole_within_a_tight_limit() -> None:
    from rdkit import Chem

    model = bx.load("chem-small")
    constraint = SmilesConstraint(model.tokenizer, 64, 20)
    sampling = Sampling(longest=20, temperature=1.5)
    for sample in draw(Decoder(model, 64), range(300), sampling, constraint=constraint):
        text = model.tokenizer.decode(sample.ids)
        assert sample.ended and Chem.MolFromSmiles(text, sanitize=False) is not None, text
        assert walk(text).whole


def test_nothing_is_never_chosen_from() -> None:
    rows, slots = Rows(1, 4), np.zeros(1, np.int64)
    with pytest.raises(AssertionError, match="a constraint lets nothing follow"):
        choose(torch.zeros(1, 3), torch.zeros(1, 3, dtype=torch.bool), rows, slots, Sampling())


@pytest.mark.parametrize("longest", [2, 3, 9, 24])
def test_every_sample_is_whole_within_the_limit(longest: int) -> None:
    from rdkit import Chem

    model = bx.build("chem", dim=16, blocks=1, heads=1, seed=1).eval()
    with torch.no_grad():
        # everything is about as likely
        model.head.weight.mul_(0.1)
    constraint = SmilesConstraint(model.tokenizer, 8, longest)
    samples = list(draw(Decoder(model, 8), range(60), Sampling(longest=longest), constraint=constraint))
    assert len(samples) == 60
    for sample in samples:
        text = model.tokenizer.decode(sample.ids)
        assert sample.ended and len(sample.ids) < longest, text
        # grammar alone: valences are not asked
        assert Chem.MolFromSmiles(text, sanitize=False) is not None, text


def test_a_beginning_that_is_none_is_refused() -> None:
    tokenizer = TOKENIZERS["smiles"]()
    constraint = SmilesConstraint(tokenizer, 1, 6)
    with pytest.raises(ConfigError, match=r"--constrain: '\)', token 2 of what is given, cannot stand there"):
        constraint.begin(0, 0, tokenizer.encode("C)"))
    with pytest.raises(ConfigError, match="what is given cannot be made whole within 6 tokens"):
        constraint.begin(0, 0, tokenizer.encode("C(C(C("))
    constraint.begin(0, 0, tokenizer.encode("CCC"))
    assert constraint.allowed(np.array([0])).sum() > 1
