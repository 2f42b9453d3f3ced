"""The processes that train together: which one speaks and writes, and what all of them sum up."""

import os
from typing import TYPE_CHECKING

from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

if TYPE_CHECKING:
    from pytorch_lightning import Trainer
    from torch import Tensor


def is_first(settings: TrainingSettings) -> bool:
    """Tell whether this process is the one that speaks and writes, before Lightning has connected them.

    Lightning starts the others with the same command and LOCAL_RANK in the environment; torchrun and SLURM start all of
    them and number them in RANK and SLURM_PROCID.
    """
    if settings.processes == 1:
        return True
    environment = os.environ
    if "RANK" in environment:
        return environment["RANK"] == "0"
    if "LOCAL_RANK" in environment or "NODE_RANK" in environment:
        return all(environment.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK"))
    return environment.get("SLURM_PROCID", "0") == "0"


def is_awaited() -> bool:
    """Tell whether Lightning started this process from the first one, which cannot go on without it.

    Such a process never ends alone: it notes that it was asked to stop, and all stop together after a step.
    """
    return "RANK" not in os.environ and os.environ.get("LOCAL_RANK", "0") != "0"


def summed(trainer: "Trainer", values: "Tensor") -> "Tensor":
    """Return the sums of a vector over all processes, on the CPU."""
    if trainer.world_size > 1:
        values = trainer.strategy.reduce(values.to(trainer.strategy.root_device), reduce_op="sum")
    return values.cpu()
