"""FASTQ: plain and wrapped reads, wrong quality, cut files."""

from pathlib import Path

import pytest

from bio_xlstm.errors import InputError
from bio_xlstm.records import Record, open_records


def read(folder: Path, text: str, name: str = "r.fastq") -> list[Record]:
    (folder / name).write_bytes(text.encode())
    return list(open_records(folder / name))


def test_reads_with_at_and_plus_in_the_quality(tmp_path: Path) -> None:
    first, second, third = read(tmp_path, "@r1/1 lane 2\nACGT\n+r1\n@+!I\n\n@r2\nGG\n+\n@@\n@r3\n\n+\n\n")
    assert (first.id, first.text, first.line) == ("r1/1", "ACGT", 2)
    assert first.fields == {"description": "lane 2"}
    assert (second.row, second.id, second.text, second.line) == (1, "r2", "GG", 7)
    assert (third.text, third.status) == ("", "ok")


def test_wrapped_reads_and_crlf(tmp_path: Path) -> None:
    wrapped, plain = read(tmp_path, "@r1\nACGT\nAC\n+\nIIII\n@I\n@r2\nGG\n+\nII\n")
    assert (wrapped.text, wrapped.line, plain.text, plain.line) == ("ACGT\nAC", 2, "GG", 8)
    (record,) = read(tmp_path, "@r1\r\nACGT\r\n+\r\nIIII\r\n")
    assert (record.id, record.text, record.status) == ("r1", "ACGT\r", "ok")


def test_quality_of_another_length_is_an_error_row(tmp_path: Path) -> None:
    bad, good = read(tmp_path, "@r1\nACGT\n+\nIII\n@r2\nAC\n+\nII\n")
    assert (bad.id, bad.status, bad.text) == ("r1", "error", "")
    assert bad.detail == "line 1: the sequence has 4 letters, its quality 3"
    assert (good.row, good.text, good.status) == (1, "AC", "ok")


@pytest.mark.parametrize("cut", ["@r2 x\n", "@r2\nAC", "@r2\nAC\n+", "@r2\nAC\n+\n"])
def test_cut_last_read_is_an_error_row(tmp_path: Path, cut: str) -> None:
    good, bad = read(tmp_path, "@r1\nACGT\n+\nIIII\n" + cut)
    assert good.status == "ok"
    assert (bad.row, bad.id, bad.status) == (1, "r2", "error")
    assert bad.detail == "line 5: the FASTQ record is cut off"


def test_read_without_quality_does_not_swallow_the_next(tmp_path: Path) -> None:
    bad, good = read(tmp_path, "@r1\nACGT\n@r2\nAC\n+\nII\n")
    assert (bad.id, bad.status, good.id, good.text) == ("r1", "error", "r2", "AC")


def test_a_file_that_begins_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"r\.fq line 2: a FASTQ record starts with '@', not 'ACGT'"):
        read(tmp_path, "\nACGT\n+\nIIII\n", "r.fq")


def rows(records: list[Record]) -> list[tuple[str, str, str]]:
    assert [r.row for r in records] == list(range(len(records)))
    return [(r.id, r.text, r.status) for r in records]


GOOD = "@r0\nACGT\n+\n@III\n"
LAST = "@r2\nAC\n+\n@I\n"
ENDS = ("r0", "ACGT", "ok"), ("r2", "AC", "ok")


@pytest.mark.parametrize(
    ("damaged", "name", "detail"),
    [
        ("@r1\nACGTT\n+\n", "r1", "line 5: the sequence has 5 letters, its quality 3"),
        ("@r1\nACGTT\n", "r1", "line 5: the FASTQ record is cut off"),
        ("@r1\nACGT\nIIII\n", "r1", "line 5: the FASTQ record is cut off"),
        ("@r1\nACGT\nAC\n+\nIIIIII\n", "r1", "line 5: the sequence has 6 letters, its quality 9"),
        ("@r1\nACGT\n+\n@II\n", "r1", "line 5: the sequence has 4 letters, its quality 3"),
        (
            "@r1\nACGT\n+\nII\nII\n",
            "r1",
            "line 5: the sequence has 4 letters, its quality 2; reading goes on at line 10",
        ),
        (
            "ACGT\n+\n@III\n",
            "",
            "line 5: a FASTQ record starts with '@', not 'ACGT'; reading goes on at line 8",
        ),
    ],
)
def test_reading_goes_on_behind_a_broken_read(tmp_path: Path, damaged: str, name: str, detail: str) -> None:
    records = read(tmp_path, GOOD + damaged + LAST)
    assert rows(records) == [ENDS[0], (name, "", "error"), ENDS[1]]
    assert records[1].detail == detail
    assert records[2].line == 5 + damaged.count("\n") + 1


def test_the_end_of_a_broken_file_is_told(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD + "@r1\nACGT\n+\nIII\n")[1].detail.endswith("its quality 3")
    junk = read(tmp_path, GOOD + "no\nread\n@here\n")
    assert rows(junk) == [ENDS[0], ("", "", "error")]
    assert junk[1].detail.endswith("not 'no'; no read is found below")
    assert [r.id for r in read(tmp_path, GOOD + "@r1\nACGT\n+\nIII\n@cut\n")] == ["r0", "r1", "cut"]
