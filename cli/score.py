"""bioxlstm score: sequences or molecules in, log-likelihoods out."""

from functools import partial
from typing import Any

import click

from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.file_command import row_options, run_file_command, target
from bio_xlstm.tasks.choices import DIRECTIONS, NULLS, SCORE_FORMATS, SCORE_RC, SCORE_REDUCTIONS


@click.command()
@target
@click.option("--reduce", type=click.Choice(SCORE_REDUCTIONS), default="sequence", show_default=True,
              help="One row per sequence, or one number per token of it.")  # fmt: skip
@click.option("--direction", type=click.Choice(DIRECTIONS), default="forward", show_default=True,
              help="Strand of DNA to read: as written, the other one, or the mean of both.")  # fmt: skip
@click.option("--rc", type=click.Choice(SCORE_RC), default="auto", show_default=True,
              help="Average over both strands of DNA; auto: where the model is made for it.")  # fmt: skip
@click.option("--stride", type=click.IntRange(min=1), metavar="N",
              help="Masked models: hide every N-th letter at a time, N readings of each sequence.  "
              "[default: 8]")  # fmt: skip
@click.option("--context", metavar="FILE",
              help="Homologs, or molecules of one kind, to read before every sequence.")  # fmt: skip
@click.option("--context-tokens", type=click.IntRange(min=1), metavar="N",
              help="Tokens of the context at most.  [default: as many as in training]")  # fmt: skip
@click.option("--state", metavar="FILE", help="State file to go on from in place of a --context.")
@click.option("--null", type=click.Choice(NULLS),
              help="Add log-odds against letters counted in INPUT, alone (unigram) or after a few others (markov), "
              "or against the model itself on shuffled letters.")  # fmt: skip
@click.option("--background", metavar="FILE", help="Sequences that the null model counts in place of INPUT.")
@row_options("Score", SCORE_FORMATS)
def score(dry_run: bool, strict: bool, verbose: bool, **choices: Any) -> None:
    """Score every record of INPUT: its log-likelihood in nats, one row out for one record in.

    INPUT is FASTA, FASTQ, CSV, TSV, Parquet, SMILES, SDF or plain lines, also compressed, or - for stdin.
    """
    from bio_xlstm.tasks.score.request import ScoreRequest
    from bio_xlstm.tasks.score.setup import open_job

    request = ScoreRequest(**choices, command_line=command_line())
    run_file_command(partial(open_job, request), dry_run=dry_run, strict=strict, quiet=request.quiet)
