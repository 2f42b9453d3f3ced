"""BED files: regions, remarks, and lines that are none."""

import gzip
from pathlib import Path

import pytest

from bio_xlstm.errors import InputError
from bio_xlstm.records.bed import Region, read_bed

TEXT = "track name=x\nbrowser position\n# remark\n\nchr1\t0\t8\ttrain\t1\nchr 2\t4\t10\r\n"


@pytest.mark.parametrize("packed", [False, True])
def test_regions_are_read_in_order(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "r.bed"
    path.write_bytes(gzip.compress(TEXT.encode()) if packed else TEXT.encode())
    assert list(read_bed(path)) == [Region("chr1", 0, 8, "train", 5), Region("chr 2", 4, 10, "", 6)]


def test_blanks_part_columns_where_there_are_no_tabs(tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr1 0   8 a\n")
    assert list(read_bed(tmp_path / "r.bed")) == [Region("chr1", 0, 8, "a", 1)]


@pytest.mark.parametrize(
    "line", ["chr1", "chr1\t8\t8", "chr1\t9\t8", "chr1\t-1\t8", "chr1\ta\tb", "chr1\t1.5\t8"]
)
def test_what_is_no_region_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.bed").write_text(f"chr1\t0\t4\n{line}\n")
    with pytest.raises(
        InputError, match=r"r.bed line 2: expected a sequence, a begin and a later end, found 'chr1"
    ):
        list(read_bed(tmp_path / "r.bed"))
