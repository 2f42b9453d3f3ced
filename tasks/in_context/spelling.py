"""One spelling per molecule: the answer for it depends on what it is, not on how it is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from bio_xlstm.tasks.evaluate.facts import read
from bio_xlstm.tokenizers import Tokenizer

if TYPE_CHECKING:
    from bio_xlstm.in_context.model import InContextModel

_READABLE = ("ok", "cleaned")


def encode(learner: "InContextModel", smiles: Sequence[str], *, batch_tokens: int = 8192) -> Tensor:
    """Encode molecules (N strings) that RDKit and the tokenizer can read: (N, D), the same for every spelling."""
    written = spelled(smiles, learner.language_model.tokenizer)
    return learner.encode(written, batch_tokens=batch_tokens).cpu()


def spelled(smiles: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Write molecules (N) that RDKit reads in its canonical form, or as they are where the tokenizer lacks that one."""
    return [_spelled(one, tokenizer) for one in smiles]


def _spelled(smiles: str, tokenizer: Tokenizer) -> str:
    canonical = read(smiles).canonical
    return canonical if canonical and tokenizer.prepare(canonical).status in _READABLE else smiles
