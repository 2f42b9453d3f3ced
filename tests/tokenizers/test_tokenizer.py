"""What holds for every kind of tokenizer."""

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import ModelError, SequenceError
from bio_xlstm.tokenizers import TOKENIZERS, Tokenizer, Vocabulary, load_tokenizer
from bio_xlstm.tokenizers.tokenizer import counted

EXAMPLES = {"dna": "ACGTNACGT", "protein": "MKTAYIAKQRUOBZX", "smiles": "C[C@@H](N)C(=O)[O-]"}


@pytest.fixture(params=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]()


def test_a_tokenizer_is_a_value(tokenizer: Tokenizer) -> None:
    tokenizer.encode(EXAMPLES[tokenizer.kind])
    fresh = type(tokenizer)()
    assert tokenizer == fresh and hash(tokenizer) == hash(fresh)
    assert tokenizer != replace(tokenizer, specials=tokenizer.specials._replace(mask=None))
    assert all(tokenizer != other() for kind, other in TOKENIZERS.items() if kind != tokenizer.kind)
    assert len(repr(tokenizer)) < 40
    for twin in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert twin == tokenizer
        assert twin.decode(twin.encode(EXAMPLES[tokenizer.kind])) == EXAMPLES[tokenizer.kind]


def test_save_and_load_give_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    assert load_tokenizer(path) == tokenizer
    assert type(load_tokenizer(path)) is type(tokenizer)
    assert json.loads(path.read_text())["vocabulary"] == list(tokenizer.vocabulary.symbols)
    assert type(tokenizer).from_json(tokenizer.to_json()) == tokenizer


def test_ids_have_the_smallest_type_and_can_be_written(tokenizer: Tokenizer) -> None:
    text = EXAMPLES[tokenizer.kind]
    for ids in (tokenizer.encode(text), tokenizer.prepare(text).ids, tokenizer.encode("")):
        assert ids.dtype == tokenizer.dtype and ids.ndim == 1
        assert ids.flags.writeable and ids.flags.c_contiguous
    assert len(tokenizer.vocabulary) <= np.iinfo(tokenizer.dtype).max + 1
    assert tokenizer.prepare("").ids.dtype == tokenizer.dtype
    assert tokenizer.prepare("@").ids.dtype == tokenizer.dtype


def test_framing_is_left_out_of_text_and_other_specials_are_named(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(EXAMPLES[tokenizer.kind]).tolist()
    assert tokenizer.start is not None and tokenizer.stop is not None
    assert tokenizer.mask is not None and tokenizer.unknown is not None
    assert tokenizer.decode([tokenizer.start, *ids, tokenizer.stop]) == EXAMPLES[tokenizer.kind]
    hidden = tokenizer.decode([tokenizer.mask, *ids, tokenizer.unknown])
    assert hidden == f"{tokenizer.specials.mask}{EXAMPLES[tokenizer.kind]}{tokenizer.specials.unknown}"
    assert tokenizer.decode([]) == tokenizer.decode(np.empty(0)) == ""


def test_a_vocabulary_without_specials_has_no_special_ids(tokenizer: Tokenizer) -> None:
    bare = replace(tokenizer, specials=type(tokenizer.specials)(None, None, None, None))
    assert bare.start is bare.stop is bare.mask is bare.unknown is None
    assert type(bare).from_json(bare.to_json()) == bare
    assert bare.targets.sum() == tokenizer.targets.sum() - 1


def test_targets_leave_out_what_hides_and_begins(tokenizer: Tokenizer) -> None:
    assert tokenizer.targets.shape == (len(tokenizer.vocabulary),)
    assert tokenizer.targets[tokenizer.stop]
    assert not tokenizer.targets[tokenizer.mask] and not tokenizer.targets[tokenizer.unknown]
    assert tokenizer.targets[tokenizer.start] == (tokenizer.start == tokenizer.stop)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 999], "id 999 is not between 0 and"),
        ([-1], "id -1 is not between 0 and"),
        ([0.5], r"ids to decode are one row of integers, not float64 \(1,\)"),
        ([[1, 2]], r"ids to decode are one row of integers, not int64 \(1, 2\)"),
    ],
)
def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer, ids: list[Any], message: str) -> None:
    with pytest.raises(SequenceError, match=message):
        tokenizer.decode(ids)


def test_only_dna_has_strands(tokenizer: Tokenizer) -> None:
    if tokenizer.kind == "dna":
        assert tokenizer.complement is not None
    else:
        assert tokenizer.complement is None
        with pytest.raises(SequenceError, match=f"a {tokenizer.kind} sequence has no reverse complement"):
            tokenizer.reverse_complement(tokenizer.encode(EXAMPLES[tokenizer.kind]))


def test_every_missing_field_is_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    described = tokenizer.to_json()
    path = tmp_path / "tokenizer.json"
    for name in described:
        path.write_text(json.dumps({key: value for key, value in described.items() if key != name}))
        with pytest.raises(ModelError) as caught:
            load_tokenizer(path)
        assert str(caught.value) == f"{path}: field {name!r} is missing"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "field 'colour' is not known to a {kind} tokenizer"),
        ({"format": 9}, "field 'format' is 9; this version reads format 1"),
        ({"kind": "rna"}, "field 'kind' is 'rna', not one of dna, protein, smiles, tokens"),
        ({"kind": ["dna"]}, "field 'kind' is ['dna'], not one of dna, protein, smiles, tokens"),
        ({"vocabulary": "ACGT"}, "field 'vocabulary' must be a list of symbols, not str"),
        ({"vocabulary": ["A", "A"]}, "field 'vocabulary': the vocabulary holds 'A' twice"),
        ({"start": 7}, "field 'start' must be a symbol or null, not 7"),
        ({"stop": "[Q]"}, "field 'stop' names '[Q]', which is not in the vocabulary"),
    ],
)
def test_every_wrong_field_is_named(
    tokenizer: Tokenizer, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**tokenizer.to_json(), **change}))
    with pytest.raises(ModelError) as caught:
        load_tokenizer(path)
    assert str(caught.value) == f"{path}: {message.format(kind=tokenizer.kind)}"


def test_a_tokenizer_refuses_the_description_of_another_kind() -> None:
    described = {**TOKENIZERS["protein"]().to_json(), "kind": "smiles"}
    with pytest.raises(ModelError, match="field 'kind' is 'smiles', not 'protein'"):
        TOKENIZERS["protein"].from_json(described)


def test_a_file_that_is_no_description_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(ModelError, match="tokenizer.json: no such file"):
        load_tokenizer(path)
    path.write_text("{")
    with pytest.raises(ModelError, match="tokenizer.json cannot be read as JSON: Expecting property name"):
        load_tokenizer(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ModelError, match="tokenizer.json cannot be read as JSON: 'utf-8' codec"):
        load_tokenizer(path)
    path.write_text("[]")
    with pytest.raises(ModelError, match="tokenizer.json must hold a JSON object, not list"):
        load_tokenizer(path)


def test_a_large_vocabulary_takes_two_bytes() -> None:
    smiles = TOKENIZERS["smiles"]
    small = smiles(vocabulary=Vocabulary(("[BEG]", "[END]", "[MASK]", "[UNK]", "C", "O", "Cl")))
    assert small.dtype == np.uint8 and smiles().dtype == np.uint16
    assert small.decode(small.encode("CCCl")) == "CCCl"


def test_counts_agree_with_their_noun() -> None:
    assert counted(1, "gap") == "1 gap" and counted(7, "gap") == "7 gaps"
