"""From a request to a job: input opened, model chosen and checked against it, output format settled."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TextIO

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.models.directory import default_model, load
from bio_xlstm.records import KINDS, RecordSource, open_records
from bio_xlstm.tasks.catalogue import ModelSummary, summarise
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype, device_memory, dtype_name
from bio_xlstm.tasks.embed.assemble import embed_unit
from bio_xlstm.tasks.embed.compute import Embedder
from bio_xlstm.tasks.embed.places import check_output
from bio_xlstm.tasks.embed.prepare import Preparation, Ready
from bio_xlstm.tasks.embed.request import EmbedRequest, parse_layers
from bio_xlstm.tasks.file_job import FileJob
from bio_xlstm.tasks.file_request import FileRequest
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers import choose_format
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tasks.writers.result import Column, Format, Result
from bio_xlstm.tasks.writers.text import SEPARATORS, TableWriter

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

KIND_WORDS = {"dna": "DNA", "protein": "proteins", "smiles": "molecules", "tokens": "token ids"}
Say = Callable[[str], None]


_NUMBER_BYTES = {"fp32": 4, "fp16": 2, "bf16": 4}
_TEXT_BYTES = 12  # of a number in a table
ROW_BYTES = 64  # status and the rest, without the id


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


def preparation_for(request: FileRequest, model: "SequenceModel") -> Preparation:
    """Return what turns records into token ids for a model."""
    chemistry = model.kind == "smiles" and not request.allow_invalid
    return Preparation(model.tokenizer, chemistry, request.max_length)


def batch_tokens(request: FileRequest, model: "SequenceModel") -> int:
    """Return how many tokens are computed at once: as asked for, else what fits the model and the device."""
    memory = device_memory(str(model.device))
    return request.batch_tokens or auto_batch_tokens(model.config.dim, memory, causal=model.causal)


def open_input(request: FileRequest, say: Say) -> tuple[RecordSource, str, "SequenceModel"]:
    """Open the input, choose the model for it, and load the model when the two fit together."""
    source = open_source(request)
    name = choose_model(request, source, say)
    check_kind(source, summarise(name), request)
    model = load(name, device=choose_device(request.device), dtype=choose_dtype(request.dtype))
    choose_backend(request.backend, model.device, model.dtype)  # refuses what cannot run
    return source, name, model.use_backend(request.backend)


def open_source(request: FileRequest) -> RecordSource:
    """Open the input; what it does not tell about its kind, the model tells."""
    choices = {"column": request.column, "input_format": request.input_format}
    source = open_records(request.input, kind=request.kind, **choices)
    asked = None if request.model is None else summarise(request.model).kind
    if asked is not None and asked not in KINDS:
        # numbers look like anything
        return source.with_kind(asked)
    try:
        _ = source.kind
    except InputError:
        if asked is None:
            raise
        return source.with_kind(asked)
    return source


def choose_model(request: FileRequest, source: RecordSource, say: Say) -> str:
    """Return the model asked for, or the bundled one for what the input holds, and name it."""
    if request.model is not None:
        return request.model
    name = default_model(source.kind, causal=request.causal)
    say(f"{source.name} holds {KIND_WORDS[source.kind]}: using the bundled model {name} (-m chooses another)")
    return name


def check_kind(source: RecordSource, model: ModelSummary, request: FileRequest) -> None:
    """Refuse an input of another modality than the model's."""
    if source.kind == model.kind:
        return
    fitting = default_model(source.kind, causal=request.causal)
    hint = f", or --kind {model.kind} if the file does hold {KIND_WORDS[model.kind]}"
    raise InputError(
        f"{source.name} holds {KIND_WORDS[source.kind]}, but the model {model.name} reads "
        f"{KIND_WORDS[model.kind]}; use -m {fitting}{'' if request.kind else hint}"
    )


def auto_batch_tokens(dim: int, memory: int | None, *, causal: bool) -> int:
    """Return a token budget: a function of the model and the device alone, so that a resumed run cuts equal units."""
    per_token = 128 * dim  # bytes of activations alive at a time, measured generously
    room = 64 << 20 if memory is None else memory // 4
    tokens = 1 << max(room // per_token, 1).bit_length() - 1
    # other models read longer sequences in windows of this size
    return int(min(max(tokens, 1024 if causal else 16384), 262_144))


def column_widths(embedder: Embedder) -> dict[tuple[int, str], int]:
    """Return the width of every column, measured on a sequence of one token."""
    tokenizer = embedder.model.tokenizer
    token = np.flatnonzero(tokenizer.targets)[:1].astype(tokenizer.dtype)
    (result,) = embedder([token])
    assert result.result is not None, "one token always fits"
    return {key: vectors.shape[-1] for key, vectors in result.result.items()}


def describe(
    request: FileRequest,
    source: RecordSource,
    model: "SequenceModel",
    name: str,
    form: Format,
    batch_tokens: int,
) -> Provenance:
    """Write down what makes the output what it is."""
    return Provenance(
        command=request.command,
        command_line=request.command_line,
        model=model.name,
        weight_hash=model.weight_hash(),
        licence=summarise(name).licence or "not stated",
        backend=choose_backend(request.backend, model.device, model.dtype),
        dtype=dtype_name(request.dtype),
        device=model.device.type,
        seed=request.seed,
        input=Path(source.name).name,
        input_sha256=source.fingerprint(),
        options=request.settings() | {"--format": form.name, "--batch-tokens": str(batch_tokens)},
    )
