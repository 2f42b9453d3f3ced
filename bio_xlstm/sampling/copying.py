"""Draw faster where the output resembles what is given: drafts are copied, and many ids are verified at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.sampling.choice import Sampling
from bio_xlstm.sampling.constraint import Constraint, Letters
from bio_xlstm.sampling.drawing import choose, with_room
from bio_xlstm.sampling.opening import Opening, stop_of
from bio_xlstm.sampling.rows import Rows, Sample
from bio_xlstm.state import ModelState

# ids that must agree before what follows them is copied, the longest match first
_MATCHES = (8, 5, 3, 2)


class Effort(NamedTuple):
    """Count what copying was worth."""

    drawn: int = 0  # ids, stops among them
    passes: int = 0  # through the model


@torch.inference_mode()
def draw_copying(
    model: SequenceModel,
    numbers: Iterable[int],
    sampling: Sampling,
    *,
    opening_of: Callable[[int], Opening],
    source: np.ndarray,
    constraint: Constraint | None = None,
    draft: int = 8,
    count: Callable[[Effort], None] = lambda effort: None,
) -> Iterator[Sample]:
    """Draw the samples that `draw` draws, one after the other, with pieces of `source` (S,) as drafts.

    A pass of the model reads the last id and up to `draft` ids that are expected to follow. As sample i is a function
    of the model, the seed and i, whatever temperature, an expected id is either the one that is drawn there or it is
    not: those up to the first that is not are kept, and the state goes back there. So the output is that of `draw`,
    unless two ids are equally likely to within rounding.
    """
    constraint = constraint or Letters(model.tokenizer)
    for number in numbers:
        rows = Rows(1, sampling.longest)
        ((_, opening),) = rows.take_up(iter([number]), with_room(opening_of, sampling))
        constraint.begin(0, number, opening.ids)
        drawing = _Drawing(model, sampling, constraint, rows, opening.state)
        while not (ended := drawing.read(propose(rows.ids[0, : rows.length[0]], source, draft))):
            continue
        count(drawing.effort)
        yield ended[0]


def propose(written: np.ndarray, source: np.ndarray, size: int) -> np.ndarray:
    """Return up to `size` ids that followed the last ids of `written` in a source, none where they do not stand there.

    >>> propose(np.array([9, 3, 4]), np.array([1, 3, 4, 5, 6, 7]), 2).tolist()
    [5, 6]
    """
    for match in _MATCHES:
        if len(written) < match or len(source) <= match:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(source[:-1], match)
        found = np.flatnonzero((windows == written[-match:]).all(1))
        if len(found):
            begin = int(found[-1]) + match
            return source[begin : begin + size]
    return source[:0]


class _Drawing:
    """Hold one sample while it is drawn."""

    def __init__(
        self,
        model: SequenceModel,
        sampling: Sampling,
        constraint: Constraint,
        rows: Rows,
        state: ModelState | None,
    ) -> None:
        self.model, self.sampling, self.constraint = model, sampling, constraint
        self.rows, self.state, self.effort = rows, state, Effort()

    def read(self, draft: np.ndarray) -> list[Sample]:
        """Verify a draft, and draw one id more; return the sample where it ends."""
        places = self.constraint.places(np.zeros(1, np.int64))
        if places is not None:
            # letters stand one after the other, other symbols where the constraint says
            letters = self.model.tokenizer.targets[np.append(self.rows.last[:1], draft)]
            draft = draft[: max(int(np.append(letters, False).argmin()) - 1, 0)]
        tokens = np.append(self.rows.last[:1], draft)
        positions = None if places is None else places[0] + np.arange(len(tokens))
        logits, after = self._forward(tokens, positions)
        for place in range(len(tokens)):
            ended = self._draw(logits[place : place + 1])
            if ended:
                return ended
            if place == len(draft):
                self.state = after
            elif self.rows.last[0] != draft[place]:
                # back to where the draft was right
                kept = slice(place + 1)
                _, self.state = self._forward(tokens[kept], None if positions is None else positions[kept])
                return []
        return []

    def _draw(self, logits: torch.Tensor) -> list[Sample]:
        """Draw one id."""
        slots, stop = np.zeros(1, np.int64), stop_of(self.model.tokenizer)
        allowed = torch.from_numpy(self.constraint.allowed(slots)).to(logits.device)
        chosen = choose(logits, allowed, self.rows, slots, self.sampling)
        logprob = logits[0, chosen] - logits.logsumexp(1)
        ids = chosen.cpu().numpy()
        self.constraint.add(slots, ids)
        self.effort = self.effort._replace(drawn=self.effort.drawn + 1)
        return self.rows.add(slots, ids, logprob.cpu().numpy(), stop)

    def _forward(
        self, tokens: np.ndarray, positions: np.ndarray | None
    ) -> tuple[torch.Tensor, ModelState | None]:
        """Read tokens (T,) after the state; return logits (T, V) and the state after them."""
        device = self.model.device
        placed = None if positions is None else torch.from_numpy(positions)[None].to(device)
        out = self.model(torch.from_numpy(tokens)[None].to(device), state=self.state, positions=placed)
        self.effort = self.effort._replace(passes=self.effort.passes + 1)
        return out.logits[0].double(), out.state
