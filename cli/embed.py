"""bioxlstm embed: sequences or molecules in, vectors out."""

from functools import partial
from typing import Any

import click

from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.file_command import row_options, run_file_command, target
from bio_xlstm.tasks.choices import OUTPUT_FORMATS, POOLS, RC, STORE_DTYPES


@click.command()
@target
@click.option("--pool", "pools", multiple=True, type=click.Choice(POOLS),
              default=("mean",), show_default=True,
              help="One vector per sequence (repeatable); none keeps one per token.")  # fmt: skip
@click.option("--layers", default="-1", show_default=True,
              help="Layers by number: 0 is the embedding, -1 the last; 0,3,-1 or all.")  # fmt: skip
@click.option("--rc", type=click.Choice(RC), default="auto", show_default=True,
              help="What to do with the reverse complement of DNA; auto: what the model is made for.")  # fmt: skip
@click.option("--store-dtype", type=click.Choice(STORE_DTYPES), default="fp32", show_default=True,
              help="Precision of the stored numbers.")  # fmt: skip
@row_options("Embed", OUTPUT_FORMATS)
def embed(dry_run: bool, strict: bool, verbose: bool, **choices: Any) -> None:
    """Embed every record of INPUT: one row out for one record in.

    INPUT is FASTA, FASTQ, CSV, TSV, Parquet, SMILES, SDF or plain lines, also compressed, or - for stdin.
    """
    from bio_xlstm.tasks.embed.request import EmbedRequest
    from bio_xlstm.tasks.embed.setup import open_job

    request = EmbedRequest(**choices, command_line=command_line())
    run_file_command(partial(open_job, request), dry_run=dry_run, strict=strict, quiet=request.quiet)
