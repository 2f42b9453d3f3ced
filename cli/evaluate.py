"""bioxlstm evaluate: how good what a model makes or predicts is."""

from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported
from bio_xlstm.records.columns import COLUMNS
from bio_xlstm.tasks.assay.columns import RELATIONS
from bio_xlstm.tasks.fewshot.column_names import ASSAYS, CLASSES, GROUPS, NUMBERS


@click.group()
def evaluate() -> None:
    """Measure what a model generates or predicts."""


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


predictions: options.Decorator = options.stacked(
    click.argument("predictions"),
    click.option("-o", "--output", required=True, metavar="FILE",
                 help="File to write, .json or .csv; - is JSON on stdout."),
    click.option("--truth", multiple=True, metavar="COLUMN",
                 help="Column of what was measured; repeatable.  [default: found by name]"),
    click.option("--prediction", multiple=True, metavar="COLUMN",
                 help="Column of what was predicted, one per --truth.  [default: found by name]"),
    click.option("--where", multiple=True, metavar="COLUMN=VALUE",
                 help="Count only such rows, as part=test; repeatable."),
    click.option("--by", metavar="COLUMN", help="Measure every group of rows alone, and give the mean."),
)  # fmt: skip
drawing: options.Decorator = options.stacked(
    click.option("--bootstrap", type=click.IntRange(min=0), default=1000, show_default=True, metavar="N",
                 help="Draws for the intervals, fewer for large files; 0 for none."),
    options.seed,
    click.option("--overwrite", is_flag=True, help="Replace an output that exists."),
    options.config,
    options.talk,
)  # fmt: skip


@evaluate.command()
@predictions
@click.option("--positive", metavar="CLASS", help="The class that counts as positive, of two.")
@drawing
def classification(**choices: Any) -> None:
    """Measure predicted classes or probabilities.

    PREDICTIONS is a table, as finetune and predict write it, or any other with the true class and what was predicted:
    a probability or score of the positive class, the class itself, or columns probability_CLASS.

    \b
    bioxlstm evaluate classification model/predictions.csv --where part=test -o metrics.json
    """
    _evaluate("classification", **choices)


@evaluate.command()
@predictions
@click.option(
    "--lower", metavar="COLUMN", help="Column of the lower ends of intervals.  [default: found by name]"
)
@click.option("--upper", metavar="COLUMN", help="Column of the upper ends.")
@drawing
def regression(**choices: Any) -> None:
    """Measure predicted numbers, and their intervals where there are some.

    PREDICTIONS is a table with what was measured and what was predicted.

    \b
    bioxlstm evaluate regression model/predictions.csv --where part=test -o metrics.json
    """
    _evaluate("regression", **choices)


@evaluate.command()
@predictions
@click.option("--labels", metavar="COLUMN",
              help="Column of 0 and 1, fit or not.  [default: DMS_score_bin, else above the median]")  # fmt: skip
@drawing
def proteingym(**choices: Any) -> None:
    """Measure scores of variants as ProteinGym does: Spearman, AUC, MCC, NDCG, top recall.

    PREDICTIONS is a table with DMS_score and a score per variant; several assays are told apart by DMS_id or --by.

    \b
    bioxlstm evaluate proteingym scores.csv --prediction score -o metrics.json
    """
    _evaluate("proteingym", **choices)


def _evaluate(goal: str, *, verbose: bool, **choices: Any) -> None:
    """Evaluate a file of predictions."""
    from bio_xlstm.tasks.evaluate.prediction_request import PredictionRequest
    from bio_xlstm.tasks.evaluate.predictions import evaluate_predictions

    def say(line: str) -> None:
        if not choices["quiet"]:
            click.echo(line, err=True)

    with reported(say):
        evaluate_predictions(PredictionRequest(goal=goal, **choices, command_line=command_line()), say)


class Listed(click.ParamType[tuple[str, ...]]):
    """Read `16,64` as ("16", "64")."""

    name = "LIST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split the text at commas."""
        if isinstance(value, tuple):
            return value
        return tuple(word.strip() for word in str(value).split(",") if word.strip())


