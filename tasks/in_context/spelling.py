"""One spelling per molecule: the answer for it depends on what it is, not on how it is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tokenizers import Tokenizer

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import InContextModel

_ENCODED_AT_ONCE = 4096
_READABLE = ("ok", "cleaned")


def encode(learner: "InContextModel", smiles: Sequence[str], *, batch_tokens: int = 8192) -> Tensor:
    """Encode molecules (N strings) that RDKit and the tokenizer can read: (N, W), the same for every spelling."""
    tokenizer = learner.language_model.tokenizer
    # none at all have a width, too
    found = [learner.encode([])]
    for begin in range(0, len(smiles), _ENCODED_AT_ONCE):
        written = spelled(smiles[begin : begin + _ENCODED_AT_ONCE], tokenizer)
        found.append(learner.encode(written, batch_tokens=batch_tokens))
    return torch.cat([some.cpu() for some in found])


def spelled(smiles: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Write molecules (N) that RDKit reads in its canonical form, or as they are where the tokenizer lacks that one."""
    return [_spelled(one, tokenizer) for one in smiles]


def _spelled(smiles: str, tokenizer: Tokenizer) -> str:
    canonical = read(smiles).canonical
    return canonical if canonical and tokenizer.prepare(canonical).status in _READABLE else smiles
