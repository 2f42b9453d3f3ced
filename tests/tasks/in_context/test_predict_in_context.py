"""Predictions from labelled molecules as files: columns kept, rows kept, runs resumed, states reused."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError, InputError, ModelError, OutputError, SequenceError
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.files.estimate import dry_run
from bio_xlstm.tasks.in_context.job import InContextJob, open_job, predict_in_context
from bio_xlstm.tasks.in_context.request import InContextRequest, SupportOptions
from bio_xlstm.tasks.in_context.states import AssayStateRequest, build_assay_state
from bio_xlstm.tasks.states import StateRequest, build_state, describe_state

ENDS = ("O", "N", "F", "S", "Br")
MOLECULES = [f"{'C' * (1 + number // 5)}{ENDS[number % 5]}" for number in range(24)]
CLASSES = "\n".join(["id,smiles,label", *(f"m{n},{one},{n % 2}" for n, one in enumerate(MOLECULES))])
NUMBERS = "\n".join(["id,smiles,y", *(f"m{n},{one},{n % 4 + 0.5}" for n, one in enumerate(MOLECULES))])
QUERIES = (
    'name,SMILES,remark,status\na,CCO,"x, ""y"" ",old\nb,C1CC,,\nc,,empty,\nd,OCC,007,1e5\ne,CCc1ccccc1,,\n'
)
Ask = Callable[..., InContextRequest]


@pytest.fixture
def ask(tiny_learner: str, tmp_path: Path) -> Ask:
    """Return a function that writes a support and queries and asks for predictions."""

    def make(support: str | None = CLASSES, queries: str = QUERIES, **options: Any) -> InContextRequest:
        name = options.pop("name", "new.csv")
        (tmp_path / name).write_text(queries)
        output = options.pop("output", "out.csv")
        target = output if output == "-" else str(tmp_path / output)
        given = None
        if support is not None:
            (tmp_path / "labelled.csv").write_text(support)
            given = SupportOptions(support=str(tmp_path / "labelled.csv"))
        return InContextRequest(
            model=tiny_learner,
            support=given,
            input=str(tmp_path / name),
            output=target,
            quiet=True,
            **options,
        )

    return make


def lines(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_giants_cost_their_row_alone(ask: Ask, tmp_path: Path) -> None:
    """Too long is said, too long in canonical form alone is answered, and what is like no example is near none."""
    long = "OC1OC(CO)C(O)C(O)C1" * 500
    queries = "\n".join(["smiles", "CCO", "C" * 20_001, long, "[Na+]"])
    predict_in_context(ask(queries=queries + "\n"))
    rows = lines(tmp_path / "out.csv")
    assert [row["status"] for row in rows] == ["ok", "invalid_smiles", "ok", "ok"]
    assert "20,001 characters are more than" in rows[1]["detail"] and not rows[1]["predicted"]
    assert all(row["predicted"] for row in (rows[0], *rows[2:]))
    assert rows[0]["nearest"] and (rows[3]["nearest"], float(rows[3]["similarity"])) == ("", 0)


def test_classes(ask: Ask, tmp_path: Path) -> None:
    said: list[str] = []
    outcome = predict_in_context(ask(), said.append)
    assert outcome.rows == 5 and outcome.failed == 2
    rows = lines(tmp_path / "out.csv")
    given = list(csv.DictReader(io.StringIO(QUERIES)))
    new = "predicted probability prior spread nearest similarity in_domain status_2 detail"
    assert list(rows[0]) == [*given[0], *new.split()]
    for row, before in zip(rows, given, strict=True):
        assert {name: row[name] for name in before} == before
    assert [row["status_2"] for row in rows] == ["ok", "invalid_smiles", "empty", "ok", "ok"]
    assert "ring" in rows[1]["detail"] and rows[1]["predicted"] == rows[1]["nearest"] == ""
    for row in (rows[0], rows[4]):
        share = float(row["probability"])
        assert 0 < share < 1 and row["predicted"] == str(int(share >= 0.5))
        assert 0 < float(row["prior"]) < 1 and float(row["spread"]) > 0
    assert "24 examples of label, 12 '1' (positive), 12 '0'" in said[0]


def test_a_molecule_of_the_support_is_predicted_all_the_same(ask: Ask, tmp_path: Path) -> None:
    predict_in_context(ask())
    rows = lines(tmp_path / "out.csv")
    place = MOLECULES.index("CCO") if "CCO" in MOLECULES else MOLECULES.index("OCC")
    assert (
        rows[0]["nearest"] == f"m{place}" and rows[0]["similarity"] == "1" and rows[0]["in_domain"] == "yes"
    )
    same = ("predicted", "probability", "prior", "spread", "nearest")
    assert [rows[0][name] for name in same] == [rows[3][name] for name in same]
    assert float(rows[4]["similarity"]) < 1


def test_numbers(ask: Ask, tmp_path: Path) -> None:
    predict_in_context(ask(NUMBERS))
    row = lines(tmp_path / "out.csv")[0]
    assert "prior" not in row and "probability" not in row
    assert float(row["lower"]) < float(row["predicted"]) < float(row["upper"]) and float(row["spread"]) > 0
    predict_in_context(ask(NUMBERS, coverage=0.5, output="half.csv"))
    half = lines(tmp_path / "half.csv")[0]
    assert float(row["lower"]) < float(half["lower"]) < float(half["upper"]) < float(row["upper"])


def test_too_few_for_intervals(ask: Ask, tmp_path: Path) -> None:
    said: list[str] = []
    predict_in_context(ask("smiles,y\nCCO,1.5\nCCN,2.5\nCCC,>3.5\n"), said.append)
    row = lines(tmp_path / "out.csv")[0]
    assert row["lower"] == row["upper"] == "" != row["predicted"]
    assert any("intervals of 90% need 9 measured examples" in line for line in said)


@pytest.mark.parametrize("labels", ["CCO,1\nCCN,1\n", "CCO,0\n", "CCO,1\n"])
def test_one_class_or_one_row(ask: Ask, tmp_path: Path, labels: str) -> None:
    predict_in_context(ask("smiles,label\n" + labels))
    row = lines(tmp_path / "out.csv")[4]
    assert 0 < float(row["probability"]) < 1 and bool(row["spread"]) == (labels.count("\n") > 1)


def test_order_batches_and_shards_do_not_matter(ask: Ask, tmp_path: Path) -> None:
    rows = [f"{'C' * (1 + n % 9)}{'ON'[n % 2]}{'C' * (n % 5)}" for n in range(60)]
    predict_in_context(ask(queries="smiles\n" + "\n".join(rows), name="q.csv"))
    whole = lines(tmp_path / "out.csv")

    def compare(found: list[dict[str, str]], wanted: list[dict[str, str]]) -> None:
        assert [row["smiles"] for row in found] == [row["smiles"] for row in wanted]
        for name in ("probability", "prior", "spread", "similarity"):
            columns = ([float(row[name]) for row in table] for table in (found, wanted))
            np.testing.assert_allclose(*columns, rtol=1e-4, atol=1e-5)
        assert [row["nearest"] for row in found] == [row["nearest"] for row in wanted]

    predict_in_context(ask(queries="smiles\n" + "\n".join(rows[::-1]), name="r.csv", output="r.out.csv"))
    compare(lines(tmp_path / "r.out.csv"), whole[::-1])
    predict_in_context(
        ask(queries="smiles\n" + "\n".join(rows), name="q.csv", output="small.csv", batch_tokens=16)
    )
    compare(lines(tmp_path / "small.csv"), whole)
    predict_in_context(ask(queries="smiles\n" + "\n".join(rows), name="q.csv", output="s.csv", shard=(2, 3)))
    compare(lines(tmp_path / "s.csv"), whole[1::3])


def test_a_state_says_the_same(ask: Ask, tiny_learner: str, tmp_path: Path) -> None:
    predict_in_context(ask(NUMBERS))
    said: list[str] = []
    request = AssayStateRequest(
        support=str(tmp_path / "labelled.csv"), output=str(tmp_path / "assay.state"), model=tiny_learner
    )
    done = build_assay_state(request, said.append)
    assert "24 examples of y" in said[0] and done[0].startswith(f"wrote {tmp_path / 'assay.state'}")
    predict_in_context(ask(None, state=str(tmp_path / "assay.state"), output="again.csv"))
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    found = describe_state(str(tmp_path / "assay.state"))
    assert (
        found["learner"] == "tiny-icl" and found["task"] == "regression" and "24 examples" in found["support"]
    )
    with pytest.raises(
        ModelError, match="is the state of labelled examples: bioxlstm predict --state reads it"
    ):
        ModelState.load(tmp_path / "assay.state")
    with pytest.raises(OutputError, match="exists; use --overwrite to replace it"):
        build_assay_state(request)
    with pytest.raises(OutputError, match="is the input; give the output another name"):
        build_assay_state(
            AssayStateRequest(support=request.support, output=request.support, model=tiny_learner)
        )


def test_other_states_are_refused(ask: Ask, tiny_models: dict[str, str], tmp_path: Path) -> None:
    from bio_xlstm.in_context.assay_state import AssayState

    (tmp_path / "context.smi").write_text("CCO\nCCN\n")
    context = str(tmp_path / "context.state")
    build_state(
        StateRequest(input=str(tmp_path / "context.smi"), output=context, model=tiny_models["smiles"])
    )
    with pytest.raises(
        ModelError, match=r"context.state is the state of a context: .* bioxlstm state build --support"
    ):
        predict_in_context(ask(None, state=context))
    (tmp_path / "text.state").write_text("nothing")
    for path, reason in (
        ("text.state", "is no state file, or a damaged one"),
        ("none", "cannot read the state"),
    ):
        with pytest.raises(ModelError, match=reason):
            predict_in_context(ask(None, state=str(tmp_path / path)))
        with pytest.raises(ModelError, match=reason):
            describe_state(str(tmp_path / path))
    request = ask()
    state = open_job(request, lambda line: None).worker.assay.state
    AssayState(state.states, state.facts, state.tables, "of another").save(tmp_path / "other.state")
    with pytest.raises(ModelError, match="was made by another model than tiny-icl; build it again"):
        predict_in_context(ask(None, state=str(tmp_path / "other.state")))


def test_parquet_and_standard_output(ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet as pq

    predict_in_context(ask())
    predict_in_context(ask(output="out.parquet"))
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["spread"].null_count == 2 and str(table.schema.field("probability").type) == "double"
    assert table["nearest"].to_pylist()[1] is None and isinstance(table["nearest"][0].as_py(), str)
    capsys.readouterr()
    predict_in_context(ask(output="-"))
    assert capsys.readouterr().out == (tmp_path / "out.csv").read_text()


def test_a_killed_run_resumes(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = "smiles\n" + "".join(f"{'C' * (1 + number % 7)}O\n" for number in range(150))
    options = {"queries": queries, "batch_tokens": 16}
    predict_in_context(ask(output="whole.csv", **options))
    compute, done = InContextJob.compute, []

    def dying(self: Any, ready: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(ready)
        return compute(self, ready)

    monkeypatch.setattr(InContextJob, "compute", dying)
    with pytest.raises(KeyboardInterrupt):
        predict_in_context(ask(**options))
    monkeypatch.setattr(InContextJob, "compute", compute)
    said: list[str] = []
    predict_in_context(ask(**options), said.append)
    assert any(line.startswith("continuing: 2 units") for line in said)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_another_support_is_noticed(ask: Ask) -> None:
    predict_in_context(ask())
    with pytest.raises(OutputError, match="--support was .* and is now"):
        predict_in_context(ask(CLASSES + "\nlast,CCCI,1"))


def test_rows_on_error_and_a_dry_run(ask: Ask, tmp_path: Path) -> None:
    assert predict_in_context(ask(on_error="skip", output="skip.csv")).rows == 3
    with pytest.raises(SequenceError, match="row 1 'b': invalid_smiles"):
        predict_in_context(ask(on_error="fail", output="fail.csv"))
    text = dry_run(open_job(ask(output="dry.csv"), lambda line: None))
    assert "5 rows with 7 new columns" in text and not (tmp_path / "dry.csv").exists()


def test_what_is_refused(ask: Ask, tiny_models: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds proteins, but prediction from this support reads molecules"):
        predict_in_context(ask(queries=">a\nMKTAYIAKQRQISFVKSHFSRQ\n", name="p.fasta"))
    with pytest.raises(ConfigError, match=r"give --support labelled.csv or --state assay.state, one of them"):
        ask(None)
    with pytest.raises(ConfigError, match="--allow-invalid: prediction from a support needs molecules"):
        ask(allow_invalid=True)
    with pytest.raises(
        ConfigError, match="--kind tokens: prediction from a support reads molecules, proteins"
    ):
        ask(kind="tokens")
    with pytest.raises(ConfigError, match="--coverage must be at least 0.5 and below 1, not 0.2"):
        ask(coverage=0.2)
    with pytest.raises(ConfigError, match="cannot both be standard input"):
        InContextRequest(support=SupportOptions(support="-"), input="-", output="x.csv")
    request = ask()
    with pytest.raises(OutputError, match="is the input; give the output another name"):
        predict_in_context(
            InContextRequest(support=request.support, input=request.input, output=request.support.support)
        )
    with pytest.raises(ModelError, match="is no in-context learner; the bundled one is chem-icl"):
        predict_in_context(
            InContextRequest(
                support=request.support, input=request.input, output=str(tmp_path / "x.csv"),
                model=tiny_models["smiles"],
            )
        )  # fmt: skip


def test_a_learner_is_no_language_model(tiny_learner: str) -> None:
    import bio_xlstm as bx
    from bio_xlstm.tasks.catalogue import summarise

    with pytest.raises(ModelError, match="is an in-context learner, not a language model; bioxlstm predict"):
        bx.load(tiny_learner)
    found = summarise(tiny_learner)
    assert found.learner and found.kind == "smiles" and found.symbols == () and found.licence == "Apache-2.0"
