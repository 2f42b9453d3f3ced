"""Run a recipe from its text to a model directory; stop and resume at any step."""

import contextlib
import logging
from pathlib import Path
from typing import NamedTuple

import torch
from pytorch_lightning import Trainer

import bio_xlstm
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.card import card
from bio_xlstm.tasks.pretrain.guard import Guard
from bio_xlstm.tasks.pretrain.language_modeling import LanguageModeling
from bio_xlstm.tasks.pretrain.plan import Plan, check_recipe, make_plan
from bio_xlstm.tasks.pretrain.processes import is_awaited, is_first
from bio_xlstm.tasks.pretrain.run_folder import RunFolder, make_folder, open_run
from bio_xlstm.tasks.pretrain.run_log import RunLog
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.stop_request import StopRequest
from bio_xlstm.tasks.pretrain.trainer import make_trainer, quiet
from bio_xlstm.tasks.pretrain.turns import alone

log = logging.getLogger(__name__)


class PretrainResult(NamedTuple):
    """Tell how far a run came."""

    directory: Path
    steps: int
    written: bool  # whether the model directory is complete
    validation: dict[str, float]  # nats per token of every held-out domain
    test: dict[str, float]  # the same of the test data of every domain that has any


def pretrain(
    recipe: Recipe,
    data: str | Path,
    output: str | Path,
    *,
    resume: bool = True,
    overwrite: bool = False,
    cache: str | Path | None = None,
    stop: StopRequest | None = None,
) -> PretrainResult:
    """Train the model of a recipe on the files under `data` and write a model directory.

    Checkpoints, log and curves lie in `output/training`; started again with the same recipe, a run continues at the
    step and batch where it stopped (bit for bit on a CPU), also on another number of devices or with another number of
    parts to a step. ConfigError when that run had another recipe or cannot fit into memory, OutputError when `output`
    already holds a finished model, or another run is at work on it. KeyboardInterrupt when a signal asks to stop before
    training begins; from then on the run ends after a step, as its result tells. Whoever listened to signals before
    hands over `stop`. With several devices Lightning starts the other
    processes with the command of this one, so that a script calls this under `if __name__ == "__main__"`.

    Example::

        pretrain(read_recipe("recipes/chem-small.toml"), data="data", output="runs/chem-small")
    """
    first, output = is_first(recipe.training), Path(output)
    with contextlib.nullcontext(stop) if stop else StopRequest(at_once=not is_awaited()) as stop:
        model = check_recipe(recipe, Path(data))
        if not output.exists():
            make_folder(output)
        with alone(output) if first else contextlib.nullcontext():
            folder = open_run(recipe, output, resume=resume, overwrite=overwrite, first=first)
            return _run(_plan(recipe, model, data, output, cache), folder, first, stop)


def _run(plan: Plan, folder: RunFolder, first: bool, stop: StopRequest) -> PretrainResult:
    """Say what a run will take, train, and write the model."""
    if first:
        for line in plan.lines():
            log.info("%s", line)
    warning = plan.memory.check()
    if warning and first:
        log.warning("%s", warning)
    result = _train(plan, folder, first, stop)
    if result.written and first:
        _write_model(plan, folder, result)
    return result


def plan_run(
    recipe: Recipe, data: str | Path, output: str | Path, *, cache: str | Path | None = None
) -> Plan:
    """Prepare the data of a run and predict what it takes, without starting it."""
    return _plan(recipe, check_recipe(recipe, Path(data)), data, output, cache)


def _plan(
    recipe: Recipe, model: SequenceModel, data: str | Path, output: str | Path, cache: str | Path | None
) -> Plan:
    """Prepare the data of a recipe that was found good."""
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    corpus = Path(cache) if cache else RunFolder(Path(output)).path / "corpus"
    return make_plan(recipe, model, Path(data), corpus)


def _train(plan: Plan, folder: RunFolder, first: bool, stop: StopRequest) -> PretrainResult:
    """Train until the end or until the run is asked to stop."""
    recipe, settings = plan.recipe, plan.recipe.training
    domains = [domain.name for domain in recipe.data.domains]
    run_log = RunLog(folder, recipe.name, domains, tensorboard=settings.tensorboard, writes=first)
    model = _new_model(recipe)
    module = LanguageModeling(model, settings)
    guard = Guard(recipe, folder, run_log, stop)
    with quiet():
        trainer = make_trainer(settings, model, folder, [guard])
        # from here on there is a checkpoint to write and others to wait for
        stop.at_once = False
        if stop.asked and not is_awaited():
            raise KeyboardInterrupt
        _fit(trainer, module, plan, folder, stop)
    steps = trainer.global_step
    # a run that was killed between its last step and the model has nothing left to train
    finished = guard.finished or steps >= settings.steps
    return PretrainResult(folder.output, steps, finished, guard.validation, guard.test)


def _fit(
    trainer: Trainer, module: LanguageModeling, plan: Plan, folder: RunFolder, stop: StopRequest
) -> None:
    """Train; KeyboardInterrupt where the user presses Ctrl-C twice."""
    try:
        # until all processes are there and the first step begins
        stop.hold()
        trainer.fit(module, plan.batches, ckpt_path=folder.checkpoint)
    except SystemExit as error:
        # Lightning makes a failure of it
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        stop.listen()


def _new_model(recipe: Recipe) -> SequenceModel:
    """Make the model of a recipe with fresh weights."""
    model: SequenceModel = bio_xlstm.build(**recipe.model, seed=recipe.training.seed)
    model.name = recipe.name
    return model


def _write_model(plan: Plan, folder: RunFolder, result: PretrainResult) -> None:
    """Write the model directory from the last checkpoint, which holds whole weights however they were divided."""
    recipe = plan.recipe
    saved = torch.load(folder.last, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    model = _new_model(recipe)
    model.load_state_dict({name.removeprefix("model."): weight for name, weight in saved.items()})
    text = card(recipe, plan.corpus, model, result.validation, result.steps, result.test)
    model.eval().save(folder.output, card=text)
