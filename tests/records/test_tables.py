"""CSV, TSV and Parquet: delimiters, columns, line numbers, broken rows."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from bio_xlstm.errors import InputError
from bio_xlstm.records import RecordSource, open_records, place


def table(folder: Path, text: str | bytes, name: str = "t.csv", **options: str) -> RecordSource:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return open_records(folder / name, **options)


def test_lines_stay_right_with_quoted_line_breaks(tmp_path: Path) -> None:
    text = 'ID,note,Sequence\nP1,"two\nlines, ""quoted""",MKT\nP2,,"MK\nLV"\n'
    first, second = table(tmp_path, text)
    assert (first.row, first.id, first.text, first.line) == (0, "P1", "MKT", 2)
    assert first.fields == {"ID": "P1", "note": 'two\nlines, "quoted"', "Sequence": "MKT"}
    assert (second.id, second.text, second.line) == ("P2", "MK\nLV", 4)
    assert place(second, 4) == (5, 2)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt"])
def test_delimiter_is_read_from_the_header(tmp_path: Path, mark: str, name: str) -> None:
    rows = ["SMILES;name", "CCO;ethanol", "C(=O)O;"]
    source = table(tmp_path, "\n".join(rows).replace(";", mark), name)
    assert [(r.id, r.text) for r in source] == [("ethanol", "CCO"), ("", "C(=O)O")]
    assert source.kind == "smiles" and source.format in ("csv", "tsv")


def test_byte_order_mark_crlf_and_blanks_around_cells(tmp_path: Path) -> None:
    (record,) = table(tmp_path, b"\xef\xbb\xbfsmiles , id\r\n CCO , m1\r\n")
    assert (record.text, record.id, record.line) == ("CCO", "m1", 2)


def test_rows_without_their_sequence_are_error_rows(tmp_path: Path) -> None:
    records = list(table(tmp_path, "id,y,seq\na,1,MKT\nb,2\nc,3,MK,extra\nd,4,MV,,\ne,5,\n"))
    assert [r.status for r in records] == ["ok", "error", "error", "ok", "ok"]
    assert records[1].detail == "line 3: 2 of 3 columns, 'seq' is missing"
    assert records[2].detail == "line 4: 4 columns, the header has 3"
    assert [r.text for r in records] == ["MKT", "", "", "MV", ""]
    assert [r.id for r in records] == list("abcde")


def test_blank_rows_count_inside_and_not_at_the_end(tmp_path: Path) -> None:
    records = list(table(tmp_path, "seq\nMK\n\nMV\n\n  \n"))
    assert [(r.row, r.text, r.line) for r in records] == [(0, "MK", 2), (1, "", 3), (2, "MV", 4)]
    # a quoted nothing is a row
    assert [r.text for r in table(tmp_path, 'seq\nMK\n""\n')] == ["MK", ""]


def test_open_quote_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv line 3: a quote is opened here and never closed"):
        list(table(tmp_path, 'seq,n\nMK,1\n"MV,2\nML,3\n'))


def test_long_cells_are_read(tmp_path: Path) -> None:
    (record,) = table(tmp_path, "dna\n" + "ACGT" * 100_000)
    assert len(record.text) == 400_000


@pytest.mark.parametrize(
    ("header", "kind", "chosen"),
    [
        ("Canonical SMILES,x", None, "Canonical SMILES"),
        ("x,drug_smiles", None, "drug_smiles"),
        ("mutant,mutated_sequence,DMS_score", None, "mutated_sequence"),
        ("target_seq,seq_len", "protein", "target_seq"),
        ("SMILES,Protein_Sequence", "protein", "Protein_Sequence"),
        ("SMILES,sequence", "smiles", "SMILES"),
        ("SMILES,sequence", "dna", "sequence"),
        ("text,seq,sequence", None, "sequence"),
    ],
)
def test_column_is_found_by_name(tmp_path: Path, header: str, kind: str | None, chosen: str) -> None:
    cells = ["X" if name == chosen else "-" for name in header.split(",")]
    path = tmp_path / "t.csv"
    path.write_text(header + "\n" + ",".join(cells) + "\n")
    (record,) = open_records(path, kind=kind)
    assert record.text == "X"


def test_column_option_ignores_case(tmp_path: Path) -> None:
    (record,) = table(tmp_path, "smiles,Heavy Chain\nCCO,MKT\n", column="heavy_chain")
    assert record.text == "MKT"


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("a,b", {}, r"t\.csv: no sequence column found; the columns are a, b; name one with --column"),
        ("a,seq", {"column": "x"}, r"t\.csv: there is no column 'x'; the columns are a, seq"),
        ("seq,a", {"kind": "smiles"}, None),
        ("peptide,a", {"kind": "smiles"}, r"no smiles column found; the columns are peptide, a"),
        ("smiles,sequence", {}, r"the columns smiles, sequence could all be meant; name one with --column"),
        (",".join(f"c{i}" for i in range(40)), {}, r"c29, \.\.\.; name one"),
    ],
)
def test_column_messages(tmp_path: Path, header: str, options: dict[str, str], message: str | None) -> None:
    source = table(tmp_path, f"{header}\nCC,CC\n", **options)
    if message is None:
        assert len(list(source)) == 1
        return
    with pytest.raises(InputError, match=message):
        list(source)


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: the file holds no records"):
        list(table(tmp_path, "smiles,y\n"))


