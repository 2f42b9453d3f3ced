"""One part of a step of language modelling, as Lightning runs it."""

import random
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies import FSDPStrategy
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.optimizer import (
    clip_gradients,
    follow,
    make_optimizer,
    plain_name,
    undecayed_names,
)
from bio_xlstm.tasks.pretrain.packing import IGNORED
from bio_xlstm.tasks.pretrain.portable_checkpoint import align_progress, name_moments
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings


class LanguageModeling(LightningModule):
    """Predict the next tokens, or the hidden ones, of packed sequences."""

    def __init__(self, model: SequenceModel, settings: TrainingSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        self.model.checkpointing = settings.checkpoint_blocks
        self.loss = torch.zeros(())
        """This process's share of the loss of the step."""
        self.gradient_norm = torch.zeros(())
        """Norm of the whole gradient of the step, before clipping."""
        self.tokens = 0
        """Tokens that this process has trained on."""
        self._undecayed = undecayed_names(model)

    def training_step(self, batch: TensorBatch, number: int) -> Tensor:
        """Return the share that one part has in the loss of its step.

        Lightning divides the gradient by the parts of a process and averages it over processes, but it is a sum:
        the share is multiplied by their number.
        """
        turn = number % self.settings.accumulate
        if self.model.config.dropout:
            torch.manual_seed(self._seed(turn))
        loss = loss_share(self.model, batch)
        self.loss = loss.detach() if turn == 0 else self.loss + loss.detach()
        self.tokens += batch.tokens.numel()
        return loss * (self.trainer.world_size * self.settings.accumulate)

    def validation_step(self, batch: tuple[int, TensorBatch], _: int) -> Tensor:
        """Return the summed cross entropy of a batch in nats, and how many targets it has: (2,) float64."""
        packed = batch[1]
        counted = (packed.weights > 0).flatten().cpu()
        nats = cross_entropy(self.model, packed, "none").cpu().double()[counted]
        return torch.stack([nats.sum(), counted.sum().double()])

    def configure_optimizers(self) -> Optimizer:
        """Use AdamW; its learning rate is set before every step."""
        return make_optimizer(self.model.named_parameters(), self._undecayed, self.settings)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Set the learning rate, which is a function of the step alone."""
        follow(optimizer, self.global_step, self.settings)

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradient of the whole step, over all parts and processes."""
        model = self.trainer.strategy.model
        assert model is not None
        self.gradient_norm = clip_gradients(model, self.settings.clip)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint fit for another number of devices."""
        if isinstance(self.trainer.strategy, FSDPStrategy):
            names = [plain_name(name) for name, _ in self.named_parameters()]
        else:
            known = {id(parameter): name for name, parameter in self.named_parameters()}
            groups = self.trainer.optimizers[0].param_groups
            names = [known[id(parameter)] for group in groups for parameter in group["params"]]
        name_moments(checkpoint, names)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up a checkpoint that was perhaps written with another number of parts to a step."""
        align_progress(checkpoint, self.settings.accumulate)

    def _seed(self, turn: int) -> int:
        """Return the seed of the dropout of one part, so that a resumed run drops what an undisturbed one drops."""
        part = self.trainer.global_rank * self.settings.accumulate + turn
        return random.Random(f"{self.settings.seed} {self.global_step} {part}").getrandbits(62)


def loss_share(model: SequenceModel, part: TensorBatch) -> Tensor:
    """Return the weighted cross entropy of a part in nats, divided by the weights of its whole step."""
    nats = cross_entropy(model, part, "none")
    return (nats * part.weights.flatten()).sum() / (part.total or 1.0)


def cross_entropy(model: SequenceModel, batch: TensorBatch, reduction: str) -> Tensor:
    """Return -log p of the targets of a packed batch in nats: of each (none), their mean or sum."""
    placed = {"positions": batch.positions} if model.config.positioned else {}
    logits = model(batch.tokens, cu_seqlens=batch.cu_seqlens, with_state=False, **placed).logits  # (1, T, V)
    logits = logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORED, reduction=reduction)
