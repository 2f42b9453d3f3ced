"""What happens after every epoch of tuning: a look at the validation part, a checkpoint, and an end in good order."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from bio_xlstm.errors import BioXlstmError
from bio_xlstm.tasks.finetune.tuning import Examples, Tuning
from bio_xlstm.tasks.pretrain.processes import summed
from bio_xlstm.tasks.pretrain.stop_request import StopRequest

# sequences of the validation part that are read at once
_AT_ONCE = 64


class Watch(Callback):
    """Keep the weights with the least validation loss; stop where it no longer falls, on request, or in time.

    All processes take every decision together. The weights before the first step are the first to be kept.
    """

    state_key = "watch"

    def __init__(
        self,
        validation: Examples,
        checkpoint: Path,
        stop: StopRequest,
        *,
        epoch_steps: int,
        steps: int,
        patience: int,
        deadline: float,
        say: Callable[[str], None],
    ) -> None:
        self.validation, self.checkpoint, self.stop, self.say = validation, checkpoint, stop, say
        self.epoch_steps, self.steps, self.patience, self.deadline = epoch_steps, steps, patience, deadline
        self.curve: list[dict[str, Any]] = []
        """Training and validation loss after every epoch."""
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self.finished = False
        self._lowest = math.inf
        self._sum, self._count = 0.0, 0
        self._step = 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Listen to signals in place of Lightning, and look at the weights before the first step."""
        assert isinstance(module, Tuning)
        self.stop.listen()
        self._step = trainer.global_step
        if not self.curve:
            self._look(module, 0, None)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Do what is due after a step."""
        assert isinstance(module, Tuning)
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        self._sum += float(module.loss.detach())
        self._count += 1
        if not math.isfinite(self._sum):
            raise BioXlstmError(
                f"the loss is no number at step {self._step}: lower --learning-rate and start again with --overwrite"
            )
        wishes = torch.tensor([self.stop.asked, time.monotonic() > self.deadline]).float()
        asked, late = (summed(trainer, wishes) > 0).tolist()
        if self._step % self.epoch_steps == 0:
            self._look(module, self._step // self.epoch_steps, self._sum / self._count)
            self._sum, self._count = 0.0, 0
        elif late and not asked:
            self._look(module, self._step // self.epoch_steps + 1, self._sum / self._count)
        waited = len(self.curve) - 1 - self.best_place
        tired = bool(len(self.validation)) and waited >= self.patience
        self.finished = not asked and (self._step >= self.steps or tired or late)
        if asked or self._step % self.epoch_steps == 0:
            trainer.save_checkpoint(self.checkpoint)
        trainer.should_stop = asked or self.finished

    @property
    def best_place(self) -> int:
        """Return which look found the best weights."""
        return next(place for place, one in enumerate(self.curve) if one["epoch"] == self.best_epoch)

    def _look(self, module: Tuning, epoch: int, trained: float | None) -> None:
        """Measure the validation loss; keep the weights where it is the least."""
        loss = validation_loss(module, self.validation)
        self.curve.append({"epoch": epoch, "train": trained, "validation": loss})
        # without a validation part the last weights are kept
        if loss is None or loss < self._lowest:
            self._lowest, self.best_epoch = math.inf if loss is None else loss, epoch
            self.best = {name: one.detach().cpu().clone() for name, one in module.trained().items()}
        shown = "" if loss is None else f", validation loss {loss:.4f}"
        learned = "before training" if trained is None else f"epoch {epoch}: training loss {trained:.4f}"
        self.say(f"{learned}{shown}")

    def restore(self, module: Tuning) -> None:
        """Put the best weights back."""
        with torch.no_grad():
            for name, one in module.trained().items():
                one.copy_(self.best[name])

    def state_dict(self) -> dict[str, Any]:
        """Remember what was seen so far."""
        names = ("curve", "best", "best_epoch", "_lowest", "_sum", "_count", "finished")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was seen so far."""
        for name, value in state_dict.items():
            setattr(self, name, value)


@torch.no_grad()
def validation_loss(module: Tuning, examples: Examples) -> float | None:
    """Return the mean loss of examples, None where there are none."""
    if not len(examples):
        return None
    module.eval()
    total = 0.0
    for begin in range(0, len(examples), _AT_ONCE):
        rows = range(begin, min(begin + _AT_ONCE, len(examples)))
        total += float(module.loss_on(examples.take(rows))) * len(rows)
    module.train()
    return total / len(examples)
