"""Rows out = rows in: one file per kind with every sort of bad record, and the status and reason of each."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.errors import InputError, SequenceError
from bio_xlstm.tasks.embed.run import embed_file

Make = Callable[..., Any]
BOM = "\ufeff"

# (id, sequence lines, status, words of the detail); the line number of each record follows from what stands before it
PROTEINS = [
    ("good", ["MKTAYIAKQR"], "ok", ""),
    ("lower", ["mktayiakqr"], "ok", ""),
    ("rare", ["MKUOBZX"], "ok", ""),
    ("unknown", ["MKJ"], "cleaned", "1 rare residue (J) read as X"),
    ("gaps", ["MK--T.A"], "cleaned", "3 gaps"),
    ("stop", ["MKTA*"], "cleaned", "1 trailing stop"),
    ("inner", ["MK*TA"], "inner_stop", "stop '*' at residue 3 is not at the end"),
    ("numbered", ["1 MKTAY 5", "6 IAK"], "cleaned", "digits"),
    ("symbol", ["MKTAY", "IA@KQ"], "error", "line {1} column 3: '@' is not an amino acid"),
    ("empty", [""], "empty", ""),
    ("only gaps", ["---"], "empty", "no residues left after removing 3 gaps"),
    ("a/b|c d", ["MKV"], "ok", ""),
    ("good", ["MKL"], "ok", ""),
    ("", ["MKI"], "ok", ""),
    ("wrapped", ["MKTAY", "IAKQR"], "ok", ""),
]
DNA = [
    ("good", ["ACGTN"], "ok", ""),
    ("soft masked", ["acgtACGT"], "ok", ""),
    ("rna", ["ACGU"], None, ""),
    ("iupac", ["ACRYT"], "cleaned", "2 ambiguous bases (R, Y) read as N"),
    ("gaps", ["AC-GT"], "cleaned", "1 gap"),
    ("protein", ["MKTAYIAKQR"], "error", "line {0} column"),
    ("stop", ["ACG*"], "error", "line {0} column 4: '*' is not a nucleotide"),
    ("empty", [""], "empty", ""),
]
SMILES = [
    ("ethanol", "CCO", "ok", ""),
    ("salt", "[Na+].[Cl-]", "ok", ""),
    ("ring", "C1CC", "invalid_smiles", "unclosed ring"),
    ("valence", "C(C)(C)(C)(C)C", "invalid_smiles", "valence"),
    ("letters", "hello", "invalid_smiles", ""),
    ("element", "C[Xx]", "invalid_smiles", ""),
]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a table or an issues file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(
    rows: list[dict[str, str]], issues: list[dict[str, str]], expected: list[tuple[int, str, str | None, str]]
) -> None:
    """Compare rows with (line of the sequence, id, status, detail) and the issues file with both."""
    assert [int(row["row"]) for row in rows] == list(range(len(expected)))
    for row, (line, name, status, detail) in zip(rows, expected, strict=True):
        assert row["id"] == (name.split() or [""])[0]
        assert status is None or row["status"] == status, row
        assert detail.format(line, line + 1) in row["detail"], row
        good = row["status"] in ("ok", "cleaned", "windowed")
        assert bool(row["e0"]) == good
        assert (int(row["length"]) > 0) == good
    listed = [{key: row[key] for key in issues[0]} for row in rows if row["status"] != "ok"]
    assert issues == listed


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(("kind", "records"), [("protein", PROTEINS), ("dna", DNA)])
def test_fasta(request_for: Make, tmp_path: Path, kind: str, records: list[Any], ends: str) -> None:
    lines, expected = [], []
    for name, sequence, status, detail in records:
        lines += [f">{name}", *sequence]
        # Windows line ends inside a record are removed and counted
        cleaned = ends == "\r\n" and status == "ok"
        expected.append((len(lines) - len(sequence) + 1, name, "cleaned" if cleaned else status, detail))
    request = request_for(kind, "bad.fa", ends.join(lines) + ends, "out.csv", kind=kind)
    outcome = embed_file(request)
    rows = read_rows(tmp_path / "out.csv")
    check(rows, read_rows(tmp_path / "out.csv.issues.csv"), expected)
    reason = "empty sequence" if ends == "\n" else "no residues left after removing 1 carriage return"
    assert reason in {row["detail"] for row in rows}
    assert outcome.rows == len(records)
    assert outcome.failed == sum(row["status"] not in ("ok", "cleaned") for row in rows)


def test_smiles(request_for: Make, tmp_path: Path) -> None:
    text = "".join(f"{smiles} {name}\n" for name, smiles, *_ in SMILES)
    embed_file(request_for("smiles", "bad.smi", text, "out.csv"))
    expected = [(i + 1, name, status, detail) for i, (name, _, status, detail) in enumerate(SMILES)]
    check(read_rows(tmp_path / "out.csv"), read_rows(tmp_path / "out.csv.issues.csv"), expected)


def test_allow_invalid_asks_the_vocabulary_alone(request_for: Make, tmp_path: Path) -> None:
    text = "".join(f"{smiles} {name}\n" for name, smiles, *_ in SMILES)
    embed_file(request_for("smiles", "bad.smi", text, "out.csv", allow_invalid=True))
    rows = read_rows(tmp_path / "out.csv")
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["unknown_token"] * 2
    assert "'[Xx]' at position 2 is not a SMILES atom" in rows[5]["detail"]


def test_a_table_with_an_empty_cell_and_a_byte_order_mark(request_for: Make, tmp_path: Path) -> None:
    text = f"{BOM}name,sequence\na,MKT\nb,\nc,MK?T\n"
    embed_file(request_for("protein", "bad.csv", text, "out.csv", kind="protein"))
    rows = read_rows(tmp_path / "out.csv")
    assert [row["status"] for row in rows] == ["ok", "empty", "error"]
    assert "line 4" in rows[2]["detail"] and "'?' is not an amino acid" in rows[2]["detail"]


def test_too_long(request_for: Make, tmp_path: Path) -> None:
    embed_file(
        request_for("protein", "a.fa", ">a\nMKTAY\n>b\nMKT\n", "out.csv", kind="protein", max_length=4)
    )
    rows = read_rows(tmp_path / "out.csv")
    assert [(row["status"], row["length"]) for row in rows] == [("too_long", "5"), ("ok", "3")]
    assert rows[0]["detail"] == "5 tokens are more than --max-length 4"


def test_skip_leaves_rows_out_but_lists_them(request_for: Make, tmp_path: Path) -> None:
    text = ">a\nMKT\n>b\n\n>c\nMK-\n"
    outcome = embed_file(request_for("protein", "a.fa", text, "out.csv", kind="protein", on_error="skip"))
    assert [row["row"] for row in read_rows(tmp_path / "out.csv")] == ["0", "2"]
    issues = read_rows(tmp_path / "out.csv.issues.csv")
    assert [(row["row"], row["status"]) for row in issues] == [("1", "empty"), ("2", "cleaned")]
    assert (outcome.rows, outcome.failed) == (2, 1)


def test_fail_stops_at_the_first_bad_row(request_for: Make, tmp_path: Path) -> None:
    text = ">a\nMKT\n>b\nMK!\n"
    with pytest.raises(
        SequenceError, match=r"a.fa row 1 'b': error: line 4 column 3: '!' is not an amino acid"
    ):
        embed_file(request_for("protein", "a.fa", text, kind="protein", on_error="fail"))
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_one_error(request_for: Make, content: str) -> None:
    with pytest.raises(InputError, match="bad.fa"):
        embed_file(request_for("protein", "bad.fa", content, kind="protein"))


def test_a_cut_file_is_one_error_with_its_line(request_for: Make, tmp_path: Path) -> None:
    import gzip

    text = "".join(f">p{i}\n{'MKTAYIAKQRLVGS' * 20}{'ACDEFGHIKL'[i % 10]}\n" for i in range(50))
    packed = gzip.compress(text.encode())
    request = request_for("protein", "cut.fa.gz", packed[: len(packed) // 2], "out.csv", kind="protein")
    with pytest.raises(
        InputError, match=r"cut.fa.gz: the compressed file is cut off or damaged after line \d+"
    ):
        embed_file(request)
    assert not (tmp_path / "out.csv").exists()


def test_text_that_is_not_utf8_is_one_error_with_its_line(request_for: Make) -> None:
    request = request_for("protein", "bad.fa", b">a\nMKT\n>b\nMK\xe9T\n>c\nMKL\n", "out.csv", kind="protein")
    with pytest.raises(InputError, match="bad.fa line 4: byte 0xe9 at column 3 is not UTF-8"):
        embed_file(request)
