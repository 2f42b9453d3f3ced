"""The in-context learner of proteins and DNA: Bayesian linear regression on what a frozen language model says of them.

Beside the embedding it sees which short words there are and, for supports whose sequences have one length, such as
variants of one protein, which letter stands where in place of which other. Nothing of it is trained but what a
replacement of one residue by another usually does.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from bio_xlstm.in_context.changes import KERNELS, Changes
from bio_xlstm.in_context.gaussian import Wanted
from bio_xlstm.in_context.labels import Labels
from bio_xlstm.in_context.learner import Answer
from bio_xlstm.in_context.letters import LETTERS, letters
from bio_xlstm.in_context.mixture import Mixture
from bio_xlstm.in_context.sequence_points import SequencePoints, width
from bio_xlstm.in_context.sequence_process import common_length, solve_sequences
from bio_xlstm.in_context.sketch import sketch_words
from bio_xlstm.in_context.substitutions import CODES, codes_of
from bio_xlstm.in_context.template import Template
from bio_xlstm.in_context.view import View

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

# of everything here that decides an answer, beside the weights of the language model
_VERSION = "linear 4"
# what turns answers around 0, for classes of -1 and 1, into log-odds before a temperature is known
_LOG_ODDS = 3.0
# a support of one class alone does not promise it
_LEAST_SHARE = 0.02
# kernels: embedding, words, and those of changes
_KERNELS = 2 + KERNELS
# queries whose letters are looked up at once
_SUMMED = 512


class LinearState(NamedTuple):
    """Hold what B supports leave behind; its size does not depend on how many examples were read.

    There are two solutions: for variants of the one sequence that most examples are variants of, and for all others,
    without letters by place.
    """

    task: str
    weights: Tensor  # (B, 2, F) float64, of embedding and words
    bias: Tensor  # (B, 2) float64
    effects: Tensor  # (B, LETTERS, CODES) float32, what every letter adds to the first solution
    length: Tensor  # (B,) int64, where the first solution holds; -1 where it does nowhere
    template: Tensor  # (B, LETTERS) uint8, codes of the sequence that variants are told apart by
    most: Tensor  # (B,) int64, letters by which a variant may differ from it
    centre: Tensor  # (B, E) float64, of the embeddings
    spread: Tensor  # (B,) float64, what centred embeddings are divided by
    root: Tensor  # (B, E, E) float32
    shares: Tensor  # (B, 2, C) float64, how much embedding, words and the kernels of changes count
    noise: Tensor  # (B, 2) float64, variance in units of the signal's
    base: Tensor  # (B,) float64, log-odds of the positive class in the support, or the middle of the numbers
    shift: Tensor  # (B,)
    scale: Tensor  # (B,) what turns answers back into the units of the labels

    @property
    def slots(self) -> int:
        """Return how many examples the state holds as they are: none."""
        return 0

    def sharing(self, left_out: Tensor) -> "LinearState":
        """Return the state: there are no slots to share."""
        return self


class LinearLearner:
    """Predict from labelled proteins or DNA without training, with the interface of `InContextModel`.

    Points are rows of W bytes, as `SequencePoints.packed` writes them.
    """

    def __init__(self, language_model: "SequenceModel") -> None:
        """Take a language model; its weights are hashed as they are now."""
        self.name = language_model.name
        self.language_model = language_model
        self.card = language_model.card
        self._hash = hashlib.sha256(f"{_VERSION} {language_model.weight_hash()}".encode()).hexdigest()

    @property
    def kind(self) -> str:
        """Return what the learner reads."""
        return self.language_model.kind

    @property
    def width(self) -> int:
        """Return W, the bytes of a point."""
        return width(self.language_model.config.dim)

    def weight_hash(self) -> str:
        """Hash all that decides an answer: states of another learner are refused by it."""
        return self._hash

    @torch.no_grad()
    def encode(self, sequences: Sequence[str], *, batch_tokens: int = 8192) -> Tensor:
        """Turn sequences (N strings) that the tokenizer can read into points (N, W)."""
        from bio_xlstm.embedding import embed_batch

        if not len(sequences):
            return torch.zeros(0, self.width, dtype=torch.uint8)
        model = self.language_model
        ids = [model.tokenizer.prepare(text).ids for text in sequences]
        found = embed_batch(model, ids, rc="auto", batch_tokens=batch_tokens)
        embeddings = np.stack([next(iter(one.values())) for one in found]).astype(np.float32)
        read = (torch.from_numpy(letters(sequences)), torch.from_numpy(sketch_words(sequences, self.kind)))
        lengths = torch.tensor([len(text) for text in sequences])
        return SequencePoints(torch.from_numpy(embeddings), *read, lengths).packed()

    def opened(self, points: Tensor) -> SequencePoints:
        """Return rows of bytes as points; ValueError for rows of another width."""
        if points.dtype != torch.uint8 or points.shape[-1] != self.width:
            given = f"{points.shape[-1]} of {str(points.dtype).removeprefix('torch.')}"
            raise ValueError(f"points of {self.name} are rows of {self.width} bytes, not {given}")
        return SequencePoints.of(points, self.language_model.config.dim)

    @torch.no_grad()
    def read_support(
        self, points: Tensor, labels: Labels, *, slots: Tensor | None = None, like: LinearState | None = None
    ) -> LinearState:
        """Read labelled points (B, N, W) into states; there are no slots, so none that are given count.

        `like` is a state whose shares and noise are taken instead of looked for.
        """
        opened, wanted = self.opened(points), Wanted.of(labels)
        parts = [
            _read(opened[place], self.kind, wanted.of_support(place), like) for place in range(len(points))
        ]
        base = wanted.middle
        if labels.task == "binary":
            share = (labels.values > 0).double().mean(1)
            base = torch.logit(share.clamp(_LEAST_SHARE, 1 - _LEAST_SHARE))
        found = {name: torch.stack([one[name] for one in parts]) for name in parts[0]}
        return LinearState(task=labels.task, base=base, shift=labels.shift, scale=labels.scale, **found)

    @torch.no_grad()
    def answer(self, points: Tensor, state: LinearState) -> Answer:
        """Answer query points (B, M, W), or (1, M, W) for all B states; queries do not see each other."""
        opened = self.opened(points)
        numbers = torch.cat([view.double() for view in opened.views], -1)  # (B or 1, M, F)
        both = _times(numbers, state.weights) - state.bias[..., None]  # (B, 2, M)
        effects, fits = _effects(opened, state, self.kind)
        found = torch.where(fits, both[:, 0] + effects, both[:, 1])
        base = state.base[:, None]
        if state.task == "binary":
            found, prior = _LOG_ODDS * found + base, base
        else:
            found, prior = found + base, torch.zeros_like(base)
        shift, scale = state.shift[:, None], state.scale[:, None]
        return Answer(
            found * scale + shift,
            (prior * scale + shift).expand_as(found),
            self._leverage(opened.embeddings, state),
        )

    def _leverage(self, embeddings: Tensor, state: LinearState) -> Tensor:
        """Return (B, M) how far queries lie from what the support covers."""
        centred = (embeddings.double() - state.centre[:, None]) / state.spread[:, None, None]
        turned = centred.float().transpose(1, 2)  # (B, E, M)
        return torch.linalg.solve_triangular(state.root, turned, upper=False).square().sum(1)


def _read(points: SequencePoints, kind: str, wanted: Wanted, like: LinearState | None) -> dict[str, Tensor]:
    """Read one support of N points: the parts of its state that are not about labels alone."""
    views, length = _views(points), common_length(points.lengths)
    others = alike = solve_sequences(views, None, wanted, _known(like, 1, len(views)))
    template, most = torch.zeros(LETTERS, dtype=torch.uint8), 0
    if length is not None:
        same = (points.lengths == length).nonzero()[:, 0]
        codes = codes_of(points.letters[same, :length])
        found = Template.of(codes, kind, _seed(like, length))
        codes, variants = found.compare(codes, kind)
        some = same[variants]
        own, counted = (
            (points, wanted) if len(some) == len(points.lengths) else (points[some], wanted.only(some))
        )
        changes = Changes(codes[variants], kind, found.codes)
        template[:length], most = found.codes, found.most
        mixture = None if like is None or like.length[0] != length else _known(like, 0)
        alike = solve_sequences(_views(own), changes, counted, mixture)
        # answers are around the middle of all labels
        alike = alike._replace(bias=alike.bias + (wanted.middle - counted.middle)[0])
    solved, known = (alike, others), views[0]
    return {
        "weights": torch.stack([one.weights for one in solved]),
        "bias": torch.stack([one.bias for one in solved]),
        "effects": _widened(alike.effects),
        "length": torch.tensor(-1 if length is None else length),
        "template": template,
        "most": torch.tensor(most),
        "centre": known.centre,
        "spread": known.scale,
        "root": known.covariance_root(alike.mixture.shares[0], alike.mixture.noise),
        "shares": torch.stack(
            [pad(one.mixture.shares, (0, _KERNELS - len(one.mixture.shares))) for one in solved]
        ),
        "noise": torch.stack([one.mixture.noise for one in solved]),
    }


def _views(points: SequencePoints) -> list[View]:
    return [View.of(numbers) for numbers in points.views]


def _known(like: LinearState | None, which: int, count: int | None = None) -> Mixture | None:
    """Return the mixture of a solution that is known, of the first kernels alone where a number is given."""
    return None if like is None else Mixture(like.shares[0, which, :count], like.noise[0, which])


def _seed(like: LinearState | None, length: int) -> Tensor | None:
    """Return the sequence (L,) that variants of this length were told apart by, where that is known."""
    return like.template[0, :length].long() if like is not None and like.length[0] == length else None


def _widened(effects: Tensor | None) -> Tensor:
    """Put effects (L, CODES) into a table of any length (LETTERS, CODES)."""
    found = torch.zeros(LETTERS, CODES)
    if effects is not None:
        found[: len(effects)] = effects.float()
    return found


def _effects(points: SequencePoints, state: LinearState, kind: str) -> tuple[Tensor, Tensor]:
    """Return what the letters of queries (B or 1, M) add to the answers of B states, and where that holds: (B, M)."""
    found = torch.zeros(len(state.length), points.lengths.shape[-1], dtype=torch.float64)
    fits = torch.zeros_like(found, dtype=torch.bool)
    # most states are about variants of one sequence
    key = torch.cat([state.length[:, None], state.most[:, None], state.template.long()], 1)
    for one, which in zip(*_distinct(key), strict=True):
        length, most = one[:2].tolist()
        if length < 0:
            continue
        template, tables = Template(one[2 : 2 + length], most), state.effects[which, :length]
        if len(points.lengths) == 1:
            found[which], fits[which] = _summed(points[0], template, tables, kind)
        else:
            for place, table in zip(which.tolist(), tables, strict=True):
                sums, fits[place] = _summed(points[place], template, table[None], kind)
                found[place] = sums[0]
    return found, fits


def _distinct(rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the different rows (G, W) of some (B, W), and for each where it stands."""
    found, which = rows.unique(dim=0, return_inverse=True)
    return found, [(which == number).nonzero()[:, 0] for number in range(len(found))]


def _summed(points: SequencePoints, template: Template, tables: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Sum effects (B, L, CODES) over the letters of those of M points that are variants: (B, M) and (M,)."""
    found = torch.zeros(len(tables), len(points.lengths), dtype=torch.float64)
    fits, length = torch.zeros_like(points.lengths, dtype=torch.bool), len(template.codes)
    places = torch.arange(length) * CODES
    for some in (points.lengths == length).nonzero()[:, 0].split(_SUMMED):
        codes, fits[some] = template.compare(codes_of(points.letters[some, :length]), kind)
        sums = embedding_bag(codes + places, tables.flatten(1).T.contiguous(), mode="sum")
        found[:, some] = sums.T.double()
    return found, fits


def _times(numbers: Tensor, weights: Tensor) -> Tensor:
    """Multiply numbers (B or 1, M, F) with weights (B, 2, F): (B, 2, M)."""
    if len(numbers) == 1:
        return (weights.flatten(0, 1) @ numbers[0].T).unflatten(0, weights.shape[:2])
    return weights @ numbers.transpose(1, 2)
