"""From a request to a job: input opened, model chosen and checked against it, output format settled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.models.directory import default_model, load
from bio_xlstm.records import KINDS, Record, RecordSource, open_records
from bio_xlstm.tasks.catalogue import ModelSummary, summarise
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype, device_memory, dtype_name
from bio_xlstm.tasks.embed.compute import Embedder
from bio_xlstm.tasks.embed.places import check_output
from bio_xlstm.tasks.embed.prepare import Preparation
from bio_xlstm.tasks.embed.request import EmbedRequest, parse_layers
from bio_xlstm.tasks.embed.units import Survey, cut_units, selected, survey, unit_tokens
from bio_xlstm.tasks.finished import finished_record
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers import choose_format
from bio_xlstm.tasks.writers.result import Column, Format

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

KIND_WORDS = {"dna": "DNA", "protein": "proteins", "smiles": "molecules", "tokens": "token ids"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """Hold everything that is settled before the first record is embedded."""

    request: EmbedRequest
    source: RecordSource
    embedder: Embedder
    preparation: Preparation
    columns: tuple[Column, ...]
    form: Format
    provenance: Provenance

    @property
    def model(self) -> "SequenceModel":
        """Return the model."""
        return self.embedder.model

    def records(self) -> Iterator[Record]:
        """Yield the records of this run: all, or those of its limit and shard."""
        return selected(self.source, self.request.limit, self.request.shard)

    def units(self) -> Iterator[list[Record]]:
        """Yield the units of work."""
        return cut_units(self.records(), unit_tokens(self.embedder.batch_tokens, self.request.per_token))

    @cached_property
    def survey(self) -> Survey:
        """Count the records of this run; reads the input once."""
        return survey(self.records())

    def finished(self) -> Mapping[str, Any] | None:
        """Return the record of the output where it is complete; OutputError where it may not be replaced."""
        output, read = Path(self.request.output), self.form.read_record
        return finished_record(output, self.provenance, read, self.request.overwrite, folder=self.form.folder)


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
    budget = request.batch_tokens or auto_batch_tokens(
        model.config.dim, device_memory(str(model.device)), causal=model.causal
    )
    embedder = Embedder(model, request.pools, indices, request.rc, budget)
    widths = column_widths(embedder)
    columns = tuple(
        Column(model.layer_index(int(layer)), layer, pool, widths[model.layer_index(int(layer)), pool])
        for layer, pool in pairs
    )
    chemistry = model.kind == "smiles" and not request.allow_invalid
    preparation = Preparation(model.tokenizer, chemistry, request.max_length)
    provenance = describe(request, source, model, name, form, budget)
    return Job(request, source, embedder, preparation, columns, form, provenance)


def open_input(request: EmbedRequest, say: Say) -> tuple[RecordSource, str, "SequenceModel"]:
    """Open the input, choose the model for it, and load the model when the two fit together."""
    source = open_source(request)
    name = choose_model(request, source, say)
    check_kind(source, summarise(name), request)
    model = load(name, device=choose_device(request.device), dtype=choose_dtype(request.dtype))
    choose_backend(request.backend, model.device, model.dtype)  # refuses what cannot run
    return source, name, model.use_backend(request.backend)


def open_source(request: EmbedRequest) -> RecordSource:
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


def choose_model(request: EmbedRequest, source: RecordSource, say: Say) -> str:
    """Return the model asked for, or the bundled one for what the input holds, and name it."""
    if request.model is not None:
        return request.model
    name = default_model(source.kind)
    say(f"{source.name} holds {KIND_WORDS[source.kind]}: using the bundled model {name} (-m chooses another)")
    return name


def check_kind(source: RecordSource, model: ModelSummary, request: EmbedRequest) -> None:
    """Refuse an input of another modality than the model's."""
    if source.kind == model.kind:
        return
    hint = f", or --kind {model.kind} if the file does hold {KIND_WORDS[model.kind]}"
    raise InputError(
        f"{source.name} holds {KIND_WORDS[source.kind]}, but the model {model.name} reads "
        f"{KIND_WORDS[model.kind]}; use -m {default_model(source.kind)}{'' if request.kind else hint}"
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
    assert result.vectors is not None, "one token always fits"
    return {key: vectors.shape[-1] for key, vectors in result.vectors.items()}


def describe(
    request: EmbedRequest,
    source: RecordSource,
    model: "SequenceModel",
    name: str,
    form: Format,
    batch_tokens: int,
) -> Provenance:
    """Write down what makes the output what it is."""
    return Provenance(
        command="embed",
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
