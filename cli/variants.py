"""bioxlstm variants: mutations or variants of a genome in, log-likelihood ratios out."""

from functools import partial
from typing import Any

import click

from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.file_command import row_options, run_file_command, target
from bio_xlstm.tasks.choices import DIRECTIONS, SCORE_RC
from bio_xlstm.tasks.variants.words import FORMATS, METHODS


@click.command()
@target
@click.option(
    "--wildtype", metavar="FASTA", help="Wild type of the mutations; several are told apart by a column."
)
@click.option(
    "--genome", metavar="FASTA", help="INPUT is a VCF; its REF alleles are held against this genome."
)
@click.option("--scan", is_flag=True, help="INPUT holds wild types: compare every exchange of one letter.")
@click.option("--mutant-column", metavar="NAME", help="Column with mutations such as A123T:G5D.")
@click.option("--wildtype-column", metavar="NAME",
              help="Column with the wild-type sequence, or with --wildtype with its name.")  # fmt: skip
@click.option("--offset", type=int, default=0, show_default=True, help="Add to every position of a mutation.")
@click.option("--window", type=click.IntRange(min=1), metavar="N",
              help="Letters around a variant of a genome.  [default: 512]")  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), default="auto", show_default=True,
              help="Compare whole sequences, or the changed letters alone given all others; auto: marginal for "
              "masked models.")  # fmt: skip
@click.option("--measured", metavar="NAME", help="Column of measured values.  [default: DMS_score]")
@click.option(
    "--measured-bin", metavar="NAME", help="Column with 1 for high and 0 for low.  [default: DMS_score_bin]"
)
@click.option("--heatmap", metavar="FILE", help="Draw a scan as .png or .svg.")
@click.option("--direction", type=click.Choice(DIRECTIONS), default="forward", show_default=True,
              help="Strand of DNA to read: as written, the other one, or the mean of both.")  # fmt: skip
@click.option("--rc", type=click.Choice(SCORE_RC), default="auto", show_default=True,
              help="Average over both strands of DNA; auto: for a VCF, or if the model is made for it.")  # fmt: skip
@click.option("--stride", type=click.IntRange(min=1), metavar="N",
              help="Masked models, pseudo-likelihoods: hide every N-th letter at a time.  [default: 8]")  # fmt: skip
@click.option("--context", metavar="FILE", help="Homologs to read before every sequence.")
@click.option("--context-tokens", type=click.IntRange(min=1), metavar="N",
              help="Tokens of the context at most.  [default: as many as in training]")  # fmt: skip
@click.option("--state", metavar="FILE", help="State file to go on from in place of a --context.")
@row_options("Compare", FORMATS, molecules=False)
def variants(dry_run: bool, strict: bool, verbose: bool, **choices: Any) -> None:
    """Compare every variant of INPUT with its wild type: log-likelihood ratios in nats, one row out for one in.

    INPUT is a table with the columns mutant or mutated_sequence (CSV, TSV, Parquet), a list of mutations (A123T:G5D), a
    file of mutated sequences, a VCF with --genome, or wild types with --scan; also compressed, or - for stdin.
    """
    from bio_xlstm.tasks.variants.request import VariantRequest
    from bio_xlstm.tasks.variants.setup import open_job

    request = VariantRequest(**choices, command_line=command_line())
    run_file_command(partial(open_job, request), dry_run=dry_run, strict=strict, quiet=request.quiet)
