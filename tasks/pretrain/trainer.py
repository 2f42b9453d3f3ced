"""Lightning's trainer for a recipe: devices, precision, and how several processes share the work."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, Strategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from bio_xlstm.errors import ConfigError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.checkpoint_file import CheckpointFile
from bio_xlstm.tasks.pretrain.run_folder import RunFolder
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings


def make_trainer(
    settings: TrainingSettings, model: SequenceModel, folder: RunFolder, callbacks: list[Callback]
) -> Trainer:
    """Wire Lightning without bars, summaries, loggers and checkpoints of its own; the callbacks do their work.

    ConfigError says in Lightning's words what does not go with this machine.
    """
    try:
        return Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy=make_strategy(settings, model),
            precision=settings.precision,  # type: ignore[arg-type]
            accumulate_grad_batches=settings.accumulate,
            max_steps=settings.steps,
            max_epochs=-1,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            default_root_dir=folder.path,
            logger=False,
            callbacks=callbacks,
            plugins=[CheckpointFile()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(f"[training] {' '.join(str(error).split())}") from None


def make_strategy(settings: TrainingSettings, model: SequenceModel) -> Strategy | str:
    """Choose how processes share the work."""
    if settings.strategy == "fsdp":
        return FSDPStrategy(**fsdp_options(model))
    if settings.strategy == "ddp" or settings.processes > 1:
        return DDPStrategy(gradient_as_bucket_view=True, broadcast_buffers=False)
    return "auto"


def fsdp_options(model: SequenceModel) -> dict[str, Any]:
    """Shard block by block, and write whole checkpoints that any other strategy reads.

    Weights and sums of gradients stay in float32; under bf16-mixed, autocast chooses what is computed in half
    precision, as it does for a single device.
    """
    from torch.distributed.fsdp import MixedPrecision

    single = torch.float32
    return {
        "auto_wrap_policy": {type(block) for block in model.blocks},
        "state_dict_type": "full",
        "mixed_precision": MixedPrecision(
            param_dtype=single, reduce_dtype=single, buffer_dtype=single, cast_root_forward_inputs=False
        ),
    }


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advice, which does not apply to packed batches and our own checkpoints."""
    level = logging.INFO if logging.getLogger("bio_xlstm").isEnabledFor(logging.DEBUG) else logging.WARNING
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(level)
    with warnings.catch_warnings():
        for module in ("pytorch_lightning", "lightning_fabric", "torch.distributed.fsdp"):
            warnings.filterwarnings("ignore", module=module)
        yield
