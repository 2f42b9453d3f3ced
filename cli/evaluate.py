"""bioxlstm evaluate: how good what a model makes is."""

from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported


@click.group()
def evaluate() -> None:
    """Measure what a model generates."""


@evaluate.command()
@click.argument("generated")
@click.option("-o", "--output", required=True, metavar="DIR|FILE",
              help="Folder for tables and pictures, or one file .json or .csv; - is JSON on stdout.")  # fmt: skip
@click.option("--reference", metavar="FILE", help="Real sequences to compare with, such as held-out ones.")
@click.option("--train", metavar="FILE", help="What the model was trained on: novel is what it lacks.")
@click.option("--hmm", metavar="FILE",
              help="Profile of a protein family: .hmm of HMMER, or an alignment to build one from.")  # fmt: skip
@options.reading
@click.option("--reference-column", metavar="NAME", help="Column of the reference, if it is a table.")
@click.option("--train-column", metavar="NAME", help="Column of the training file, if it is a table.")
@click.option("--compare", type=click.IntRange(min=2), default=10_000, show_default=True, metavar="N",
              help="Compare at most N sequences of each file in pairs, and use N of the reference.")  # fmt: skip
@click.option("--fcd/--no-fcd", default=True, help="Measure FCD, where the package fcd is installed.")
@options.place
@options.workers
@options.seed
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@options.config
@options.talk
def generation(verbose: bool, **choices: Any) -> None:
    """Measure generated molecules, proteins or DNA.

    GENERATED is a file of any format that `embed` reads; records that cannot be read count as invalid.

    \b
    bioxlstm evaluate generation drawn.smi --reference held-out.smi --train train.smi -o report
    """
    from bio_xlstm.tasks.evaluate.generation import evaluate_generation
    from bio_xlstm.tasks.evaluate.request import GenerationRequest

    def say(line: str) -> None:
        if not choices["quiet"]:
            click.echo(line, err=True)

    with reported(say):
        evaluate_generation(GenerationRequest(**choices, command_line=command_line()), say)
