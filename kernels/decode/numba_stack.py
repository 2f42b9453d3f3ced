"""One token per sequence through a whole stack of layers on the CPU, compiled, in float32.

Nothing is allocated between layers, and a sequence's result is the same bit for bit whatever else is stepped with it.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.numba_decode import Arrays, arrays_of, read_range, read_tokens
from bio_xlstm.kernels.decode.numba_projection import normalise, padded_bias, panels_of, project
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

    panels: Any  # (panels, inputs, 16)
    bias: Any  # (panels x 16,)


class _Layer(NamedTuple):
    """Hold one layer as the compiled loops take it."""

    norm: Any  # (D,)
    up: _Map
    between: Arrays
    down: _Map


class NumbaStack:
    """Read one token per slot of at most S.

    Many sequences are shared among threads and go through the whole stack by themselves; with few sequences it is the
    outputs of every map that are shared.
    """

    def __init__(self, weights: StackWeights, caches: list[DecodeCache]) -> None:
        slots, _, inner = caches[0].conv.shape
        self.vocabulary, dim = weights.head.shape
        self.embedding, self.norm = (
            part.detach().float().numpy() for part in (weights.embedding, weights.norm)
        )
        self.layers = [_lay_out(layer, cache) for layer, cache in zip(weights.layers, caches, strict=True)]
        self.head, self.eps = _map(weights.head, None), np.float32(weights.eps)
        rows = -(-slots // ROWS) * ROWS
        self.x, self.normed = _rows(rows, dim), _rows(rows, dim)
        self.up, self.convolved, self.y = _rows(rows, 2 * inner), _rows(rows, inner), _rows(rows, inner)
        self.logits = _rows(rows, self.vocabulary)

    def __call__(self, tokens: Tensor, slots: Tensor) -> Tensor:
        """Take tokens (n,) and their slots (n,), give logits (n, vocabulary)."""
        count, places, threads = len(tokens), slots.numpy(), count_threads()
        self.x[:count, : self.embedding.shape[1]] = self.embedding[tokens.numpy()]
        if count >= _ROWS_PER_THREAD * threads:
            groups = -(-count // ROWS)

            def read(thread: int) -> None:
                begin, end = (groups * edge // threads * ROWS for edge in (thread, thread + 1))
                self._read_rows(begin, min(end, count), places)

            run_threads(read, threads)
        else:
            self._read_together(count, places, threads)
        return torch.from_numpy(self.logits[:count, : self.vocabulary].copy())

    def _read_rows(self, begin: int, end: int, slots: Any) -> None:
        """Take some rows through the whole stack; begin is a multiple of four."""
        stop, eps = -(-end // ROWS) * ROWS, self.eps
        for layer in self.layers:
            normalise(begin, end, self.x, layer.norm, eps, self.normed)
            project(begin, stop, 0, len(layer.up.panels), self.normed, *layer.up, self.up, False)
            read_range(begin, end, self.up, self.y, self.convolved, slots, eps, *layer.between)
            project(begin, stop, 0, len(layer.down.panels), self.y, *layer.down, self.x, True)
        normalise(begin, end, self.x, self.norm, eps, self.normed)
        project(begin, stop, 0, len(self.head.panels), self.normed, *self.head, self.logits, False)

    def _read_together(self, count: int, slots: Any, threads: int) -> None:
        """Take all rows through the stack, map by map."""
        eps = self.eps
        for layer in self.layers:
            normalise(0, count, self.x, layer.norm, eps, self.normed)
            _share(count, self.normed, layer.up, self.up, False, threads)
            read_tokens(count, self.up, self.y, self.convolved, slots, eps, layer.between, threads)
            _share(count, self.y, layer.down, self.x, True, threads)
        normalise(0, count, self.x, self.norm, eps, self.normed)
        _share(count, self.normed, self.head, self.logits, False, threads)


def _share(count: int, x: Any, chosen: _Map, out: Any, add: bool, threads: int) -> None:
    """Map all rows, the outputs shared among threads."""
    rows, panels = -(-count // ROWS) * ROWS, len(chosen.panels)
    threads = min(threads, max(1, chosen.panels.size // _WORTH_WAKING))

    def work(thread: int) -> None:
        first, last = (panels * edge // threads for edge in (thread, thread + 1))
        project(0, rows, first, last, x, *chosen, out, add)

    run_threads(work, threads)


def _rows(rows: int, width: int) -> Any:
    """Make room for rows of whole panels; zeros, as rows that nobody reads are computed too."""
    return np.zeros((rows, -(-width // COLUMNS) * COLUMNS + _SPARE), np.float32)


def _map(weight: Tensor, bias: Tensor | None) -> _Map:
    """Lay out a matrix and its bias."""
    return _Map(panels_of(weight), padded_bias(bias, len(weight)))


def _lay_out(layer: LayerWeights, cache: DecodeCache) -> _Layer:
    """Lay out one layer."""
    up, down = _map(layer.up, layer.up_bias), _map(layer.down, layer.down_bias)
    return _Layer(layer.norm.detach().float().numpy(), up, arrays_of(layer.mixer, cache), down)
