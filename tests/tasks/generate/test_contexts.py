"""Contexts hold what a file holds, in training's layout; a state of one is as good as the context itself."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.context import context_tokens, read_context
from bio_xlstm.errors import ConfigError, InputError, ModelError, OutputError
from bio_xlstm.records.alignment import read_alignment
from bio_xlstm.tasks.generate.contexts import Extent, divided, read_contexts
from bio_xlstm.tasks.generate.words import context_budget
from bio_xlstm.tasks.pretrain.packing import Framing, Letters, frame
from bio_xlstm.tasks.states import StateRequest, build_state, describe_state
from bio_xlstm.tokenizers import TOKENIZERS, Tokenizer
from bio_xlstm.tokenizers.ids import IdTokenizer

Generate = Callable[..., Any]
FAMILY = ">q\nMKTAYIAKQR\n>a\nMKTAYLAKQR\n>b\nMRTAYLSKQ-\n>c\nMKSAFLSRQR\n"


def silent(line: str) -> None:
    """Say nothing."""


@pytest.mark.parametrize("kind", ["smiles", "protein"])
def test_the_layout_is_that_of_training(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    members = [tokenizer.encode(text) for text in ("CCN", "CN", "CCNNC")]
    ids, count = np.concatenate(members).astype(np.int64), len(members)
    letters = Letters(
        ids, np.array([len(one) for one in members]), np.zeros(count, np.int64), np.ones(count, bool),
        np.ones(len(ids), np.float32), np.arange(count).astype(np.uint64), np.ones(len(ids), bool),
        np.ones(count, bool),
    )  # fmt: skip
    trained = frame(letters, Framing.of(tokenizer)).tokens
    # the start of what is drawn stands where a set would end or go on
    follows = [*context_tokens(tokenizer, members), tokenizer.start]
    assert follows[: len(trained)] == trained.tolist()


def test_all_molecules_are_in_some_context(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["smiles"]()
    texts = ["C" * n + "O" for n in range(1, 20)]
    path = tmp_path / "actives.smi"
    path.write_text("\n".join([*texts, "C1CC"]))
    said: list[str] = []
    contexts = read_contexts(str(path), tokenizer, Extent(tokens=60), 0, said.append)
    found = [tokenizer.decode(ids) for members in contexts for ids in members]
    assert sorted(found) == sorted(texts) and found != texts and len(contexts) > 1
    assert all(len(context_tokens(tokenizer, members)) <= 60 for members in contexts)
    assert said == [
        "actives.smi: 1 molecule left out of the context, row 19 first: invalid_smiles. unclosed ring"
    ] or said[0].endswith("row 19 first: invalid_smiles. unclosed ring")
    other = read_contexts(str(path), tokenizer, Extent(tokens=60), 1, silent)
    assert [len(m) for m in other] and other[0][0].tolist() != contexts[0][0].tolist()
    assert len(said) == 1
    few = read_contexts(str(path), tokenizer, Extent(members=3, contexts=2), 0, said.append)
    assert [len(members) for members in few] == [3, 3]
    lost = 19 - len({tokenizer.decode(ids) for members in few for ids in members})
    assert said[2].endswith(f"actives.smi: {lost} of 19 molecules left out: no room within --context-size 3")
    # they take 4 to 22 tokens
    read_contexts(str(path), tokenizer, Extent(tokens=19), 0, said.append)
    assert said[4].endswith("actives.smi: 3 of 19 molecules left out: no room within --context-tokens 19")
    assert [len(g) for g in divided(np.arange(7), np.ones(7, int), Extent(members=3))] == [3, 2, 2]


def test_homologs_fit_and_hold_the_first_sequence(tmp_path: Path) -> None:
    tokenizer = TOKENIZERS["protein"]()
    path = tmp_path / "family.a3m"
    path.write_text(FAMILY)
    (members,) = read_contexts(str(path), tokenizer, Extent(), 0, silent)
    assert {tokenizer.decode(ids) for ids in members} >= {"MKTAYIAKQR", "MKTAYLAKQR"}
    for seed in range(4):
        (members,) = read_contexts(str(path), tokenizer, Extent(tokens=23), seed, silent)
        assert len(context_tokens(tokenizer, members)) <= 23 and len(members) == 2
    said: list[str] = []
    read_contexts(str(path), tokenizer, Extent(tokens=23), 0, said.append)
    assert said == ["family.a3m: of 4 proteins as many are drawn as --context-tokens 23 allows"]
    read_contexts(str(path), tokenizer, Extent(tokens=44), 0, said.append)
    assert len(said) == 1
    assert len(read_contexts(str(path), tokenizer, Extent(members=1), 0, silent)[0]) == 1
    # as the first row twice, and as unlike it as can be
    path.write_text(FAMILY + ">d\nMKTAYIAKQR\n>e\nGGGGGGGGGG\n")
    said.clear()
    (members,) = read_contexts(str(path), tokenizer, Extent(members=5), 0, said.append)
    assert "".join(tokenizer.decode(ids) for ids in members).count("G") == 0 and len(members) == 4
    assert said == [
        "family.a3m: of 6 proteins as many are drawn as --context-size 5 allows, without 2 that are more than 98% or "
        "less than 30% like the first"
    ]
    for extent in (Extent(), Extent(tokens=66), Extent(members=6)):
        (members,) = read_contexts(str(path), tokenizer, extent, 0, said.append)
        assert sorted(tokenizer.decode(ids) for ids in members) == sorted(read_alignment(path).sequences)
    assert len(said) == 1
    path.write_text(">only\nMKTAY\n")
    assert len(read_contexts(str(path), tokenizer, Extent(), 0, silent)[0]) == 1


@pytest.mark.parametrize(
    ("name", "text", "kind", "message"),
    [
        (
            "a.faa",
            ">p\nMKTAYIAKQR\n",
            "smiles",
            "a.faa holds proteins, but the context of this model holds molecules",
        ),
        (
            "a.smi",
            "CCO\nc1ccccc1\n",
            "protein",
            "a.smi holds molecules, but the context of this model holds proteins",
        ),
        ("a.smi", "C1CC\n", "smiles", "a.smi holds no molecule that can be read: the context is empty"),
        ("a.smi", "", "smiles", "a.smi: the file is empty"),
        ("a.faa", ">p\n\n", "protein", "no sequence of the family holds a residue"),
    ],
)
def test_a_context_that_is_none_is_refused(
    tmp_path: Path, name: str, text: str, kind: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_contexts(str(path), TOKENIZERS[kind](), Extent(), 0, silent)
    assert message in str(error.value)


def test_a_context_is_as_long_as_is_asked_for_or_a_model_is_made_for() -> None:
    assert context_budget(None, None, "protein") == 2048 and context_budget(None, None, "smiles") == 1024
    # the published grid asks for all homologs
    assert context_budget(None, "prot-xlstm", "protein") == 131_072
    assert context_budget(99, "prot-xlstm", "protein") == context_budget(99, None, "protein") == 99


def test_budgets_without_room_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.smi"
    path.write_text("CCCCCC\n")
    with pytest.raises(
        ConfigError, match="no molecule fits into a context of 4 tokens, the shortest takes 8"
    ):
        read_contexts(str(path), TOKENIZERS["smiles"](), Extent(tokens=4), 0, silent)


@pytest.mark.parametrize(
    ("name", "text", "tokenizer", "wanted"),
    [
        ("a.fna", ">1\nACGTTG\n>2\nGGCA\n>3\nTT\n", TOKENIZERS["dna"](), ["ACGTTG", "GGCA", "TT"]),
        ("a.txt", "5 17 3\n1 2\n", IdTokenizer.of(20), ["5 17 3", "1 2"]),
    ],
)
def test_other_contexts_keep_the_order_of_the_file(
    tmp_path: Path, name: str, text: str, tokenizer: Tokenizer, wanted: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    (members,) = read_contexts(str(path), tokenizer, Extent(), 7, silent)
    assert [tokenizer.decode(ids) for ids in members] == wanted


def test_models_without_frames_have_states_and_write(generate: Generate) -> None:
    plain = bx.build("tokens", vocabulary=20, dim=32, blocks=1, heads=2, tokenizer=IdTokenizer.of(20))
    plain.save("plain")
    Path("a.txt").write_text("5 17 3\n1 2\n")
    lines = build_state(StateRequest(input="a.txt", output="a.state", model="plain"))
    assert lines[1] == "2 sequences, 5 tokens, for the model tokens"
    found = generate(model="plain", state="a.state", prompt="4 4", count=1, max_length=6, output="out.csv")
    assert found.lines[1] == "1 sequence of 1 try"
    (row,) = csv.DictReader(Path("out.csv").read_text().splitlines())
    assert row["sequence"].startswith("4 4 ") and len(row["sequence"].split()) == 6
    with pytest.raises(
        ConfigError, match="begin with no start token: say with --prompt what they begin with"
    ):
        generate(model="plain", count=1)


def test_a_state_is_as_good_as_its_context(generate: Generate, tiny_models: dict[str, str]) -> None:
    Path("family.a3m").write_text(FAMILY)
    model = tiny_models["protein"]
    lines = build_state(StateRequest(input="family.a3m", output="f.state", model=model))
    assert lines[0].startswith("wrote f.state (") and " proteins, " in lines[1]
    common = {"model": model, "count": 6, "max_length": 30}
    assert generate(**common, context="family.a3m").lines[0] == "1 context of 4 proteins, from family.a3m"
    # the advice is for those who do not follow it already
    cut, said = generate(**common, context="family.a3m", context_tokens=23).lines, list[str]()
    assert cut[0].endswith("as --context-tokens 23 allows (`bioxlstm state build` reads all)")
    build_state(
        StateRequest(input="family.a3m", output="few.state", model=model, context_tokens=23), said.append
    )
    assert said[0].endswith("as --context-tokens 23 allows")
    generate(**common, context="family.a3m")
    given = Path("out.csv").read_bytes()
    generate(**common, state="f.state")
    assert Path("out.csv").read_bytes() == given
    generate(**common)
    assert Path("out.csv").read_bytes() != given
    facts = describe_state("f.state")
    loaded = bx.load(model)
    assert facts["model hash"] == loaded.weight_hash() and facts["sequences"] == "1"
    assert facts["bytes"] == f"{Path('f.state').stat().st_size:,}" and "family.a3m" in facts["context"]
    (members,) = read_contexts("family.a3m", loaded.tokenizer, Extent(), 0, silent)
    assert int(facts["tokens"]) == int(read_context(loaded, members, batch_tokens=7).position[0])
    with pytest.raises(ModelError, match="f.state was made by another model"):
        generate(model=tiny_models["smiles"], state="f.state")
    with pytest.raises(OutputError, match="f.state exists; use --overwrite to replace it"):
        build_state(StateRequest(input="family.a3m", output="f.state", model=model))
    with pytest.raises(OutputError, match="family.a3m is the input"):
        build_state(StateRequest(input="family.a3m", output="family.a3m", model=model))
    with pytest.raises(OutputError, match="there is no folder nowhere"):
        build_state(StateRequest(input="family.a3m", output="nowhere/f.state", model=model))
    with pytest.raises(ConfigError, match="--context-size must be at least 1, not 0"):
        StateRequest(input="family.a3m", output="g.state", context_size=0)
    with pytest.raises(ModelError, match="family.a3m is no state file"):
        describe_state("family.a3m")


def test_a_state_of_lower_precision_says_so(generate: Generate, tiny_models: dict[str, str]) -> None:
    Path("family.a3m").write_text(FAMILY)
    model = tiny_models["protein"]
    plain = build_state(StateRequest(input="family.a3m", output="f.state", model=model))
    lines = build_state(StateRequest(input="family.a3m", output="b.state", model=model, dtype="bf16"))
    assert lines[2] == f"use: bioxlstm generate --state b.state -m {model} --dtype bf16 -n 100 -o new.csv"
    assert "--dtype" not in plain[2]
    assert generate(model=model, state="b.state", dtype="bf16", count=2, max_length=8).rows == 2
    with pytest.raises(ModelError, match="b.state was made by .* in bfloat16, which is in float32 here"):
        generate(model=model, state="b.state", count=2)
    with pytest.raises(ModelError, match="f.state was made by another model .* in bfloat16"):
        generate(model=model, state="f.state", dtype="bf16", count=2)


def test_what_is_cleaned_is_said(generate: Generate, tiny_models: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.fna"
    path.write_text(">1\nACGT1GGCA\n>2\nTT\n")
    said: list[str] = []
    read_contexts(str(path), TOKENIZERS["dna"](), Extent(), 0, said.append)
    assert len(said) == 1 and "a.fna: 1 sequence cleaned, row 0 first: 1 digit" in said[0]
    lines = generate(model=tiny_models["dna"], prompt="ACG1T", count=1, max_length=8).lines
    assert lines[0].startswith("--prompt 'ACG1T' is read without what does not belong there: ")
