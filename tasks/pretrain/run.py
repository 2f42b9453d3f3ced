"""Run a recipe from its text to a model directory; stop and resume at any step."""

import contextlib
import json
import logging
import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger

import bio_xlstm
from bio_xlstm.errors import ConfigError, OutputError
from bio_xlstm.models.directory import CONFIG
from bio_xlstm.tasks.pretrain.card import card
from bio_xlstm.tasks.pretrain.corpus import prepare
from bio_xlstm.tasks.pretrain.data_module import PretrainData
from bio_xlstm.tasks.pretrain.language_modeling import LanguageModeling
from bio_xlstm.tasks.pretrain.settings import Recipe

log = logging.getLogger(__name__)

LAST, BEST, IDENTITY = "last.ckpt", "best.ckpt", "identity.json"


class PretrainResult(NamedTuple):
    """Tell how far a run came."""

    directory: Path
    steps: int
    written: bool  # whether the model directory is complete
    validation: dict[str, float]  # nats per token of every held-out domain


def pretrain(
    recipe: Recipe,
    data: str | Path,
    output: str | Path,
    *,
    resume: bool = True,
    overwrite: bool = False,
    cache: str | Path | None = None,
) -> PretrainResult:
    """Train the model of a recipe on the files under `data` and write a model directory.

    Checkpoints and the log lie in `output/training`; started again with the same recipe, a run continues at the
    step and batch where it stopped (bit for bit on a CPU). ConfigError when that run had another recipe,
    OutputError when `output` already holds a finished model.

    Example::

        pretrain(read_recipe("recipes/chem-small.toml"), data="data", output="runs/chem-small")
    """
    output = Path(output)
    folder = _open_output(recipe, output, resume, overwrite)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    corpus = prepare(recipe, Path(data), Path(cache) if cache else output / "training" / "corpus")
    model = bio_xlstm.build(**recipe.model, seed=recipe.training.seed)
    model.name = recipe.name
    log.info("%s: %d parameters, %d steps", recipe.name, model.parameter_count, recipe.training.steps)
    module = LanguageModeling(model, recipe.training, corpus.domains)
    batches = PretrainData(recipe, corpus, model.tokenizer)
    guard = Guard(recipe, folder)
    with _quiet():
        trainer = _trainer(recipe, folder, guard)
        trainer.fit(module, batches, ckpt_path=folder / LAST if (folder / LAST).exists() else None)
    written = trainer.global_step >= recipe.training.steps or guard.out_of_time
    if written:
        with _quiet():
            trainer.validate(module, datamodule=batches, verbose=False)
        text = card(recipe, corpus, model, module.validation, trainer.global_step)
        model.eval().save(output, card=text)
    return PretrainResult(output, trainer.global_step, written, module.validation)


class Guard(Callback):
    """Write checkpoints, and end the run in good order on SIGTERM, SIGINT or when its time is up."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        self.begin = time.monotonic()
        self.asked_to_stop = False
        self.out_of_time = False
        self.best = float("inf")
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Listen to signals in place of Lightning, which would give up in the middle of a step."""

        def note(*_: Any) -> None:
            self.asked_to_stop = True

        # only the main thread may listen
        with contextlib.suppress(ValueError):
            self._handlers = {
                number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)
            }

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Hand the signals back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Look at the clock and at signals after every step."""
        settings = self.recipe.training
        minutes = (time.monotonic() - self.begin) / 60
        self.out_of_time = bool(settings.max_minutes) and minutes >= settings.max_minutes
        stop = self.asked_to_stop or self.out_of_time
        if (
            stop
            or trainer.global_step % settings.checkpoint_every == 0
            or trainer.global_step == settings.steps
        ):
            self._save(trainer, LAST)
        if stop:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Print held-out perplexities and keep the best checkpoint."""
        assert isinstance(module, LanguageModeling)
        if not module.validation:
            return
        described = "  ".join(f"{name} {value:.4f}" for name, value in module.validation.items())
        log.info("step %d  held-out nats per token: %s", trainer.global_step, described)
        mean = sum(module.validation.values()) / len(module.validation)
        if mean < self.best and trainer.state.fn == "fit":
            self.best = mean
            self._save(trainer, BEST)

    def state_dict(self) -> dict[str, Any]:
        """Remember the best validation."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best validation of the run so far."""
        self.best = state_dict["best"]

    def _save(self, trainer: Trainer, name: str) -> None:
        """Write a checkpoint beside its final name, then rename it."""
        partial = self.folder / f"{name}.partial"
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            os.replace(partial, self.folder / name)


def _trainer(recipe: Recipe, folder: Path, guard: Guard) -> Trainer:
    """Wire Lightning without bars, summaries and checkpoints of its own."""
    settings = recipe.training
    return Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        precision=settings.precision,  # type: ignore[arg-type]
        max_steps=settings.steps,
        max_epochs=-1,
        gradient_clip_val=settings.clip or None,
        val_check_interval=settings.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=settings.log_every,
        logger=CSVLogger(folder, name="", version="log", flush_logs_every_n_steps=1),
        callbacks=[guard],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _open_output(recipe: Recipe, output: Path, resume: bool, overwrite: bool) -> Path:
    """Make the folder of a run; refuse a finished model, and a run of another recipe."""
    folder = output / "training"
    if output.is_dir() and any(output.iterdir()) and not (folder.is_dir() or (output / CONFIG).is_file()):
        raise OutputError(f"{output} holds files but neither a model nor a run; give the output another name")
    if overwrite:
        shutil.rmtree(folder, ignore_errors=True)
        (output / "model.safetensors").unlink(missing_ok=True)
    if (output / "model.safetensors").exists():
        raise OutputError(f"{output} already holds a finished model; use --overwrite to train it anew")
    if (folder / LAST).exists() and not resume:
        raise OutputError(
            f"{folder / LAST} is left from an earlier run; use --resume to continue it or --overwrite"
        )
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"recipe": recipe.name, "identity": recipe.identity()}
    if (folder / LAST).exists() and json.loads((folder / IDENTITY).read_text()) != identity:
        raise ConfigError(
            f"{folder} was begun with another recipe (model, data, seed or batch_tokens differ); "
            "use --overwrite to begin again"
        )
    (folder / IDENTITY).write_text(json.dumps(identity))
    return folder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice, which does not apply to packed batches and in-memory data."""
    level = logging.WARNING if log.getEffectiveLevel() > logging.DEBUG else logging.INFO
    logging.getLogger("pytorch_lightning").setLevel(level)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
        yield
