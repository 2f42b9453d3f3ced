"""The two strands of DNA in a model that reads both with the same weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bio_xlstm.errors import ConfigError
from bio_xlstm.tokenizers.tokenizer import Tokenizer


def join_strands(strands: Sequence[Tensor]) -> Tensor:
    """Return one strand (B, T, D) as it is, two as (B, T, 2 D).

    The channels of the second are reversed, so that reverse-complementing the input flips tokens and channels.
    """
    return strands[0] if len(strands) == 1 else torch.cat((strands[0], strands[1].flip(-1)), dim=-1)


def split_strands(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Undo `join_strands` for two strands."""
    one, other = hidden.chunk(2, dim=-1)
    return one, other.flip(-1)


def check_strands(tokenizer: Tokenizer) -> None:
    """Refuse a vocabulary without a second strand, and one whose sequences look different from their two ends."""
    if tokenizer.complement is None:
        raise ConfigError(f"reverse_complement needs a DNA vocabulary, not one of {tokenizer.kind}")
    if tokenizer.start is not None:
        raise ConfigError(
            "an equivariant model reads sequences without a start token, which would stand at one end only: "
            "give it a tokenizer without one"
        )
