"""bioxlstm embed: sequences or molecules in, vectors out."""

from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported
from bio_xlstm.tasks.choices import OUTPUT_FORMATS, POOLS, RC, STORE_DTYPES


@click.command()
@click.argument("input")
@click.option(
    "-o", "--output", required=True, help="File to write; its suffix decides the format. - is stdout (CSV)."
)
@options.model
@click.option("--pool", "pools", multiple=True, type=click.Choice(POOLS),
              default=("mean",), show_default=True,
              help="One vector per sequence (repeatable); none keeps one per token.")  # fmt: skip
@click.option("--layers", default="-1", show_default=True,
              help="Layers by number: 0 is the embedding, -1 the last; 0,3,-1 or all.")  # fmt: skip
@click.option("--rc", type=click.Choice(RC), default="auto", show_default=True,
              help="What to do with the reverse complement of DNA; auto: what the model is made for.")  # fmt: skip
@click.option("--store-dtype", type=click.Choice(STORE_DTYPES), default="fp32", show_default=True,
              help="Precision of the stored numbers.")  # fmt: skip
@click.option("--format", "format",
              type=click.Choice(OUTPUT_FORMATS),
              help="Format of the output where its suffix does not tell.")  # fmt: skip
@options.reading
@click.option("--max-length", type=click.IntRange(min=1), metavar="N",
              help="Give sequences of more tokens the status too_long.")  # fmt: skip
@click.option("--allow-invalid", is_flag=True, help="Embed molecules that RDKit cannot parse, too.")
@options.device
@options.batch_tokens
@options.workers
@options.seed
@options.output_policy
@options.sharding
@options.bad_rows
@click.option("--dry-run", is_flag=True, help="Count, estimate size and time, and stop.")
@options.config
@options.talk
@click.pass_context
def embed(ctx: click.Context, dry_run: bool, strict: bool, verbose: bool, **choices: Any) -> None:
    """Embed every record of INPUT: one row out for one record in.

    INPUT is FASTA, FASTQ, CSV, TSV, Parquet, SMILES, SDF or plain lines, also compressed, or - for stdin.
    """
    from bio_xlstm.tasks.embed.request import EmbedRequest
    from bio_xlstm.tasks.embed.run import run_job
    from bio_xlstm.tasks.embed.setup import open_job

    def say(line: str) -> None:
        if not choices["quiet"]:
            click.echo(line, err=True)

    with reported(say):
        job = open_job(EmbedRequest(**choices, command_line=command_line()), say)
        if dry_run:
            from bio_xlstm.tasks.embed.estimate import dry_run as describe

            click.echo(describe(job))
            return
        outcome = run_job(job, say)
    for line in outcome.lines:
        say(line)
    if strict and outcome.failed:
        ctx.exit(3)
