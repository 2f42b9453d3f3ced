"""What a support leaves behind, as a file: the state of an in-context learner, and which learner made it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bio_xlstm.errors import ModelError
from bio_xlstm.in_context.learner import LearnerState
from bio_xlstm.in_context.state_tensors import FORMS, form_of, state_of, tensors_of
from bio_xlstm.state_file import ASSAY_STATE, read_state_file, write_state_file


@dataclass(frozen=True)
class AssayState:
    """Hold the state of one support with all that predictions need; its size has a bound.

    `states` holds the state of the whole support and, behind it, those of the support without a part each. `facts` are
    plain data (JSON) about the support: task, classes, calibration, domain. `tables` hold arrays of bounded size, such
    as the fingerprints of the nearest examples.
    """

    states: LearnerState
    facts: dict[str, Any]
    tables: dict[str, Tensor]
    model_hash: str

    @property
    def bytes(self) -> int:
        """Return the size of all tensors in bytes."""
        return sum(tensor.nbytes for tensor in self._tensors().values())

    def save(self, path: str | Path) -> None:
        """Write the state to a file that `AssayState.load` reads."""
        metadata = {
            "model_hash": self.model_hash,
            "form": form_of(self.states),
            "task": self.states.task,
            "facts": json.dumps(self.facts, sort_keys=True),
        }
        write_state_file(path, ASSAY_STATE, self._tensors(), metadata)

    @classmethod
    def load(cls, path: str | Path) -> "AssayState":
        """Read a state that `save` wrote; ModelError says what is wrong with another file."""
        tensors, metadata = read_state_file(path, ASSAY_STATE)
        tables = {name: tensors.pop(name) for name in list(tensors) if name.startswith(_TABLE)}
        try:
            # files of before there were several forms do not name theirs
            form = metadata.get("form", next(iter(FORMS)))
            states = state_of(form, metadata["task"], tensors)
            plain = {name.removeprefix(_TABLE): table for name, table in tables.items()}
            return cls(states, json.loads(metadata["facts"]), plain, metadata["model_hash"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path} is not a whole assay state, or one of another version: {error} is missing or wrong; build it "
                "again"
            ) from None

    def refuse_other(self, model_hash: str, name: str) -> None:
        """Raise ModelError where another learner made this state."""
        if model_hash != self.model_hash:
            raise ModelError(f"the assay state was made by another model than {name}; build it again")

    def _tensors(self) -> dict[str, Tensor]:
        """Name every tensor for the file."""
        tables = {f"{_TABLE}{name}": tensor for name, tensor in self.tables.items()}
        return tensors_of(self.states) | tables


_TABLE = "table."
