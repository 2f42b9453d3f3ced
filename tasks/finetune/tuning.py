"""One step of tuning, as Lightning runs it, and the rows that every step sees."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, IterableDataset

from bio_xlstm.adapters.initial_state import InitialState
from bio_xlstm.adapters.methods import Adapted
from bio_xlstm.heads.features import Features, read_features
from bio_xlstm.heads.losses import LOSSES
from bio_xlstm.heads.prediction_head import PredictionHead
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.assay.task import Task
from bio_xlstm.tasks.pretrain.optimizer import clip_gradients, rate
from bio_xlstm.tasks.pretrain.portable_checkpoint import align_progress
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

# of the learning rate: the head begins where it was solved for, and its outputs add up hundreds of features
_HEAD_SHARE = 0.05


class Examples(NamedTuple):
    """Hold sequences of token ids with their values as losses take them, (T,) each, or (L, 1) per token."""

    ids: Sequence[np.ndarray]
    values: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> "Examples":
        """Pick sequences."""
        return Examples([self.ids[row] for row in rows], [self.values[row] for row in rows])


class Tuning(LightningModule):
    """Predict values from what a head sees of a model, both of them in training."""

    def __init__(
        self,
        model: SequenceModel,
        head: PredictionHead,
        adapted: Adapted,
        features: Features,
        train: Examples,
        task: Task,
        settings: TrainingSettings,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model, self.head = model, head
        self.state: InitialState | None = adapted.state
        self.features, self.train_examples, self.settings = features, train, settings
        self.loss_of = LOSSES[task.name]
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.loss = torch.zeros(())
        self._adapted = adapted.parameters
        # a checkpoint holds what is trained alone
        self.strict_loading = False

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """Return the mean loss of some rows; Lightning averages gradients over processes."""
        self.loss = self.loss_on(self.train_examples.take(rows.tolist()))
        return self.loss

    def loss_on(self, examples: Examples) -> Tensor:
        """Return the mean loss of examples."""
        if self.state is None:
            seen = read_features(self.model, examples.ids, self.features)
        else:
            with self.state.before(self.model):
                seen = read_features(self.model, examples.ids, self.features)
        stacked = np.concatenate if self.features.per_token else np.stack
        values = torch.from_numpy(stacked(examples.values)).double()
        if self.head.link == "identity":
            values = (values - self.head.target_centre) / self.head.target_scale
        return self.loss_of(self.head(seen), values.float().to(seen.device), self.class_weights)

    def trained(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}

    def configure_optimizers(self) -> Optimizer:
        """Use AdamW; its learning rates are set before every step."""
        head = [self.head.weight, self.head.bias]
        groups = [{"params": self._adapted, "share": 1.0}, {"params": head, "share": _HEAD_SHARE}]
        return AdamW(groups, lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Set the learning rates, which are functions of the step alone."""
        now = self.settings.learning_rate * rate(self.global_step, self.settings)
        for group in optimizer.param_groups:
            group["lr"] = now * group["share"]

    def configure_gradient_clipping(self, optimizer: Optimizer, *_: Any, **__: Any) -> None:
        """Clip the gradient of the whole step."""
        model = self.trainer.strategy.model
        assert model is not None
        clip_gradients(model, self.settings.clip)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what stays as it is."""
        names = self.trained()
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in names}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on after the last step."""
        align_progress(checkpoint, 1)


class TuningData(LightningDataModule):
    """Serve the rows of every step from any step on: epoch by epoch in random order, a function of (seed, step)."""

    def __init__(self, count: int, batch: int, seed: int) -> None:
        super().__init__()
        self.count, self.batch, self.seed = count, batch, seed
        self.steps_done = 0

    @property
    def epoch_steps(self) -> int:
        """Return the steps of an epoch."""
        return -(-self.count // self.batch)

    def rows(self, step: int) -> np.ndarray:
        """Return the rows of a step."""
        epoch, place = divmod(step, self.epoch_steps)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        return order[place * self.batch : (place + 1) * self.batch]

    def train_dataloader(self) -> DataLoader:
        """Give this process's rows, from the first step that is not done yet."""
        rank, processes = 0, 1
        if self.trainer:
            rank, processes = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(_Steps(self, rank, processes), batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """Remember how many steps are done."""
        return {"steps_done": self.trainer.global_step if self.trainer else self.steps_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the steps that are done."""
        self.steps_done = int(state_dict["steps_done"])


class _Steps(IterableDataset):
    """Yield the rows of one process, without end."""

    def __init__(self, data: TuningData, rank: int, processes: int) -> None:
        self.data, self.rank, self.processes = data, rank, processes

    def __iter__(self) -> Iterator[Tensor]:
        for step in itertools.count(self.data.steps_done):
            rows = self.data.rows(step)
            mine = rows[self.rank :: self.processes]
            # the last step of an epoch may have fewer rows than there are processes
            yield torch.from_numpy(mine if len(mine) else rows[:1])
