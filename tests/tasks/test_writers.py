"""Every format loads back as documented, is deterministic, and loses nothing to odd ids."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers import FORMATS
from bio_xlstm.tasks.writers.arrays import texts_of
from bio_xlstm.tasks.writers.issues import issues_path, store_issues
from bio_xlstm.tasks.writers.npz import rows_of
from bio_xlstm.tasks.writers.part import Part, Row, read_part, sum_facts, write_part
from bio_xlstm.tasks.writers.result import Column, Result
from bio_xlstm.tasks.writers.store_dtype import stored, to_bf16_bits
from bio_xlstm.tasks.writers.text import TableWriter, store_record

# repeated, empty and dangerous ids; rows 2 and 6 have no embedding
IDS = ["sp|P1|A", "A/1", "A.1", "A_1", "", "", "../../x", "sp|P1|A", "naïve 蛋白", ".hidden"]
STATUS = ["ok", "ok", "error", "cleaned", "ok", "ok", "empty", "ok", "windowed", "ok"]
LENGTHS = [3, 1, 0, 2, 5, 1, 0, 4, 2, 1]
PROVENANCE = Provenance(
    command="embed", command_line="bioxlstm embed x", model="tiny", weight_hash="ab" * 32, licence="MIT",
    backend="torch", dtype="fp32", device="cpu", seed=0, input="x.fa", input_sha256="00" * 32,
)  # fmt: skip
MEAN = Column(2, "-1", "mean", 4)
FIRST = Column(0, "0", "first", 3)
TOKENS = Column(2, "-1", "none", 4)


def parts_of(columns: tuple[Column, ...], store: str = "fp32") -> list[Part]:
    """Build the ten rows as parts of 4, 0, 5 and 1 rows."""
    random = np.random.default_rng(0)
    parts = []
    for begin, end in ((0, 4), (4, 4), (4, 9), (9, 10)):
        rows = [
            Row(i, IDS[i], LENGTHS[i], STATUS[i], "" if STATUS[i] == "ok" else f"reason {i}")
            for i in range(begin, end)
        ]
        counts = np.array([row.length if row.good else 0 for row in rows], np.int64)
        values = {}
        for column in columns:
            per_token = column.pool == "none"
            numbers = random.normal(size=(int(counts.sum()) if per_token else len(rows), column.width))
            numbers = numbers.astype(np.float32)
            if not per_token:
                numbers[[not row.good for row in rows]] = np.nan
            values[column.key] = stored(numbers, store)
        per_token = columns[0].pool == "none"
        parts.append(Part(rows, counts if per_token else np.zeros_like(counts), values, []))
    return parts


def result_of(*columns: Column, store: str = "fp32") -> Result:
    """Describe the ten rows for a writer."""
    parts = parts_of(columns, store)
    facts = sum_facts(part.facts() for part in parts)
    per_token = columns[0].pool == "none"
    return Result(columns, store, per_token, PROVENANCE, facts, lambda: iter(parts))


def whole(result: Result, column: Column) -> np.ndarray:
    """Return a column of all parts."""
    return np.concatenate([part.values[column.key] for part in result])


def written(result: Result, name: str, folder: Path) -> Path:
    """Write a result in a format and return the path."""
    path = folder / f"out{FORMATS[name].suffixes[0]}"
    FORMATS[name].write(result, path)
    if name in ("csv", "tsv"):
        store_record(result, path)
    return path


def test_parts_read_back(tmp_path: Path) -> None:
    for part in parts_of((MEAN, FIRST)) + parts_of((TOKENS,)):
        with (tmp_path / "part").open("wb") as file:
            write_part(part, file)
        again = read_part(tmp_path / "part")
        assert again.rows == part.rows
        np.testing.assert_array_equal(again.counts, part.counts)
        for key, values in part.values.items():
            np.testing.assert_array_equal(again.values[key], values)


def test_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    result = result_of(MEAN)
    table = pq.read_table(written(result, "parquet", tmp_path))
    assert [str(field.type) for field in table.schema][:5] == ["int64", "string", "int32", "string", "string"]
    assert table.column_names == ["row", "id", "length", "status", "detail", "embedding"]
    assert table.schema.field("embedding").type.list_size == 4
    assert table["id"].to_pylist() == IDS and table["status"].to_pylist() == STATUS
    assert table["row"].to_pylist() == list(range(10)) and table["length"].to_pylist() == LENGTHS
    for got, expected in zip(table["embedding"].to_pylist(), whole(result, MEAN), strict=True):
        if got is None:
            assert np.isnan(expected).all()
        else:
            np.testing.assert_array_equal(np.float32(got), expected)
    assert table["embedding"].null_count == 2


def test_parquet_loads_as_the_hint_says(tmp_path: Path) -> None:
    for result in (result_of(MEAN), result_of(MEAN, FIRST), result_of(MEAN, store="fp16")):
        names: dict[str, Any] = {}
        path = written(result, "parquet", tmp_path)
        exec(FORMATS["parquet"].load_hint(str(path), result), names)
        np.testing.assert_array_equal(
            names["vectors"], whole(result, MEAN)[[s not in ("error", "empty") for s in STATUS]]
        )


def test_several_columns_are_named_for_layer_and_pool(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    result = result_of(MEAN, FIRST)
    table = pq.read_table(written(result, "parquet", tmp_path))
    assert table.column_names[5:] == ["embedding__L-1__mean", "embedding__L0__first"]
    with np.load(written(result, "npz", tmp_path)) as arrays:
        np.testing.assert_array_equal(arrays["embeddings__L0__first"], whole(result, FIRST))
    header = written(result, "csv", tmp_path).read_text().splitlines()[0]
    assert header.endswith("L-1__mean__e3,L0__first__e0,L0__first__e1,L0__first__e2")


def test_npz(tmp_path: Path) -> None:
    result = result_of(MEAN)
    with np.load(written(result, "npz", tmp_path), allow_pickle=False) as arrays:
        names = ["embeddings", "ids", "ids_offsets", "lengths", "provenance", "rows", "status"]
        assert sorted(arrays) == names
        assert texts_of(arrays, "ids") == IDS and arrays["status"].tolist() == STATUS
        assert arrays["rows"].dtype == np.int64 and arrays["rows"].tolist() == list(range(10))
        assert arrays["lengths"].dtype == np.int32 and arrays["lengths"].tolist() == LENGTHS
        np.testing.assert_array_equal(arrays["embeddings"], whole(result, MEAN))
        assert json.loads(str(arrays["provenance"]))["model"] == "tiny"


def test_npz_per_token(tmp_path: Path) -> None:
    result = result_of(TOKENS)
    with np.load(written(result, "npz", tmp_path), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["values"], whole(result, TOKENS))
        good = [
            length if status not in ("error", "empty") else 0
            for length, status in zip(LENGTHS, STATUS, strict=True)
        ]
        assert np.diff(arrays["offsets"]).tolist() == good and len(arrays["offsets"]) == 11
        assert [len(rows) for rows in rows_of(arrays["values"], arrays["offsets"])] == good


@pytest.mark.parametrize("store", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("column", [MEAN, TOKENS])
def test_safetensors(tmp_path: Path, store: str, column: Column) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    result = result_of(column, store=store)
    path = written(result, "safetensors", tmp_path)
    arrays = load_file(path)
    values = arrays["values" if column is TOKENS else "embeddings"]
    assert (
        str(values.dtype)
        == {"fp32": "torch.float32", "fp16": "torch.float16", "bf16": "torch.bfloat16"}[store]
    )
    np.testing.assert_array_equal(values.float().numpy(), whole(result, column).astype(np.float32))
    assert texts_of({name: arrays[name].numpy() for name in ("ids", "ids_offsets")}, "ids") == IDS
    with safe_open(path, "numpy") as file:
        assert json.loads(file.metadata()["bio_xlstm"])["rows"] == 10


@pytest.mark.parametrize(("name", "separator"), [("csv", ","), ("tsv", "\t")])
def test_tables(tmp_path: Path, name: str, separator: str) -> None:
    result = result_of(MEAN)
    path = written(result, name, tmp_path)
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file, delimiter=separator)
    assert head == ["row", "id", "length", "status", "detail", "e0", "e1", "e2", "e3"]
    assert [row[1] for row in rows] == IDS
    for row, expected in zip(rows, whole(result, MEAN), strict=True):
        if row[5]:
            np.testing.assert_array_equal(np.float32(row[5:]), expected)
        else:
            assert np.isnan(expected).all() and row[5:] == [""] * 4
    assert json.loads((tmp_path / f"out.{name}.provenance.json").read_text())["weight_hash"] == "ab" * 32


def test_compressed_table(tmp_path: Path) -> None:
    result = result_of(MEAN)
    FORMATS["csv"].write(result, tmp_path / "out.csv.gz")
    plain = written(result, "csv", tmp_path).read_bytes()
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == plain


@pytest.mark.parametrize("column", [MEAN, TOKENS])
def test_rostlab_h5(tmp_path: Path, column: Column) -> None:
    h5py = pytest.importorskip("h5py")
    result = result_of(column)
    with h5py.File(written(result, "rostlab-h5", tmp_path), "r") as file:
        assert len(file) == 10
        by_row = sorted(file.values(), key=lambda data: data.attrs["row"])
        assert [data.attrs["original_id"] for data in by_row] == IDS
        assert [data.attrs["status"] for data in by_row] == STATUS
        assert by_row[1].name == "/A_1" and by_row[0].name == "/sp|P1|A"
        stacked = [data[:] if column is TOKENS else data[:][None] for data in by_row]
        np.testing.assert_array_equal(np.concatenate(stacked), whole(result, column))
        assert json.loads(file.attrs["bio_xlstm"])["rows"] == 10


@pytest.mark.parametrize("column", [MEAN, TOKENS])
def test_esm_pt(tmp_path: Path, column: Column) -> None:
    import torch

    result = result_of(column)
    path = written(result, "esm-pt", tmp_path)
    with (path / "index.csv").open(newline="", encoding="utf-8") as file:
        index = list(csv.DictReader(file))
    assert [row["id"] for row in index] == IDS
    assert len({row["file"] for row in index}) == 10 and index[0]["file"] == "sp|P1|A.pt"
    assert {entry.name for entry in path.iterdir()} == {row["file"] for row in index} | {
        "index.csv",
        "provenance.json",
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.pt"]
    kind = "representations" if column is TOKENS else "mean_representations"
    vectors = []
    for row in index:
        record = torch.load(path / row["file"], weights_only=True)
        assert record["label"] == row["id"] and list(record[kind]) == [2]
        vectors.append(record[kind][2].numpy() if column is TOKENS else record[kind][2].numpy()[None])
    np.testing.assert_array_equal(np.concatenate(vectors), whole(result, column))


@pytest.mark.parametrize("name", list(FORMATS))
def test_equal_results_are_equal_bytes_and_carry_their_provenance(tmp_path: Path, name: str) -> None:
    contents = []
    for attempt in ("a", "b"):
        (tmp_path / attempt).mkdir()
        path = written(result_of(MEAN), name, tmp_path / attempt)
        record = FORMATS[name].read_record(path)
        assert record is not None and record["settings"]["--dtype"] == "fp32" and record["failed"] == 2
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        contents.append([(file.name, file.read_bytes()) for file in files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", list(FORMATS))
def test_files_of_others_have_no_record(tmp_path: Path, name: str) -> None:
    path = tmp_path / "other"
    for content in (b"", b"something else that is longer than eight bytes"):
        path.write_bytes(content)
        assert FORMATS[name].read_record(path) is None


def test_issues_file(tmp_path: Path) -> None:
    result = result_of(MEAN)
    store_issues(result, tmp_path / "out.parquet")
    path = issues_path(tmp_path / "out.parquet")
    assert path.name == "out.parquet.issues.csv"
    rows = list(csv.DictReader(path.open(newline="", encoding="utf-8")))
    assert [(row["row"], row["status"]) for row in rows] == [
        ("2", "error"), ("3", "cleaned"), ("6", "empty"), ("8", "windowed"),
    ]  # fmt: skip
    clean = Result((MEAN,), "fp32", False, PROVENANCE, {**result.facts, "issues": 0}, lambda: iter(()))
    store_issues(clean, tmp_path / "out.parquet")
    assert not path.exists()


def test_bf16_rounds_as_torch_does() -> None:
    import torch

    values = np.concatenate([np.random.default_rng(0).normal(size=1000), [0, -0.0, np.inf, 1e-40, 3.4e38]])
    values = values.astype(np.float32)
    expected = torch.from_numpy(values).bfloat16()
    np.testing.assert_array_equal(stored(values, "bf16"), expected.float().numpy())
    np.testing.assert_array_equal(to_bf16_bits(values), expected.view(torch.uint16).numpy())
    assert np.isnan(stored(np.float32([np.nan]), "bf16")).all()


def test_memory_holds_one_part_at_a_time(tmp_path: Path) -> None:
    import tracemalloc

    def peak(count: int) -> int:
        one = parts_of((MEAN,))[0]
        big = Part(one.rows, one.counts, {MEAN.key: one.values[MEAN.key]}, [])

        def stream() -> Iterator[Part]:
            for _ in range(count):
                values = {MEAN.key: np.zeros((4, 50_000), np.float32)}
                yield Part(big.rows, big.counts, values, [])

        column = Column(2, "-1", "mean", 50_000)
        facts = sum_facts([big.facts()] * count)
        result = Result((column,), "fp32", False, PROVENANCE, facts, stream)
        tracemalloc.start()
        FORMATS["npz"].write(result, tmp_path / "x.npz")
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(40) < 1.2 * peak(5)


def test_table_writer_writes_its_header_first() -> None:
    stream = io.StringIO()
    TableWriter(stream, [MEAN])
    assert stream.getvalue() == "row,id,length,status,detail,e0,e1,e2,e3\n"


def test_npz_loads_as_the_hint_says(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    result = result_of(MEAN)
    exec(FORMATS["npz"].load_hint(str(written(result, "npz", tmp_path)), result), names)
    np.testing.assert_array_equal(names["vectors"], whole(result, MEAN))
    assert names["ids"] == IDS


@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_tables_load_as_the_hint_says(tmp_path: Path, name: str) -> None:
    names: dict[str, Any] = {}
    result = result_of(MEAN)
    exec(FORMATS[name].load_hint(str(written(result, name, tmp_path)), result), names)
    assert names["table"]["id"].to_pylist() == IDS and names["table"].num_columns == 9
