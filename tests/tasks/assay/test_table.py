"""From a table to an assay: what is detected, what is refused, and the status of every row."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import BioXlstmError, ConfigError, InputError
from bio_xlstm.tasks.assay.cells import MISSING
from bio_xlstm.tasks.assay.table import read_assay
from tests.tasks.assay.conftest import MOLECULES, Read, bases, proteins

TEN = MOLECULES[:10]
IN_CONTEXT = Path(__file__).parents[3] / "docs" / "in-context.md"
NUMBERS = [round(0.1 * number, 1) for number in range(30)]


def test_columns_kind_and_task_are_found(read: Read) -> None:
    assay = read({"name": ["x"] * 30, "smiles": MOLECULES, "logS": NUMBERS, "MolWt": NUMBERS})
    assert (assay.kind, assay.task.name, assay.task.targets) == ("smiles", "regression", ("logS",))
    assert assay.values.shape == (30, 1) and assay.values[3, 0] == 0.3
    assert assay.sequences == MOLECULES and assay.rows.tolist() == list(range(30))
    assert assay.columns["MolWt"][2] == "0.2" and assay.issues == []
    assert assay.audit.lines()[0] == "30 of 30 rows can be used"


@pytest.mark.parametrize(
    ("column", "task", "classes"),
    [
        ([0, 1] * 15, "binary", ("0", "1")),
        (["1.0", "0.0"] * 15, "binary", ("0", "1")),
        (["active", "inactive"] * 15, "binary", ("inactive", "active")),
        (["BBB+", "BBB-"] * 15, "binary", ("BBB-", "BBB+")),
        (["True", "False"] * 15, "binary", ("False", "True")),
        (["a", "b", "c"] * 10, "multiclass", ("a", "b", "c")),
        ([0, 1, 2] * 10, "multiclass", ("0", "1", "2")),
        ([10, 20, 30] * 10, "regression", ()),
        (NUMBERS, "regression", ()),
    ],
)
def test_tasks_follow_from_the_cells(
    read: Read, column: list[Any], task: str, classes: tuple[str, ...]
) -> None:
    assay = read({"smiles": MOLECULES, "label": column})
    assert (assay.task.name, assay.task.classes) == (task, classes)
    assert assay.task.outputs == (3 if task == "multiclass" else 1)


def test_a_task_can_be_said(read: Read) -> None:
    table = {"smiles": MOLECULES, "y": [10, 20, 30] * 10}
    assert read(table, task="multiclass").task.classes == ("10", "20", "30")
    assert read(table, task="ranking").task.name == "ranking"


def test_panels_keep_their_gaps(read: Read) -> None:
    assay = read({"smiles": MOLECULES, "A": [0, 1, ""] * 10, "B": [1, "", 0] * 10})
    assert (assay.task.name, assay.task.targets) == ("multilabel", ("A", "B"))
    np.testing.assert_array_equal(assay.values[:3], [[0, 1], [1, np.nan], [np.nan, 0]])
    assert assay.audit.missing == {"A": 10, "B": 10} and assay.audit.class_counts["A"] == {"0": 10, "1": 10}


def test_one_label_per_letter(read: Read) -> None:
    texts = proteins(30)
    labels = ["HHHEE-" * 5] * 29 + ["HE"]
    assay = read({"seq": texts, "label": labels})
    assert (assay.task.name, assay.task.classes, len(assay)) == ("per_token", ("E", "H"), 29)
    assert assay.token_values[0][:6].tolist() == [1, 1, 1, 0, 0, -1]
    assert assay.issues[0] == (29, "error", "2 labels for 30 letters")
    assert assay.values.shape == (29, 0)


def test_rows_that_cannot_be_used_say_why(read: Read) -> None:
    smiles = [*TEN, "C1CC", "", "CCC", "CCCC", "CCCCC", "CCCCCC", "CCCCCCC"]
    values = [*NUMBERS[:10], 1, 2, "", "n.d.", ">10", "1,5", "inf"]
    table = "smiles,y\n" + "".join(f'{one},"{value}"\n' for one, value in zip(smiles, values, strict=True))
    assay = read(table)
    found = {issue.row: (issue.status, issue.detail) for issue in assay.issues}
    assert found == {
        10: ("invalid_smiles", "unclosed ring"),
        11: ("empty", "empty SMILES"),
        12: ("unlabelled", "no value in y"),
        13: ("error", "column 'y': 'n.d.' is not a number"),
        14: ("error", "column 'y': '>10' is a bound, not a number"),
        15: ("error", "column 'y': '1,5' is not a number; write it with a decimal point"),
        16: ("error", "column 'y': 'inf' is not a finite number"),
    }
    assert len(assay) == 10 and assay.input_rows == 17 and len(assay.columns["y"]) == 17
    assert sum(assay.audit.statuses.values()) == 17


def test_missing_is_written_in_many_ways(read: Read) -> None:
    blanks = ["NaN", "NA", "", "null", "-", "?"]
    assay = read({"smiles": MOLECULES[:16], "y": [*NUMBERS[:10], *blanks]})
    assert [issue.status for issue in assay.issues] == ["unlabelled"] * 6
    words = [f": {blank!r} counts as missing" if blank else "" for blank in blanks]
    assert [issue.detail for issue in assay.issues] == [f"no value in y{word}" for word in words]


def test_the_documents_list_what_is_missing() -> None:
    (row,) = (line for line in IN_CONTEXT.read_text().splitlines() if line.startswith("| no value: "))
    assert {word.lower() for word in re.findall("`(.*?)`", row.split("|")[1])} == MISSING - {""}


def test_duplicates_and_conflicts_are_counted(read: Read) -> None:
    assay = read({"smiles": [*TEN, "CCO", "OCC", "CCCO"], "y": [*NUMBERS[:10], 0.0, 5.5, 0.1]})
    audit = assay.audit
    assert (audit.duplicates, audit.canonical_duplicates, audit.conflicting) == (2, 3, 1)
    assert audit.conflict_examples == [[0, 10, 11]]
    assert "3 rows repeat a sequence, 2 letter by letter" in audit.lines()


def test_letters_are_cleaned(read: Read) -> None:
    assay = read({"dna_sequence": [f"{text.lower()}-u" for text in bases(12)], "y": range(5, 17)})
    assert assay.sequences[0] == bases(12)[0] + "T" and assay.audit.statuses == {"cleaned": 12}


def test_parquet_and_gzip_give_the_same(read: Read, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    plain = read({"smiles": TEN, "y": NUMBERS[:10]})
    parquet.write_table(pyarrow.table({"smiles": TEN, "y": NUMBERS[:10]}), tmp_path / "d.parquet")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress((tmp_path / "data.csv").read_bytes()))
    for name in ("d.parquet", "d.csv.gz"):
        other = read_assay(tmp_path / name)
        np.testing.assert_array_equal(other.values, plain.values)
        assert other.columns == plain.columns


def test_a_name_that_counts_rows_is_suspected(read: Read) -> None:
    assay = read({"smiles": TEN, "num": range(10)}, targets=["num"])
    assert any("is it a number of rows" in note for note in assay.audit.notes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([10, 20, 10] * 10, "'y' is 10 or 20 in all 30 rows; --task binary if these are classes"),
        ([0.5, 2, 1] * 10, "'y' is 0.5, 1 or 2 in all 30 rows; --task multiclass if these are classes"),
        ([1, 2, 3, 4.5] * 7, ""),
    ],
)
def test_hardly_any_different_numbers_are_doubted(read: Read, values: list[float], words: str) -> None:
    assay = read({"smiles": MOLECULES[: len(values)], "y": values})
    assert assay.task.name == "regression"
    assert [note for note in assay.audit.notes if "--task" in note and "is" in note][-1:] == (
        [words] if words else []
    )


def test_columns_of_parts_names_and_predictions_are_no_targets(read: Read) -> None:
    table = {
        "id": range(30), "smiles": MOLECULES, "set": ["train", "test"] * 15, "predicted y": NUMBERS,
        "measured y": NUMBERS, "weight": NUMBERS,
    }  # fmt: skip
    assert read(table).task.targets == ("measured y",)


def test_ten_rows_are_enough_and_nine_are_not(read: Read) -> None:
    assert len(read({"smiles": TEN, "y": NUMBERS[:10]})) == 10
    with pytest.raises(
        InputError, match="9 of 10 rows can be used; at least 10 are needed .row 3: unlabelled"
    ):
        read({"smiles": TEN, "y": [*NUMBERS[:3], "", *NUMBERS[4:10]]})


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"smiles": TEN, "y": [""] * 10}, {}, "column 'y' has no value in any of 10 rows"),
        ({"smiles": TEN, "y": [3.5] * 10}, {}, "column 'y' is 3.5 in all 10 rows: there is nothing to learn"),
        ({"smiles": TEN, "y": ["on"] * 10}, {}, "column 'y' is 'on' in all 10 rows: there is nothing to learn"),
        ({"smiles": TEN, "y": ["on", "none"] * 5}, {}, "column 'y' holds 'on' and 'none', which may be a class or say"),
        ({"smiles": TEN, "y": ["NaN"] * 10}, {}, "has no value in any of 10 rows: 'NaN' counts as missing"),
        ({"smiles": TEN, "y": range(10)}, {"targets": ["z"]}, "there is no column 'z'; the columns are smiles, y"),
        ({"smiles": TEN, "y": range(10)}, {"targets": ["smiles"]}, "it cannot be the target too"),
        ({"smiles": TEN, "y": range(10)}, {"sequence_column": "x"}, "there is no column 'x'"),
        ({"smiles": TEN, "y": [f"t{n}" for n in range(10)]}, {}, "holds 10 different texts in 10 rows ('t0', 't1',"),
        ({"smiles": TEN, "a": NUMBERS[:10], "b": NUMBERS[:10]}, {}, "the columns a, b could all be meant; name one"),
        ({"smiles": TEN, "remark": [f"t{n}" for n in range(10)]}, {}, "no column of measured values found"),
        ({"smiles": TEN, "y": ["2021-03-04"] * 10}, {}, "column 'y' holds dates, not measured values"),
        ({"smiles": TEN, "y": ["a", "b"] * 5}, {"task": "regression"}, "0 of 10 rows can be used"),
        ({"smiles": TEN, "y": ["a", "b", "c", "a", "b"] * 2}, {"task": "binary"}, "has 3 classes (a, b, c, ...), not"),
        ({"smiles": TEN, "y": NUMBERS[:10]}, {"task": "guess"}, "--task must be one of regression, ranking, binary"),
        ({"smiles": TEN, "y": NUMBERS[:10]}, {"kind": "rock"}, "unknown kind 'rock'; known are dna, protein, smiles"),
        ({"smiles": TEN, "A": [0, 1] * 5, "B": [1, 0] * 5}, {"task": "binary"}, "--task binary takes one target"),
        (
            {"smiles": TEN, "A": NUMBERS[:10], "B": ["x", "y"] * 5},
            {"targets": ["A", "B"]},
            "the targets A, B hold neither numbers alone nor 0 and 1 alone",
        ),
        ({"smiles": TEN, "A": [1] * 10, "B": [0] * 10}, {"targets": ["A", "B"]}, "every target has one value alone"),
        ({"seq": proteins(10), "y": ["X" * 30] * 10}, {"task": "per_token"}, "has no two different labels of letters"),
        (
            {"smiles": TEN, "y": [f"{n + 1}e200" for n in range(10)]},
            {},
            "0 of 10 rows can be used; at least 10 are needed (row 0: error. column 'y': '1e200' is too large",
        ),
        ({"smiles": TEN, "y": [f"{n + 1}e-50" for n in range(10)]}, {}, "'1e-50' is too small; write it in another"),
        (
            {"smiles": TEN, "y": [f"1000000.00000{n}" for n in range(10)], "A": [0, 1] * 5},
            {"targets": ["y"]},
            "the values of column 'y' differ by less than a billionth of their size; subtract what they have in common",
        ),
        ("smiles,y,y\nCCO,1,2\n", {}, "2 columns are called 'y'; rename them"),
        (">a\nMKTAYIAKQR\n", {"name": "a.fasta"}, "an assay must be a table (.csv, .tsv, .parquet); this is a fasta"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(
    read: Read, table: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BioXlstmError, match=re.escape(message)):
        read(table, **options)


def test_cells_that_are_neither_0_nor_1_are_named(read: Read) -> None:
    table = {"smiles": MOLECULES[:12], "A": [0, 1] * 5 + [2, 1], "B": [1, 0] * 6}
    assay = read(table, task="multilabel", targets=["A", "B"])
    assert assay.issues == [(10, "error", "column 'A': '2' is neither 0 nor 1")]


def test_wrong_lengths_of_rows_become_issues(read: Read) -> None:
    rows = "".join(f"{smiles},{value}\n" for smiles, value in zip(TEN, NUMBERS, strict=False))
    assay = read(f"smiles,y\n{rows}CCO,1,2,3\n")
    assert assay.issues == [(10, "error", "line 12: 4 columns, the header has 2")]


def test_config_errors_are_of_their_kind(read: Read) -> None:
    with pytest.raises(ConfigError):
        read({"smiles": TEN, "y": range(10)}, kind="rock")
