"""What the commands have in common that turn a file of records into a file of rows: options, and the run."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.messages import reported

if TYPE_CHECKING:
    from bio_xlstm.tasks.files.job import FileJob

Say = Callable[[str], None]

target: options.Decorator = options.stacked(
    click.argument("input"),
    click.option(
        "-o",
        "--output",
        required=True,
        help="File to write; its suffix decides the format. - is stdout (CSV).",
    ),
    options.model,
)


def row_options(verb: str, formats: Sequence[str], *, molecules: bool = True) -> options.Decorator:
    """Return the options that follow what a command computes; `verb` says what is done to molecules, if to any."""
    allow_invalid = click.option(
        "--allow-invalid", is_flag=True, help=f"{verb} molecules that RDKit cannot parse, too."
    )
    return options.stacked(
        click.option(
            "--format", type=click.Choice(formats), help="Format of the output where its suffix does not tell."
        ),
        options.reading,
        click.option(
            "--max-length", type=click.IntRange(min=1), metavar="N",
            help="Give sequences of more tokens the status too_long.",
        ),
        *([allow_invalid] if molecules else []),
        options.device,
        options.batch_tokens,
        *([options.workers] if molecules else []),
        options.seed,
        options.output_policy,
        options.sharding,
        options.bad_rows,
        click.option("--dry-run", is_flag=True, help="Count, estimate size and time, and stop."),
        options.config,
        options.talk,
    )  # fmt: skip


def run_file_command(
    open_job: Callable[[Say], "FileJob"], *, dry_run: bool, strict: bool, quiet: bool
) -> None:
    """Open a job and do it, or describe it; exit with 3 where rows failed and that is not to pass."""
    from bio_xlstm.tasks.files.estimate import dry_run as describe
    from bio_xlstm.tasks.files.run import run_job

    def say(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    with reported(say):
        job = open_job(say)
        if dry_run:
            click.echo(describe(job))
            return
        outcome = run_job(job, say)
    for line in outcome.lines:
        say(line)
    if strict and outcome.failed:
        raise click.exceptions.Exit(3)
