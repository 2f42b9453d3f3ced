"""What a recipe asks of the machine that it runs on."""

import torch

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.processes import is_first
from bio_xlstm.tasks.pretrain.run_log import board_writer
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings


def check_machine(training: TrainingSettings) -> None:
    """Refuse devices that are not there, what they cannot do, and logs that cannot be written."""
    place = find_place(training.accelerator)
    if place == "gpu" and torch.cuda.is_available() and training.devices > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(
            f"[training] devices = {training.devices}, but this machine has {count} GPU{'s' if count > 1 else ''}"
        )
    if training.strategy == "fsdp" and not (place == "gpu" and torch.cuda.is_available()):
        raise ConfigError("[training] strategy fsdp needs GPUs; use ddp, which runs everywhere")
    if training.precision == "16-mixed" and place == "cpu":
        raise ConfigError(
            "[training] precision 16-mixed needs a GPU, and this run is on the CPU; use bf16-mixed or 32-true"
        )
    if training.precision == "64-true" and place == "mps":
        raise ConfigError("[training] precision 64-true is not for mps; use accelerator cpu, or 32-true")
    if training.tensorboard and is_first(training):
        board_writer()


def find_place(accelerator: str) -> str:
    """Return the accelerator that is meant, auto replaced by the best that is there; ConfigError without it."""
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if accelerator == "auto":
        return next(name for name, found in there.items() if found)
    # Lightning counts mps among the GPUs
    if not (there[accelerator] or (accelerator == "gpu" and there["mps"])):
        raise ConfigError(
            f"[training] accelerator {accelerator}: torch finds no such device on this machine; use cpu or auto"
        )
    return accelerator if there[accelerator] else "mps"
