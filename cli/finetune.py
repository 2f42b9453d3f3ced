"""bioxlstm finetune: an assay in, a model that predicts it out."""

from pathlib import Path
from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported
from bio_xlstm.records.formats import KINDS
from bio_xlstm.tasks.choices import POOLS
from bio_xlstm.tasks.finetune.words import CALIBRATIONS, HEADS, METHODS, SPLITS, TASKS, WEIGHTINGS
from bio_xlstm.tasks.pretrain.training_settings import PRECISIONS


class Numbers(click.ParamType[tuple[float, ...]]):
    """Read `80,10,10` as shares of one."""

    name = "A,B,C"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Turn the text into three shares."""
        if isinstance(value, tuple):
            return value
        try:
            found = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            found = ()
        if len(found) != 3 or min(found) < 0 or not sum(found):
            self.fail(f"{value!r} are not three shares, such as 80,10,10", param, ctx)
        return tuple(share / sum(found) for share in found)


reading = options.stacked(
    click.option("--column", help="Column of the sequences."),
    click.option("--target", "targets", multiple=True, metavar="COLUMN",
                 help="Column of measured values (repeatable).  [default: found by name and content]"),
    click.option("--task", type=click.Choice(TASKS), help="What to predict.  [default: from the values]"),
    click.option("--kind", type=click.Choice(KINDS), help="What the sequences are."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only."),
)  # fmt: skip
dividing = options.stacked(
    click.option("--split", type=click.Choice(SPLITS), default="random", show_default=True,
                 help="How train, validation and test part are divided; scaffold is for molecules."),
    click.option("--split-column", metavar="COLUMN", help="Column that names parts or groups."),
    click.option("--similarity", type=float, metavar="X",
                 help="--split cluster: keep together what is as similar as this."),
    click.option("--fractions", type=Numbers(), default="80,10,10", show_default=True,
                 help="Shares of train, validation and test."),
    click.option("--folds", type=click.IntRange(min=0), default=0, metavar="K",
                 help="Cross-validation: every row is tested once; the model is that of all folds."),
)  # fmt: skip
learning = options.stacked(
    click.option("--method", type=click.Choice(METHODS), default="head", show_default=True,
                 help="Train a head on frozen embeddings, low-rank changes, an initial state, or all weights."),
    click.option("--layers", default="auto", show_default=True, help="Layers that the head may see: -1,3 or all."),
    click.option("--pool", "pools", multiple=True, type=click.Choice(POOLS[:-1]), default=("mean",),
                 show_default=True, help="How the letters of a sequence are put together (repeatable)."),
    click.option("--head", type=click.Choice(HEADS), default="auto", show_default=True,
                 help="--method head: form of the head; auto chooses by cross-validation."),
    click.option("--class-weights", type=click.Choice(WEIGHTINGS), default="none", show_default=True,
                 help="Let rare classes count as much as common ones."),
    click.option("--ensemble", type=click.IntRange(min=1), default=1, metavar="K", help="Models to average."),
    click.option("--rank", type=click.IntRange(min=1), default=8, show_default=True, metavar="R",
                 help="--method lora: rank of the changes."),
    click.option("--learning-rate", type=float, metavar="X", help="Of lora, state and full."),
    click.option("--epochs", type=click.IntRange(min=1), default=50, show_default=True, metavar="N",
                 help="Passes over the training part at most."),
    click.option("--patience", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
                 help="Epochs without progress on the validation part before training stops."),
    click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, metavar="N",
                 help="Sequences of a step."),
    click.option("--max-time", "max_minutes", type=float, default=0.0, metavar="MINUTES",
                 help="Stop training after this time and keep the best so far."),
)  # fmt: skip
trusting = options.stacked(
    click.option("--coverage", type=float, default=0.9, show_default=True,
                 help="Share of values that should lie in their interval."),
    click.option("--calibration", type=click.Choice(CALIBRATIONS), default="temperature", show_default=True,
                 help="How probabilities are made to come true."),
    click.option("--baselines/--no-baselines", default=True, show_default=True,
                 help="Train simple models on the same split to compare with."),
    click.option("--bootstrap", type=click.IntRange(min=0), default=1000, show_default=True, metavar="N",
                 help="Draws for the intervals of metrics."),
)  # fmt: skip
machine = options.stacked(
    options.place,
    click.option("--backend", default="auto", show_default=True, help="Kernels to compute with."),
    click.option("--precision", type=click.Choice(PRECISIONS), default="32-true", show_default=True,
                 help="Precision of training."),
    click.option("--devices", type=click.IntRange(min=1), default=1, metavar="N", help="GPUs, or processes on a CPU."),
    options.batch_tokens,
    options.seed,
)  # fmt: skip


@click.command()
@click.argument("input")
@click.option("-o", "--output", required=True, type=click.Path(), help="Model directory to write.")
@options.model
@reading
@dividing
@learning
@trusting
@machine
@options.output_policy
@options.config
@options.talk
@click.pass_context
def finetune(ctx: click.Context, verbose: bool, **choices: Any) -> None:
    """Make a model of the assay INPUT (.csv, .tsv, .parquet): sequences with measured values.

    Columns and task are found out. The model is judged on rows that it has not seen, beside simple models.

    \b
    bioxlstm finetune solubility.csv -o solubility-model --split scaffold
    """
    from bio_xlstm.cli.main import INTERRUPTED
    from bio_xlstm.tasks.finetune.request import FinetuneRequest
    from bio_xlstm.tasks.finetune.run import finetune as run

    request = FinetuneRequest(**choices, command_line=command_line())

    def say(line: str) -> None:
        if not request.quiet:
            click.echo(line, err=True)

    with reported(say):
        try:
            result = run(request, say)
        except KeyboardInterrupt:
            again = command_line(without=("--overwrite", "--no-resume"))
            click.echo(f"Stopped. To go on where this run stopped:\n  {again}", err=True)
            ctx.exit(INTERRUPTED)
    for line in result.lines:
        say(line)
    assert Path(result.directory).is_dir()
