"""Which views there are, and which of them suit training sequences."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.finetune.views.letters import Letters
from bio_xlstm.tasks.finetune.views.positions import Positions
from bio_xlstm.tasks.finetune.views.short_words import ShortWords
from bio_xlstm.tasks.finetune.views.substructures import Substructures
from bio_xlstm.tasks.finetune.views.view import View

VIEWS: dict[str, type[View]] = {kind.name: kind for kind in (Letters, ShortWords, Substructures, Positions)}


def make_views(model: SequenceModel, sequences: Sequence[np.ndarray], seed: int = 0) -> tuple[View, ...]:
    """Return the views that suit training sequences of token ids."""
    found = (kind.make(model, sequences, seed) for kind in VIEWS.values())
    return tuple(view for view in found if view is not None)
