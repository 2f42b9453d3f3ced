"""How a checkpoint gets onto the disk: whole, or not at all."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from bio_xlstm.errors import OutputError


class CheckpointFile(TorchCheckpointIO):
    """Write a checkpoint beside its final name, then rename it; OutputError where it cannot be written.

    Lightning's own way makes a copy in memory and another one among the temporary files of the system, where there may
    be no room for it.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Replace the checkpoint of a name; what was there stays until the new one is on the disk."""
        path = Path(path)
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                # the new name never stands for half a file, even when the power fails
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{path} cannot be written: {_reason(error)}; what was there is kept") from None
        finally:
            partial.unlink(missing_ok=True)


def _reason(error: OSError | RuntimeError) -> str:
    """Say why writing failed; torch hides what the system said."""
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    return (cause.strerror if isinstance(cause, OSError) else None) or " ".join(str(cause).split())
