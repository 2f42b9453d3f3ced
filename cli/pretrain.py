"""`bioxlstm pretrain`: recipe to model directory."""

import logging
from pathlib import Path

import click

from bio_xlstm.cli import options


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
@click.option("--steps", type=click.IntRange(min=1), help="Number of steps, in place of the recipe's.")
@click.option("--max-minutes", type=float, help="Stop after this time even if steps are left.")
@click.option("--seed", type=int, help="Seed of weights and data order, in place of the recipe's.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads, in place of the recipe's.")
@options.config
@options.talk
def pretrain(
    recipe: Path,
    output: Path,
    data: Path,
    cache: Path | None,
    resume: bool,
    overwrite: bool,
    steps: int | None,
    max_minutes: float | None,
    seed: int | None,
    threads: int | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train a model from a RECIPE (TOML) and write a model directory.

    A run that was stopped continues where it stopped when it is started again with the same command.

    \b
    bioxlstm pretrain recipes/chem-small.toml --data data -o runs/chem-small
    """
    _talk(quiet, verbose)
    from bio_xlstm.tasks.pretrain.settings import read_recipe, with_overrides

    settings = with_overrides(
        read_recipe(recipe), steps=steps, max_minutes=max_minutes, seed=seed, threads=threads
    )
    from bio_xlstm.tasks.pretrain.run import pretrain as run

    result = run(settings, data, output, resume=resume, overwrite=overwrite, cache=cache)
    if not result.written:
        click.echo(f"Stopped after {result.steps} of {settings.training.steps} steps.", err=True)
        raise click.Abort
    if not quiet:
        click.echo(f"model     {result.directory}", err=True)
        click.echo(f"trained   {result.steps} of {settings.training.steps} steps", err=True)
        click.echo(f"load it   bio_xlstm.load({str(result.directory)!r})", err=True)


def _talk(quiet: bool, verbose: bool) -> None:
    """Send messages of the run to stderr; with -v Lightning's too."""
    level = logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("bio_xlstm").setLevel(level)
