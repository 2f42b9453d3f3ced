"""VCF: lines as they stand, and the alleles in them."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from bio_xlstm.errors import InputError, SequenceError
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.records.text import numbered_lines
from bio_xlstm.variants.genome import Genome
from bio_xlstm.variants.windows import Windows, cut_windows

COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
MISSING = "."
# columns that every line needs
_NEEDED = 5
_BASES = re.compile("[ACGTN]+")
_AMBIGUOUS = str.maketrans("BDHKMRSVWXY", "N" * 11)


class Allele(NamedTuple):
    """Hold one alternative of one line."""

    line: int
    columns: tuple[str, ...]
    """The line's columns, with this alternative alone in ALT."""

    def name(self) -> str:
        """Name the variant as people do, chr1:12345:A>G."""
        chrom, position, _, reference, alternative, *_ = self.columns
        return f"{chrom}:{position}:{reference}>{alternative}"


def vcf_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a VCF, compressed or not; InputError where it is none."""
    raw = RawFile(path)
    header = False
    for number, line in numbered_lines(raw):
        line = line.rstrip("\r")
        if not line.startswith("#") and line.strip() and not header:
            raise InputError(
                f"{raw.name} line {number}: no header line (#CHROM ...) stands before this; is it a VCF?"
            )
        header = header or line.startswith("#CHROM")
        yield number, line
    if not header:
        raise InputError(f"{raw.name}: there is no header line (#CHROM ...); is it a VCF?")


def alleles(number: int, line: str) -> list[Allele]:
    """Return the alternatives of a line, one at least; none for header lines and blank ones."""
    if not line.strip() or line.startswith("#"):
        return []
    columns = line.split("\t")
    columns += [MISSING] * (len(COLUMNS) - len(columns))
    return [
        Allele(number, (*columns[:4], alternative, *columns[5 : len(COLUMNS)]))
        for alternative in columns[4].split(",")
    ]


def allele_windows(allele: Allele, genome: Genome, width: int) -> Windows:
    """Cut the windows of an allele out of the genome; SequenceError says why there are none."""
    chrom, position, _, reference, alternative, *_ = allele.columns
    reference, alternative = reference.upper(), alternative.upper()
    if MISSING in (position, reference) or not position.isdecimal() or int(position) < 1:
        raise SequenceError(
            f"line {allele.line} is no variant: expected {', '.join(COLUMNS[:_NEEDED])} parted by tabs"
        )
    if problem := _unreadable(alternative):
        raise SequenceError(problem)
    if not _BASES.fullmatch(reference):
        raise SequenceError(f"REF {reference!r} holds letters other than A, C, G, T and N")
    contig = genome.contig(chrom)
    if contig is None:
        raise SequenceError(f"{genome.source.name} has no sequence {chrom!r}")
    begin = int(position) - 1
    there = contig[begin : begin + len(reference)].translate(_AMBIGUOUS)
    if there != reference:
        has = f"has {there!r} there" if there else f"ends at {chrom}:{len(contig)}"
        raise SequenceError(f"REF is {reference!r}, but {genome.source.name} {has}: is it another assembly?")
    if reference == alternative:
        raise SequenceError("ALT is the same as REF")
    return cut_windows(contig, begin, reference, alternative, width)


def _unreadable(alternative: str) -> str:
    """Say why an alternative stands for no letters."""
    if alternative in (MISSING, ""):
        return "there is no alternative allele"
    if alternative == "*":
        return "ALT * stands for an allele that another deletion removes"
    if alternative.startswith("<") or set(alternative) & set("[]"):
        return f"ALT {alternative} is symbolic: its letters are not given"
    if not _BASES.fullmatch(alternative):
        return f"ALT {alternative!r} holds letters other than A, C, G, T and N"
    return ""
