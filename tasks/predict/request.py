"""What a user asks `predict` for: the options of the command as one immutable value."""

from dataclasses import dataclass
from typing import ClassVar

from bio_xlstm.tasks.choices import PREDICT_FORMATS
from bio_xlstm.tasks.files.request import FileRequest


@dataclass(frozen=True, kw_only=True)
class PredictRequest(FileRequest):
    """Hold the options of one prediction run; `model` is the directory of a fine-tuned model.

    Raises ConfigError where an option has a value that it does not take, or options contradict each other.
    """

    command: ClassVar[str] = "predict"
    formats: ClassVar[tuple[str, ...]] = PREDICT_FORMATS

    model: str  # there is no default

    @property
    def per_token(self) -> bool:
        """Tell whether every token keeps its numbers: labels of letters are one text per row."""
        return False
