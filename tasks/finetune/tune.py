"""`--method lora`, `state` and `full`: the head that was solved for, then gradient descent on head and model."""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer

from bio_xlstm.adapters.low_rank import merge_low_rank
from bio_xlstm.adapters.methods import adapt
from bio_xlstm.heads.losses import class_weights
from bio_xlstm.tasks.assay.splits.split import Round
from bio_xlstm.tasks.finetune.closed_form import Chosen
from bio_xlstm.tasks.finetune.member import Member
from bio_xlstm.tasks.finetune.plan import Plan
from bio_xlstm.tasks.finetune.ridge import solve
from bio_xlstm.tasks.finetune.tuning import Examples, Tuning, TuningData
from bio_xlstm.tasks.finetune.watch import Watch
from bio_xlstm.tasks.pretrain.run_folder import RunFolder
from bio_xlstm.tasks.pretrain.stop_request import StopRequest
from bio_xlstm.tasks.pretrain.trainer import make_trainer, quiet
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

Say = Callable[[str], None]

LEARNING_RATES = {"lora": 1e-3, "state": 3e-3, "full": 3e-4}
# tokens of a step, where sequences are so long that --batch-size of them would not fit
_STEP_TOKENS = 16_384
# epochs where there is no validation part to stop by
_BLIND_EPOCHS = 10
_DECAY = 0.01


def training_settings(plan: Plan, count: int, batch: int) -> TrainingSettings:
    """Describe the optimisation of one member."""
    request = plan.request
    epochs = request.epochs if len(plan.rounds[0].validation) else min(request.epochs, _BLIND_EPOCHS)
    steps = epochs * -(-count // batch)
    return TrainingSettings(
        steps=steps,
        learning_rate=request.learning_rate or LEARNING_RATES.get(request.method, 1e-3),
        final_learning_rate=0.0,
        warmup=min(100, steps // 10),
        weight_decay=_DECAY,
        precision=request.precision,
        devices=request.devices,
        nodes=request.nodes,
        accelerator="gpu" if plan.model.device.type == "cuda" else plan.model.device.type,
        seed=request.seed,
    )


def tune_member(
    plan: Plan,
    member: Member,
    chosen: Chosen,
    one: Round,
    folder: RunFolder,
    number: int,
    seed: int,
    begun: float,
    say: Say,
) -> tuple[Member, dict[str, Any]]:
    """Tune a copy of the model with a head that was solved for; return the best member and its curve.

    KeyboardInterrupt where the run is asked to stop; a checkpoint is left to go on from.
    """
    request = plan.request
    train, validation = (_examples(plan, rows) for rows in (one.train, one.validation))
    batch = _batch_size(plan, one.train, say)
    data = TuningData(len(train), batch, seed)
    settings = training_settings(plan, len(train), batch)
    module = _module(plan, member, train, settings, seed)
    checkpoint = folder.path / f"member-{number + 1}.ckpt"
    with quiet(), StopRequest() as stop:
        watch = Watch(
            validation,
            checkpoint,
            stop,
            epoch_steps=data.epoch_steps,
            steps=settings.steps,
            patience=request.patience,
            deadline=deadline(plan, number, begun),
            say=say,
        )
        trainer = make_trainer(settings, module.model, folder, [watch])
        _fit(trainer, module, data, checkpoint)
    # a run that was killed between its last step and the model has nothing left to train
    if not watch.finished and trainer.global_step < settings.steps:
        raise KeyboardInterrupt
    watch.restore(module)
    tuned = _finished(plan, module, member, chosen, one.train)
    seconds = time.monotonic() - begun
    return tuned, {"curve": watch.curve, "best_epoch": watch.best_epoch, "seconds": round(seconds, 1)}


def deadline(plan: Plan, number: int, begun: float) -> float:
    """Return when a member has to be done: what is left of --max-time is shared by it and all that come after it."""
    minutes = plan.request.max_minutes
    if not minutes:
        return math.inf
    now, left = time.monotonic(), len(plan.rounds) * plan.request.ensemble - number
    return now + max(0.0, begun + 60 * minutes - now) / left


def _fit(trainer: Trainer, module: Tuning, data: TuningData, checkpoint: Path) -> None:
    """Train; KeyboardInterrupt where the user presses Ctrl-C twice."""
    try:
        trainer.fit(module, data, ckpt_path=str(checkpoint) if checkpoint.exists() else None)
    except SystemExit as error:
        # Lightning makes a failure of it
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _module(plan: Plan, member: Member, train: Examples, settings: TrainingSettings, seed: int) -> Tuning:
    """Copy the model, choose what of it is trained, and put the head on it."""
    request, task = plan.request, plan.assay.task
    model = copy.deepcopy(plan.model)
    adapted = adapt(model, request.method, rank=request.rank, seed=seed)
    head = copy.deepcopy(member.head)
    for part in (head.weight, head.bias):
        part.requires_grad_(True)
    weights = None
    if request.class_weights == "balanced" and not task.numeric:
        joined = np.concatenate if member.features.per_token else np.stack
        classes = 2 if task.name == "multilabel" else len(task.classes)
        weights = class_weights(torch.from_numpy(joined(train.values)), classes)
    return Tuning(model, head, adapted, member.features, train, task, settings, weights)


def _finished(plan: Plan, module: Tuning, member: Member, chosen: Chosen, train: np.ndarray) -> Member:
    """Return the tuned member for use: changes merged, uncertainty as of its features now."""
    device = plan.model.device
    model = merge_low_rank(module.model).to(device).eval().requires_grad_(False)
    state = None if module.state is None else module.state.to(device).requires_grad_(False)
    tuned = Member(model, member.features, module.head.to(device).requires_grad_(False), state)
    if plan.assay.task.numeric and not member.features.per_token:
        points = torch.from_numpy(np.stack(tuned.embed([plan.ids[row] for row in train], plan.batch_tokens)))
        lifted = tuned.head.lifted(points.to(device)).cpu()
        nothing = torch.zeros(len(lifted), 1)
        tuned.head.set_(spread=solve(lifted, nothing, chosen.penalty).spread.to(device))
    return tuned


def _examples(plan: Plan, rows: np.ndarray) -> Examples:
    """Return sequences and values as losses take them."""
    ids = [plan.ids[row] for row in rows.tolist()]
    if plan.assay.task.name != "per_token":
        return Examples(ids, [plan.assay.values[row] for row in rows.tolist()])
    labels = [plan.assay.token_values[row].astype(float) for row in rows.tolist()]
    return Examples(ids, [np.where(one < 0, np.nan, one)[:, None] for one in labels])


def _batch_size(plan: Plan, train: np.ndarray, say: Say) -> int:
    """Return how many sequences a step reads."""
    length = float(np.mean([len(plan.ids[row]) + 1 for row in train.tolist()]))
    most = max(1, int((plan.request.batch_tokens or _STEP_TOKENS) / length))
    if most < plan.request.batch_size:
        say(f"{most} sequences at a time: they are {length:,.0f} tokens long on average")
    return min(most, plan.request.batch_size)
