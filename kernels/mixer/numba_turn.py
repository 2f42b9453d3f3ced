"""Rotary positions in the compiled mixer: pairs of neighbouring channels turn with the positions of their tokens."""

from typing import Any, NamedTuple

import numpy as np
import torch

from bio_xlstm.kernels.mixer.variant import Rotation
from bio_xlstm.kernels.mlstm.work import to_array
from bio_xlstm.kernels.numba_leaf import leaf


class Turn(NamedTuple):
    """Hold the turns of tokens, of no length where nothing turns."""

    cos: Any  # (P, K / 2) one row per distinct position
    sin: Any  # (P, K / 2)
    rows: Any  # (T,) the row of every token


def make_turn(rotation: Rotation | None) -> Turn:
    """Return a rotation as arrays."""
    if rotation is None:
        nothing = np.empty((0, 0), np.float32)
        return Turn(nothing, nothing, np.empty(0, np.int64))
    index = rotation.rows.flatten().to(torch.int64).contiguous()
    return Turn(to_array(rotation.cos), to_array(rotation.sin), index.numpy())


@leaf()
def turn_rows(rows: Any, turn: Turn, first: int, step: int, count: int, width: int, sign: Any) -> None:
    """Turn rows (L, K) of tokens first, first + step, ..., back where the sign is negative."""
    for row in range(count if len(turn.rows) else 0):
        place = turn.rows[first + row * step]
        line, cos, sin = rows[row], turn.cos[place], turn.sin[place]
        for pair in range(width // 2):
            even, odd, slope = line[2 * pair], line[2 * pair + 1], sign * sin[pair]
            line[2 * pair] = even * cos[pair] - odd * slope
            line[2 * pair + 1] = even * slope + odd * cos[pair]
