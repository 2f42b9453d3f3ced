"""The generate run: rows are functions of model, seed and number; nothing is lost when it is interrupted."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.records import open_records
from bio_xlstm.sampling import Sample
from bio_xlstm.scoring import score_batch
from bio_xlstm.tasks.generate import run as run_module
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.slots import choose_slots
from bio_xlstm.tasks.generate.strands import COLUMN, both_strands
from bio_xlstm.tasks.generate.words import Range

from .conftest import rows_of

Generate = Callable[..., Any]


def test_columns_are_those_of_the_contract(generate: Generate) -> None:
    outcome = generate(count=5, seed=3)
    rows = rows_of()
    assert list(rows[0])[:8] == [
        "sequence",
        "logprob",
        "valid",
        "canonical",
        "unique",
        "novel",
        "index",
        "seed",
    ]
    assert [row["index"] for row in rows] == list("01234") and {row["seed"] for row in rows} == {"3"}
    assert {row["novel"] for row in rows} == {""}
    where, what, load = outcome.lines
    assert where.startswith("wrote out.csv (csv, ") and what == "5 molecules of 5 tries"
    assert load == 'load: import pyarrow.csv as csv; table = csv.read_csv("out.csv")'
    record = json.loads(Path("out.csv.provenance.json").read_text())
    assert (record["command"], record["model"], record["rows"], record["tried"]) == (
        "generate",
        "chem-small",
        5,
        5,
    )
    assert record["settings"]["--max-length"] == "200"


@pytest.mark.parametrize("options", [{"batch_tokens": 5}, {"count": 30}])
def test_rows_do_not_depend_on_the_batch_or_the_count(generate: Generate, options: dict[str, int]) -> None:
    generate(count=16, valid_only=True, unique=True)
    whole = Path("out.csv").read_bytes()
    generate(**({"count": 16} | options), valid_only=True, unique=True)
    assert Path("out.csv").read_bytes().startswith(whole)


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    # three units and more
    monkeypatch.setattr("bio_xlstm.tasks.generate.setup.UNIT_TRIES", 16)
    options = {"count": 30, "valid_only": True, "max_tries": 400}
    generate(**options)
    whole = Path("out.csv").read_bytes()
    units = run_module._units

    def torn(job: Any, done: Any) -> Any:
        for number, unit in enumerate(units(job, done)):
            if number == 1:
                raise KeyboardInterrupt
            yield unit

    for _ in range(2):
        monkeypatch.setattr(run_module, "_units", torn)
        with pytest.raises(KeyboardInterrupt):
            generate(**options, output="again.csv", overwrite=False)
        assert not Path("again.csv").exists() and Path("again.csv.parts/journal.jsonl").exists()
        monkeypatch.setattr(run_module, "_units", units)
    outcome = generate(**options, output="again.csv", overwrite=False)
    assert "continuing: " in outcome.lines[0] and "sequences were drawn before" in outcome.lines[0]
    assert Path("again.csv").read_bytes() == whole and not Path("again.csv.parts").exists()
    assert "already complete" in generate(**options, output="again.csv", overwrite=False).lines[0]
    with pytest.raises(OutputError, match="again.csv exists but --temperature was 1.0 and is now 0.5"):
        generate(**options, output="again.csv", overwrite=False, temperature=0.5)


def test_log_probabilities_are_scores(generate: Generate) -> None:
    model = bx.load("chem-small")
    context = "\n".join(["CCO", "CCN", "c1ccccc1O"])
    Path("some.smi").write_text(context)
    generate(count=10, temperature=1.3)
    check_scores(model, None)
    generate(count=10, prompt="c1cc[nH]", top_p=0.9)
    check_scores(model, None)
    generate(count=10, context="some.smi")
    from bio_xlstm.context import read_context
    from bio_xlstm.tasks.generate.contexts import Extent, read_contexts

    (members,) = read_contexts("some.smi", model.tokenizer, Extent(), 0, print)
    check_scores(model, read_context(model, members, batch_tokens=64))


def test_what_is_cut_is_a_beginning_and_has_the_probability_of_one(
    generate: Generate, tiny_models: dict[str, str]
) -> None:
    cases = (("chem-small", {"prompt": "CC"}), (tiny_models["protein"], {}), (tiny_models["dna"], {}))
    for name, options in cases:
        model = bx.load(name)
        generate(model=name, count=6, max_length=9, **options)
        rows = [row for row in rows_of() if row["sequence"]]
        cut = [row for row in rows if row["ended"] == "false"]
        assert cut and {row["valid"] for row in cut} == {"true" if model.kind == "dna" else "false"}
        found = score_batch(model, [model.tokenizer.encode(row["sequence"]) for row in rows])
        for row, score in zip(rows, found, strict=True):
            # all that `score` gives, but the stop, which was not drawn
            kept = score.logprobs[: int(row["length"]) + (row["ended"] == "true")]
            assert float(row["logprob"]) == pytest.approx(float(kept.sum()), rel=1e-4)
            assert float(row["perplexity"]) == pytest.approx(float(np.exp(-kept.mean())), rel=1e-3)


def check_scores(model: Any, state: Any) -> None:
    """Compare the column with what scoring says."""
    rows = [row for row in rows_of() if row["ended"] == "true"]
    found = score_batch(model, [model.tokenizer.encode(row["sequence"]) for row in rows], state=state)
    np.testing.assert_allclose(
        [float(row["logprob"]) for row in rows], [one.total for one in found], rtol=1e-4
    )
    perplexity = [float(row["perplexity"]) for row in rows]
    np.testing.assert_allclose(perplexity, [one.perplexity for one in found], rtol=1e-3)


def test_proteins_are_ranked_and_flagged(generate: Generate, tiny_models: dict[str, str]) -> None:
    generate(model=tiny_models["protein"], count=9, max_length=40)
    rows = rows_of()
    perplexities = [float(row["perplexity"]) for row in rows]
    assert perplexities == sorted(perplexities)
    assert {row["notes"] for row in rows} <= {"", "repeat", "low complexity", "repeat; low complexity"}
    assert all((row["valid"] == "true") == (row["ended"] == "true" and row["sequence"] != "") for row in rows)
    outcome = generate(model=tiny_models["protein"], count=9, max_length=40, keep=4, sort="index")
    kept = rows_of()
    assert {row["index"] for row in kept} == {row["index"] for row in rows[:4]}
    assert [int(row["index"]) for row in kept] == sorted(int(row["index"]) for row in kept)
    assert outcome.lines[1] == "9 proteins of 9 tries, the 4 of least perplexity kept"


def test_dna_goes_on_from_a_prompt(generate: Generate, tiny_models: dict[str, str]) -> None:
    outcome = generate(model=tiny_models["dna"], count=3, prompt="acgu", max_length=70, output="out.fa.gz")
    text = gzip.decompress(Path("out.fa.gz").read_bytes()).decode()
    assert text.count(">sample-") == 3 and text.splitlines()[1].startswith("ACGT")
    assert max(map(len, text.splitlines())) <= 70 and outcome.rows == 3


def test_dna_is_judged_on_both_strands_where_its_model_reads_them(
    generate: Generate, tiny_models: dict[str, str]
) -> None:
    generate(model=tiny_models["dna"], count=2, max_length=9)
    assert COLUMN not in rows_of()[0]
    model = bx.build("dna", dim=32, blocks=1, heads=2, reverse_complement="post_hoc", seed=1)
    model.save("strands")
    generate(model="strands", count=12, prompt="ACG", max_length=9)
    rows = rows_of()
    assert len({row["ended"] for row in rows}) == 2
    assert both_strands(model, Sample(0, np.zeros(0, np.int64), -2.5, True)) == -2.5
    found = score_batch(model, [model.tokenizer.encode(row["sequence"]) for row in rows], direction="both")
    for row, score in zip(rows, found, strict=True):
        # without the stops, which are scored on both strands though only one was drawn
        wanted = score.total if row["ended"] == "true" else float(score.logprobs[:-1].sum())
        assert float(row[COLUMN]) == pytest.approx(wanted, rel=1e-4)


def test_what_is_not_counted_is_not_divided_by(generate: Generate, tiny_models: dict[str, str]) -> None:
    model = bx.load(tiny_models["dna"])
    for prompt in ("ATGNNGCC", "NNA"):
        generate(model=tiny_models["dna"], count=6, prompt=prompt, max_length=20)
        rows = rows_of()
        found = score_batch(model, [model.tokenizer.encode(row["sequence"]) for row in rows])
        for row, score in zip(rows, found, strict=True):
            kept = score.logprobs[: int(row["length"]) + (row["ended"] == "true")]
            assert np.isnan(kept).sum() == 2
            assert float(row["perplexity"]) == pytest.approx(float(np.exp(-np.nanmean(kept))), rel=1e-3)


def test_both_strands_are_read_after_the_context(generate: Generate) -> None:
    model = bx.build("dna", dim=32, blocks=1, heads=2, reverse_complement="post_hoc", seed=1)
    model.save("strands")
    Path("genes.fna").write_text(">a\nACGTTGCAACGGTTACGATC\n>b\nTTGACCA\n")
    generate(model="strands", context="genes.fna", count=12, prompt="ACG", max_length=30)
    rows = rows_of()
    state = model.encode_context(["ACGTTGCAACGGTTACGATC", "TTGACCA"])
    ids = [model.tokenizer.encode(row["sequence"]) for row in rows]
    after, alone = (score_batch(model, ids, direction="both", state=of) for of in (state, None))
    for row, with_context, without in zip(rows, after, alone, strict=True):
        kept = slice(None if row["ended"] == "true" else -1)
        assert float(row[COLUMN]) == pytest.approx(float(with_context.logprobs[kept].sum()), abs=2e-3)
        assert abs(float(row[COLUMN]) - float(without.logprobs[kept].sum())) > 1e-2


def test_other_formats(generate: Generate, capsys: pytest.CaptureFixture[str]) -> None:
    generate(count=3, output="out.smi")
    assert [line.split()[1] for line in Path("out.smi").read_text().splitlines()] == [
        "sample-0", "sample-1", "sample-2"
    ]  # fmt: skip
    # a limit that leaves some unfinished, and a draw that leaves some empty
    outcome = generate(count=400, output="out.smi", max_length=12, temperature=2.0)
    generate(count=400, max_length=12, temperature=2.0)
    rows = rows_of()
    found = {record.row: record for record in open_records("out.smi")}
    empty = sum(not row["sequence"] for row in rows)
    assert empty and len(found) == 400 - empty
    assert f"400 tries, {empty} of them empty and left out, as .smi has no line for them" in outcome.lines[1]
    for record, row in zip(found.values(), (row for row in rows if row["sequence"]), strict=True):
        mark = "" if row["valid"] == "true" else "not valid" if row["ended"] == "true" else "unfinished"
        assert record.text == row["sequence"]
        assert record.id == f"sample-{row['index']}" + (f" [{mark}]" if mark else "")
    assert json.loads(Path("out.smi.provenance.json").read_text())["left_out"] == empty
    generate(count=3, output="-", format="tsv")
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 4 and out[0].split("\t")[0] == "sequence"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "-n must be at least 1, not 0"),
        ({"keep": 0}, "--keep must be at least 1, not 0"),
        ({"sort": "size"}, "--sort must be one of auto, index, perplexity, not 'size'"),
        ({"output": "out.png"}, "out.png: the suffix names no format; known are .csv, .tsv"),
        ({"output": "out.fasta"}, "out.fasta: fasta is for proteins and DNA; .csv holds everything"),
        ({"model": "dna-causal", "output": "out.smi"}, "out.smi: smi is for molecules"),
        ({"model": None}, "-m is missing, and nothing else says what to make: -m dna-causal for DNA"),
        (
            {"model": "dna-small", "output": "out.fa"},
            "dna-small reads both strands and fills in what is hidden: it cannot write a sequence from its beginning "
            "to its end; -m dna-causal can",
        ),
        ({"prompt": "CCX"}, "--prompt 'CCX': 'X' at position 3 is not a SMILES token"),
        (
            {"prompt": "CCO", "max_length": 3},
            "3 tokens are given, which leaves no room in sequences of at most 3",
        ),
        ({"prompt": "C", "scaffold": "C"}, "--prompt and --scaffold exclude each other"),
        ({"context": "a", "state": "b"}, "--context and --state exclude each other"),
        ({"context_size": 4}, "--context-size needs --context"),
        ({"infill": ("2-3",)}, "--infill needs --protein"),
        ({"protein": "MKT"}, "--protein needs --infill"),
        ({"keep_length": True}, "--keep-length needs --infill"),
        ({"beam": 3}, "--beam 3 is too narrow for -n 12 sequences"),
        ({"beam": 20, "unique": True}, "--beam finds the likeliest sequences, and goes with no other way"),
        ({"draft": 4}, "--draft copies from what is given: it needs --infill, --scaffold or --prompt"),
        (
            {"preset": "prot-xlstm"},
            "--preset prot-xlstm needs --context, and draws without refusing anything",
        ),
        ({"preset": "mine"}, "--preset must be one of prot-xlstm, not 'mine'"),
        ({"top_p": 1.5}, "top_p must be a share above 0, at most 1, not 1.5"),
        ({"temperature": float("inf")}, "temperature must be a finite number, not inf"),
        ({"repetition_penalty": float("inf")}, "repetition_penalty must be a finite number, not inf"),
        ({"seed": -1}, "--seed must be a number from 0 to 9223372036854775807, not -1"),
        ({"seed": 10**23}, "--seed must be a number from 0 to 9223372036854775807, not 1000"),
        (
            {"beam": 20, "temperature": 0.5},
            "--beam 20 finds the likeliest sequences and draws none: it goes without ",
        ),
        ({"beam": 20, "no_repeat": 2}, "it goes without --no-repeat"),
        (
            {"beam": 20, "context": "a", "contexts": 4},
            "goes on from one context: it goes without --contexts 4",
        ),
        (
            {"preset": "prot-xlstm", "context": "a", "top_k": 3},
            "--preset prot-xlstm settles how residues are drawn: it goes without --top-k",
        ),
        ({"preset": "prot-xlstm", "context": "a", "prompt": "M", "draft": 3}, "it goes without --draft"),
        ({"preset": "prot-xlstm", "context": "a"}, "--preset prot-xlstm is for proteins"),
        ({"max_tries": 2}, "--max-tries 2 is less than -n 12: every sequence takes a try"),
        ({"keep": 13}, "--keep 13 is more than the 12 sequences there are to keep from (-n)"),
        (
            {"prompt": "C))", "constrain": True},
            "--constrain: ')', token 2 of what is given, cannot stand there",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(generate: Generate, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        generate(**options)
    assert message in str(error.value)
    assert not list(Path().iterdir())


def test_a_beam_that_memory_does_not_hold_is_refused(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.generate.slots.main_memory", lambda: (1 << 30, 1 << 30))
    with pytest.raises(
        ConfigError, match=r"--beam 100000 takes about .*, and .* can be had: --beam \d+ fits"
    ):
        generate(beam=100_000, max_length=5)
    # a system that does not tell
    monkeypatch.setattr("bio_xlstm.tasks.generate.slots.main_memory", lambda: (0, 0))
    assert generate(count=2, beam=2, max_length=5).rows == 2


def test_lengths_and_numbers_that_memory_does_not_hold_are_refused(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigError, match=r"--max-length 1000000000000 takes about 8.0 TB of memory, and .* can be"
    ):
        generate(max_length=10**12, batch_tokens=None)
    # a limit of the shell
    monkeypatch.setattr("bio_xlstm.tasks.generate.slots.address_room", lambda: 1 << 30)
    with pytest.raises(
        ConfigError, match=r"--batch-tokens 200000 takes about .* GB of memory, and 859 MB can be had"
    ):
        generate(count=200_000, batch_tokens=200_000)
    # the fewer at once, the longer they may be
    assert generate(count=2, model="dna-causal", prompt="A", max_length=20, batch_tokens=None).rows == 2
    request = GenerateRequest(output="o.csv", count=100, model="chem-small")
    model = bx.load("chem-small")
    slots = [choose_slots(request, model, longest, 100) for longest in (200, 10**7, 10**9)]
    assert slots[0] == 100 > slots[1] > slots[2] == 1


def test_more_tries_go_on_where_fewer_ended(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.generate.setup.UNIT_TRIES", 16)
    options = {"count": 12, "windows": {"qed": Range(0.85, 1.0)}, "overwrite": False}
    few = generate(**options, max_tries=20)
    held = Path("out.csv").read_text()
    assert few.rows < 12 and "--max-tries allows more" in few.shortage
    again = generate(**options, max_tries=20)
    assert again.rows == few.rows and again.shortage == few.shortage
    assert "already complete" in again.lines[0] and not any(line.startswith("wrote") for line in again.lines)
    more = generate(**options, max_tries=500)
    assert more.rows > few.rows and Path("out.csv").read_text().startswith(held)
    assert "already complete" in generate(**options, max_tries=600).lines[0]
    with pytest.raises(OutputError, match=r"out.csv exists but took \d+ tries, and --max-tries is now 20"):
        generate(**options, max_tries=20)


def test_a_killed_run_goes_on_with_another_number_of_tries(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.generate.setup.UNIT_TRIES", 16)
    options = {"count": 12, "windows": {"qed": Range(0.85, 1.0)}}
    units = run_module._units

    def torn(job: Any, done: Any) -> Any:
        # all units, the last of which is cut short
        yield from units(job, done)
        raise KeyboardInterrupt

    for before, after in ((20, 50), (50, 20)):
        generate(**options, max_tries=after)
        whole = Path("out.csv").read_bytes()
        monkeypatch.setattr(run_module, "_units", torn)
        with pytest.raises(KeyboardInterrupt):
            generate(**options, max_tries=before, output="again.csv")
        monkeypatch.setattr(run_module, "_units", units)
        outcome = generate(**options, max_tries=after, output="again.csv", overwrite=False)
        assert outcome.lines[0] == "continuing: 16 sequences were drawn before"
        assert Path("again.csv").read_bytes() == whole
        Path("again.csv").unlink()
        Path("again.csv.provenance.json").unlink()


def test_files_are_not_replaced_by_what_is_made_of_them(generate: Generate) -> None:
    Path("some.smi").write_text("CCO\nCCN\n")
    with pytest.raises(OutputError, match="some.smi is the input; give the output another name"):
        generate(output="some.smi", exclude=("some.smi",))
    Path("mine.csv").write_text("a\n")
    with pytest.raises(OutputError, match="mine.csv exists and was not written by this command"):
        generate(output="mine.csv", overwrite=False)


def test_a_beam_and_drafts_write_what_they_find(generate: Generate, tiny_models: dict[str, str]) -> None:
    generate(count=3, beam=4, prompt="c1ccc(", max_length=60)
    values = [float(row["logprob"]) for row in rows_of()]
    assert len(values) == 3 and values == sorted(values, reverse=True)
    check_scores(bx.load("chem-small"), None)
    generate(count=4, prompt="c1ccc(Nc2ccc(", max_length=40)
    drawn = Path("out.csv").read_text()
    with pytest.raises(OutputError, match="--draft was None and is now 5"):
        generate(count=4, prompt="c1ccc(Nc2ccc(", max_length=40, draft=5, overwrite=False)
    generate(count=4, prompt="c1ccc(Nc2ccc(", max_length=40, draft=5)
    sequences = [row["sequence"] for row in rows_of()]
    assert sequences == [row["sequence"] for row in csv.DictReader(drawn.splitlines())]
    # of two letters and the end there are few: less than is asked for is written
    outcome = generate(model=tiny_models["dna"], count=30, beam=30, max_length=1, batch_tokens=None)
    assert 0 < outcome.rows == len(rows_of()) < 30 and outcome.shortage


def test_the_published_grid_keeps_the_best(generate: Generate, tiny_models: dict[str, str]) -> None:
    Path("family.faa").write_text("".join(f">{n}\nMKTAYIAK{'QRSTV'[n]}R\n" for n in range(5)))
    common = {
        "model": tiny_models["protein"],
        "context": "family.faa",
        "max_length": 12,
        "preset": "prot-xlstm",
    }
    outcome = generate(**common, count=3)
    assert "75 proteins of 75 tries, the 3 of least perplexity kept" in outcome.lines[-2]
    best = {row["index"]: row["perplexity"] for row in rows_of()}
    generate(**common, count=3, keep=75)
    every = {row["index"]: float(row["perplexity"]) for row in rows_of()}
    assert len(every) == 75 and sorted(every, key=every.__getitem__)[:3] == list(best)


def test_units_follow_from_the_options_alone() -> None:
    request = GenerateRequest(output="o.csv", count=10)
    assert request.most_tries == 10
    assert GenerateRequest(output="o.csv", count=10, unique=True).most_tries == 2000
    assert GenerateRequest(output="o.csv", count=1000, unique=True).most_tries == 20_000
    assert GenerateRequest(output="o.csv", count=10, unique=True, max_tries=33).most_tries == 33
