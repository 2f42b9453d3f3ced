"""Checkpoints that do not depend on how many devices wrote them, on their strategy, or on the parts of a step."""

from typing import Any

Checkpoint = dict[str, Any]


def name_moments(checkpoint: Checkpoint, names: list[str]) -> None:
    """File the optimiser's moments under the names of parameters; `names` belong to the numbers in the checkpoint.

    Numbers mean the order of the optimiser's groups, but under FSDP that of the model: a run that changes its strategy
    would mix the moments up.
    """

    def name_of(key: int | str) -> str:
        return key if isinstance(key, str) else names[key]

    for state in checkpoint["optimizer_states"]:
        # under FSDP only the first process holds any
        if state.get("state"):
            state["state"] = {name_of(key): moments for key, moments in state["state"].items()}
            for group in state["param_groups"]:
                group["params"] = [name_of(key) for key in group["params"]]


def align_progress(checkpoint: Checkpoint, accumulate: int) -> None:
    """Count the parts that are done as if every step had had as many as it has from now on."""
    parts = checkpoint["global_step"] * accumulate
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    # a checkpoint is written after a whole step, when Lightning has not yet called its last part completed
    done = {"ready": parts, "started": parts, "processed": parts, "completed": parts - 1}
    for counted in ("total", "current"):
        progress[counted] |= done
