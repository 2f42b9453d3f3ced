"""What a model learns to predict: the next token, the same with hidden spans moved to the end, or masked letters.

What is drawn for a sequence is a function of its key, so it depends neither on the batch nor on who makes it.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from bio_xlstm.errors import ConfigError
from bio_xlstm.infilling import SPAN_CHANCES, hide, place_spans, span_counts
from bio_xlstm.positions import END, MASKS
from bio_xlstm.tasks.pretrain.data_settings import DataSettings
from bio_xlstm.tasks.pretrain.luck import mixed, uniform
from bio_xlstm.tasks.pretrain.packing import Framing, Letters, PackedBatch, frame
from bio_xlstm.tokenizers import Tokenizer

# salts of what is drawn for one sequence
_COUNTS, _SPANS, _CHOSEN, _KINDS, _RANDOM = range(1, 6)

_RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


class Objective(Protocol):
    """Turn sequences into inputs and targets."""

    framing: Framing
    shifts: bool
    """whether a token predicts the one after it, so that the last token of a window is no input"""
    room: int
    """most tokens that a sequence can gain, start token included"""

    def growth(self, lengths: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return how many tokens sequences (S,) gain besides start and stop."""

    def pack(self, letters: Letters) -> PackedBatch:
        """Make inputs and targets."""


