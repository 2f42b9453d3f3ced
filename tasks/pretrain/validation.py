"""Held-out loss of every domain, exact however many processes share the work."""

from collections.abc import Sequence

import torch
from pytorch_lightning import Trainer

from bio_xlstm.tasks.pretrain.packing import IGNORED
from bio_xlstm.tasks.pretrain.processes import summed
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch

HeldOut = Sequence[tuple[int, TensorBatch]]


@torch.no_grad()
def held_out_nats(trainer: Trainer, batches: HeldOut, domains: Sequence[str]) -> dict[str, float]:
    """Return the cross entropy per target in nats of every domain that has any; `batches` are this process's."""
    strategy, model = trainer.strategy, trainer.strategy.model
    assert model is not None
    sums = torch.zeros(len(domains), 2, dtype=torch.float64)  # nats and targets
    model.eval()
    for number in range(_rounds(trainer, len(batches))):
        # a sharded model is put together by all processes at once: those that are through read nothing
        domain, batch = batches[number] if number < len(batches) else (0, _nothing())
        batch = strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
        found = strategy.validation_step((domain, batch), number)
        assert isinstance(found, torch.Tensor)
        sums[domain] += found
    model.train()
    nats, targets = summed(trainer, sums).unbind(1)
    return {
        name: float(total / count)
        for name, total, count in zip(domains, nats, targets, strict=True)
        if count > 0
    }


def _rounds(trainer: Trainer, mine: int) -> int:
    """Return the most batches that any process has."""
    counts = torch.zeros(trainer.world_size, dtype=torch.int64)
    counts[trainer.global_rank] = mine
    return int(summed(trainer, counts).max())


def _nothing() -> TensorBatch:
    """Return a batch of one token without a target."""
    token = torch.zeros(1, 1, dtype=torch.int64)
    bounds = torch.tensor([0, 1], dtype=torch.int32)
    return TensorBatch(token, torch.full_like(token, IGNORED), bounds, None, torch.zeros(1, 1), 1.0)
