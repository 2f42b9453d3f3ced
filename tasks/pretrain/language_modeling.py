"""One step of causal language modelling, as Lightning runs it."""

import math
import time

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.packing import IGNORED
from bio_xlstm.tasks.pretrain.settings import TrainingSettings
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch


class LanguageModeling(LightningModule):
    """Predict every next token of packed sequences."""

    def __init__(self, model: SequenceModel, settings: TrainingSettings, domains: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.settings, self.domains = model, settings, domains
        self.validation: dict[str, float] = {}
        self._nats = torch.zeros(len(domains), dtype=torch.float64)
        self._counts = torch.zeros(len(domains), dtype=torch.int64)
        self._clock, self._tokens = time.perf_counter(), 0

    def training_step(self, batch: TensorBatch, _: int) -> Tensor:
        """Return the mean cross entropy of the targets of one batch, in nats."""
        loss = cross_entropy(self.model, batch, "mean")
        self._tokens += batch.tokens.numel()
        if (self.global_step + 1) % self.settings.log_every == 0:
            self._log_training(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the last validation."""
        self._nats.zero_()
        self._counts.zero_()

    def validation_step(self, batch: tuple[int, TensorBatch], _: int) -> None:
        """Add up the cross entropy of one batch of one domain."""
        domain, packed = batch
        self._nats[domain] += cross_entropy(self.model, packed, "sum").double().cpu()
        self._counts[domain] += (packed.targets >= 0).sum().cpu()

    def on_validation_epoch_end(self) -> None:
        """Log nats per token of every domain and their mean."""
        seen = self._counts > 0
        nats = self._nats[seen] / self._counts[seen]
        names = [name for name, there in zip(self.domains, seen.tolist(), strict=True) if there]
        self.validation = dict(zip(names, nats.tolist(), strict=True))
        self.log("validation_loss", nats.mean().float(), sync_dist=True)
        self.log_dict(
            {f"validation_{name}": value for name, value in self.validation.items()}, sync_dist=True
        )
        self._clock, self._tokens = time.perf_counter(), 0

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Use AdamW, without decay where the model asks for none, and a rate that follows the step."""
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.model.parameter_groups(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, settings))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_training(self, loss: Tensor) -> None:
        """Log loss, perplexity, learning rate and speed since the last line."""
        now = time.perf_counter()
        speed = self._tokens / max(now - self._clock, 1e-9)
        self._clock, self._tokens = now, 0
        values = {
            "loss": loss,
            "perplexity": loss.exp(),
            "learning_rate": self.trainer.optimizers[0].param_groups[0]["lr"],
            "tokens_per_second": speed,
        }
        self.log_dict(values, logger=True)


def cross_entropy(model: SequenceModel, batch: TensorBatch, reduction: str) -> Tensor:
    """Return mean or sum of -log p over the targets of a packed batch, in nats."""
    logits = model(batch.tokens, cu_seqlens=batch.cu_seqlens, with_state=False).logits  # (1, T, V)
    return F.cross_entropy(
        logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORED, reduction=reduction
    )


def rate(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of a step as a share of the largest: linear warm-up, then cosine or constant."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return 1.0
    floor = settings.final_learning_rate / settings.learning_rate
    done = min(1.0, (step - settings.warmup) / max(1, settings.steps - settings.warmup))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
