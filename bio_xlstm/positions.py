"""Where tokens stand: their place within a protein or molecule, and the number of that sequence in its context."""

from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.tokenizers.tokenizer import Tokenizer

# symbols of the protein vocabulary that hide residues, and the one behind which the hidden residues stand
MASKS = ("<mask-1>", "<mask-2>", "<mask-3>", "<mask-4>", "<mask-5>")
END = "<eos>"

_MASK_KINDS = len(MASKS) + 1


class Places(NamedTuple):
    """Hold where the next token of each of N sequences stands."""

    place: Tensor  # (N,) int64 place of the next token unless it is a start token
    sequence: Tensor  # (N,) int64 number of start tokens read so far


class Positions(NamedTuple):
    """Hold where tokens stand, and what reading the tokens after them needs."""

    place: Tensor  # (B, T) int64 tokens since the last start token, which is at 0
    sequence: Tensor  # (B, T) int64 start tokens up to here, minus one, at least 0
    after: Places


class _Stream(NamedTuple):
    """Hold N sequences end to end, and where everything in them begins."""

    tokens: Tensor  # (T,)
    here: Tensor  # (T,) 0, 1, 2, ...
    owner: Tensor  # (T,) number of the sequence
    begin: Tensor  # (T,) index of the first token of the sequence
    starts: Tensor  # (T,) bool, start tokens
    origin: Tensor  # (T,) index of the last start token, of the first token where there is none yet


def read_positions(
    tokens: Tensor, cu_seqlens: Tensor | None, tokenizer: Tokenizer, before: Places | None = None
) -> Positions:
    """Read the positions of tokens (B, T) off the tokens themselves.

    Places restart at 0 with every start token. Of a protein with hidden spans, `<cls> A <mask-1> B <eos> <mask-1> S`,
    every residue has the place that it has in the whole protein, a mask that of the first residue it hides, and
    `<eos>` has 0; masks whose span does not follow hide nothing. `cu_seqlens` (N + 1,) tells packed sequences apart;
    `before` continues the sequences that an earlier call ended with `after`. Only a protein with hidden spans must be
    read whole: what stands behind a mask depends on the span, which comes last.

    >>> from bio_xlstm.tokenizers import TOKENIZERS
    >>> ids = torch.tensor([[0, 20, 15, 0, 20]])
    >>> read_positions(ids, None, TOKENIZERS["protein"]()).place
    tensor([[0, 1, 2, 0, 1]])
    """
    borders = _borders(tokens, cu_seqlens)
    if before is None:
        nothing = borders.new_zeros(len(borders) - 1)
        before = Places(nothing, nothing)
    if not tokens.numel():
        return Positions(tokens.long(), tokens.long(), before)
    stream = _stream(tokens, borders, tokenizer.start)
    carried = torch.where(stream.starts[stream.origin], 0, before.place[stream.owner])
    kinds = _hidden_kinds(stream.tokens, tokenizer)
    if kinds is None:
        place, following = (distance := stream.here - stream.origin + carried), distance + 1
    else:
        place, following = _infilled(stream, carried, kinds)
    total = stream.starts.long().cumsum(0)
    number = total - (total - stream.starts.long())[stream.begin] + before.sequence[stream.owner]
    after = _after(borders, following, number, before)
    return Positions(place.view(tokens.shape), (number - 1).clamp(min=0).view(tokens.shape), after)


def _borders(tokens: Tensor, cu_seqlens: Tensor | None) -> Tensor:
    """Return where the sequences of a batch begin and end, (N + 1,)."""
    if cu_seqlens is not None:
        return cu_seqlens.to(tokens.device, torch.int64)
    count, length = tokens.shape
    return torch.arange(count + 1, device=tokens.device) * length


def _stream(tokens: Tensor, borders: Tensor, start: int | None) -> _Stream:
    """Lay a batch out end to end."""
    flat = tokens.reshape(-1)
    index = torch.arange(len(flat), device=flat.device)
    owner = torch.repeat_interleave(borders.diff(), output_size=len(flat))
    begin = borders[owner]
    starts = torch.zeros_like(flat, dtype=torch.bool) if start is None else flat == start
    return _Stream(flat, index, owner, begin, starts, torch.maximum(begin, _last(starts, index)))


def _last(flags: Tensor, index: Tensor) -> Tensor:
    """Return the index of the last flag up to every token, -1 before the first."""
    return torch.where(flags, index, -1).cummax(0).values


def _hidden_kinds(tokens: Tensor, tokenizer: Tokenizer) -> Tensor | None:
    """Return which mask every token is, 1 to 5, -1 for the end and 0 for others; None when nothing is hidden."""
    symbols = tokenizer.vocabulary.index
    if not all(symbol in symbols for symbol in (*MASKS, END)):
        return None
    table = torch.zeros(len(tokenizer.vocabulary), dtype=torch.int64)
    table[[symbols[symbol] for symbol in MASKS]] = torch.arange(1, _MASK_KINDS)
    table[symbols[END]] = -1
    kinds = table.to(tokens.device)[tokens]
    return kinds if bool((kinds != 0).any()) else None


def _infilled(stream: _Stream, carried: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
    """Return the place of every token, and that of a residue after it, among hidden and revealed spans."""
    index, origin = stream.here, stream.origin
    end = _last(kinds < 0, index)
    revealed = (end >= origin) & (index > end)
    masks = kinds > 0
    opened = masks & revealed
    # one row of keys for every protein, one key for every mask in it
    key = ((index == origin).long().cumsum(0) - 1) * _MASK_KINDS + kinds.clamp(min=0)
    hidden = _by_key(key, opened, _until_next(opened | (index == origin), index), 0)
    advance = torch.where(masks & ~revealed, hidden[key], 1)
    total = advance.cumsum(0) - advance
    place = total - total[origin] + carried
    # behind the end: from the mask on, where it stands before the end
    anchors = _by_key(key, masks & ~revealed, place, 1)
    last = _last(opened, index)
    known = revealed & (last > end)
    behind = anchors[key[last.clamp(min=0)]] + (index - last - 1).clamp(min=0)
    place = torch.where(known, behind, torch.where(end >= origin, index - end, place))
    return place, place + torch.where(opened, 0, advance)


def _by_key(key: Tensor, chosen: Tensor, values: Tensor, missing: int) -> Tensor:
    """Return the largest value of the chosen tokens with each key, `missing` for keys without any."""
    count = int(key.max()) + 1
    # one key more takes what is not chosen
    table = torch.full((count + 1,), -1, dtype=torch.int64, device=key.device)
    table.scatter_reduce_(0, torch.where(chosen, key, count), values, "amax")
    return torch.where(table[:count] < 0, missing, table[:count])


def _until_next(flags: Tensor, index: Tensor) -> Tensor:
    """Return how many tokens stand between every token and the next flag after it."""
    beyond = index.new_full((1,), len(index))
    following = torch.cat([torch.where(flags, index, len(index))[1:], beyond])
    return following.flip(0).cummin(0).values.flip(0) - index - 1


def _after(borders: Tensor, following: Tensor, number: Tensor, before: Places) -> Places:
    """Return where the next token of every sequence stands; what has no tokens stays where it was."""
    last = (borders[1:] - 1).clamp(min=0)
    empty = borders.diff() == 0
    return Places(
        torch.where(empty, before.place, following[last]),
        torch.where(empty, before.sequence, number[last]),
    )
