"""Tables of labelled molecules are read as people write them, and what cannot be used is named."""

from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.in_context.bounds import unsigned
from bio_xlstm.tasks.in_context.support import Support
from bio_xlstm.tasks.in_context.table import read_support
from bio_xlstm.tokenizers import TOKENIZERS


def read(tmp_path: Path, text: str, name: str = "labelled.csv", **options: str) -> Support:
    """Write a table and read it as a support."""
    (tmp_path / name).write_text(text)
    return read_support(str(tmp_path / name), TOKENIZERS["smiles"](), **options)


def by_name(support: Support) -> dict[str, float]:
    """Return the values under the names of the examples."""
    return dict(zip(support.names, support.values.tolist(), strict=True))


def test_columns_and_task_are_found(tmp_path: Path) -> None:
    found = read(tmp_path, "id,smiles,label\na,CCO,1\nb,CCN,0\nc,CCC,1\n")
    assert by_name(found) == {"a": 1, "b": 0, "c": 1} and not found.numeric
    found = read(tmp_path, "SMILES\tpIC50\nCCO\t5.5\nCCN\t7.25\n", "labelled.tsv")
    assert by_name(found) == {"CCO": 5.5, "CCN": 7.25} and found.numeric


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = ["CCO,1.5", "OCC,2.5", "CCN,3", "c1ccccc1,4"]
    one = read(tmp_path, "smiles,y\n" + "\n".join(rows))
    other = read(tmp_path, "smiles,y\n" + "\n".join(rows[::-1]))
    assert one.names == other.names and (one.values == other.values).all()


def test_columns_can_be_named(tmp_path: Path) -> None:
    text = "parent,smiles,a,b\nCCO,CCCO,1,0.5\nCCN,CCCN,0,0.7\n"
    with pytest.raises(InputError, match=r"columns a, b could all be meant; name one.*--target"):
        read(tmp_path, text)
    assert sorted(read(tmp_path, text, target="b").values) == [0.5, 0.7]
    assert sorted(read(tmp_path, text, target="A", column="parent").names) == ["CCN", "CCO"]
    # letters that are residues too
    assert len(read(tmp_path, "sequence,y\nCCN,1\nCCS,0\n", column="sequence")) == 2
    with pytest.raises(
        InputError, match=r"column 'parent' has 3 classes \(CO, N, O\); prediction from a support takes"
    ):
        read(tmp_path, "smiles,parent\nCCO,O\nCCN,N\nCCC,CO\n", target="parent")
    with pytest.raises(InputError, match="there is no column 'c'; the columns are parent, smiles, a, b"):
        read(tmp_path, text, target="c")


def test_invalid_molecules_are_named_and_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, "id,smiles,label\na,CCO,1\nbad,C1CC,0\nc,CCN,0\n")
    assert sorted(found.names) == ["a", "c"]
    assert [tuple(issue) for issue in found.issues] == [(1, "invalid_smiles", "'bad': unclosed ring")]
    text = "\n".join(found.lines())
    assert "left out 1 of the rows" in text and "row 1: invalid_smiles: 'bad': unclosed ring" in text


def test_missing_labels_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles,y\nCCO,1.5\nCCN,\nCCC,NaN\nCCCC,n/a\nCCCCC,2\n")
    assert sorted(found.values) == [1.5, 2]
    assert [issue.status for issue in found.issues] == ["unlabelled"] * 3
    assert "left out 3 of the rows" in "\n".join(found.lines())
    assert [issue.detail for issue in found.issues] == [
        "'CCN': no value in y",
        "'CCC': no value in y: 'NaN' counts as missing",
        "'CCCC': no value in y: 'n/a' counts as missing",
    ]


@pytest.mark.parametrize(
    ("only", "word", "task", "other"),
    [
        ("promoter", "none", {}, "not promoter"),
        ("active", "None", {"task": "binary"}, "not active"),
        ("1", "NONE", {}, "0"),
    ],
)
def test_none_may_be_a_class(tmp_path: Path, only: str, word: str, task: dict[str, str], other: str) -> None:
    """Beside one class alone, it is not clear what it means; beside two, or another word for no value, it is."""
    rows = f"smiles,label\nCCO,{only}\nCCN,{word}\nCCC,{only}\n"
    wanted = (
        f"column 'label' holds '{only}' and '{word}', which may be a class .* write '{other}' for a class"
    )
    with pytest.raises(InputError, match=wanted):
        read(tmp_path, rows, **task)
    assert len(read(tmp_path, f"{rows}CCF,{other}\n", **task)) == 3
    assert read(tmp_path, rows.replace(word, "na"), **task).task.classes in (
        ("0", "1"),
        (other, only),
        (only, other),
    )
    assert len(read(tmp_path, f"smiles,y\nCCO,2.5\nCCN,{word}\n")) == 1


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles,y\nCCO,1.5\n" + "C1CC,2\n" * 9)
    assert found.lines()[-1].strip() == "and 4 more"


