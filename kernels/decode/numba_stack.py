"""One token per sequence through a whole stack of layers on the CPU, compiled, in float32.

Nothing is allocated between layers, and a sequence's result is the same bit for bit whatever else is stepped with it.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.numba_decode import Arrays, arrays_of, read_range, read_tokens, turns_of
from bio_xlstm.kernels.decode.numba_projection import (
    normalise,
    padded_bias,
    panels_of,
    project,
    project_widened,
)
from bio_xlstm.kernels.decode.weights import LayerWeights, StackWeights
from bio_xlstm.kernels.numba_matmul import COLUMNS, ROWS
from bio_xlstm.kernels.threads import count_threads, run_threads

# a row's length in bytes must not be a power of two, or the rows of a group share their places in the cache
_SPARE = 16
# with as many rows for each thread, reading all weights once per thread costs less than threads waiting for another
_ROWS_PER_THREAD = 16
# numbers of a matrix below which another thread takes longer to wake than to help
_WORTH_WAKING = 1 << 16


class _Map(NamedTuple):
    """Hold a dense map."""

    panels: Any  # (panels, inputs, 16) float32 or bits of bfloat16
    bias: Any  # (panels x 16,)

    def apply(
        self, begin: int, end: int, x: Any, out: Any, add: bool, part: tuple[int, int] | None = None
    ) -> None:
        """Map rows begin to end of x to out, or add them there; only some of the panels, where a part is named."""
        # a few rows are as soon read with panels as they are
        many = self.panels.dtype == np.uint16 and end - begin > ROWS
        first, last = part or (0, len(self.panels))
        (project_widened if many else project)(begin, end, first, last, x, self.panels, self.bias, out, add)


class _Layer(NamedTuple):
    """Hold one layer as the compiled loops take it."""

    norm: Any  # (D,)
    up: _Map
    between: Arrays
    down: _Map


class NumbaStack:
    """Read one token per slot of at most S.

    Many sequences are shared among threads and go through the whole stack by themselves; with few sequences it is the
    outputs of every map that are shared. With `half` the maps are kept in bfloat16, which loses nothing where the
    weights come from there, and halves what has to be read for few sequences.
    """

    def __init__(self, weights: StackWeights, caches: list[DecodeCache], half: bool = False) -> None:
        slots, _, inner = caches[0].conv.shape
        self.vocabulary, dim = weights.head.shape
        self.embedding, self.norm = (
            part.detach().float().numpy() for part in (weights.embedding, weights.norm)
        )
        self.layers = [
            _lay_out(layer, cache, half) for layer, cache in zip(weights.layers, caches, strict=True)
        ]
        self.head, self.eps = _map(weights.head, None, half), np.float32(weights.eps)
        rows = -(-slots // ROWS) * ROWS
        self.x, self.normed = _rows(rows, dim), _rows(rows, dim)
        self.up, self.convolved, self.y = _rows(rows, 2 * inner), _rows(rows, inner), _rows(rows, inner)
        self.logits = _rows(rows, self.vocabulary)

    def __call__(self, tokens: Tensor, slots: Tensor, turn: Tensor | None = None) -> Tensor:
        """Take tokens (n,) and their slots (n,), give logits (n, vocabulary)."""
        count, places, threads = len(tokens), slots.numpy(), count_threads()
        turns = turns_of(turn)
        self.x[:count, : self.embedding.shape[1]] = self.embedding[tokens.numpy()]
        if count >= _ROWS_PER_THREAD * threads:
            groups = -(-count // ROWS)

            def read(thread: int) -> None:
                begin, end = (groups * edge // threads * ROWS for edge in (thread, thread + 1))
                self._read_rows(begin, min(end, count), places, turns)

            run_threads(read, threads)
        else:
            self._read_together(count, places, turns, threads)
        return torch.from_numpy(self.logits[:count, : self.vocabulary].copy())

    def _read_rows(self, begin: int, end: int, slots: Any, turns: Any) -> None:
        """Take some rows through the whole stack; begin is a multiple of four."""
        stop, eps = -(-end // ROWS) * ROWS, self.eps
        for layer in self.layers:
            normalise(begin, end, self.x, layer.norm, eps, self.normed)
            layer.up.apply(begin, stop, self.normed, self.up, add=False)
            read_range(begin, end, self.up, self.y, self.convolved, slots, eps, turns, *layer.between)
            layer.down.apply(begin, stop, self.y, self.x, add=True)
        normalise(begin, end, self.x, self.norm, eps, self.normed)
        self.head.apply(begin, stop, self.normed, self.logits, add=False)

    def _read_together(self, count: int, slots: Any, turns: Any, threads: int) -> None:
        """Take all rows through the stack, map by map."""
        eps = self.eps
        for layer in self.layers:
            normalise(0, count, self.x, layer.norm, eps, self.normed)
            _share(count, self.normed, layer.up, self.up, False, threads)
            read_tokens(count, self.up, self.y, self.convolved, slots, eps, turns, layer.between, threads)
            _share(count, self.y, layer.down, self.x, True, threads)
        normalise(0, count, self.x, self.norm, eps, self.normed)
        _share(count, self.normed, self.head, self.logits, False, threads)


def _share(count: int, x: Any, chosen: _Map, out: Any, add: bool, threads: int) -> None:
    """Map all rows, the outputs shared among threads."""
    rows, panels = -(-count // ROWS) * ROWS, len(chosen.panels)
    threads = min(threads, max(1, chosen.panels.size // _WORTH_WAKING))

    def work(thread: int) -> None:
        first, last = (panels * edge // threads for edge in (thread, thread + 1))
        chosen.apply(0, rows, x, out, add, (first, last))

    run_threads(work, threads)


def _rows(rows: int, width: int) -> Any:
    """Make room for rows of whole panels; zeros, as rows that nobody reads are computed too."""
    return np.zeros((rows, -(-width // COLUMNS) * COLUMNS + _SPARE), np.float32)


def _map(weight: Tensor, bias: Tensor | None, half: bool) -> _Map:
    """Lay out a matrix and its bias."""
    return _Map(panels_of(weight, half), padded_bias(bias, len(weight)))


def _lay_out(layer: LayerWeights, cache: DecodeCache, half: bool) -> _Layer:
    """Lay out one layer."""
    up, down = _map(layer.up, layer.up_bias, half), _map(layer.down, layer.down_bias, half)
    return _Layer(layer.norm.detach().float().numpy(), up, arrays_of(layer.mixer, cache), down)
