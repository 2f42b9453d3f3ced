"""What predictions from a support begin with: the learner loaded, and an assay state read from a table or a file."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.directory import load_in_context
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.tasks.device import choose_backend, choose_device, choose_dtype
from bio_xlstm.tasks.generate.streams import kept
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.in_context.build import build_assay
from bio_xlstm.tasks.in_context.request import SupportOptions
from bio_xlstm.tasks.in_context.support import Support
from bio_xlstm.tasks.in_context.table import read_support

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import InContextModel

# tokens of a support that are read at once, whatever is asked for queries: a state does not depend on it
READ_AT_ONCE = 8192

Say = Callable[[str], None]


class Opened(NamedTuple):
    """Hold an assay and the sha256 (hex) of the file that it comes from."""

    assay: Assay
    fingerprint: str


def load_learner(name: str, *, device: str, dtype: str, backend: str) -> "InContextModel":
    """Load a learner; its language model, which takes the time, runs as asked for, the rest on the CPU in fp32."""
    learner = load_in_context(name)
    # the hash of its weights is compared before they are converted
    language_model = learner.language_model
    language_model.to(device=choose_device(device), dtype=choose_dtype(dtype))
    choose_backend(backend, language_model.device, language_model.dtype)
    language_model.use_backend(backend)
    return learner


def open_support(learner: "InContextModel", options: SupportOptions, say: Say) -> Opened:
    """Read a table of labelled examples and say what was found in it."""
    with kept(options.support) as held:
        assert held is not None
        support = read_support(
            held.path,
            learner.language_model.tokenizer,
            column=options.support_column,
            target=options.target,
            task=options.task,
        )
        for line in support.lines():
            say(held.renamed(line))
        fingerprint = RawFile(held.path).fingerprint()
        state = build_assay(learner, _renamed(support, held.renamed), batch_tokens=READ_AT_ONCE)
    return Opened(Assay(learner, state), fingerprint)


def open_state(learner: "InContextModel", path: str, say: Say) -> Opened:
    """Read the state that a support left; ModelError where it is another learner's, or none."""
    assay = Assay(learner, AssayState.load(path))
    facts = assay.state.facts
    say(f"state    {path}: {facts['examples']:,} examples of {facts['target']} from {facts['source']}")
    return Opened(assay, RawFile(path).fingerprint())


def _renamed(support: Support, rename: Callable[[str], str]) -> Support:
    """Call a support as the user does."""
    from dataclasses import replace

    return replace(support, source=rename(support.source))
