"""`bioxlstm evaluate classification`, `regression` and `proteingym` from the words of the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from bio_xlstm.cli.main import run

Call = Callable[..., dict[str, Any]]
RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=40).round(3)
SAID = (TRUE + RNG.normal(size=40)).round(3)
CHANCE = RNG.random(40).round(3)


def table(**columns: Any) -> str:
    """Write columns as CSV."""
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that evaluates a table and returns the JSON that is written."""
    monkeypatch.chdir(tmp_path)

    def evaluate(goal: str, text: str, *words: str, code: int = 0) -> dict[str, Any]:
        Path("p.csv").write_text(text)
        output = () if "-o" in words else ("-o", "m.json")
        assert run(["evaluate", goal, "p.csv", *output, "--overwrite", "--bootstrap", "30", *words]) == code
        return json.loads(Path("m.json").read_text()) if not code and "-o" not in words else {}

    return evaluate


def test_numbers_are_measured(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    found = call("regression", table(y=TRUE, prediction=SAID))
    spearman = found["metrics"]["spearman"]
    assert spearman["value"] == pytest.approx(spearmanr(TRUE, SAID).statistic)
    assert spearman["low"] < spearman["value"] < spearman["high"] and found["columns"]["truth"] == ["y"]
    shown = capsys.readouterr()
    assert (
        shown.out == ""
        and "y against prediction: regression" in shown.err
        and "written   m.json" in shown.err
    )


def test_the_files_of_finetune_need_no_options(call: Call) -> None:
    low, high = SAID - 2, SAID + 2
    parts = ["train"] * 10 + ["test"] * 30
    text = table(row=range(40), part=parts, smiles=["C"] * 40, logS=TRUE, predicted_logS=SAID, lower_logS=low,
                 upper_logS=high, similarity=CHANCE)  # fmt: skip
    metrics = call("regression", text, "--where", "part=test")["metrics"]
    assert metrics["rows"]["value"] == 30
    assert metrics["coverage"]["value"] == np.mean(np.abs(TRUE - SAID)[10:] <= 2)
    assert metrics["interval_width"]["value"] == pytest.approx(4)


@pytest.mark.parametrize(
    ("goal", "names", "truth", "said"),
    [
        ("regression", ("activity", "score", "prediction"), "activity", "prediction"),
        ("regression", ("score", "prediction"), "score", "prediction"),
        ("regression", ("score", "stability"), "stability", "score"),
        ("classification", ("score", "active"), "active", "score"),
    ],
)
def test_a_score_is_what_was_measured_where_nothing_else_is(
    call: Call, goal: str, names: tuple[str, ...], truth: str, said: str
) -> None:
    columns = dict.fromkeys(names, CHANCE) | {truth: TRUE if goal == "regression" else [0, 1] * 20}
    found = call(goal, table(**columns))["columns"]
    assert (found["truth"], found["prediction"]) == ([truth], [said])


def test_probabilities_are_measured(call: Call) -> None:
    classes = (RNG.random(40) < CHANCE).astype(int)
    found = call("classification", table(label=classes, probability=CHANCE))
    assert found["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(classes, CHANCE))
    assert found["task"] == "binary" and found["metrics"]["brier"]["value"] < 1
    names = np.array(["dead", "alive"])[classes]
    text = table(active=names, predicted_active=names, probability_active=CHANCE)
    other = call("classification", text, "--positive", "alive")
    assert other["metrics"]["auroc"]["value"] == found["metrics"]["auroc"]["value"]
    turned = call("classification", text, "--positive", "dead")["metrics"]["auroc"]["value"]
    assert turned == pytest.approx(1 - found["metrics"]["auroc"]["value"])


def test_classes_without_probabilities_are_decisions(call: Call) -> None:
    truth, said = RNG.choice(list("abc"), 40), RNG.choice(list("abcd"), 40)
    metrics = call("classification", table(label=truth, predicted=said))["metrics"]
    assert metrics["mcc"]["value"] == pytest.approx(matthews_corrcoef(truth, said))
    assert metrics["log_loss"] == {
        "value": None,
        "definition": metrics["log_loss"]["definition"],
        "note": "the predictions are classes, not probabilities",
    }


def test_probabilities_of_several_classes(call: Call) -> None:
    chances = RNG.dirichlet(np.ones(3), 40).round(4)
    truth = RNG.choice(["H", "E", "C"], 40)
    columns = {f"probability_{name}": chances[:, place] for place, name in enumerate(["H", "E", "C"])}
    found = call("classification", table(fold=truth, **columns), "--truth", "fold")
    said = np.array(["H", "E", "C"])[chances.argmax(1)]
    assert found["metrics"]["accuracy"]["value"] == np.mean(said == truth)
    assert found["metrics"]["log_loss"]["value"] > 0 and found["classes"] == ["C", "E", "H"]


def test_labels_with_gaps(call: Call) -> None:
    one, two = ["0", "1", ""] * 13 + ["1"], ["1", "0"] * 20
    found = call("classification", table(A=one, B=two, probability_A=CHANCE, probability_B=CHANCE))
    assert found["task"] == "multilabel" and 0 < found["metrics"]["macro_auroc"]["value"] < 1


def test_variants_are_measured_as_proteingym_does(call: Call) -> None:
    text = table(
        DMS_id=["a"] * 20 + ["b"] * 20, DMS_score=TRUE, DMS_score_bin=(TRUE > 0).astype(int), score=SAID
    )
    metrics = call("proteingym", text)["metrics"]
    each = [spearmanr(TRUE[rows], SAID[rows]).statistic for rows in (slice(20), slice(20, 40))]
    assert metrics["spearman"]["value"] == pytest.approx(np.mean(each))
    assert metrics["spearman:b"]["value"] == pytest.approx(each[1])
    assert metrics["auc:a"]["value"] == pytest.approx(roc_auc_score(TRUE[:20] > 0, SAID[:20]))
    assert metrics["mcc:a"]["value"] == pytest.approx(
        matthews_corrcoef(TRUE[:20] > 0, SAID[:20] >= np.median(SAID[:20]))
    )
    assert {"ndcg", "top_recall"} <= set(metrics)


def test_without_labels_the_upper_half_is_fit(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = call("proteingym", table(DMS_score=TRUE, score=SAID))["metrics"]
    assert metrics["auc"]["value"] == pytest.approx(roc_auc_score(np.median(TRUE) < TRUE, SAID))
    assert "values above the median count as fit" in capsys.readouterr().err


def test_rows_without_prediction_are_counted_out(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    said = ["", *SAID[1:]]
    found = call("regression", table(y=TRUE, prediction=said, status=["error"] + ["ok"] * 39))
    assert found["metrics"]["measured_rows"]["value"] == 39
    assert "1 of 40 rows lack a value or a prediction and are not counted" in capsys.readouterr().err


def test_json_goes_to_standard_output_and_csv_to_a_file(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call("regression", table(y=TRUE, prediction=SAID), "-o", "-", "-q")
    shown = capsys.readouterr()
    assert json.loads(shown.out)["metrics"]["rmse"]["value"] > 0 and shown.err == ""
    call("regression", table(y=TRUE, prediction=SAID), "-o", "m.csv")
    assert Path("m.csv").read_text().startswith("metric,value,definition,reference,low,high,note\nrows,40,")


def test_equal_inputs_give_equal_bytes(call: Call) -> None:
    first = call("regression", table(y=TRUE, prediction=SAID))
    assert call("regression", table(y=TRUE, prediction=SAID)) == first
    assert first["input"]["file"] == "p.csv" and "time" not in json.dumps(first)


TWO = {"y": TRUE, "prediction": SAID}


@pytest.mark.parametrize(
    ("goal", "text", "words", "code", "message"),
    [
        ("regression", table(a=TRUE, b=SAID), [], 1, "no column of measured values found; the columns are a, b"),
        ("regression", table(y=TRUE, b=SAID), [], 1, "no column of predictions found; the columns are y, b"),
        ("regression", table(**TWO), ["--truth", "z"], 1, "there is no column 'z'; the columns are y, prediction"),
        ("regression", table(**TWO), ["--truth", "y", "--truth", "prediction", "--prediction", "y"], 2, "2 columns"),
        ("regression", table(**TWO), ["--truth", "y", "--prediction", "y"], 2, "column 'y' cannot be both"),
        ("regression", table(**TWO), ["--where", "y"], 2, "--where takes COLUMN=VALUE, such as part=test, not 'y'"),
        ("regression", table(part=["a"] * 40, **TWO), ["--where", "part=b"], 1, "no row has 'b' in column 'part'"),
        ("regression", table(**TWO), ["--lower", "y"], 2, "--lower and --upper are given together"),
        ("regression", table(**TWO), ["-o", "m.txt"], 2, "give a name that ends in .json or .csv, or - for JSON"),
        ("regression", "y,prediction\n1,2\n3,x\n", [], 1, "p.csv row 1: column 'prediction': 'x' is not a number"),
        ("regression", "y,prediction\n1,\n,3\n2,2\n", [], 1, "value and a prediction; at least 2 are needed"),
        ("regression", "y,prediction\n1,2,3\n", [], 1, "p.csv line 2: 3 columns, the header has 2"),
        ("regression", "y,prediction\n", [], 1, "p.csv: the file holds no rows"),
        ("classification", table(label=list("abcd") * 10, prediction=SAID), [], 1, "column 'label' has 4 classes"),
        ("classification", table(label=["a", "b"] * 20, prob=CHANCE), ["--positive", "c"], 2, "not one of two classes"),
        ("classification", table(A=[0, 1, 2, 1] * 10, B=[0, 1] * 20, p_A=CHANCE, p_B=CHANCE), [], 1, "'2' is neither"),
        ("proteingym", table(DMS_score=TRUE, DMS_score_bin=[2] * 40, score=SAID), [], 1, "'2' is neither 0 nor 1"),
    ],
)  # fmt: skip
def test_errors_take_one_line(
    call: Call,
    goal: str,
    text: str,
    words: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(goal, text, *words, code=code)
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert not Path("m.json").exists()


def test_outputs_are_not_replaced_unasked(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call("regression", table(**TWO))
    assert run(["evaluate", "regression", "p.csv", "-o", "m.json"]) == 1
    assert "m.json exists; use --overwrite to replace it" in capsys.readouterr().err


def test_a_file_that_is_no_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.fa").write_text(">a\nMKT\n")
    assert run(["evaluate", "regression", str(tmp_path / "a.fa"), "-o", "-"]) == 1
    assert "the input must be a table (.csv, .tsv, .parquet); this is a fasta file" in capsys.readouterr().err
