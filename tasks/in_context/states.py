"""Files of assay states: a support read once and used as often as needed, and what such a file says of itself."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from bio_xlstm.errors import ModelError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.tasks.catalogue import licence
from bio_xlstm.tasks.device import choose_backend, dtype_name
from bio_xlstm.tasks.generate.streams import kept
from bio_xlstm.tasks.in_context.learners import DEFAULT_LEARNERS, learner_for_support, load_learner
from bio_xlstm.tasks.in_context.opening import Opened, Say, open_support
from bio_xlstm.tasks.in_context.request import SupportOptions
from bio_xlstm.tasks.progress import size
from bio_xlstm.tasks.provenance import Provenance
from bio_xlstm.tasks.state_files import COMMAND, check_new, store_state
from bio_xlstm.tasks.writers.result import beside_record, read_json
from bio_xlstm.tokenizers.tokenizer import counted

# what a library is called in an example
_LIBRARIES = {"smiles": "new.smi", "protein": "new.fasta", "dna": "new.fasta"}


@dataclass(frozen=True, kw_only=True)
class AssayStateRequest(SupportOptions):
    """Hold the options of `state build --support`; the names are those of the command line."""

    output: str
    model: str | None = None  # None: the bundled learner for the kind of sequence found
    device: str = "auto"
    dtype: str = "auto"
    backend: str = "auto"
    overwrite: bool = False
    command_line: str = ""


def build_assay_state(request: AssayStateRequest, say: Say = lambda line: None) -> tuple[str, ...]:
    """Read labelled examples into a state file, with its provenance beside it; return what to tell the user.

    Raises InputError, ModelError, ConfigError and OutputError.
    """
    output = Path(request.output)
    check_new(request.support, request.output, overwrite=request.overwrite)
    with kept(request.support) as held:
        assert held is not None
        name = request.model or learner_for_support(
            held.path, request.support_column, None, lambda line: say(held.renamed(line))
        )
        learner = load_learner(name, device=request.device, dtype=request.dtype, backend=request.backend)
        opened = open_support(learner, request, held, say)
    state = opened.assay.state
    store_state(output, state.save, _provenance(request, name, opened), examples=state.facts["examples"])
    # predict finds the bundled learner by itself
    chosen = "" if name == DEFAULT_LEARNERS[learner.kind] else f" -m {name}"
    return (
        f"wrote {output} ({size(output.stat().st_size)})",
        f"{counted(state.facts['examples'], 'example')} of {state.facts['target']}, for the learner {learner.name}",
        f"use: bioxlstm predict --state {output}{chosen} {_LIBRARIES[learner.kind]} -o predictions.csv",
    )


def is_assay_state(path: str) -> bool:
    """Tell whether a file is an assay state rather than another state; ModelError where it is none at all."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return "assay state" in (file.metadata() or {}).get("format", "")
    except SafetensorError as error:
        raise ModelError(f"{path} is no state file, or a damaged one ({error})") from None
    except OSError as error:
        raise ModelError(f"cannot read the state {path}: {error}") from None


def describe_assay(path: str) -> dict[str, str]:
    """Say what an assay state holds; ModelError where it is damaged."""
    state = AssayState.load(path)
    facts, record = state.facts, read_json(beside_record(Path(path))) or {}
    classes = facts.get("classes") or []
    found = {
        "learner": str(facts.get("learner", "not stated")),
        "model hash": state.model_hash,
        "predicts": str(facts.get("target", "not stated")),
        "task": str(facts.get("task", "not stated")) + (f" ({classes[1]!r} is positive)" if classes else ""),
        "support": f"{facts.get('source', 'not stated')}: {counted(facts.get('examples', 0), 'example')}",
        "bytes": f"{Path(path).stat().st_size:,}",
    }
    if facts.get("positive") is not None:
        found["support"] += f", {facts['positive']:,} of them positive"
    if record:
        found["made by"] = record["command_line"] or "Python"
    return found


def _provenance(request: AssayStateRequest, name: str, opened: Opened) -> Provenance:
    """Write down what makes the state what it is."""
    learner = opened.assay.learner
    model = learner.language_model
    return Provenance(
        command=COMMAND,
        command_line=request.command_line,
        model=learner.name,
        weight_hash=opened.assay.state.model_hash,
        licence=licence(name) or "not stated",
        backend=choose_backend(request.backend, model.device, model.dtype),
        dtype=dtype_name(request.dtype),
        device=model.device.type,
        seed=0,
        input=Path(opened.assay.state.facts["source"]).name,
        input_sha256=opened.fingerprint,
        options={
            "--support-column": str(request.support_column),
            "--target": str(request.target),
            "--relation-column": str(request.relation_column),
            "--task": str(request.task),
        },
    )
