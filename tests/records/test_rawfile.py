"""Bytes and text: compression, damage, standard input, encodings, files that are none."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records import open_records
from bio_xlstm.records.rawfile import CHUNK, RawFile
from bio_xlstm.records.text import text_blocks

FASTA = b">a\nACGTACGT\n>b\nGGCC\n"
PACKERS = {".gz": gzip.compress, ".xz": partial(lzma.compress, preset=0), ".bz2": bz2.compress}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())
@pytest.mark.parametrize("name", ["d.fa.gz", "d.fa.xz", "d.fa", "d"])
def test_compression_is_told_by_content(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    (tmp_path / name).write_bytes(pack(FASTA))
    source = open_records(tmp_path / name)
    assert [r.text for r in source] == ["ACGTACGT", "GGCC"] and source.format == "fasta"


def test_several_gzip_members_are_read_through(tmp_path: Path) -> None:
    (tmp_path / "d.fa.gz").write_bytes(gzip.compress(FASTA) + gzip.compress(b">c\nTT\n"))
    assert [r.id for r in open_records(tmp_path / "d.fa.gz")] == ["a", "b", "c"]


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())
def test_cut_file_gives_its_good_rows_then_names_the_line(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    lines = [hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(20_000)]
    data = pack("\n".join(lines).encode())
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(data[: len(data) * 4 // 5])
    good = 0
    with pytest.raises(
        InputError, match=r"cut\.txt\.gz: the compressed file is cut off or damaged after line "
    ) as caught:
        for record in open_records(path, kind="protein", input_format="lines"):
            assert record.text == lines[record.row]
            good += 1
    assert good > 10_000 and str(caught.value).endswith(f"after line {good}")


def test_cut_within_the_first_line(tmp_path: Path) -> None:
    data = gzip.compress(b">chr\n" + bytes(range(65, 91)) * 10)
    (tmp_path / "c.fa.gz").write_bytes(data[:-12])
    with pytest.raises(InputError, match=r"cut off or damaged (after line 1|within its first line)$"):
        list(open_records(tmp_path / "c.fa.gz"))
    (tmp_path / "d.fa.gz").write_bytes(data[:14])
    with pytest.raises(
        InputError, match=r"d\.fa\.gz: the compressed file is cut off or damaged within its first"
    ):
        list(open_records(tmp_path / "d.fa.gz"))


@pytest.mark.parametrize("name", ["e.fa", "e.csv", "e.smi", "e.parquet", "e.sdf", "e"])
@pytest.mark.parametrize("data", [b"", b"\n \r\n"])
def test_empty_files(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    message = "no readable Parquet" if data and name == "e.parquet" else rf"{name}: the file is empty$"
    with pytest.raises(InputError, match=message):
        list(open_records(tmp_path / name))


def test_bytes_that_are_no_text_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "proteins.fa"
    path.write_bytes(b">a\nMKT\n>Andr\xe9\nMK\n")
    with pytest.raises(InputError) as caught:
        list(open_records(path))
    assert str(caught.value) == (
        f"{path} line 3: byte 0xe9 at column 6 is not UTF-8; is the file compressed or in another encoding?"
    )
    path.write_bytes(b">a\nMKT\nM\0K\n")
    with pytest.raises(
        InputError, match=r"proteins\.fa line 3: NUL byte at column 2; is this a binary or UTF-16"
    ):
        list(open_records(path))
    path.write_bytes(b">a\n" + b"ACGT\n" * CHUNK + b"AC\xff\n")
    with pytest.raises(InputError, match=rf"line {CHUNK + 2}: byte 0xff at column 3"):
        list(open_records(path))


def test_what_is_no_readable_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.fa: there is no such file"):
        open_records(tmp_path / "nowhere.fa")
    with pytest.raises(InputError, match="this is a folder, not a file"):
        open_records(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.fa", FASTA)
    with pytest.raises(InputError, match=r"a\.zip: the file is a zip archive; unpack it first"):
        open_records(tmp_path / "a.zip")


def test_unreadable_file_gives_the_systems_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(RawFile, "start", refuse)
    (tmp_path / "a.fa").write_bytes(FASTA)
    with pytest.raises(InputError, match=r"a\.fa: Permission denied"):
        open_records(tmp_path / "a.fa")


def test_wrong_options_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_bytes(FASTA)
    with pytest.raises(ConfigError, match="unknown input format 'genbank'; known are fasta, fastq"):
        open_records(tmp_path / "a.fa", input_format="genbank")
    with pytest.raises(ConfigError, match="unknown kind 'rna'; known are dna, protein, smiles"):
        open_records(tmp_path / "a.fa", kind="rna")
    with pytest.raises(
        InputError, match=r"a\.fa: a fasta file has no columns, so --column seq cannot be read"
    ):
        list(open_records(tmp_path / "a.fa", column="seq"))


STDIN = {
    "fasta": (FASTA, ["ACGTACGT", "GGCC"], "dna"),
    "fastq": (b"@r\nACGT\n+\nIIII\n", ["ACGT"], "dna"),
    "csv": (b"name,SMILES\nx,CCO\n", ["CCO"], "smiles"),
    "tsv": (b"id\tsequence\nx\tMKTAYIAK\n", ["MKTAYIAK"], "protein"),
    "smiles": (b"CCO\nc1ccccc1 benzene\n", ["CCO", "c1ccccc1"], "smiles"),
    "lines": (b"MKTAYIAK\nMSHLV\n", ["MKTAYIAK", "MSHLV"], "protein"),
    "stockholm": (b"# STOCKHOLM 1.0\na MKT-LV\n//\n", ["MKT-LV"], "protein"),
}


@pytest.mark.parametrize("form", STDIN)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_standard_input_is_recognised_and_can_be_read_again(
    form: str, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, texts, kind = STDIN[form]
    # once: gzip writes the time of day into its header
    given = pack(data)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
    source = open_records("-")
    assert (source.path, source.format, source.kind) == ("-", form, kind)
    assert [r.text for r in source] == texts
    assert [r.text for r in source] == texts
    assert source.fingerprint() == hashlib.sha256(given).hexdigest()
    copy = Path(source.raw.path)
    assert copy.exists()
    del source
    assert not copy.exists()


def test_a_pipe_is_copied_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(FASTA)
    writer = Thread(target=path.write_bytes, args=(packed,))
    writer.start()
    source = open_records(path)
    writer.join()
    assert [[r.id for r in source] for _ in range(2)] == [["a", "b"]] * 2
    assert source.name == str(path) and source.kind == "dna"
    assert source.fingerprint() == hashlib.sha256(packed).hexdigest()
    copy = Path(source.raw.path)
    del source
    assert path.exists() and not copy.exists()


def test_standard_input_without_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    with pytest.raises(InputError, match="standard input: the file is empty"):
        open_records("-")


def test_input_format_overrides_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FASTA)
    assert len(list(open_records(tmp_path / "a.csv", input_format="fasta"))) == 2


def test_reading_is_lazy_and_fingerprint_is_of_the_stored_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"ACGT\n" * (CHUNK // 5 * 4) + b"\xff")
    source = open_records(path, kind="dna")
    # the bad byte at the end is far behind the first records
    assert [next(iter(source)).row for _ in range(3)] == [0, 0, 0]
    assert source.fingerprint() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_blocks_are_small_whatever_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"ACGTACGTACGT\r\n" * (CHUNK // 3))
    blocks = list(text_blocks(RawFile(path)))
    assert max(len(text) for _, text in blocks) <= 2 * CHUNK
    assert "".join(text for _, text in blocks).encode() == path.read_bytes()
    assert all(text.endswith("\n") for _, text in blocks)
