"""What a support leaves behind, as a file: the state of an in-context learner, and which learner made it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bio_xlstm.errors import ModelError
from bio_xlstm.in_context.model import SetState
from bio_xlstm.in_context.process import ProcessState
from bio_xlstm.in_context.ridge import RidgeState
from bio_xlstm.kernels.mlstm.state import MlstmState
from bio_xlstm.state_file import ASSAY_STATE, read_state_file, write_state_file


@dataclass(frozen=True)
class AssayState:
    """Hold the state of one support with all that predictions need; its size has a bound.

    `states` holds the state of the whole support and, behind it, those of the support without a part each. `facts` are
    plain data (JSON) about the support: task, classes, calibration, domain. `tables` hold arrays of bounded size, such
    as the fingerprints of the nearest examples.
    """

    states: SetState
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
            "task": self.states.task,
            "blocks": str(len(self.states.memories)),
            "facts": json.dumps(self.facts, sort_keys=True),
        }
        write_state_file(path, ASSAY_STATE, self._tensors(), metadata)

    @classmethod
    def load(cls, path: str | Path) -> "AssayState":
        """Read a state that `save` wrote; ModelError says what is wrong with another file."""
        tensors, metadata = read_state_file(path, ASSAY_STATE)
        try:
            memories = tuple(
                MlstmState(*(tensors[f"memory.{block}.{part}"] for part in MlstmState._fields))
                for block in range(int(metadata["blocks"]))
            )
            ridge = RidgeState(*(tensors[f"ridge.{part}"] for part in RidgeState._fields))
            process = ProcessState(*(tensors[f"process.{part}"] for part in ProcessState._fields))
            rest = (tensors[name] for name in ("base", "shift", "scale"))
            states = SetState(metadata["task"], memories, ridge, process, *rest)
            tables = {
                name.removeprefix("table."): tensor
                for name, tensor in tensors.items()
                if name.startswith("table.")
            }
            return cls(states, json.loads(metadata["facts"]), tables, metadata["model_hash"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is not a whole assay state: {error} is missing or wrong") from None

    def refuse_other(self, model_hash: str, name: str) -> None:
        """Raise ModelError where another learner made this state."""
        if model_hash != self.model_hash:
            raise ModelError(f"the assay state was made by another model than {name}; build it again")

    def _tensors(self) -> dict[str, Tensor]:
        """Name every tensor for the file."""
        named: dict[str, Tensor] = {}
        for block, memory in enumerate(self.states.memories):
            named |= {f"memory.{block}.{part}": tensor for part, tensor in memory._asdict().items()}
        named |= {f"ridge.{part}": tensor for part, tensor in self.states.ridge._asdict().items()}
        named |= {f"process.{part}": tensor for part, tensor in self.states.process._asdict().items()}
        named |= {name: getattr(self.states, name) for name in ("base", "shift", "scale")}
        return named | {f"table.{name}": tensor for name, tensor in self.tables.items()}
