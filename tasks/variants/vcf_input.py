"""Variants of a genome: one record per alternative allele of a VCF."""

from collections.abc import Iterator
from dataclasses import dataclass

from bio_xlstm.records import Record
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.variants.vcf import COLUMNS, Allele, alleles, vcf_lines


@dataclass(frozen=True)
class VcfSource(VariantSource):
    """Yield a record per alternative; its fields are the first columns of the VCF, with that alternative in ALT."""

    width: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that every VCF has."""
        return COLUMNS

    def __iter__(self) -> Iterator[Record]:
        """Yield the alternatives, line by line."""
        row = 0
        for number, line in vcf_lines(self.file.path):
            for allele in alleles(number, line):
                fields = dict(zip(COLUMNS, allele.columns, strict=True))
                yield Record(row, allele.name(), "", number, fields=fields)
                row += 1

    def letters(self, record: Record) -> int:
        """Return the letters of both windows."""
        return 2 * self.width


def allele_of(record: Record) -> Allele:
    """Return the allele that a record stands for."""
    assert record.fields is not None
    return Allele(record.line, tuple(record.fields[name] for name in COLUMNS))
