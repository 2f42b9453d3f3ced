"""FASTA, A3M and Stockholm: ids, line breaks kept, exact places, cut and wrong files."""

from pathlib import Path

import pytest

from bio_xlstm.errors import InputError
from bio_xlstm.records import open_records, place
from bio_xlstm.records.rawfile import CHUNK

PROTEINS = """>sp|P69905|HBA_HUMAN Hemoglobin subunit alpha OS=Homo sapiens
MVLSPADKTNVKAAWGKVGAHAGEYG
AEALERMFLSFPTTKTYFPHF

>dup/1
MKT*
>dup/1

>
AC
>last
"""


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_records_keep_ids_lines_and_inner_breaks(tmp_path: Path) -> None:
    records = list(open_records(written(tmp_path, "p.fasta", PROTEINS)))
    assert [r.row for r in records] == [0, 1, 2, 3, 4]
    assert [r.id for r in records] == ["sp|P69905|HBA_HUMAN", "dup/1", "dup/1", "", "last"]
    assert [r.text for r in records] == [
        "MVLSPADKTNVKAAWGKVGAHAGEYG\nAEALERMFLSFPTTKTYFPHF",
        "MKT*",
        "",
        "AC",
        "",
    ]
    assert [r.line for r in records] == [2, 6, 8, 10, 12]
    assert records[0].fields == {"description": "Hemoglobin subunit alpha OS=Homo sapiens"}
    assert records[1].fields is None
    assert {r.status for r in records} == {"ok"}


def test_place_names_the_line_and_column_of_every_letter(tmp_path: Path) -> None:
    text = ">a\nACGT\n\nGG1T\n>b\n1\n>c x\nTTTT\nTTT1"
    lines = text.split("\n")
    for record in open_records(written(tmp_path, "d.fa", text)):
        for position, letter in enumerate(record.text):
            if letter != "\n":
                line, column = place(record, position)
                assert lines[line - 1][column - 1] == letter
    assert place(record, record.text.index("1")) == (9, 4)


def test_records_across_block_borders_are_whole(tmp_path: Path) -> None:
    lengths = [CHUNK - 4, 3, CHUNK * 2 + 17, 0, 60_000, CHUNK]
    wrapped = ["\n".join("ACGT" * 15 for _ in range(n // 60)) + "\n" + "C" * (n % 60) for n in lengths]
    path = written(tmp_path, "big.fa", "".join(f">r{i} d\n{s}\n" for i, s in enumerate(wrapped)))
    records = list(open_records(path))
    assert [r.text for r in records] == [s.rstrip("\n") for s in wrapped]
    lines = path.read_text().split("\n")
    assert [lines[r.line - 2] for r in records] == [f">r{i} d" for i in range(len(lengths))]


def test_one_long_line_is_one_record(tmp_path: Path) -> None:
    (record,) = open_records(written(tmp_path, "chr.fna", b">chr1\n" + b"ACGTN" * 600_000))
    assert len(record.text) == 3_000_000 and record.line == 2


def test_carriage_returns_of_crlf_stay_and_bare_ones_end_lines(tmp_path: Path) -> None:
    (record,) = open_records(written(tmp_path, "w.fa", ">a b\r\nAC\r\nGT\r\n"))
    assert (record.id, record.text, record.fields) == ("a", "AC\r\nGT\r", {"description": "b"})
    first, second = open_records(written(tmp_path, "mac.fa", ">a\rAC\rGT\r>b\rTT\r"))
    assert (first.text, second.text, second.line) == ("AC\nGT", "TT", 5)


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    (record,) = open_records(written(tmp_path, "bom.fa", b"\xef\xbb\xbf>a\nACGT\n"))
    assert (record.id, record.text) == ("a", "ACGT")


def test_header_with_leading_blank_and_a3m_remark(tmp_path: Path) -> None:
    first, second = open_records(written(tmp_path, "f.a3m", "#6\t1\n\n> 6400\nMKv-L\n>x;y=1\nM.KL\n"))
    assert (first.id, first.text, first.line) == ("6400", "MKv-L", 4)
    assert second.id == "x;y=1"


def test_text_before_the_first_header_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "p.fa", "\nMKTAYIAK\n>a\nMK\n")
    with pytest.raises(
        InputError, match=r"p\.fa line 2: text before the first '>' of a FASTA file: 'MKTAYIAK'"
    ):
        list(open_records(path))


STOCKHOLM = """# STOCKHOLM 1.0
#=GF ID fam
#=GS a/1-5 DE first protein

a/1-5   MK-T
b       MKAT
#=GC RF xxxx

a/1-5   LL
b       .L
//
"""


def test_stockholm_joins_interleaved_blocks(tmp_path: Path) -> None:
    records = list(open_records(written(tmp_path, "f.sto", STOCKHOLM + STOCKHOLM)))
    assert [(r.row, r.id, r.text, r.line) for r in records] == [
        (0, "a/1-5", "MK-TLL", 5),
        (1, "b", "MKAT.L", 6),
        (2, "a/1-5", "MK-TLL", 16),
        (3, "b", "MKAT.L", 17),
    ]
    assert records[0].fields == {"description": "first protein"} and records[1].fields is None


def test_stockholm_cut_off_or_malformed_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"f\.sto line 10: the Stockholm alignment is cut off, its closing '//' "
    ):
        list(open_records(written(tmp_path, "f.sto", STOCKHOLM.removesuffix("//\n"))))
    with pytest.raises(InputError, match=r"line 2: expected a name and an aligned sequence, found 'a MK TT'"):
        list(open_records(written(tmp_path, "f.sto", "# STOCKHOLM 1.0\na MK TT\n//\n")))


def test_stockholm_names_that_repeat_within_a_block_are_rows_of_their_own(tmp_path: Path) -> None:
    twice = "# STOCKHOLM 1.0\ns1 AAA\n#=GR s1 SS ...\ns1 CCC\ns2 GGG\n\ns1 TT\ns1 KK\ns2 MM\n//\n"
    records = list(open_records(written(tmp_path, "f.sto", twice)))
    assert [(r.row, r.id, r.text, r.line) for r in records] == [
        (0, "s1", "AAATT", 2),
        (1, "s1", "CCCKK", 4),
        (2, "s2", "GGGMM", 5),
    ]


def test_stockholm_blocks_without_a_blank_line_between_are_refused(tmp_path: Path) -> None:
    joined = "# STOCKHOLM 1.0\ns1 AAA\ns2 GGG\ns1 TT\ns2 MM\n//\n"
    with pytest.raises(
        InputError, match=r"line 4: the name 's1' repeats within a block with another length;"
    ):
        list(open_records(written(tmp_path, "f.sto", joined)))
