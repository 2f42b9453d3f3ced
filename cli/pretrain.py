"""`bioxlstm pretrain`: recipe to model directory."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.tasks.pretrain.training_settings import ACCELERATORS, PRECISIONS, STRATEGIES

if TYPE_CHECKING:
    from bio_xlstm.tasks.pretrain.run import PretrainResult
    from bio_xlstm.tasks.pretrain.settings import Recipe

# options that replace a setting of the recipe
training = options.stacked(
    click.option("--steps", type=click.IntRange(min=1), help="Number of steps."),
    click.option("--warmup", type=click.IntRange(min=0), help="Steps over which the learning rate rises."),
    click.option("--max-minutes", type=float, help="Stop after this time even if steps are left."),
    click.option("--seed", type=click.IntRange(min=0), help="Seed of weights, data order and dropout."),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads."),
    click.option("--devices", type=click.IntRange(min=1), metavar="N", help="GPUs, or processes on a CPU."),
    click.option("--nodes", type=click.IntRange(min=1), metavar="N", help="Machines."),
    click.option("--strategy", type=click.Choice(STRATEGIES), help="How several devices share the work."),
    click.option("--precision", type=click.Choice(PRECISIONS), help="Numeric precision."),
    click.option("--accelerator", type=click.Choice(ACCELERATORS), help="Where to train."),
    click.option(
        "--accumulate",
        type=click.IntRange(min=1),
        metavar="N",
        help="Parts that a device divides its share of a step into: more take less memory.",
    ),
    click.option(
        "--checkpoint-blocks/--keep-blocks",
        default=None,
        help="Compute blocks again for the gradient: less memory, more time.",
    ),
    click.option(
        "--workers", type=click.IntRange(min=0), metavar="N", help="Processes that prepare batches."
    ),
    click.option("--tensorboard/--no-tensorboard", default=None, help="Write the log for TensorBoard too."),
)


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Model directory to write."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("."),
    help="Folder that the recipe's files lie in.",
)
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder for prepared data [OUTPUT/training/corpus]."
)
@options.output_policy
@training
@click.option("--dry-run", is_flag=True, help="Prepare the data, say what the run will take, and stop.")
@options.config
@options.talk
@click.pass_context
def pretrain(
    ctx: click.Context,
    recipe: Path,
    output: Path,
    data: Path,
    cache: Path | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
    **changes: Any,
) -> None:
    """Train a model from a RECIPE (TOML) and write a model directory.

    A run that was stopped continues where it stopped when it is started again with the same command. Options take the
    place of what the recipe says under [training].

    \b
    bioxlstm pretrain recipes/chem-small.toml --data data -o runs/chem-small
    """
    from bio_xlstm.cli.main import INTERRUPTED
    from bio_xlstm.tasks.in_context.recipe import is_learner_recipe
    from bio_xlstm.tasks.pretrain.processes import is_awaited, is_first
    from bio_xlstm.tasks.pretrain.settings import read_recipe, with_overrides
    from bio_xlstm.tasks.pretrain.stop_request import StopRequest

    if is_learner_recipe(recipe):
        _talk(quiet, verbose)
        place = {"data": data, "output": output, "cache": cache}
        _train_learner(ctx, recipe, place, changes, resume=resume, overwrite=overwrite, dry_run=dry_run)
        return
    first = not is_awaited()
    # before torch is imported and data are read, which takes long enough to be stopped
    with StopRequest(at_once=first) as stop:
        try:
            settings = with_overrides(read_recipe(recipe), **changes)
            first = is_first(settings.training)
            _talk(quiet or not first, verbose)
            if dry_run:
                _say_plan(settings, data, output, cache)
                return
            from bio_xlstm.tasks.pretrain.run import pretrain as run

            result = run(settings, data, output, resume=resume, overwrite=overwrite, cache=cache, stop=stop)
        except KeyboardInterrupt:
            if first:
                _say_how_to_go_on("Interrupted")
            ctx.exit(INTERRUPTED)
    if not first:
        return
    if not result.written:
        _say_how_to_go_on(f"Stopped after {result.steps} of {settings.training.steps} steps")
        ctx.exit(INTERRUPTED)
    if not quiet:
        _say_what_is_there(settings, result)


def _train_learner(
    ctx: click.Context,
    path: Path,
    place: dict[str, Path | None],
    changes: dict[str, Any],
    *,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Train an in-context learner, which takes few of the options."""
    from bio_xlstm.cli.main import INTERRUPTED
    from bio_xlstm.errors import ConfigError
    from bio_xlstm.tasks.in_context.recipe import read_learner_recipe

    fitting = {name: changes.pop(name) for name in ("steps", "warmup", "seed", "threads")}
    unfitting = [name for name, value in changes.items() if value is not None]
    if dry_run or unfitting:
        word = "dry-run" if dry_run else unfitting[0].replace("_", "-")
        raise ConfigError(f"--{word} does not go with the recipe of an in-context learner")
    recipe = read_learner_recipe(path, **fitting)
    from bio_xlstm.tasks.in_context.training import train_learner

    data, output, cache = place["data"], place["output"], place["cache"]
    assert data is not None and output is not None
    found = train_learner(recipe, data, output, resume=resume, overwrite=overwrite, cache=cache)
    if not found.written:
        _say_how_to_go_on(f"Stopped after {found.steps} of {recipe.training.steps} steps")
        ctx.exit(INTERRUPTED)
    click.echo(f"model     {found.directory}", err=True)
    click.echo(
        f"use it    bioxlstm predict --support labelled.csv queries.smi -m {found.directory} -o out.csv",
        err=True,
    )


def _say_plan(settings: "Recipe", data: Path, output: Path, cache: Path | None) -> None:
    """Prepare the data and print what the run will take."""
    from bio_xlstm.tasks.pretrain.run import plan_run

    plan = plan_run(settings, data, output, cache=cache)
    click.echo("\n".join(plan.lines()))
    if warning := plan.memory.check():
        click.echo(warning, err=True)


def _say_what_is_there(settings: "Recipe", result: "PretrainResult") -> None:
    """Print where the model lies and how to load it."""
    click.echo(f"model     {result.directory}", err=True)
    click.echo(f"trained   {result.steps} of {settings.training.steps} steps", err=True)
    click.echo(f"load it   bio_xlstm.load({str(result.directory)!r})", err=True)


def _say_how_to_go_on(what: str) -> None:
    """Print the command that continues a run; one that begins again would throw away what was done."""
    again = command_line(without=("--overwrite", "--no-resume"))
    click.echo(f"{what}. To go on where this run stopped:\n  {again}", err=True)


def _talk(quiet: bool, verbose: bool) -> None:
    """Send messages of the run to stderr; with -v Lightning's too."""
    level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("bio_xlstm").setLevel(level)
