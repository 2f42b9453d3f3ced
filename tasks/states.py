"""State files: any amount of context read into a memory of fixed size, and what such a file says of itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bio_xlstm.context import read_context
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.directory import default_model, load
from bio_xlstm.records import open_records
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.catalogue import licence
from bio_xlstm.tasks.choices import check_seed
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype, dtype_name
from bio_xlstm.tasks.generate.contexts import Extent, read_contexts
from bio_xlstm.tasks.generate.streams import kept
from bio_xlstm.tasks.generate.words import NOUNS
from bio_xlstm.tasks.in_context.states import describe_assay, is_assay_state
from bio_xlstm.tasks.progress import size
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.state_files import check_new, store_state
from bio_xlstm.tasks.writers.result import beside_record, read_json
from bio_xlstm.tokenizers.tokenizer import counted

# tokens that are read at once
READ_AT_ONCE = 8192


@dataclass(frozen=True, kw_only=True)
class StateRequest:
    """Hold the options of `state build`; the names are those of the command line."""

    input: str
    output: str
    model: str | None = None
    context_tokens: int | None = None  # None: all there are
    context_size: int | None = None
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    overwrite: bool = False
    command_line: str = ""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name in ("context_tokens", "context_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, not {value}")


def build_state(request: StateRequest, say: Callable[[str], None] = lambda line: None) -> tuple[str, ...]:
    """Read a context into a state file, with its provenance beside it; return what to tell the user.

    The same context given to `generate` or `score` has the same effect. Raises InputError, ModelError, ConfigError
    and OutputError.
    """
    check_new(request.input, request.output, overwrite=request.overwrite)
    with kept(request.input) as source:
        assert source is not None
        readable = replace(request, input=source.path)
        return _build_state(readable, lambda line: say(source.renamed(line)), source.renamed)


def _build_state(
    request: StateRequest, say: Callable[[str], None], renamed: Callable[[str], str]
) -> tuple[str, ...]:
    """Do so for an input that can be read several times."""
    output = Path(request.output)
    name = request.model or default_model(open_records(request.input).kind, causal=True)
    if request.model is None:
        say(f"reading {request.input} with the bundled model {name} (-m chooses another)")
    model = load(name, device=choose_device(request.device), dtype=choose_dtype(request.dtype))
    backend = choose_backend(request.backend, model.device, model.dtype)
    model.use_backend(request.backend)
    extent = Extent(request.context_tokens, request.context_size, contexts=1)
    (members,) = read_contexts(request.input, model.tokenizer, extent, request.seed, say)
    state = read_context(model, members, batch_tokens=READ_AT_ONCE)
    source = open_records(request.input)
    provenance = Provenance(
        command="state build",
        command_line=request.command_line,
        model=model.name,
        weight_hash=model.weight_hash(),
        licence=licence(name) or "not stated",
        backend=backend,
        dtype=dtype_name(request.dtype),
        device=model.device.type,
        seed=request.seed,
        input=Path(renamed(source.name)).name,
        input_sha256=source.fingerprint(),
        options={
            "--context-tokens": str(request.context_tokens),
            "--context-size": str(request.context_size),
        },
    )
    store_state(output, state.save, provenance, members=len(members), tokens=int(state.position[0]))
    # a state belongs to the weights as they were rounded
    precision = dtype_name(request.dtype)
    lower = "" if precision == dtype_name("auto") else f" --dtype {precision}"
    read = counted(int(state.position[0]), "token")
    return (
        f"wrote {output} ({size(output.stat().st_size)})",
        f"{counted(len(members), NOUNS[model.kind])}, {read}, for the model {model.name}",
        f"use: bioxlstm generate --state {output} -m {request.model or name}{lower} -n 100 -o new.csv",
    )


def describe_state(path: str) -> dict[str, str]:
    """Say what a state file holds, of a context or of an assay; ModelError where it is none."""
    if is_assay_state(path):
        return describe_assay(path)
    state = ModelState.load(path)
    record = read_json(beside_record(Path(path))) or {}
    found = {
        "model": str(record.get("model", "not stated")),
        "model hash": state.model_hash,
        "sequences": f"{len(state):,}",
        "tokens": ", ".join(f"{int(read):,}" for read in state.position),
        "blocks": f"{len(state.blocks)}",
        "bytes": f"{Path(path).stat().st_size:,}",
    }
    if record:
        found |= {
            "context": f"{record['input']} ({record['input_sha256'][:12]}), {record['members']:,} members",
            "made by": record["command_line"] or "Python",
        }
    return found
