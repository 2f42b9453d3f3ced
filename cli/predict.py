"""bioxlstm predict: a fine-tuned model and a file of sequences in, the file with predictions out."""

from functools import partial
from typing import Any

import click

from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.file_command import row_options, run_file_command
from bio_xlstm.tasks.choices import PREDICT_FORMATS


@click.command()
@click.argument("model", metavar="DIR")
@click.argument("input")
@click.option("-o", "--output", required=True,
              help="File to write: .csv, .tsv or .parquet. - is stdout (CSV).")  # fmt: skip
@row_options("Predict for", PREDICT_FORMATS)
def predict(dry_run: bool, strict: bool, verbose: bool, **choices: Any) -> None:
    """Predict for every record of INPUT with the model in DIR, which `bioxlstm finetune` wrote.

    The columns of INPUT stay as they are; predictions, intervals or probabilities, uncertainty and the similarity to
    the training data are added.
    """
    from bio_xlstm.tasks.predict.request import PredictRequest
    from bio_xlstm.tasks.predict.setup import open_job

    request = PredictRequest(**choices, command_line=command_line())
    run_file_command(partial(open_job, request), dry_run=dry_run, strict=strict, quiet=request.quiet)
