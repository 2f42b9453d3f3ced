"""File formats: which suffix names which format and kind, and what a file without a telling suffix holds."""

import re
from pathlib import Path

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.records.columns import is_table_header, split_header
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.text import head

KINDS = ("dna", "protein", "smiles")
FORMATS = ("fasta", "fastq", "stockholm", "csv", "tsv", "parquet", "smiles", "sdf", "lines")
COMPRESSED = (".gz", ".bgz", ".xz", ".bz2")

SUFFIX_FORMAT = {
    **dict.fromkeys((".fa", ".fasta", ".fas", ".fna", ".ffn", ".faa", ".a3m", ".a2m"), "fasta"),
    **dict.fromkeys((".fastq", ".fq"), "fastq"),
    **dict.fromkeys((".sto", ".stk", ".stockholm"), "stockholm"),
    **dict.fromkeys((".smi", ".smiles"), "smiles"),
    **dict.fromkeys((".sdf", ".sd", ".mol"), "sdf"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    ".csv": "csv",
    ".tsv": "tsv",
}
SUFFIX_KIND = {
    **dict.fromkeys((".fna", ".ffn", ".fastq", ".fq"), "dna"),
    ".faa": "protein",
    **dict.fromkeys((".smi", ".smiles", ".sdf", ".sd", ".mol"), "smiles"),
}
FORMAT_KIND = {"fastq": "dna", "smiles": "smiles", "sdf": "smiles"}

SNIFFED = 1 << 16
PARQUET_START = b"PAR1"
# the counts line, fourth of a mol block: "  6  6  0 ...  0999 V2000"
SDF_COUNTS = re.compile(r"[ \d]{6}.{27,30}V[23]000\s*$")

# "csv" and "tsv" share one reader, which looks at the header for the delimiter
TABLES = ("csv", "tsv", "parquet")


def suffix(path: str) -> str:
    """Return the lower-case suffix of a path, without that of a compression (`x.fa.gz` -> `.fa`)."""
    suffixes = [s.lower() for s in Path(path).suffixes]
    while suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def find_format(raw: RawFile, input_format: str | None = None) -> str | None:
    """Name the format of an input: the one asked for, else by suffix, else by content.

    None stands for plain lines that may be SMILES or sequences. Raise InputError for an empty file.
    """
    if input_format is not None and input_format not in FORMATS:
        raise ConfigError(f"unknown input format {input_format!r}; known are {', '.join(FORMATS)}")
    start = raw.start(len(PARQUET_START))
    if not start:
        raise InputError(f"{raw.name}: the file is empty")
    named = input_format or SUFFIX_FORMAT.get(suffix(raw.name))
    if start == PARQUET_START or named == "parquet":
        return "parquet"
    text = head(raw)
    if not text.strip():
        raise InputError(f"{raw.name}: the file is empty")
    if input_format or named not in (None, "smiles"):
        return named
    seen = sniff(text[:SNIFFED])
    return seen if named is None or seen in TABLES else named


def sniff(text: str) -> str | None:
    """Name the format of a text from its first lines; None for plain lines."""
    lines = text.lstrip().splitlines()
    first = lines[0] if lines else ""
    if first.startswith(">"):
        return "fasta"
    if first.startswith("@"):
        return "fastq"
    if first.startswith("# STOCKHOLM"):
        return "stockholm"
    if any(SDF_COUNTS.match(line) for line in text.split("\n")[:5]):
        return "sdf"
    if is_table_header(first):
        return "tsv" if split_header(first)[0] == "\t" else "csv"
    return None
