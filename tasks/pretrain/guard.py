"""What happens after every step: the log, looks at held-out data, checkpoints, and an end in good order."""

import logging
import math
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from bio_xlstm.errors import BioXlstmError
from bio_xlstm.tasks.pretrain.curves import PERPLEXITY
from bio_xlstm.tasks.pretrain.language_modeling import LanguageModeling
from bio_xlstm.tasks.pretrain.processes import summed
from bio_xlstm.tasks.pretrain.run_folder import RunFolder
from bio_xlstm.tasks.pretrain.run_log import NATS, RunLog
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.stop_request import StopRequest
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch
from bio_xlstm.tasks.pretrain.validation import HeldOut, held_out_nats

log = logging.getLogger(__name__)

# the settings that say after how many steps something is due
LOG, VALIDATE, CHECKPOINT = "log_every", "validate_every", "checkpoint_every"


class Guard(Callback):
    """Log, validate and write checkpoints; end the run when it is asked to stop or when its time is up.

    All processes take every decision together. A checkpoint is written before the run stops and after a look at
    held-out data, so that a run that goes on from it repeats or leaves out nothing.
    """

    # a checkpoint is read by the same key whatever class wrote it
    state_key = "guard"

    def __init__(self, recipe: Recipe, folder: RunFolder, run_log: RunLog, stop: StopRequest) -> None:
        self.settings, self.folder, self.run_log, self.stop = recipe.training, folder, run_log, stop
        self.domains = [domain.name for domain in recipe.data.domains]
        self.validation: dict[str, float] = {}
        """Nats per token of every held-out domain, as last seen."""
        self.test: dict[str, float] = {}
        """The same of the test data, which are looked at once, at the end."""
        self.finished = False
        """Whether all steps are done or the time is up."""
        self._best = math.inf
        self._validated = self._step = 0
        self._begin = self._clock = time.monotonic()
        self._held_out: HeldOut = ()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Listen to signals in place of Lightning, and catch up on a look at held-out data that a stop left out."""
        assert isinstance(module, LanguageModeling)
        self.stop.listen()
        self._step = trainer.global_step
        self._held_out = list(trainer.datamodule.val_dataloader())  # type: ignore[attr-defined]
        self.run_log.begin(self._step)
        if self._validated < self._step and VALIDATE in self._due():
            self._write(self._validate(trainer))
        self._clock, module.tokens = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, _outputs: Any, batch: TensorBatch, _number: int
    ) -> None:
        """Do what is due after a step, and nothing after a part of one."""
        assert isinstance(module, LanguageModeling)
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        asked, late = self._wishes(trainer)
        self.finished = self._step >= self.settings.steps or (late and not asked)
        stops, due = asked or self.finished, self._due()
        row = self._measure(trainer, module) if stops or due else {}
        if stops or due - {LOG}:
            # the loss was that of the weights before the step; what is kept are those after it
            self._refuse_broken(held_out_nats(trainer, [(0, batch)], ["it"]).get("it", 0.0))
        # when the run is asked to stop, a look at held-out data waits until it goes on
        if self.finished or (VALIDATE in due and not asked):
            row |= self._validate(trainer)
        if self.finished or due - {CHECKPOINT}:
            self._write(row)
        if self.finished:
            self.test = held_out_nats(trainer, list(trainer.datamodule.test_dataloader()), self.domains)  # type: ignore[attr-defined]
        if stops or CHECKPOINT in due:
            trainer.save_checkpoint(self.folder.last)
        if row:
            # speed is that of training alone
            self._clock = time.monotonic()
        trainer.should_stop = stops

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Draw the curves as far as they go."""
        self.run_log.draw()
        self.run_log.close()

    def state_dict(self) -> dict[str, Any]:
        """Remember the last and the best look at held-out data."""
        seen = {"validation": self.validation, "test": self.test}
        return {"best": self._best, "validated": self._validated, **seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what the run so far has seen of held-out data."""
        self._best, self._validated = state_dict["best"], state_dict["validated"]
        self.validation, self.test = state_dict["validation"], state_dict["test"]

    def _due(self) -> set[str]:
        """Name the settings whose time has come."""
        names = (LOG, VALIDATE, CHECKPOINT)
        return {name for name in names if self._step % int(getattr(self.settings, name)) == 0}

    def _wishes(self, trainer: Trainer) -> tuple[bool, bool]:
        """Tell whether any process was asked to stop, and whether the time of any is up."""
        minutes = (time.monotonic() - self._begin) / 60
        late = bool(self.settings.max_minutes) and minutes >= self.settings.max_minutes
        asked, late = (summed(trainer, torch.tensor([self.stop.asked, late]).float()) > 0).tolist()
        return asked, late

    def _measure(self, trainer: Trainer, module: LanguageModeling) -> dict[str, float]:
        """Return loss, gradient norm, learning rate and speed; refuse to go on with a loss that is no number."""
        own = torch.stack([module.loss.double().cpu(), torch.tensor(module.tokens).double()])
        loss, tokens = summed(trainer, own).tolist()
        self._refuse_broken(loss)
        speed = tokens / max(time.monotonic() - self._clock, 1e-9)
        module.tokens = 0
        return {
            "loss": loss,
            "perplexity": math.exp(min(loss, 700)),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "gradient_norm": float(module.gradient_norm),
            "tokens_per_second": speed,
        }

    def _refuse_broken(self, loss: float) -> None:
        """Raise BioXlstmError when a loss is no number, before anything of it is kept."""
        if not math.isfinite(loss):
            raise BioXlstmError(
                f"the loss is {loss} at step {self._step}: the run has come apart. {self.folder.last} holds the last "
                "good step, if one was kept; lower learning_rate, lengthen warmup or set clip, and go on from there"
            )

    def _validate(self, trainer: Trainer) -> dict[str, float]:
        """Measure the held-out loss and keep the best checkpoint; return nats and perplexities."""
        self.validation = held_out_nats(trainer, self._held_out, self.domains)
        self._validated = self._step
        if not self.validation:
            return {}
        self._refuse_broken(sum(self.validation.values()))
        mean = sum(self.validation.values()) / len(self.validation)
        if mean < self._best:
            self._best = mean
            trainer.save_checkpoint(self.folder.best)
        nats = {NATS + name: value for name, value in self.validation.items()}
        return nats | {PERPLEXITY + name: math.exp(value) for name, value in self.validation.items()}

    def _write(self, values: dict[str, float]) -> None:
        """Write a row of the log, say a line of it, and draw the curves when held-out data were looked at."""
        self.run_log.write(self._step, values)
        parts = [f"step {self._step} of {self.settings.steps}"]
        if "loss" in values:
            parts.append(f"loss {values['loss']:.4f}  {values['tokens_per_second']:,.0f} tokens/s")
        held_out = {name: values[PERPLEXITY + name] for name in self.domains if PERPLEXITY + name in values}
        if held_out:
            parts.append("perplexity " + "  ".join(f"{name} {value:.4g}" for name, value in held_out.items()))
            self.run_log.draw()
        log.info("%s", "  ".join(parts))
