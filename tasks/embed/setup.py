"""From a request to a job: input opened, model chosen and checked against it, output format settled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TextIO

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.choices import KIND_WORDS, parse_layers
from bio_xlstm.tasks.embed.assemble import embed_unit
from bio_xlstm.tasks.embed.compute import Embedder
from bio_xlstm.tasks.embed.request import EmbedRequest
from bio_xlstm.tasks.files.job import ROW_BYTES, FileJob
from bio_xlstm.tasks.files.opening import Say, batch_tokens, describe, open_input, preparation_for
from bio_xlstm.tasks.files.places import check_output
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers import choose_format
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Column, Result
from bio_xlstm.tasks.writers.text import SEPARATORS, TableWriter

_NUMBER_BYTES = {"fp32": 4, "fp16": 2, "bf16": 4}
_TEXT_BYTES = 12  # of a number in a table


@dataclass(frozen=True, kw_only=True)
class Job(FileJob):
    """Hold everything that is settled before the first record is embedded."""

    smaller: ClassVar[str] = "--store-dtype fp16, fewer --layers or --shard"

    request: EmbedRequest
    worker: Embedder
    columns: tuple[Column, ...]

    def compute(self, ready: Sequence[Ready]) -> Part:
        """Embed the rows of one unit."""
        request = self.request
        return embed_unit(
            ready, self.worker, self.columns, request.store_dtype, request.on_error, self.source.name
        )

    def result(
        self, provenance: Provenance, facts: Mapping[str, int], read_parts: Callable[[], Iterable[Part]]
    ) -> Result:
        """Describe finished parts for the writers."""
        store, per_token = self.request.store_dtype, self.request.per_token
        return Result(self.columns, store, per_token, provenance, facts, lambda: iter(read_parts()))

    def table(self, stream: TextIO) -> TableWriter:
        """Begin a table on standard output."""
        return TableWriter(stream, self.columns, SEPARATORS[self.form.name])

    def sizes(self) -> tuple[int, int]:
        """Estimate the bytes of the output, and of the parts that lie beside it until it is complete."""
        vectors = self.survey.letters if self.request.per_token else self.survey.records
        numbers = vectors * sum(column.width for column in self.columns)
        rows = self.survey.records * ROW_BYTES + self.survey.names
        parts = rows + numbers * _NUMBER_BYTES[self.request.store_dtype]
        return rows + numbers * _TEXT_BYTES if self.form.name in SEPARATORS else parts, parts

    def planned(self) -> str:
        """Say what the output will hold."""
        what = "tokens" if self.request.per_token else "rows"
        count = self.survey.letters if self.request.per_token else self.survey.records
        widths = " or ".join(f"{width:,}" for width in sorted({column.width for column in self.columns}))
        vectors = "" if len(self.columns) == 1 else f"{len(self.columns)} vectors of "
        return f"{count:,} {what} of {vectors}{widths} numbers"


def open_job(request: EmbedRequest, say: Say) -> Job:
    """Check a request from end to end and load the model; raises before any work is done.

    InputError, ModelError, ConfigError and OutputError say what does not fit.
    """
    check_output(request)
    source, name, model = open_input(request, say)
    layers = parse_layers(request.layers, model.layer_count)
    pairs = [(layer, pool) for layer in layers for pool in request.pools]
    form = choose_format(request.output, request.format, per_token=request.per_token, columns=len(pairs))
    if request.rc in ("average", "concat") and model.tokenizer.complement is None:
        raise ConfigError(f"--rc {request.rc} is for DNA; {model.name} reads {KIND_WORDS[model.kind]}")
    indices = tuple(model.layer_index(int(layer)) for layer in layers)
    embedder = Embedder(
        model=model,
        batch_tokens=batch_tokens(request, model),
        pools=request.pools,
        layers=indices,
        rc=request.rc,
    )
    widths = column_widths(embedder)
    columns = tuple(
        Column(model.layer_index(int(layer)), layer, pool, widths[model.layer_index(int(layer)), pool])
        for layer, pool in pairs
    )
    return Job(
        request=request,
        source=source,
        worker=embedder,
        preparation=preparation_for(request, model),
        form=form,
        provenance=describe(request, source, model, name, form, embedder.batch_tokens),
        columns=columns,
    )


def column_widths(embedder: Embedder) -> dict[tuple[int, str], int]:
    """Return the width of every column, measured on a sequence of one token."""
    tokenizer = embedder.model.tokenizer
    token = np.flatnonzero(tokenizer.targets)[:1].astype(tokenizer.dtype)
    (result,) = embedder([token])
    assert result.result is not None, "one token always fits"
    return {key: vectors.shape[-1] for key, vectors in result.result.items()}
