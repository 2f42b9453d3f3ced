"""The files that `generate` writes: tables, SMILES and FASTA."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import IO, NamedTuple

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.generate.acceptance import Accepted
from bio_xlstm.tasks.generate.words import FORMATS
from bio_xlstm.tasks.writers.text import text_file

COLUMNS = ("sequence", "logprob", "valid", "canonical", "unique", "novel", "index", "seed")
MORE = ("length", "perplexity", "ended", "notes")
# letters in a line of FASTA
LINE = 60


class Table(NamedTuple):
    """Hold what was taken, and what the columns need beside it."""

    rows: Sequence[Accepted]
    seed: int
    properties: tuple[str, ...] = ()
    canonical: bool = True  # whether the canonical form is another than the sequence

    def cells(self) -> Iterator[list[str]]:
        """Yield the rows as text."""
        for candidate, unique, novel in self.rows:
            canonical = candidate.canonical if self.canonical else ""
            yield [
                candidate.sequence,
                f"{candidate.logprob:.4f}",
                _yes(candidate.valid),
                canonical,
                _yes(unique),
                "" if novel is None else _yes(novel),
                str(candidate.number),
                str(self.seed),
                str(candidate.length),
                f"{candidate.perplexity:.4f}",
                _yes(candidate.ended),
                "; ".join(candidate.notes),
                *map(str, candidate.measured or [""] * len(self.properties)),
            ]

    @property
    def header(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return (*COLUMNS, *MORE, *self.properties)


def choose_format(output: str, asked: str | None, kind: str) -> str:
    """Return the format asked for, else the one of the suffix; ConfigError for one that does not fit."""
    name = asked or _by_suffix(output)
    if name is None:
        suffixes = ", ".join(suffix for group in FORMATS.values() for suffix in group)
        raise ConfigError(
            f"{output}: the suffix names no format; known are {suffixes} (also .gz), or --format"
        )
    wrong = {"smi": kind != "smiles", "fasta": kind not in ("protein", "dna")}.get(name, False)
    if wrong:
        words = "molecules" if name == "smi" else "proteins and DNA"
        raise ConfigError(f"{output}: {name} is for {words}; .csv holds everything")
    return name


def _by_suffix(output: str) -> str | None:
    if output == "-":
        return "csv"
    plain = output.lower().removesuffix(".gz")
    return next((name for name, group in FORMATS.items() if plain.endswith(group)), None)


def write_table(form: str, table: Table, stream: IO[str]) -> None:
    """Write rows to a text stream."""
    if form in _SEPARATORS:
        writer = csv.writer(stream, delimiter=_SEPARATORS[form], lineterminator="\n")
        writer.writerow(table.header)
        writer.writerows(table.cells())
    else:
        stream.writelines(_PLAIN[form](table.rows))


def store_table(form: str, table: Table, path: Path) -> None:
    """Write rows to a file, compressed where its name says so."""
    with text_file(path) as stream:
        write_table(form, table, stream)


def left_out(form: str, rows: Iterable[Accepted]) -> int:
    """Return how many sequences a format has no line for: a SMILES without atoms would be read as its own name."""
    return sum(not row.candidate.sequence for row in rows) if form == "smi" else 0


def _smiles(rows: Iterable[Accepted]) -> Iterator[str]:
    for candidate, _, _ in rows:
        mark = "" if candidate.valid else " [not valid]" if candidate.ended else " [unfinished]"
        if candidate.sequence:
            yield f"{candidate.sequence} sample-{candidate.number}{mark}\n"


def _fasta(rows: Iterable[Accepted]) -> Iterator[str]:
    for candidate, _, _ in rows:
        notes = "".join(f" [{note}]" for note in candidate.notes)
        yield (
            f">sample-{candidate.number} logprob={candidate.logprob:.4f} "
            f"perplexity={candidate.perplexity:.4f}{notes}\n"
        )
        yield from (f"{line}\n" for line in wrap(candidate.sequence, LINE))


def _yes(value: bool) -> str:
    return "true" if value else "false"


_SEPARATORS = {"csv": ",", "tsv": "\t"}
_PLAIN: dict[str, Callable[[Iterable[Accepted]], Iterator[str]]] = {"smi": _smiles, "fasta": _fasta}
# how a user reads the file back
HINTS = {
    "csv": 'import pyarrow.csv as csv; table = csv.read_csv("{path}")',
    "tsv": 'import pyarrow.csv as csv; table = csv.read_csv("{path}", parse_options=csv.ParseOptions(delimiter="\\t"))',
    "smi": 'from bio_xlstm.records import open_records; smiles = [r.text for r in open_records("{path}")]',
    "fasta": 'from bio_xlstm.records import open_records; sequences = [r.text for r in open_records("{path}")]',
}
