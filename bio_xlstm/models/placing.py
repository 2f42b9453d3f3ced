"""Where the tokens of a call stand, for models that look at positions."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.config import ModelConfig
from bio_xlstm.positions import Places, read_positions
from bio_xlstm.state import ModelState
from bio_xlstm.tokenizers.tokenizer import Tokenizer


class Placed(NamedTuple):
    """Hold where tokens (B, T) stand, and where the next token of every sequence will."""

    place: Tensor  # (B, T) int64
    sequence: Tensor  # (B, T) int64, number of the sequence in its context
    after: Places


def place_tokens(
    config: ModelConfig,
    tokenizer: Tokenizer,
    tokens: Tensor,
    cu_seqlens: Tensor | None,
    state: ModelState | None,
    positions: Tensor | None,
    sequence_index: Tensor | None,
) -> Placed:
    """Return where tokens stand: as given, else read from the tokens and from the state before them.

    ValueError refuses positions of another shape than the tokens'.
    """
    for name, given in (("positions", positions), ("sequence_index", sequence_index)):
        if given is not None and (given.shape != tokens.shape or given.is_floating_point()):
            raise ValueError(
                f"{name} must be whole numbers {tuple(tokens.shape)}, one per token, "
                f"not {tuple(given.shape)} {given.dtype}"
            )
    place, sequence, after = read_positions(
        tokens, cu_seqlens, tokenizer, None if state is None else state.places
    )
    ends = None if cu_seqlens is None else cu_seqlens[1:].long() - 1
    if positions is not None:
        place = positions.long()
        after = after._replace(place=_last(place, ends) + 1)
    if sequence_index is not None:
        sequence = sequence_index.long()
        after = after._replace(sequence=_last(sequence, ends) + 1)
    if config.rotary == "inner_absolute":
        place = _counted(tokens, cu_seqlens, state)
    return Placed(place, sequence, after)


def _last(values: Tensor, ends: Tensor | None) -> Tensor:
    """Return the last of (B, T) of every sequence, (N,)."""
    return values[:, -1] if ends is None else values[0, ends]


def _counted(tokens: Tensor, cu_seqlens: Tensor | None, state: ModelState | None) -> Tensor:
    """Count the tokens of every sequence from its beginning, wherever single proteins or molecules begin."""
    batch, time = tokens.shape
    index = torch.arange(time, device=tokens.device).expand(batch, time)
    if cu_seqlens is None:
        return index if state is None else index + state.position[:, None]
    lengths = cu_seqlens.diff().long()
    begin = cu_seqlens[:-1].long()
    if state is not None:
        begin = begin - state.position
    return index - torch.repeat_interleave(begin, lengths)[None]
