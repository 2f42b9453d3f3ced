"""How long a support takes to be read, and a library to be scored against its state, and how large that state is.

Both as `bioxlstm state build --support` and `predict --state` do it, but for the encoding of the molecules: with
calibration on what was left out, and with the spread between parts of the support.
"""

import time
from statistics import median
from typing import Any

import numpy as np
import torch

from bio_xlstm.in_context.model import InContextModel
from bio_xlstm.in_context.points import Points
from bio_xlstm.in_context.prints import PARTS, assemble
from bio_xlstm.in_context.properties import PROPERTIES
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.in_context.answering import Assay
from bio_xlstm.tasks.in_context.build import read_assay_points
from bio_xlstm.tasks.in_context.repeats import Example
from bio_xlstm.tasks.in_context.support import Support, make_support

REPEATS = 3
SUPPORTS = (16, 256, 1024, 4096)


def measure_library(learner: InContextModel, molecules: int, threads: int) -> dict[str, Any]:
    """Score random points against states of several supports; return seconds and bytes."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    points = random_points(learner, molecules)
    found: dict[str, Any] = {"molecules": molecules, "threads": threads, "states": []}
    for size in SUPPORTS:
        support, examples = made_up(size), random_points(learner, size)
        begin = time.perf_counter()
        state = read_assay_points(learner, examples, support)
        read = time.perf_counter() - begin
        assay = Assay(learner, state)
        taken = [_answer_all(assay, points) for _ in range(REPEATS)]
        found["states"].append(
            {"support": size, "read_s": read, "score_s": median(taken), "bytes": state.bytes}
        )
    return found


def random_points(learner: InContextModel, count: int) -> torch.Tensor:
    """Draw points (N, W) with as many bits as molecules have, one in twenty, and properties as far apart."""
    bits, draw = PARTS * learner.config.prints, np.random.default_rng(count)
    fingerprints = np.stack([np.packbits(draw.random(bits, np.float32) < 0.05) for _ in range(count)])
    prints = assemble(fingerprints, draw.normal(size=(count, PROPERTIES)))
    return Points(torch.randn(count, learner.config.dim), torch.from_numpy(prints)).packed()


def made_up(count: int) -> Support:
    """Make a support of ethers and amines with labels that mean nothing."""
    texts = [f"O{'C' * (number // 64 + 1)}N{'C' * (number % 64 + 1)}" for number in range(count)]
    examples = [Example(text, text, text, row, float(row % 2), 0) for row, text in enumerate(texts)]
    return make_support(examples, Task("binary", ("y",), ("0", "1")), issues=[], notes=[], source="made up")


def _answer_all(assay: Assay, points: torch.Tensor) -> float:
    """Return the seconds that all points take."""
    begin = time.perf_counter()
    assay.answer(points)
    return time.perf_counter() - begin
