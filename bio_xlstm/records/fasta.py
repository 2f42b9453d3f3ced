"""FASTA, A3M and A2M: `>id description`, then any number of sequence lines, kept as they stand."""

from collections.abc import Iterator

from bio_xlstm.errors import InputError
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.record import Record
from bio_xlstm.records.text import text_blocks

COMMENTS = ("#", ";")


def read_fasta(raw: RawFile) -> Iterator[Record]:
    """Yield the records of a FASTA file; `text` keeps its inner line breaks and carriage returns."""
    row = 0
    header: str | None = None
    body: list[str] = []
    begin = 0
    for line, block in text_blocks(raw):
        # every line of `before` still has its line feed in front
        before, *entries = ("\n" + block).split("\n>")
        if header is None:
            refuse_text_before(before, raw.name, line)
        body.append(before[1:])
        line += before.count("\n")
        for entry in entries:
            if header is not None:
                yield fasta_record(row, header, "".join(body), begin)
                row += 1
            header, _, first = entry.partition("\n")
            body, begin = [first], line + 1
            line += entry.count("\n") + 1
    if header is not None:
        yield fasta_record(row, header, "".join(body), begin)


def fasta_record(row: int, header: str, body: str, line: int) -> Record:
    """Split the header at its first blank; only trailing line feeds of the body are left out."""
    name, *rest = header.split(None, 1) or [""]
    fields = {"description": rest[0].strip()} if rest else None
    return Record(row, name, body.rstrip("\n"), line, fields=fields)


def refuse_text_before(text: str, name: str, line: int) -> None:
    """Raise InputError for anything but blank and comment lines before the first `>`."""
    for number, content in enumerate(text[1:].split("\n"), line):
        if content.strip() and not content.startswith(COMMENTS):
            shown = content.strip()[:30]
            raise InputError(f"{name} line {number}: text before the first '>' of a FASTA file: {shown!r}")
