"""What is given beside the model: contexts and states, prompts, scaffolds, and proteins to make anew."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.context import load_context, read_context
from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.records import open_records
from bio_xlstm.sampling.opening import Opening, open_sequence
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.files.opening import Say
from bio_xlstm.tasks.generate.contexts import ADVICE, Extent, read_contexts
from bio_xlstm.tasks.generate.openings import Begin
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.scaffolds import spellings
from bio_xlstm.tasks.generate.spans import Redesign, open_redesign, parse_spans
from bio_xlstm.tasks.generate.words import GRID_SIZES, NOUNS, context_budget
from bio_xlstm.tokenizers.tokenizer import counted

# tokens of a context
READ_AT_ONCE = 8192


def read_states(
    request: GenerateRequest, model: SequenceModel, say: Say
) -> list[Callable[[], ModelState | None]]:
    """Return what reads each context."""
    if request.state is not None:
        held = load_context(model, request.state)
        return [lambda: held]
    if request.context is None:
        return [lambda: None]
    tokens = context_budget(request.context_tokens, request.preset, model.kind)
    # a beam goes on from one
    contexts = request.contexts if request.beam is None else 1
    sizes = [request.context_size] if request.preset is None else GRID_SIZES
    found = [
        members
        for size in sizes
        for members in read_contexts(
            request.context, model.tokenizer, Extent(tokens, size, contexts), request.seed, say, advice=ADVICE
        )
    ]
    say(
        f"{described([len(members) for members in found], NOUNS[model.kind])}, from {Path(request.context).name}"
    )
    return [partial(read_context, model, members, batch_tokens=READ_AT_ONCE) for members in found]


def described(sizes: Sequence[int], noun: str) -> str:
    """Say what contexts of so many members are read.

    >>> described([10], "molecule"), described([1, 1], "molecule"), described([3, 4], "protein")
    ('1 context of 10 molecules', '2 contexts of 1 molecule each', '2 contexts of 3 to 4 proteins')
    """
    low, high = min(sizes), max(sizes)
    members = f"{low:,} to {counted(high, noun)}" if low < high else counted(low, noun)
    return f"{counted(len(sizes), 'context')} of {members}{' each' if low == high and len(sizes) > 1 else ''}"


def read_redesign(request: GenerateRequest, model: SequenceModel, say: Say) -> Redesign | None:
    """Read the protein and its spans."""
    if request.protein is None:
        return None
    ids = read_protein(request.protein, model, say)
    return Redesign(ids.astype(np.int64), parse_spans(request.infill, len(ids)))


def read_protein(text: str, model: SequenceModel, say: Say) -> np.ndarray:
    """Read a protein from a file that holds one, or from the text itself."""
    name = text if len(text) <= 30 else f"{text[:30]}..."
    # a long sequence is no path that may be asked for
    if os.path.isfile(text):
        records = [record for record in open_records(text, kind="protein") if record.text.strip()]
        if len(records) != 1:
            raise InputError(f"--protein {text} holds {len(records)} sequences; one is made anew at a time")
        text = records[0].text
    else:
        _refuse_path(text, name, model)
    prepared = model.tokenizer.prepare(text)
    if prepared.status not in ("ok", "cleaned"):
        raise InputError(f"--protein {name!r} is neither a file nor a protein: {prepared.detail}")
    if prepared.status == "cleaned":
        say(f"--protein {name!r} is read without what does not belong there: {prepared.detail}")
    return prepared.ids


def _refuse_path(text: str, name: str, model: SequenceModel) -> None:
    """Refuse what holds anything but residues: a file's name would be read as a protein, less its dot."""
    residues = {
        symbol for symbol in model.tokenizer.vocabulary.symbols if len(symbol) == 1 and symbol.isalpha()
    }
    # a gap or a stop, of which it is said that they are removed
    strange = [letter for letter in text.strip() if letter.upper() not in residues and letter not in "-*\n"]
    if strange:
        raise InputError(
            f"--protein {name!r} is neither a file nor a protein: there is no such file, and {strange[0]!r} is "
            "not an amino acid"
        )


def read_begins(
    request: GenerateRequest, model: SequenceModel, redesign: Redesign | None, scaffold: Any, say: Say
) -> list[Begin]:
    """Return the beginnings that samples take turns with."""
    if redesign is not None:
        return [lambda state: open_redesign(model, redesign, state)]
    if scaffold is not None:
        molecule, points = scaffold
        texts = spellings(molecule, points, model.tokenizer, request.seed)
        return [_beginning(model, ids) for ids in texts]
    if request.prompt:
        prepared = model.tokenizer.prepare(request.prompt)
        if prepared.status not in ("ok", "cleaned"):
            raise ConfigError(f"--prompt {request.prompt!r}: {prepared.detail}")
        if prepared.status == "cleaned":
            say(f"--prompt {request.prompt!r} is read without what does not belong there: {prepared.detail}")
        return [_beginning(model, prepared.ids)]
    return [lambda state: open_sequence(model, None, state)]


def _beginning(model: SequenceModel, ids: np.ndarray) -> Begin:
    """Begin with the same ids."""

    def begin(state: ModelState | None) -> Opening:
        return open_sequence(model, ids, state)

    return begin