def test_parquet_streams_batches_with_nulls(tmp_path: Path) -> None:
    count = 10_000
    columns = {
        "y": list(range(count)),
        "Sequence": pa.array(
            [None if i == 1 else f"ML{'A' * (i % 7)}" for i in range(count)], pa.large_string()
        ),
        "id": pa.array([f"p{i}" for i in range(count)]).dictionary_encode(),
        "embedding": [[0.0, 1.0]] * count,
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=3000)
    source = open_records(tmp_path / "t.parquet")
    records = list(source)
    assert [r.row for r in records] == list(range(count))
    assert (records[0].id, records[0].text, records[0].line) == ("p0", "ML", 0)
    assert records[1].text == "" and (records[9].text, records[9].id) == ("MLAA", "p9")
    assert place(records[2], 1) == (0, 2)
    assert source.kind == "protein" and source.format == "parquet"


def test_parquet_messages(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(InputError, match=r"t\.parquet: no readable Parquet file: "):
        list(open_records(path))
    parquet.write_table(pa.table({"seq": [1, 2]}), path)
    with pytest.raises(InputError, match=r"t\.parquet: column 'seq' holds int64, not text"):
        list(open_records(path))


def test_parquet_with_damaged_pages_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    texts = [f"MKT{i}" for i in range(20_000)]
    parquet.write_table(pa.table({"seq": texts}), path, row_group_size=10_000, use_dictionary=False)
    data = bytearray(path.read_bytes())
    # the middle of the second row group
    start = parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"t\.parquet: damaged after row \d+: "):
        list(open_records(path, kind="protein"))


def test_parquet_reads_the_columns_of_sequences_and_names_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {
        "name": ["a", "b"] * 500,
        "other": [f"{i:>1000}" for i in range(1000)],
        "seq": ["MKL", "MV"] * 500,
    }
    parquet.write_table(pa.table(columns), path, use_dictionary=False, compression="none")
    data = bytearray(path.read_bytes())
    # a page that nobody needs may be damaged
    start = parquet.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    data[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    records = list(open_records(path))
    assert len(records) == 1000 and records[1][1:] == ("b", "MV", 0, "ok", "", None)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (
            'id\tseq\n"x\tMK\ny\tMV\nz"\tML\n',
            "t.tsv",
            r"t\.tsv line 2: a quote opened here .* only 2 lines below",
        ),
        (
            'id\tnote\tseq\na\t"x\tMK\nb\ty"\tMV\n',
            "t.tsv",
            r"t\.tsv line 2: .* only 1 line below, around whole",
        ),
        ('seq\t"id\nMK\tx"\n', "t.tsv", r"t\.tsv line 1: a quote opened here"),
        ('id,seq\na,MK\n"b,MV\nc",ML\n', "t.csv", r"t\.csv line 3: a quote opened here"),
    ],
)
def test_rows_between_stray_quotes_are_refused(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(table(tmp_path, text, name, column="seq"))


def test_quoted_cells_of_a_tab_separated_file(tmp_path: Path) -> None:
    records = list(table(tmp_path, 'id\tnote\tseq\n"a"\t"two\nlines"\tMK\nb"\t5"\tMV\n', "t.tsv"))
    assert [(r.id, r.text, r.line) for r in records] == [("a", "MK", 2), ('b"', "MV", 4)]


@pytest.mark.parametrize(
    ("text", "line"),
    [("id,seq\na,MK\nb\rc,MV\n", 3), ("id,seq\rname,x\na,MK\n", 1), ("\n\nid\r,seq\na,MK\n", 3)],
)
def test_bare_carriage_return_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(
        InputError, match=rf"t\.csv line {line}: a carriage return stands inside an unquoted cell"
    ):
        list(table(tmp_path, text))
    assert next(iter(table(tmp_path, 'seq,n\nMK,"a\rb"\n'))).text == "MK"


@pytest.mark.parametrize("blank", ["\n", " \r\n\n", "\ufeff\n"])
def test_blank_lines_above_the_header_are_skipped(tmp_path: Path, blank: str) -> None:
    source = table(tmp_path, f"{blank}id,seq\na,MKL\n\nb,MV\n")
    first = blank.count("\n") + 2
    assert [(r.row, r.id, r.line) for r in source] == [
        (0, "a", first),
        (1, "", first + 1),
        (2, "b", first + 2),
    ]
    assert source.kind == "protein"


def test_a_first_line_as_long_as_a_genome_is_no_failure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: no sequence column found"):
        list(table(tmp_path, "ACGT" * 50_000 + "\n"))
