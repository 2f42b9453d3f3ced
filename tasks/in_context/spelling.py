"""One spelling per molecule, protein or DNA: the answer depends on what it is, not on how it is written."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from bio_xlstm.in_context.learner import Learner
from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tasks.in_context.point_file import PointFile
from bio_xlstm.tokenizers import Tokenizer

_ENCODED_AT_ONCE = 4096
_READABLE = ("ok", "cleaned")


def encode(
    learner: Learner, sequences: Sequence[str], *, batch_tokens: int = 8192, points: PointFile | None = None
) -> Tensor:
    """Encode sequences (N strings) that the tokenizer (and RDKit) can read: (N, W), the same for every spelling.

    Points that a file holds are taken from there, and others are put there.
    """
    compute = partial(learner.encode, batch_tokens=batch_tokens)
    tokenizer = learner.language_model.tokenizer
    # none at all have a width, too
    found = [learner.encode([])]
    for begin in range(0, len(sequences), _ENCODED_AT_ONCE):
        written = spelled(sequences[begin : begin + _ENCODED_AT_ONCE], tokenizer)
        found.append(compute(written) if points is None else points.encode(written, compute))
    return torch.cat([some.cpu() for some in found])


def spelled(sequences: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Write sequences (N) in their canonical form, or molecules as they are where the tokenizer lacks that form."""
    return [canonical(one, tokenizer) for one in sequences]


def canonical(sequence: str, tokenizer: Tokenizer) -> str:
    """Return the one form of a sequence: RDKit's of a molecule, of others the letters that the tokenizer reads.

    A molecule comes back as it is where RDKit, or the tokenizer, cannot read that form.
    """
    if tokenizer.kind != "smiles":
        return tokenizer.decode(tokenizer.prepare(sequence).ids)
    found = read(sequence).canonical
    return found if found and tokenizer.prepare(found).status in _READABLE else sequence