def _joined(
    ctx: click.Context, param: click.Parameter, value: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """Join the lists of an option that was given several times."""
    return tuple(word for words in value for word in words)


def _sizes(ctx: click.Context, param: click.Parameter, value: tuple[tuple[str, ...], ...]) -> tuple[int, ...]:
    """Read joined lists as whole numbers."""
    words = _joined(ctx, param, value)
    for word in words:
        if not word.isdecimal():
            raise click.BadParameter(f"{word!r} is no number of examples", ctx, param)
    return tuple(map(int, words))


_MEASURED = f"; for regression {', '.join(NUMBERS)}; else by the usual names and the cells"
fewshot_columns: options.Decorator = options.stacked(
    click.option("--task", type=click.Choice(["classification", "regression"]), default="classification",
                 show_default=True, help="What is predicted."),
    click.option("--assay-column", metavar="NAME", help=f"Column of assays.{options.found_by(*ASSAYS)}"),
    click.option("--column", metavar="NAME",
                 help=f"Column of SMILES.{options.found_by(*COLUMNS['smiles'], rest=', others that end in smiles')}"),
    click.option("--target", metavar="NAME",
                 help=f"Column of what was measured.{options.found_by(*CLASSES, rest=_MEASURED)}"),
    click.option("--relation-column", metavar="NAME",
                 help=f"Column of <, = and > (regression).{options.found_by(*RELATIONS)}"),
    click.option("--split-column", metavar="NAME",
                 help="Draw supports from rows marked train, and ask about those marked test."),
    click.option("--mark-column", metavar="NAME",
                 help="Measure the queries marked 1 also alone (regression)."),
    click.option("--groups", metavar="FILE", help="Table with a group for every assay; each is measured alone."),
    click.option("--group-column", metavar="NAME", help=f"Its column of groups.{options.found_by(*GROUPS)}"),
)  # fmt: skip


@evaluate.command()
@click.argument("input", metavar="ASSAYS")
@click.option("-o", "--output", required=True, metavar="FILE",
              help="File to write, .json or .csv; - is JSON on stdout.")  # fmt: skip
@click.option("-m", "--model", default="chem-icl", show_default=True, help="In-context learner.")
@fewshot_columns
@click.option("--support", multiple=True, type=Listed(), callback=_sizes, default=("16,32,64,128,256",),
              show_default=True, metavar="N,...", help="Numbers of labelled examples; repeatable.")  # fmt: skip
@click.option("--seeds", type=int, default=10, show_default=True, metavar="N",
              help="Supports drawn of every size and assay.")  # fmt: skip
@click.option("--methods", multiple=True, type=Listed(), callback=_joined, metavar="NAME,...",
              help="in-context, prior, permuted, similarity, forest, neighbours, linear, prototypes, "
              "gaussian-process.  "
              "[default: all]")  # fmt: skip
@click.option("--coverage", type=float, default=0.9, show_default=True,
              help="Share of values that intervals should hold (regression).")  # fmt: skip
@click.option("--bootstrap", type=click.IntRange(min=0), default=1000, show_default=True, metavar="N",
              help="Draws for the intervals over assays; 0 for none.")  # fmt: skip
@options.place
@options.seed
@options.output_policy
@options.config
@options.talk
def fewshot(verbose: bool, **choices: Any) -> None:
    """Measure predictions from few labelled molecules, beside baselines on the same draws.

    ASSAYS is a table with one row per assay and molecule, as FS-Mol has it. From every assay, supports of several sizes
    are drawn, stratified by class; the other molecules are queries. Means over draws, then over assays.

    \b
    bioxlstm evaluate fewshot fsmol_valid.tsv --support 16,64 --groups valid_proteins.csv -o fewshot.json
    """
    from bio_xlstm.tasks.fewshot.request import FewshotRequest
    from bio_xlstm.tasks.fewshot.run import evaluate_fewshot

    def say(line: str) -> None:
        if not choices["quiet"]:
            click.echo(line, err=True)

    with reported(say):
        evaluate_fewshot(FewshotRequest(**choices, command_line=command_line()), say)
