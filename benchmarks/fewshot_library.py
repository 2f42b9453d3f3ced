"""How long a library takes that is scored against one assay state, and how large that state is."""

import time
from statistics import median
from typing import Any

import numpy as np
import torch

from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.model import InContextModel, SetState
from bio_xlstm.in_context.points import Points

# points of a library answered at a time
BLOCK = 4096
REPEATS = 3
SUPPORTS = (16, 256, 1024, 4096)


def measure_library(learner: InContextModel, molecules: int, threads: int) -> dict[str, Any]:
    """Score random points against states of several supports; return seconds and bytes."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    points = random_points(learner, molecules)
    found: dict[str, Any] = {"molecules": molecules, "threads": threads, "states": []}
    for size in SUPPORTS:
        begin = time.perf_counter()
        with torch.inference_mode():
            state = learner.read_support(
                random_points(learner, size)[None], Labels.of_classes(torch.arange(size)[None] % 2)
            )
        read = time.perf_counter() - begin
        taken = [_answer_all(learner, points, state) for _ in range(REPEATS)]
        found["states"].append(
            {"support": size, "read_s": read, "score_s": median(taken), "bytes": _bytes(state)}
        )
    return found


def random_points(learner: InContextModel, count: int) -> torch.Tensor:
    """Draw points (N, W) with as many bits as molecules have, one in twenty."""
    width = learner.width - 4 * learner.config.dim
    draw = np.random.default_rng(count)
    prints = np.stack([np.packbits(draw.random(8 * width, np.float32) < 0.05) for _ in range(count)])
    return Points(torch.randn(count, learner.config.dim), torch.from_numpy(prints)).packed()


def _answer_all(learner: InContextModel, points: torch.Tensor, state: SetState) -> float:
    """Return the seconds that all points take."""
    begin = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, len(points), BLOCK):
            learner.answer(points[None, start : start + BLOCK], state)
    return time.perf_counter() - begin


def _bytes(state: SetState) -> int:
    tensors = [*(part for memory in state.memories for part in memory), *state.ridge, *state.process]
    return sum(tensor.nbytes for tensor in [*tensors, state.base, state.shift, state.scale])
