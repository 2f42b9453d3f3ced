"""What predictions from a support begin with: an assay state, read from a table of labelled examples or from a file."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.learner import Learner
from bio_xlstm.records.rawfile import RawFile
from bio_xlstm.tasks.generate.streams import Kept
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.in_context.build import build_assay
from bio_xlstm.tasks.in_context.request import SupportOptions
from bio_xlstm.tasks.in_context.support import Support
from bio_xlstm.tasks.in_context.table import read_support
from bio_xlstm.tokenizers.tokenizer import counted

# tokens of a support that are read at once, whatever is asked for queries: a state does not depend on it
READ_AT_ONCE = 8192

Say = Callable[[str], None]


class Opened(NamedTuple):
    """Hold an assay and the sha256 (hex) of the file that it comes from."""

    assay: Assay
    fingerprint: str


def open_support(
    learner: Learner, options: SupportOptions, held: Kept, say: Say, chooser: str = "-m"
) -> Opened:
    """Read a table of labelled examples, which is kept as a file, and say what was found in it.

    `chooser` is the option of the command by which the learner was chosen.
    """
    support = read_support(
        held.path,
        learner.language_model.tokenizer,
        column=options.support_column,
        target=options.target,
        relation=options.relation_column,
        task=options.task,
        chooser=chooser,
    )
    for line in support.lines():
        say(held.renamed(line))
    fingerprint = RawFile(held.path).fingerprint()
    state = build_assay(learner, _renamed(support, held.renamed), batch_tokens=READ_AT_ONCE)
    return Opened(Assay(learner, state), fingerprint)


def open_state(learner: Learner, path: str, say: Say) -> Opened:
    """Read the state that a support left; ModelError where it is another learner's, or none."""
    assay = Assay(learner, AssayState.load(path))
    facts = assay.state.facts
    examples = counted(facts["examples"], "example")
    say(f"state    {path}: {examples} of {facts['target']} from {facts['source']}")
    return Opened(assay, RawFile(path).fingerprint())


def _renamed(support: Support, rename: Callable[[str], str]) -> Support:
    """Call a support as the user does."""
    return replace(support, source=rename(support.source))
