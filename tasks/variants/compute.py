"""Packed pairs to ratios; sequences without a wild type to their likelihoods."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bio_xlstm.context import on_device
from bio_xlstm.scoring import Score, is_masked, score_batch
from bio_xlstm.state import ModelState
from bio_xlstm.tasks.files.worker import Worker
from bio_xlstm.tasks.variants.pairs import unpack_pair
from bio_xlstm.variants.ratios import Ratio, variant_ratios

Result = Ratio | Score


@dataclass(frozen=True, kw_only=True)
class VariantWorker(Worker[Result]):
    """Compare variants with fixed options."""

    method: str
    direction: str
    rc: str
    stride: int
    state: ModelState | None = None

    @property
    def in_windows(self) -> bool:
        """Tell whether sequences longer than the budget are read in windows."""
        return is_masked(self.model)

    def run(self, sequences: Sequence[np.ndarray], budget: int) -> list[Result]:
        """Compare packed pairs with at most `budget` tokens at once."""
        state = None if self.state is None else on_device(self.state, self.model.device)
        options = {
            "direction": self.direction,
            "rc": self.rc,
            "stride": self.stride,
            "state": state,
            "batch_tokens": budget,
        }
        pairs = [unpack_pair(row, self.model.tokenizer.dtype) for row in sequences]
        both = [(pair.wild, pair.mutant) for pair in pairs if pair.wild is not None]
        alone = [pair.mutant for pair in pairs if pair.wild is None]
        ratios = iter(variant_ratios(self.model, both, method=self.method, **options))  # type: ignore[arg-type]
        scores = iter(score_batch(self.model, alone, **options))  # type: ignore[arg-type]
        return [next(scores) if pair.wild is None else next(ratios) for pair in pairs]
