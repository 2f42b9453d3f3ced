"""Tables of assays as people have them."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.fewshot.request import FewshotRequest
from bio_xlstm.tasks.fewshot.table import Assays, read_assays
from bio_xlstm.tasks.in_context.bounds import is_turned, read_relations
from bio_xlstm.tasks.in_context.table import read_support
from bio_xlstm.tokenizers import TOKENIZERS


def read(tmp_path: Path, text: str, **options: Any) -> Assays:
    """Write a table and read it."""
    path = tmp_path / "t.csv"
    path.write_text(text)
    return read_assays(FewshotRequest(input=str(path), output="-", **options))


def test_molecules_count_once_per_assay(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "assay,SMILES,active\nA,CCO,1\nA,OCC,1\nA,C[C@H](O)F,1\nA,C[C@@H](O)F,0\nB,CCO,0\nA,xx,1\nA,CCN,\n,CC,1\nB,CC,1\n",
    )
    assert [(one.name, one.values.tolist()) for one in found.assays] == [("A", [1.0]), ("B", [0.0, 1.0])]
    assert found.smiles[found.assays[0].rows[0]] == found.smiles[found.assays[1].rows[0]] == "CCO"
    assert found.counts == {
        "rows": 9,
        "molecules that cannot be read": 1,
        "without a value": 1,
        "without an assay": 1,
        "repeated within their assay": 2,
        "molecules with contradictory classes": 1,
    }
    assert found.notes[0].startswith("row 5 is left out, invalid_smiles: ")


def test_numbers_of_one_molecule_are_averaged_and_bounds_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path, "task,smiles,y\nA,CCO,1.0\nA,OCC,3.0\nA,CC,>5\nA,CC,4\nA,C,<2\n", task="regression"
    )
    (one,) = found.assays
    assert one.values.tolist() == [2.0, 4.0, 2.0]
    assert one.relations.tolist() == [0, 0, -1]
    assert found.counts["molecules with several values"] == 2


@pytest.mark.parametrize(
    ("cells", "value", "relation"),
    [
        ((">5", "5"), 5.0, 0),
        ((">5", ">7"), 7.0, 1),
        (("<5", "<7"), 5.0, -1),
        ((">5", "4", "6"), 5.0, 0),
        (("<5", ">7"), None, 0),
    ],
)
def test_repeats_with_bounds_are_those_of_a_support(
    tmp_path: Path, cells: tuple[str, ...], value: float | None, relation: int
) -> None:
    """What `predict --support` makes of repeats, whatever their order."""
    for order in permutations(cells):
        repeats = [f"A,{'OCC' if place else 'CCO'},{cell}\n" for place, cell in enumerate(order)]
        (tmp_path / "s.csv").write_text("assay,smiles,y\n" + "".join(repeats) + "A,CCC,1\n")
        support = read_support(str(tmp_path / "s.csv"), TOKENIZERS["smiles"](), target="y")
        found = read(tmp_path, "assay,smiles,y\n" + "".join(repeats) + "A,CCC,1\n", task="regression")
        pairs = {
            (one, sign) for one, sign in zip(found.assays[0].values, found.assays[0].relations, strict=True)
        }
        assert pairs == {(1.0, 0), *([] if value is None else [(value, relation)])}
        assert pairs == set(zip(support.values.tolist(), support.relations.tolist(), strict=True))
        assert found.counts.get("molecules with contradictory bounds", 0) == (value is None)


def test_a_molecule_of_both_parts_is_an_example_alone(tmp_path: Path) -> None:
    """Its label is known, so it is no query, and that label is of the training part alone."""
    rows = ["A,C[C@H](O)N,5,train", "A,C[C@@H](O)N,9,test", "A,CCC,4,train", "A,CCCC,6,test", "A,CCCC,7,test"]
    for order in (rows, rows[::-1]):
        table = "assay,smiles,y,part\n" + "\n".join([*order, "A,CN,1,valid"]) + "\n"
        found = read(tmp_path, table, task="regression", split_column="part", target="y")
        (one,) = found.assays
        assert sorted(one.values[one.pool].tolist()) == [4, 5]
        assert one.values[one.asked].tolist() == [6.5] and len(one) == 3
        assert found.counts["queries whose molecule is in the training part too"] == 1
        assert found.counts["neither train nor test"] == 1
        assert found.counts["molecules with several values"] == 1


def test_one_cell_that_cannot_be_read_stops_nobody(tmp_path: Path) -> None:
    table = "assay,smiles,y\nA,C,1\nA,CC,high\nA,CCC,1e200\nA,CCCC,\nA,CO,3\n"
    found = read(tmp_path, table, task="regression")
    assert found.assays[0].values.tolist() == [1, 3]
    assert found.counts["values that cannot be read"] == 2 and found.counts["without a value"] == 1
    assert found.notes == [
        "row 1 is left out, error: column 'y': 'high' is not a number",
        "row 2 is left out, error: column 'y': '1e200' is too large; write it in another unit, or its logarithm",
    ]


def test_text_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "assay,smiles,outcome\nA,CCO,active\nA,CC,inactive\n")
    assert found.assays[0].values.tolist() == [1.0, 0.0]


def test_relations_turn_with_the_logarithm() -> None:
    assert read_relations([">", "<=", "=", "", "~"]).tolist() == [1, -1, 0, 0, 0]
    columns = {"standard_value": ["1", "10", "100"], "pIC50": ["9", "8", "7"], "up": ["0", "1", "2"]}
    assert is_turned(columns, "pIC50")
    assert not is_turned(columns, "up")
    assert is_turned({"pIC50": ["1"]}, "pIC50")
    assert not is_turned({"y": ["1"]}, "y")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("smiles,active\nC,1\n", {}, "no column of assays found; the columns are smiles, active; name it with --assay"),
        ("assay,smiles,active\nA,C,1\n", {"target": "no"}, "there is no column 'no'"),
        ("assay,smiles,ic50,kd\nA,C,1,2\n", {"task": "regression"}, "ic50, kd could all be meant; name one"),
        ("assay,smiles,active\nA,CO,yes\nA,CC,no\nA,C,maybe\n", {}, r"'active' has 3 classes \(maybe, no, yes"),
        ("assay,smiles,active\nA,xx,1\n", {}, "no row has an assay, a molecule and a value in 'active'"),
        ("assay,smiles,y\nA,CC,high\n", {"task": "regression"}, "no row has an assay, a molecule and a value in 'y' "
         r"\(row 0 is left out, error: column 'y': 'high' is not a number\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "x.txt"}, "-o x.txt: give a name that ends in .json or .csv, or - for JSON on stdout"),
        ({"support": ()}, "--support takes one or more sizes, such as 16,64"),
        ({"support": (2,)}, "--support must be 4 or more, not 2"),
        ({"seeds": 0}, "--seeds must be 1 or more, not 0"),
        ({"bootstrap": -1}, "--bootstrap must be 0 or more, not -1"),
        ({"coverage": 1.0}, "--coverage must be from 0.5 to below 1, not 1.0"),
        ({"group_column": "x"}, "--group-column names a column of the table that --groups gives"),
        ({"methods": ("magic",)}, "--methods must be one of in-context, prior, .* not 'magic'"),
        ({"methods": ("prototypes",), "task": "regression"}, "--methods prototypes predicts classes alone"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        FewshotRequest(**({"input": "t.csv", "output": "-"} | options))
