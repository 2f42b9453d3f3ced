"""From a support to the assay state that predictions are made from."""

from typing import Any

import torch
from torch import Tensor

from bio_xlstm.in_context.assay_state import AssayState
from bio_xlstm.in_context.learner import Learner
from bio_xlstm.in_context.process import SLOTS
from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.in_context.left_out import answer_left_out, read_parts
from bio_xlstm.tasks.in_context.spelling import encode
from bio_xlstm.tasks.in_context.support import Support
from bio_xlstm.tasks.in_context.trust import Calibration, residuals

# examples whose fingerprints, names and residuals a state keeps
MOST_KEPT = SLOTS


def build_assay(learner: Learner, support: Support, *, batch_tokens: int = 8192) -> AssayState:
    """Read a support and everything that predictions say of themselves; the state's size has a bound."""
    points = encode(learner, support.sequences, batch_tokens=batch_tokens)
    return read_assay_points(learner, points, support)


def read_assay_points(learner: Learner, points: Tensor, support: Support) -> AssayState:
    """Do so for a support whose sequences are encoded already, as points (N, W)."""
    left_out = answer_left_out(learner, points, support)
    # the order of a support makes any first so many a fair choice
    kept = slice(0, MOST_KEPT)
    domain = Domain.of(support.sequences[kept], learner.kind)
    facts = describe(support) | {
        "learner": learner.name,
        "kind": learner.kind,
        "names": support.names[kept],
        "calibration": Calibration.fit(support, left_out)._asdict(),
        "threshold": domain.threshold,
    }
    tables = {
        "prints": torch.from_numpy(domain.prints),
        "residuals": torch.from_numpy(residuals(support, left_out)[kept]),
    }
    return AssayState(read_parts(learner, points, support), facts, tables, learner.weight_hash())


def describe(support: Support) -> dict[str, Any]:
    """Say as plain data what a support is."""
    return {
        "source": support.source,
        "target": support.task.targets[0],
        "task": support.task.name,
        "classes": list(support.task.classes),
        "examples": len(support),
        "positive": None if support.numeric else int(support.values.sum()),
        "bounds": int((~support.exact).sum()),
        "left_out": len(support.issues),
    }
