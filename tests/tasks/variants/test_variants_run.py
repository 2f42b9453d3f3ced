"""The variants run: every form of input gives the model's own ratios, rows and columns stay, killed runs resume."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import bio_xlstm as bx
from bio_xlstm.errors import ConfigError, InputError, OutputError, SequenceError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.variants.job import VariantJob
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.run import variants_file
from bio_xlstm.tasks.variants.setup import open_job

Make = Callable[..., VariantRequest]
WILD = "MSIQHFRVALIPFFAAFCLPVFAHPETLVK"
NAMES = ["M1A", "S2W:K30C", "V8L", "wt", "A9G", "A9C"]
RATIO = "log_likelihood_ratio"
ASSAY = "mutant,mutated_sequence,DMS_score,DMS_score_bin,status\n"


def changed(name: str, wild: str = WILD) -> str:
    """Put mutations into the wild type."""
    letters = list(wild)
    for word in [] if name == "wt" else name.split(":"):
        assert letters[int(word[1:-1]) - 1] == word[0]
        letters[int(word[1:-1]) - 1] = word[-1]
    return "".join(letters)


def assay(names: Sequence[str] = NAMES) -> str:
    """Write an assay as ProteinGym does."""
    rows = [f"{name},{changed(name)},{i / 7:.3f},{i % 2},kept\n" for i, name in enumerate(names)]
    return ASSAY + "".join(rows)


def table(path: Path, separator: str = ",") -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=separator))


def ratios(rows: Sequence[dict[str, str]], name: str = RATIO) -> np.ndarray:
    """Return a column, NaN where it is empty."""
    return np.array([float(row[name] or "nan") for row in rows])


@pytest.fixture
def model(tiny_models: dict[str, str]) -> SequenceModel:
    """Load the tiny protein model."""
    return bx.load(tiny_models["protein"])


@pytest.fixture
def make(ask: Callable[..., Any], tmp_path: Path) -> Make:
    """Return a function that writes an input, and a wild type beside it, and makes a request."""

    def made(name: str, text: str, output: str = "out.csv", kind: str = "protein", **options: Any) -> Any:
        (tmp_path / "wild.fa").write_text(f">TEM\n{WILD.lower()}\n")
        if options.get("wildtype") is True:
            options["wildtype"] = str(tmp_path / "wild.fa")
        return ask(VariantRequest, kind, name, text, output, **options)

    return made


def expected(model: SequenceModel, names: Sequence[str] = NAMES, **options: Any) -> np.ndarray:
    """Return the difference of two scores."""
    values = np.asarray(model.score([changed(name) for name in names], **options))
    return values - np.asarray(model.score([WILD], **options))


def test_an_assay_keeps_its_columns(make: Make, tmp_path: Path, model: SequenceModel) -> None:
    outcome = variants_file(make("assay.csv", assay()))
    rows = table(tmp_path / "out.csv")
    assert list(rows[0]) == [*ASSAY.strip().split(","), RATIO, "status_2", "detail"]
    assert [row["mutant"] for row in rows] == NAMES and {row["status"] for row in rows} == {"kept"}
    np.testing.assert_allclose(ratios(rows), expected(model), atol=1e-4)
    assert outcome.rows == 6 and outcome.failed == 0
    found = json.loads((tmp_path / "out.csv.metrics.json").read_text())
    assert found["measured"] == "DMS_score" and found["rows"] == 6 and found["divided_by"] == "DMS_score_bin"
    assert f"DMS_score: Spearman {found['spearman']:.3f}, AUC {found['auc']:.3f}" in outcome.lines[3]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("list.txt", "".join(f"{name}\n" for name in NAMES), {"wildtype": True}),
        ("list", "\r\n".join(NAMES), {"wildtype": True, "input_format": "lines"}),
        ("a.csv", "Mutation,note\n" + "".join(f"{name},x\n" for name in NAMES), {"wildtype": True}),
        ("a.tsv", "code\tx\n" + "".join(f"{name}\t\n" for name in NAMES), {"wildtype": True, "mutant_column": "code"}),
        ("a.csv", "mutant,target_seq\n" + "".join(f"{name},{WILD}\n" for name in NAMES), {}),
        ("a.csv", "name,sequence\n" + "".join(f"x,{changed(n)}\n" for n in NAMES), {"wildtype": True}),
        ("a.fa", "".join(f">{n}\n{changed(n)}\n" for n in NAMES), {"wildtype": True}),
        ("a.csv", "mutant,mutated_sequence\n" + "".join(f"v{i},{changed(n)}\n" for i, n in enumerate(NAMES)),
         {"wildtype": True}),
    ],
)  # fmt: skip
def test_every_form_gives_the_same(
    make: Make, tmp_path: Path, model: SequenceModel, name: str, text: str, options: dict[str, Any]
) -> None:
    variants_file(make(name, text, **options))
    np.testing.assert_allclose(ratios(table(tmp_path / "out.csv")), expected(model), atol=1e-4)


def test_parquet_in_and_out(make: Make, tmp_path: Path, model: SequenceModel) -> None:
    variants_file(make("assay.csv", assay(), "out.parquet"))
    first = pq.read_table(tmp_path / "out.parquet")
    assert str(first.schema.field("DMS_score").type) == "double"
    assert str(first.schema.field("DMS_score_bin").type) == "int64"
    request = make("unused.csv", assay(), "again.parquet")
    variants_file(replace(request, input=str(tmp_path / "out.parquet")))
    again = pq.read_table(tmp_path / "again.parquet")
    assert again.column_names[-3:] == [f"{RATIO}_2", "status_3", "detail_2"]
    np.testing.assert_allclose(again[f"{RATIO}_2"].to_numpy(), expected(model), atol=1e-4)


def test_wild_types_are_told_apart(make: Make, tmp_path: Path, model: SequenceModel) -> None:
    two = tmp_path / "two.fa"
    two.write_text(f">one\n{WILD}\n>two\nMKTAYIAKQR\n")
    text = "protein_id,mutant\none,M1A\ntwo,K2R\nthree,K2R\n"
    variants_file(make("a.csv", text, wildtype=str(two)))
    rows = table(tmp_path / "out.csv")
    wanted = [model.variants(WILD, ["M1A"])[0], model.variants("MKTAYIAKQR", ["K2R"])[0]]
    np.testing.assert_allclose(ratios(rows)[:2], wanted, atol=1e-4)
    assert rows[2]["detail"].endswith("two.fa has no wild type 'three'")
    with pytest.raises(ConfigError, match="holds 2 wild types; name the column that tells them apart"):
        variants_file(make("b.csv", "mutant\nM1A\n", "b.out.csv", wildtype=str(two)))


def test_without_a_wild_type_sequences_are_scored(make: Make, tmp_path: Path, model: SequenceModel) -> None:
    variants_file(make("a.csv", "mutated_sequence\n" + "".join(f"{changed(n)}\n" for n in NAMES)))
    rows = table(tmp_path / "out.csv")
    assert list(rows[0]) == ["mutated_sequence", "logprob_sum", "logprob_mean", "status", "detail"]
    wanted = model.score([changed(name) for name in NAMES])
    np.testing.assert_allclose(ratios(rows, "logprob_sum"), wanted, rtol=1e-5)


def test_homologs_and_states(make: Make, tmp_path: Path, model: SequenceModel) -> None:
    family = tmp_path / "family.fa"
    family.write_text(f">q\n{WILD}\n>b\n{changed('A9G')}\n")
    model.encode_context([WILD, "GSHM"]).save(tmp_path / "family.state")
    variants_file(make("a.csv", assay(), "s.csv", state=str(tmp_path / "family.state")))
    wanted = expected(model, state=model.encode_context([WILD, "GSHM"]))
    np.testing.assert_allclose(ratios(table(tmp_path / "s.csv")), wanted, atol=1e-4)
    variants_file(make("a.csv", assay(), "c.csv", context=str(family)))
    assert np.abs(ratios(table(tmp_path / "c.csv")) - expected(model)).max() > 1e-4


def test_a_scan_is_complete_and_drawn(make: Make, tmp_path: Path, model: SequenceModel) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "scan.svg"
    request = make("w.fa", ">a\nMKX\n>b\nGA\n>c\nM!\n", scan=True, heatmap=str(picture))
    outcome = variants_file(request)
    rows = table(tmp_path / "out.csv")
    assert len(rows) == 4 * 19 + 1 and {row["id"] for row in rows} == {"a", "b", "c"}
    assert rows[-1]["status"] == "error" and "'!' is not an amino acid" in rows[-1]["detail"]
    wanted = model.variants("MKX", [row["mutant"] for row in rows[:38]])
    np.testing.assert_allclose(ratios(rows[:38]), wanted, atol=1e-4)
    assert picture.read_text().startswith("<?xml") and "without the 1 others" in outcome.lines[-1]
    before = picture.read_bytes()
    again = variants_file(replace(request, heatmap=str(tmp_path / "scan.png")))
    assert again.lines[-1].startswith("drew") and (tmp_path / "scan.png").read_bytes()[:4] == b"\x89PNG"
    variants_file(request)
    assert picture.read_bytes() == before


def test_a_killed_run_goes_on(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.variants.job.UNIT_RECORDS", 2)
    text = assay(NAMES * 2)
    variants_file(make("a.csv", text, "whole.csv"))
    compute, done = VariantJob.compute, []

    def failing(self: VariantJob, ready: Any) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return compute(self, ready)

    monkeypatch.setattr(VariantJob, "compute", failing)
    request = make("a.csv", text, "out.csv")
    with pytest.raises(KeyboardInterrupt):
        variants_file(request)
    assert (tmp_path / "out.csv.parts").is_dir() and not (tmp_path / "out.csv").exists()
    done.clear()
    monkeypatch.setattr(VariantJob, "compute", compute)
    said: list[str] = []
    variants_file(request, said.append)
    assert any(line.startswith("continuing: 3 units with 6 rows") for line in said)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with pytest.raises(OutputError, match="--method was auto and is now likelihood"):
        variants_file(replace(request, method="likelihood"))


def test_shards_limits_and_skipped_rows(make: Make, tmp_path: Path) -> None:
    text = assay() + "A1C,MMM,1,1,bad\n"
    variants_file(make("a.csv", text, "all.csv"))
    whole = table(tmp_path / "all.csv")
    for shard in (1, 2):
        variants_file(make("a.csv", text, f"{shard}.csv", shard=(shard, 2)))
        assert table(tmp_path / f"{shard}.csv") == whole[shard - 1 :: 2]
    variants_file(make("a.csv", text, "few.csv", limit=3))
    assert table(tmp_path / "few.csv") == whole[:3]
    variants_file(make("a.csv", text, "good.csv", on_error="skip"))
    assert table(tmp_path / "good.csv") == whole[:-1]
    with pytest.raises(
        SequenceError, match="row 6 'A1C': error: position 1 of the mutated sequence is M, not C"
    ):
        variants_file(make("a.csv", text, "fail.csv", on_error="fail"))


@pytest.mark.parametrize(
    ("row", "status", "detail"),
    [
        ("M1A,MSI", "error", "position 1 of the mutated sequence is M, not A"),
        ("M1A,A!I", "error", "line 2 column 2: '!' is not an amino acid"),
        ("name,MSI", "error", "'name' is no substitution such as A123T: its wild type is not known"),
        (",MSI", "error", "no mutation is given: its wild type is not known"),
        ("M1A,", "empty", ""),
    ],
)
def test_bad_rows_say_why(make: Make, tmp_path: Path, row: str, status: str, detail: str) -> None:
    variants_file(make("a.csv", f"mutant,mutated_sequence\n{row}\nM1A,ASI\n"))
    first = table(tmp_path / "out.csv")[0]
    assert first["status"] == status and detail in first["detail"]
    assert f",{status}," in (tmp_path / "out.csv.issues.csv").read_text()


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("K1A,", "position 1 of the wild type is M, not K"),
        ("M1*,", "'M1*' is no substitution such as A123T"),
        ("M1X,", "position 1: X stands for several letters, so it has no likelihood"),
        ("M1B,", "position 1: B stands for several letters, so it has no likelihood"),
        (",", "no mutation is given"),
        (f"M1A,{WILD}", "position 1 of the mutated sequence is M; its mutations make it A"),
        ("M1A,AS", "the mutated sequence has 2 letters, the wild type with its mutations 30"),
    ],
)
def test_rows_are_held_against_the_wild_type(make: Make, tmp_path: Path, row: str, detail: str) -> None:
    text = f"mutant,mutated_sequence\n{row}\nM1A,{changed('M1A')}\n"
    if row.endswith(","):
        text = "mutant\n" + "".join(f"{line[: line.index(',')] or ' '}\n" for line in text.splitlines()[1:])
        text = text.replace("\n \n", '\n""\n')
    variants_file(make("a.csv", text, wildtype=True))
    assert table(tmp_path / "out.csv")[0]["detail"] == detail


def test_too_long_is_said(make: Make, tmp_path: Path) -> None:
    variants_file(make("a.csv", assay(["M1A"]), max_length=20))
    (row,) = table(tmp_path / "out.csv")
    assert (row["status_2"], row["detail"]) == ("too_long", "30 tokens are more than --max-length 20")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scan": True, "wildtype": "w.fa"}, "--wildtype and --scan do not go together"),
        ({"window": 9}, "--window is about variants of a --genome, which is not given"),
        ({"method": "best"}, "--method must be one of auto, likelihood, marginal"),
        ({"heatmap": "a.png"}, "--heatmap draws a full scan: it goes with --scan"),
        ({"heatmap": "a.gif", "scan": True}, "the suffix must be .png or .svg"),
        ({"heatmap": "a.png", "scan": True, "output": "-"}, "--heatmap needs an output that is a file"),
        ({"heatmap": "a.png", "scan": True, "output": "a.png"}, "--heatmap and -o name the same file"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VariantRequest(**({"input": "a.csv", "output": "b.csv"} | options))


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        (
            "mutant,x\nM1A,1\n",
            {},
            ConfigError,
            "mutations alone do not say what they change: give --wildtype",
        ),
        (
            "a,b\n1,2\n",
            {},
            InputError,
            "no column of mutations or mutated sequences found; the columns are a, b",
        ),
        ("mutant,mutant\nM1A,M1A\n", {"wildtype": True}, InputError, "there are 2 columns 'mutant'"),
        (
            "mutant,b\nfoo,1\n",
            {"wildtype": True},
            InputError,
            "column 'mutant' holds no mutations: 'foo' is no",
        ),
        (assay(), {"measured": "none"}, InputError, "there is no column 'none'"),
        (assay(), {"method": "marginal"}, ConfigError, "the method marginal hides letters"),
        (assay(), {"output": "out.vcf"}, ConfigError, "the output is a VCF where the input is one"),
    ],
)
def test_what_cannot_be_read_is_refused(
    make: Make, text: str, options: dict[str, Any], error: type, message: str
) -> None:
    options.setdefault("output", "out.csv")
    with pytest.raises(error, match=message):
        variants_file(make("a.csv", text, options.pop("output"), **options))


def test_wild_types_that_cannot_be_read_are_refused(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "bad.fa"
    for text, message in (
        (">a\nM!\n", "record 0 'a'.*'!'"),
        (">a\nMK\n>a\nMK\n", "two wild types are called 'a'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            variants_file(make("a.csv", "mutant\nM1A\n", wildtype=str(path)))


def test_a_list_of_mutations_needs_a_wild_type(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"a.txt is a list of mutations, .* give --wildtype FASTA"):
        variants_file(make("a.txt", "wt\nM1A\nS2W:K30C\n"))


def test_a_picture_of_somebody_else_stays(make: Make, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_text("mine")
    with pytest.raises(OutputError, match="scan.png exists, but no out.csv"):
        variants_file(make("w.fa", ">a\nMK\n", scan=True, heatmap=str(tmp_path / "scan.png")))
    with pytest.raises(OutputError, match="there is no folder"):
        variants_file(make("w.fa", ">a\nMK\n", scan=True, heatmap=str(tmp_path / "no" / "scan.png")))
    assert (tmp_path / "scan.png").read_text() == "mine"


def test_units_are_cut_by_what_is_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.variants.job._UNIT_LETTERS", 3 * len(WILD))
    job = open_job(make("a.csv", "mutant\n" + "M1A\n" * 7, wildtype=True), lambda line: None)
    assert [len(unit) for unit in job.units()] == [3, 3, 1]
    assert job.survey.letters == 7 * len(WILD)
