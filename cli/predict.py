"""bioxlstm predict: a fine-tuned model, or labelled examples, and a file of sequences in; predictions out."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.file_command import Say, row_options, run_file_command
from bio_xlstm.tasks.choices import PREDICT_FORMATS

if TYPE_CHECKING:
    from bio_xlstm.tasks.files.job import FileJob

# what only one of the ways to predict takes, with the words of the option
_OF_SUPPORT = {
    "support_column": "--support-column", "target": "--target", "relation_column": "--relation-column",
    "task": "--task",
}  # fmt: skip
_IN_CONTEXT = {"model": "-m", "coverage": "--coverage", "points": "--points"}


@click.command()
@click.argument("directory", nargs=-1, metavar="[DIR]")
@click.argument("input", metavar="INPUT")
@click.option("-o", "--output", required=True,
              help="File to write: .csv, .tsv or .parquet. - is stdout (CSV).")  # fmt: skip
@options.support
@click.option("--state", metavar="FILE", help="State that `bioxlstm state build --support` wrote, instead.")
@click.option(
    "-m", "--model", help="Learner for --support or --state.  [default: chem-icl, protein-small, dna-small]"
)
@click.option("--coverage", type=float, metavar="SHARE",
              help="Share of the values that intervals from a support shall hold.  [default: 0.9]")  # fmt: skip
@click.option("--points", metavar="FILE",
              help="Keep what sequences are encoded to in FILE, and take it from there: a library that is scored again "
                   "takes little time then.")  # fmt: skip
@row_options("Predict for", PREDICT_FORMATS)
def predict(dry_run: bool, strict: bool, verbose: bool, **choices: Any) -> None:
    """Predict for every record of INPUT with the model in DIR, which `bioxlstm finetune` wrote; or, without any
    training, from the labelled molecules, proteins or DNA of --support, or from --state.

    The columns of INPUT stay as they are; predictions, intervals or probabilities, uncertainty and the similarity to
    the training data, or the support, are added.
    """
    run_file_command(_chosen(choices), dry_run=dry_run, strict=strict, quiet=choices["quiet"])


def _chosen(choices: dict[str, Any]) -> Callable[[Say], "FileJob"]:
    """Return what opens the job that the options ask for; ConfigError where they ask for several or none."""
    from bio_xlstm.errors import ConfigError

    directory = choices.pop("directory")
    if len(directory) > 1:
        raise ConfigError(f"one model and one input are enough: {' '.join(directory)!r} are too many")
    ways = [*directory, *(f"--{name}" for name in ("support", "state") if choices[name] is not None)]
    if len(ways) != 1:
        raise ConfigError(
            f"{' and '.join(ways)} exclude each other"
            if ways
            else "give the directory of a fine-tuned model before the input, or --support labelled.csv, "
            "or --state assay.state"
        )
    given = {name: words for name, words in (_OF_SUPPORT | _IN_CONTEXT).items() if choices[name] is not None}
    if directory:
        _refuse(given, "--support or --state" if set(given) & set(_IN_CONTEXT) else "--support")
        return _of_finetuned(directory[0], choices)
    if choices["state"] is not None:
        _refuse({name: words for name, words in given.items() if name in _OF_SUPPORT}, "--support")
    return _of_support(choices)


def _of_finetuned(directory: str, choices: dict[str, Any]) -> Callable[[Say], "FileJob"]:
    from bio_xlstm.tasks.predict.request import PredictRequest
    from bio_xlstm.tasks.predict.setup import open_job

    own = {"support", "state", *_OF_SUPPORT, *_IN_CONTEXT}
    rest = {name: value for name, value in choices.items() if name not in own}
    return partial(open_job, PredictRequest(model=directory, **rest, command_line=command_line()))


def _of_support(choices: dict[str, Any]) -> Callable[[Say], "FileJob"]:
    from bio_xlstm.tasks.in_context.job import open_job
    from bio_xlstm.tasks.in_context.request import InContextRequest, SupportOptions

    path = choices.pop("support")
    columns = {name: choices.pop(name) for name in _OF_SUPPORT}
    chosen = {name: value for name, value in choices.items() if name not in _IN_CONTEXT or value is not None}
    support = None if path is None else SupportOptions(support=path, **columns)
    return partial(open_job, InContextRequest(support=support, **chosen, command_line=command_line()))


def _refuse(given: dict[str, str], wanted: str) -> None:
    """Raise ConfigError for an option that does not belong to the way asked for."""
    from bio_xlstm.errors import ConfigError

    for words in given.values():
        raise ConfigError(f"{words} goes with {wanted}")
