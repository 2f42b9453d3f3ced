"""Which learner reads a support: the one asked for, else the bundled one for the kind of sequence found."""

from collections.abc import Callable

from bio_xlstm.errors import InputError, ModelError
from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.directory import DEFAULT, is_in_context, load_in_context
from bio_xlstm.in_context.learner import Learner
from bio_xlstm.in_context.linear import LinearLearner
from bio_xlstm.models.directory import DEFAULT_MODELS, load
from bio_xlstm.tasks.assay.reading import read_whole
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype
from bio_xlstm.tasks.in_context.table import SUPPORT_COLUMN

# the bundled learner for each kind of sequence; of proteins and DNA, any language model is one
DEFAULT_LEARNERS = {**DEFAULT_MODELS, "smiles": DEFAULT}

Say = Callable[[str], None]


def load_learner(name: str, *, device: str, dtype: str, backend: str) -> Learner:
    """Load a learner; its language model, which takes the time, runs as asked for, the rest on the CPU.

    A directory holds an in-context learner, or a language model of proteins or DNA; ModelError for one of molecules.
    """
    learner = load_in_context(name) if is_in_context(name) else _of_language_model(name)
    # the hash of its weights is compared before they are converted
    language_model = learner.language_model
    language_model.to(device=choose_device(device), dtype=choose_dtype(dtype))
    choose_backend(backend, language_model.device, language_model.dtype)
    language_model.use_backend(backend)
    return learner


def _of_language_model(name: str) -> Learner:
    """Make a learner of a language model; molecules have one that was trained for them."""
    model = load(name)
    if model.kind == "smiles":
        raise ModelError(f"{name} is no in-context learner; the bundled one is {DEFAULT}")
    if model.kind not in DEFAULT_LEARNERS:
        raise ModelError(f"{name} reads {KIND_WORDS[model.kind]}; supports hold molecules, proteins or DNA")
    return LinearLearner(model)


def learner_for_support(path: str, column: str | None, kind: str | None, say: Say) -> str:
    """Name the bundled learner for what a table of labelled examples holds, or for the kind that is known."""
    found = kind or _kind_of_table(path, column)
    name = DEFAULT_LEARNERS[found]
    if found != "smiles" and kind is None:
        say(f"{path} holds {KIND_WORDS[found]}: using the bundled model {name} (-m chooses another)")
    return name


def learner_for_state(path: str) -> str:
    """Name the bundled learner for what an assay state was made of; ModelError where the file is none."""
    return DEFAULT_LEARNERS.get(kind_of_state(path), DEFAULT)


def kind_of_state(path: str) -> str:
    """Return the kind of sequence that an assay state was made of; ModelError where the file is none."""
    # states of before there were several learners are of molecules, and do not say so
    return str(AssayState.load(path).facts.get("kind", "smiles"))


def _kind_of_table(path: str, column: str | None) -> str:
    """Return the kind of sequence that a table holds, molecules where it does not tell; InputError for no table."""
    try:
        return read_whole(path, column=column, kind=None, limit=None, option=SUPPORT_COLUMN).kind
    except InputError:
        return read_whole(path, column=column, kind="smiles", limit=None, option=SUPPORT_COLUMN).kind
