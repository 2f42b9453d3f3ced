"""Inputs opened as what they are: a genome's variants, a scan, or a table of mutations."""

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from bio_xlstm.errors import ConfigError, InputError, SequenceError
from bio_xlstm.records import open_records
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.variants.prepare import (
    ScanPreparation,
    TablePreparation,
    VariantPreparation,
    VcfPreparation,
)
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.scan_input import ScanSource
from bio_xlstm.tasks.variants.source import VariantSource
from bio_xlstm.tasks.variants.table_input import (
    Columns,
    ListSource,
    TableSource,
    check_wildtype,
    open_table,
)
from bio_xlstm.tasks.variants.vcf_input import VcfSource
from bio_xlstm.tasks.variants.wild_types import WildTypes, check_several, read_wild_types
from bio_xlstm.tasks.variants.words import WINDOW
from bio_xlstm.variants.genome import Genome
from bio_xlstm.variants.mutations import LETTERS, parse_mutations

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# rows in which mutations are looked for
_LOOKED_AT = 20


def open_source(
    request: VariantRequest, model: "SequenceModel"
) -> tuple[VariantSource, VariantPreparation, bool]:
    """Open the input as what it is; tell whether wild types are known."""
    shared: dict[str, Any] = {
        "tokenizer": model.tokenizer,
        "chemistry": False,
        "max_length": request.max_length,
        "model": model,
    }
    if request.genome is not None:
        width = request.window or WINDOW
        file = open_records(request.input, kind="dna", input_format="lines")
        source: VariantSource = VcfSource(file, width)
        return source, VcfPreparation(**shared, genome=Genome(request.genome), width=width), True
    if model.kind not in LETTERS:
        raise ConfigError(f"variants are of proteins or DNA; {model.name} reads {KIND_WORDS[model.kind]}")
    if request.scan:
        file = open_records(
            request.input, kind=request.kind, column=request.column, input_format=request.input_format
        ).with_kind(model.kind)
        return ScanSource(file, model.tokenizer), ScanPreparation(**shared), True
    wild = None if request.wildtype is None else read_wild_types(request.wildtype, model.tokenizer)
    table = open_table(request, model.kind, 0 if wild is None else wild.longest)
    table = replace(table, found=_checked(table, request, wild))
    found = table.found
    known = wild is not None or found.wild_sequence is not None or found.mutant is not None
    return table, TablePreparation(**shared, columns=found, wild_types=wild, offset=request.offset), known


def _checked(table: TableSource | ListSource, request: VariantRequest, wild: WildTypes | None) -> Columns:
    """Return the columns of a table, those of mutations only where they hold mutations."""
    found = table.found
    if wild is not None:
        check_several(wild, found.wild_id)
    problem = _no_mutations(table, found.mutant, request.offset)
    if found.mutant is not None and problem:
        if found.sequence is None or request.mutant_column is not None:
            raise InputError(f"{table.name}: column {found.mutant!r} holds no mutations: {problem}")
        found = found._replace(mutant=None)
    check_wildtype(request, found)
    return found


def _no_mutations(table: TableSource | ListSource, column: str | None, offset: int) -> str:
    """Say why the first cells of a column are no mutations; empty where one of them is."""
    problem = ""
    for record in islice(iter(table), _LOOKED_AT) if column is not None else ():
        text = (record.fields or {}).get(str(column), "")
        if not text.strip():
            continue
        try:
            parse_mutations(text, offset)
        except SequenceError as error:
            problem = problem or str(error)
        else:
            return ""
    return problem