def test_equal_repeats_are_one(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles,label\nCCO,1\nOCC,1\nCCN,0\n")
    assert len(found) == 2
    assert found.notes == ["1 molecule stands there several times with one label, which counts once"]


def test_contradictory_classes_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles,label\nCCO,1\nOCC,0\nCCN,0\nCCC,1\n")
    assert by_name(found) == {"CCC": 1, "CCN": 0}
    assert [(issue.row, issue.detail) for issue in found.issues] == [
        (0, "rows 0, 1 contradict each other about CCO"),
        (1, "rows 0, 1 contradict each other about CCO"),
    ]
    assert found.notes == ["1 molecule stands there with labels that contradict each other, and is left out"]


def test_different_numbers_are_averaged(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles,y\nCCO,1\nOCC,2\nCCN,7.5\n")
    assert by_name(found) == {"CCO": 1.5, "CCN": 7.5}
    assert "of which the mean (or the bound) is taken" in found.notes[-1]


def test_bounds(tmp_path: Path) -> None:
    rows = "CCO,>10\nCCN,<5\nCCC,>= 3\nCCCC,≤4\nCCCCC,7.5\nCCCCCC,~6\n"
    found = read(tmp_path, "smiles,y\n" + rows)
    relations = dict(zip(found.names, found.relations.tolist(), strict=True))
    assert relations == {"CCO": 1, "CCN": -1, "CCC": 1, "CCCC": -1, "CCCCC": 0, "CCCCCC": 0}
    assert by_name(found)["CCO"] == 10 and "4 of them bounds" in found.lines()[0]
    assert unsigned("> C") == ("> C", 0)


def test_bounds_in_a_column_of_their_own(tmp_path: Path) -> None:
    """Signs are those of the measurement; where the label falls as that rises, they turn round, and that is said."""
    rows = "CCO,10,5,>\nCCN,100,4,=\nCCC,1,>6,\nCCF,1000,3,'<'\n"
    found = read(tmp_path, "smiles,standard_value,pIC50,standard_relation\n" + rows, target="pIC50")
    assert dict(zip(found.names, found.relations, strict=True)) == {"CCO": -1, "CCN": 0, "CCC": 1, "CCF": 1}
    assert any("2 of 4 values are bounds" in note and "falls as" in note for note in found.notes)
    found = read(tmp_path, "smiles,y,sign\nCCO,5,>\nCCN,6,\n", relation="Sign")
    assert found.notes == ["1 of 2 values is a bound, as 'sign' says"]
    assert dict(zip(found.names, found.relations, strict=True)) == {"CCO": 1, "CCN": 0}
    assert not read(tmp_path, "smiles,y,sign\nCCO,5,>\nCCN,6,\n").relations.any()
    with pytest.raises(InputError, match="'mark'"):
        read(tmp_path, "smiles,y,sign\nCCO,5,>\nCCN,6,\n", relation="mark")
    with pytest.raises(InputError, match="--relation-column says how numbers are bounded; 'y' holds classes"):
        read(tmp_path, "smiles,y,sign\nCCO,yes,>\nCCN,no,\n", relation="sign")


def test_repeated_bounds(tmp_path: Path) -> None:
    rows = "CCO,>10\nCCO,>20\nCCN,<5\nCCN,3\nCCC,<1\nCCC,>2\nCCCC,7.5\n"
    found = read(tmp_path, "smiles,y\n" + rows)
    values = dict(zip(found.names, zip(found.values, found.relations, strict=True), strict=True))
    assert values == {"CCO": (20, 1), "CCN": (3, 0), "CCCC": (7.5, 0)}


def test_classes_have_no_bounds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bounds such as '>1', which classes cannot be; --task regression"):
        read(tmp_path, "smiles,y\nCCO,>1\nCCN,0\n")
    assert read(tmp_path, "smiles,y\nCCO,>1\nCCN,0\n", task="regression").numeric


def test_text_labels(tmp_path: Path) -> None:
    found = read(tmp_path, "smiles,label\nCCO,active\nCCN,inactive\nCCC,inactive\n")
    assert found.task.classes == ("inactive", "active") and found.values.sum() == 1
    assert found.notes == ["'active' of 'label' counts as positive, 'inactive' as negative"]


@pytest.mark.parametrize(
    ("label", "value", "classes"),
    [("1", 1, ("0", "1")), ("0", 0, ("0", "1")), ("active", 1, ("not active", "active"))],
)
def test_a_single_class(tmp_path: Path, label: str, value: int, classes: tuple[str, str]) -> None:
    found = read(tmp_path, f"smiles,label\nCCO,{label}\nCCN,{label}\n")
    assert set(found.values) == {value} and found.task.classes == classes
    assert f"{label!r} is the only class" in found.notes[0] and "little to learn" in found.notes[-1]


def test_one_row(tmp_path: Path) -> None:
    assert read(tmp_path, "smiles,y\nCCO,1\n").values.tolist() == [1]
    assert read(tmp_path, "smiles,y\nCCO,7.5\n").values.tolist() == [7.5]


def test_two_numbered_classes(tmp_path: Path) -> None:
    text = "smiles,y\n" + "".join(f"{'C' * (1 + row)},{1 + row % 2}\n" for row in range(20))
    assert read(tmp_path, text).task.classes == ("1", "2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,label\nCCO,a\nCCN,b\nCCC,c\nCCCC,a\nCCF,b\nCCI,c\n", r"has 3 classes \(a, b, c\); prediction "
         "from a support takes two, or numbers"),
        ("smiles,active\nCCO,maybe\nCCN,yes\nCCC,no\n", r"has 3 classes \(maybe, no, yes\); .* or numbers$"),
        ("smiles,y\n" + "".join(f"{'C' * row},{row % 3}\n" for row in range(1, 31)), r"2\).* \(--task"),
        ("name,value\na,1\nb,2\n", "no smiles column found; the columns are name, value; name one with --support-c"),
        ("smiles,a,b\nCCO,1,0.3\nCCN,0,0.4\n", "columns a, b could all be meant; name one with --target"),
        ("", "empty"),
        ("smiles,name\nCCO,x\nCCN,y\n", "no column of measured values found"),
        ("smiles,y\nC1CC,1\nCC(,0\n", r"no row can be used as a labelled example \(row 0: invalid_smiles"),
        ("smiles,y\nCCO,\nCCN,nan\n", "column 'y' has no value in any of 2 rows"),
        ("sequence,y\nMKTAYIAKQRQISFVKSHFSRQ,1\nMKLVWWAAKQRQISFVKSHFSRQ,0\n", "holds proteins, but the learner reads "
         "molecules"),
        ("smiles,y\nCCO,inf\nCCN,1.5\nCCC,2.5\nCCCC,3.5\nCCCCC,3.7\n", None),
    ],
)  # fmt: skip
def test_what_is_no_support(tmp_path: Path, text: str, message: str | None) -> None:
    if message is None:
        assert "not a finite number" in read(tmp_path, text).issues[0].detail
        return
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_a_file_that_is_no_table_and_an_unknown_task(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a table"):
        read(tmp_path, "CCO one\nCCN two\n", "labelled.smi")
    with pytest.raises(ConfigError, match="--task must be one of binary, regression"):
        read(tmp_path, "smiles,y\nCCO,1\n", task="multiclass")


def test_labels_as_the_learner_reads_them(tmp_path: Path) -> None:
    numbers = read(tmp_path, "smiles,y\nCCO,>2\nCCN,4\nCCC,6\n")
    labels = numbers.labels(np.array([[0, 1, 2], [2, 1, 0]]))
    assert labels.task == "regression" and labels.values.shape == (2, 3)
    # the bound says nothing: all that was measured lies above it
    assert labels.shift.tolist() == [5, 5] and labels.relations.sum() == 2
    classes = read(tmp_path, "smiles,y\nCCO,1\nCCN,0\n").labels(np.array([[0, 1]]))
    assert classes.task == "binary" and sorted(classes.values[0].tolist()) == [-1, 1]