class Causal:
    """Predict every next token."""

    shifts = True

    def __init__(self, framing: Framing) -> None:
        self.framing = framing
        self.room = 1

    def growth(self, lengths: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return how many tokens sequences (S,) gain besides start and stop: none."""
        return np.zeros_like(lengths)

    def pack(self, letters: Letters) -> PackedBatch:
        """Make inputs, and the tokens after them as targets."""
        return frame(letters, self.framing).next_tokens()


class Infill:
    """Predict every next token of sequences whose hidden spans stand at the end.

    `spans` as in `infilling.span_counts`. All letters are predicted, or only the `filled` ones, and where a span
    ends: at the next mask, or at the stop. Masks before the end are not, as it is the user who places them.
    """

    shifts = True

    def __init__(self, tokenizer: Tokenizer, *, spans: str = "multiple", loss: str = "all") -> None:
        self.framing = Framing.of(tokenizer)
        self.tokenizer, self.spans, self.only_filled = tokenizer, spans, loss == "filled"
        most = len(SPAN_CHANCES[spans]) - 1
        self.room = 1 + 2 * most + (most > 0)
        self._kinds = _infill_kinds(tokenizer)

    def growth(self, lengths: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return how many tokens sequences (S,) gain besides start and stop: two masks for a span, and the end."""
        counts = self._counts(lengths, keys)
        return 2 * counts + (counts > 0)

    def pack(self, letters: Letters) -> PackedBatch:
        """Hide spans, and make inputs and targets."""
        counts = self._counts(letters.lengths, letters.keys)
        seeds = mixed(letters.keys, _SPANS).tolist()
        rows = np.split(letters.ids, np.cumsum(letters.lengths)[:-1])
        hidden = [self._hide(*row) for row in zip(rows, counts.tolist(), seeds, strict=True)]
        ids, positions, asked = (np.concatenate(part) for part in zip(*hidden, strict=True))
        changed = letters._replace(
            ids=ids,
            lengths=np.array([len(row.ids) for row in hidden]),
            positions=positions,
            weights=np.ones(len(ids), np.float32),
            asked=asked,
            stops_asked=letters.closes & ((counts > 0) | (not self.only_filled)),
        )
        return frame(changed, self.framing).next_tokens()

    def _counts(self, lengths: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return how many spans sequences (S,) hide."""
        return span_counts(uniform(keys, _COUNTS), lengths, self.spans)

    def _hide(self, ids: np.ndarray, count: int, seed: int) -> "_Row":
        """Hide spans of one sequence."""
        spans = place_spans(len(ids), count, np.random.default_rng(seed)) if count else []
        row, positions = hide(ids, spans, self.tokenizer)
        kinds = self._kinds[row]
        revealed = np.cumsum(kinds == _END) > 0
        # the first mask behind the end is given, the others end the span before them
        asked = np.where(kinds > 0, revealed & (kinds > 1), self.framing.allowed[row])
        filled = asked & revealed
        return _Row(row, positions, filled if self.only_filled else asked | (kinds == _END))


class _Row(NamedTuple):
    """Hold one sequence with hidden spans."""

    ids: np.ndarray
    positions: np.ndarray
    asked: np.ndarray


_END = -1


def _infill_kinds(tokenizer: Tokenizer) -> np.ndarray:
    """Return which mask every id is (V,), 1 to 5, _END for the end and 0 for others."""
    index = tokenizer.vocabulary.index
    if not all(symbol in index for symbol in (*MASKS, END)):
        raise ConfigError(
            f"objective 'infill' needs the masks {MASKS[0]} to {MASKS[-1]}, "
            f"which the {tokenizer.kind} vocabulary does not have"
        )
    kinds = np.zeros(len(tokenizer.vocabulary), np.int64)
    kinds[[index[symbol] for symbol in MASKS]] = np.arange(1, len(MASKS) + 1)
    kinds[index[END]] = _END
    return kinds


class Masked:
    """Predict a share of the letters: of ten, eight are masked, one is another letter, and one is as it was.

    Only letters that stand for one thing are chosen: the four bases, the twenty residues, or symbols of SMILES.
    """

    shifts = False

    def __init__(self, tokenizer: Tokenizer, *, share: float = 0.15) -> None:
        if tokenizer.mask is None:
            raise ConfigError(
                f"objective 'masked' needs a mask, which the {tokenizer.kind} vocabulary has not"
            )
        self.framing = Framing.of(tokenizer, stops=False)
        self.mask, self.share = tokenizer.mask, share
        self.room = int(self.framing.start is not None)
        self.pool = letters_of(tokenizer)
        self._may_be_chosen = np.isin(np.arange(len(tokenizer.vocabulary)), self.pool)

    def growth(self, lengths: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return how many tokens sequences (S,) gain besides the start: none."""
        return np.zeros_like(lengths)

    def pack(self, letters: Letters) -> PackedBatch:
        """Hide letters, and make them the targets."""
        keys = mixed(letters.keys[letters.owners], letters.places.astype(np.uint64))
        chosen = self._may_be_chosen[letters.ids] & (uniform(keys, _CHOSEN) < self.share)
        kinds = uniform(keys, _KINDS)
        random = self.pool[(uniform(keys, _RANDOM) * len(self.pool)).astype(np.int64)]
        shown = np.where(kinds < 0.8, self.mask, np.where(kinds < 0.9, random, letters.ids))
        stream = frame(letters._replace(asked=chosen), self.framing)
        inputs = frame(letters._replace(ids=np.where(chosen, shown, letters.ids)), self.framing)
        return stream.same_tokens(inputs.tokens)


def letters_of(tokenizer: Tokenizer) -> np.ndarray:
    """Return the ids that stand for one thing each: bases, residues or symbols of SMILES."""
    if tokenizer.kind == "protein":
        return np.array([tokenizer.vocabulary.index[letter] for letter in _RESIDUES])
    ids = np.flatnonzero(tokenizer.targets)
    return ids[~np.isin(ids, [i for i in (tokenizer.start, tokenizer.stop) if i is not None])]


def check_objective(name: str, data: DataSettings) -> None:
    """Refuse settings of the data that are for models of another objective."""
    for objective, names in _SETTINGS.items():
        for setting in names if objective != name else ():
            if getattr(data, setting) != getattr(DataSettings, setting):
                raise ConfigError(
                    f"[data] {setting} is for models with objective {objective!r}; this model's is {name!r}"
                )


# what [data] may say to models of one objective alone
_SETTINGS = {"masked": ("masked_share",), "infill": ("spans", "infill_loss")}


def make_objective(name: str, tokenizer: Any, data: DataSettings) -> Objective:
    """Make the objective that a model's configuration names."""
    if name == "masked":
        return Masked(tokenizer, share=data.masked_share)
    if name == "infill":
        return Infill(tokenizer, spans=data.spans, loss=data.infill_loss)
    return Causal(Framing.of(tokenizer))
