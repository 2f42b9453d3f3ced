"""Decoded text of an input: blocks of whole lines, or single lines, each with its line number."""

from collections.abc import Iterator

from bio_xlstm.errors import InputError
from bio_xlstm.records.rawfile import DamagedError, RawFile, chunks

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def text_blocks(raw: RawFile) -> Iterator[tuple[int, str]]:
    """Yield (number of its first line, text) for blocks of about 1 MB that end where a line ends.

    A byte order mark at the start is dropped, bare carriage returns (old Mac) become line feeds, CRLF stays.
    Raise InputError for bytes that are not UTF-8, for NUL bytes and for a compressed file that is cut off.
    """
    line = 1
    with raw.open() as handle:
        try:
            for data in whole_lines(chunks(handle)):
                yield line, decode(data, raw.name, line)
                line += data.count(b"\n")
        except DamagedError:
            where = f"after line {line - 1}" if line > 1 else "within its first line"
            raise InputError(f"{raw.name}: the compressed file is cut off or damaged {where}") from None


def whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Regroup pieces so that each ends with a line feed; the last one may lack it."""
    kept: list[bytes] = []
    bare_returns = False
    for number, piece in enumerate(pieces):
        if number == 0:
            piece = piece.removeprefix(BYTE_ORDER_MARK)
            bare_returns = b"\r" in piece and b"\n" not in piece
        if bare_returns:
            piece = piece.replace(b"\r", b"\n")
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*kept, piece[:end]])
            kept = []
        kept.append(piece[end:])
    if rest := b"".join(kept):
        yield rest


def decode(data: bytes, name: str, line: int) -> str:
    """Decode UTF-8; raise InputError naming the line and column of the first byte that is no text."""
    try:
        text = data.decode()
        bad = data.find(b"\0")
    except UnicodeDecodeError as error:
        text, bad = "", error.start
    if bad < 0:
        return text
    line += data.count(b"\n", 0, bad)
    column = bad - data.rfind(b"\n", 0, bad)
    if data[bad] == 0:
        raise InputError(f"{name} line {line}: NUL byte at column {column}; is this a binary or UTF-16 file?")
    raise InputError(
        f"{name} line {line}: byte 0x{data[bad]:02x} at column {column} is not UTF-8; "
        "is the file compressed or in another encoding?"
    )


def numbered_lines(raw: RawFile) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, line without its line feed)."""
    for first, text in text_blocks(raw):
        yield from enumerate(text.removesuffix("\n").split("\n"), first)


def head(raw: RawFile) -> str:
    """Return the first megabyte or so of text; empty for an empty file."""
    return next(text_blocks(raw), (1, ""))[1]
