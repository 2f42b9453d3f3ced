"""What every command that reads a file of records begins with: the input opened, and a model chosen that reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bio_xlstm.errors import InputError
from bio_xlstm.models.directory import default_model, load
from bio_xlstm.records import KINDS, RecordSource, open_records
from bio_xlstm.tasks.catalogue import ModelSummary, summarise
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype, device_memory, dtype_name
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tasks.files.request import FileRequest
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.writers.result import Format

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

Say = Callable[[str], None]


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
    return with_known_kind(open_records(request.input, kind=request.kind, **choices), request)


def with_known_kind(source: RecordSource, request: FileRequest) -> RecordSource:
    """Return an open input as one whose kind is known: by itself, else by the model asked for."""
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
