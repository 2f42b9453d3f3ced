"""What tasks ask of an in-context learner and of the states that it leaves, whichever of the learners it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from torch import Tensor

from bio_xlstm.in_context.labels import Labels

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel


class Answer(NamedTuple):
    """Hold what is said of M queries of B supports."""

    value: Tensor  # (B, M) log-odds of the positive class, or numbers in the units of the labels
    prior: Tensor  # (B, M) the same without the support: log-odds, or numbers around the support's mean
    leverage: Tensor  # (B, M) how far a query lies from what the support covers


class LearnerState(Protocol):
    """What B supports leave behind: a NamedTuple of tensors (B, ...), the word for the task, and more of the like."""

    @property
    def task(self) -> str:
        """Return "binary" or "regression"."""
        ...

    @property
    def slots(self) -> int:
        """Return how many examples a state holds as they are; 0 where it holds what all of them say."""
        ...

    def sharing(self, left_out: Tensor) -> Self:
        """Let all supports share the slots of the first, some of which (B, slots) each was made without."""
        ...


class Learner(Protocol):
    """Predict from labelled examples without training; points are rows of W bytes."""

    name: str

    @property
    def kind(self) -> str:
        """Return what the learner reads: "smiles", "protein" or "dna"."""
        ...

    @property
    def width(self) -> int:
        """Return W."""
        ...

    @property
    def language_model(self) -> "SequenceModel":
        """Return the model whose embeddings describe sequences."""
        ...

    def weight_hash(self) -> str:
        """Hash all that decides an answer: states of another learner are refused by it."""
        ...

    def encode(self, sequences: Sequence[str], *, batch_tokens: int = 8192) -> Tensor:
        """Turn sequences (N strings) into points (N, W) uint8."""
        ...

    def read_support(
        self, points: Tensor, labels: Labels, *, slots: Tensor | None = None, like: Any = None
    ) -> Any:
        """Read labelled points (B, N, W) into a `LearnerState`; its slots are points (1, n, W) that are given.

        `like` is the state of a support that these are most of: what takes time to find out beside the labels may be
        taken from there.
        """
        ...

    def answer(self, points: Tensor, state: Any) -> Answer:
        """Answer query points (B, M, W), or (1, M, W) for all B states; queries do not see each other."""
        ...
