"""Run a recipe from its text to a model directory; stop and resume at any step."""

import logging
from pathlib import Path
from typing import NamedTuple

import torch

import bio_xlstm
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.pretrain.card import card
from bio_xlstm.tasks.pretrain.guard import Guard
from bio_xlstm.tasks.pretrain.language_modeling import LanguageModeling
from bio_xlstm.tasks.pretrain.plan import Plan, make_plan
from bio_xlstm.tasks.pretrain.processes import is_first
from bio_xlstm.tasks.pretrain.run_folder import RunFolder, open_run
from bio_xlstm.tasks.pretrain.run_log import RunLog
from bio_xlstm.tasks.pretrain.settings import Recipe
from bio_xlstm.tasks.pretrain.stop_request import StopRequest
from bio_xlstm.tasks.pretrain.trainer import make_trainer, quiet

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
) -> PretrainResult:
    """Train the model of a recipe on the files under `data` and write a model directory.

    Checkpoints, log and curves lie in `output/training`; started again with the same recipe, a run continues at the
    step and batch where it stopped (bit for bit on a CPU), also on another number of devices or with another number of
    parts to a step. ConfigError when that run had another recipe or cannot fit into memory, OutputError when `output`
    already holds a finished model. With several devices Lightning starts the other processes with the command of this
    one, so that a script calls this under `if __name__ == "__main__"`.

    Example::

        pretrain(read_recipe("recipes/chem-small.toml"), data="data", output="runs/chem-small")
    """
    first = is_first(recipe.training)
    folder = open_run(recipe, Path(output), resume=resume, overwrite=overwrite, first=first)
    plan = plan_run(recipe, data, output, cache=cache)
    if first:
        for line in plan.lines():
            log.info("%s", line)
    warning = plan.memory.check()
    if warning and first:
        log.warning("%s", warning)
    result = _train(plan, folder, first)
    if result.written and first:
        _write_model(plan, folder, result)
    return result


def plan_run(
    recipe: Recipe, data: str | Path, output: str | Path, *, cache: str | Path | None = None
) -> Plan:
    """Prepare the data of a run and predict what it takes, without starting it."""
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    return make_plan(recipe, Path(data), Path(cache) if cache else RunFolder(Path(output)).path / "corpus")


def _train(plan: Plan, folder: RunFolder, first: bool) -> PretrainResult:
    """Train until the end or until the run is asked to stop."""
    recipe, settings = plan.recipe, plan.recipe.training
    domains = [domain.name for domain in recipe.data.domains]
    run_log = RunLog(folder, recipe.name, domains, tensorboard=settings.tensorboard, writes=first)
    module = LanguageModeling(plan.model, settings)
    with quiet(), StopRequest() as stop:
        guard = Guard(recipe, folder, run_log, stop)
        trainer = make_trainer(settings, plan.model, folder, [guard])
        trainer.fit(module, plan.batches, ckpt_path=folder.checkpoint)
    steps = trainer.global_step
    # a run that was killed between its last step and the model has nothing left to train
    finished = guard.finished or steps >= settings.steps
    return PretrainResult(folder.output, steps, finished, guard.validation, guard.test)


def _write_model(plan: Plan, folder: RunFolder, result: PretrainResult) -> None:
    """Write the model directory from the last checkpoint, which holds whole weights however they were divided."""
    recipe = plan.recipe
    saved = torch.load(folder.last, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    model: SequenceModel = bio_xlstm.build(**recipe.model, seed=recipe.training.seed)
    model.load_state_dict({name.removeprefix("model."): weight for name, weight in saved.items()})
    model.name = recipe.name
    text = card(recipe, plan.corpus, model, result.validation, result.steps, result.test)
    model.eval().save(folder.output, card=text)
