"""bioxlstm generate: new molecules, proteins and DNA."""

from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported
from bio_xlstm.tasks.generate.words import FORMATS, PRESETS, SORTS, WINDOWS, Range, parse_range


class RangeType(click.ParamType[Range]):
    """Read `200:500`, `:5` or `0.5:` as a range."""

    name = "LOW:HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Range:
        """Turn the text into two numbers."""
        from bio_xlstm.errors import ConfigError

        if isinstance(value, Range):
            return value
        try:
            return parse_range(str(value))
        except ConfigError as error:
            self.fail(str(error), param, ctx)


windows: options.Decorator = options.stacked(
    *(click.option(f"--{name}", type=RangeType(), help=f"Accept molecules of this {words}.")
      for name, words in WINDOWS.items())
)  # fmt: skip
choosing: options.Decorator = options.stacked(
    click.option("--temperature", type=float, default=1.0, show_default=True,
                 help="Below 1 more of the likeliest, above 1 more variety; 0 takes the likeliest always."),
    click.option("--top-k", type=int, metavar="K", help="Draw among the K likeliest tokens only."),
    click.option("--top-p", type=float, default=1.0, show_default=True,
                 help="Draw among the likeliest tokens that make up this share."),
    click.option("--min-p", type=float, default=0.0, show_default=True,
                 help="Draw among tokens at least this times as likely as the likeliest."),
    click.option("--repetition-penalty", type=float, default=1.0, show_default=True,
                 help="Above 1: tokens of the sequence so far become less likely."),
    click.option("--no-repeat", type=int, metavar="N", help="No run of N tokens stands in a sequence twice."),
    click.option("--beam", type=int, metavar="W",
                 help="Write the likeliest sequences, found with W at a time, instead of drawing."),
    click.option("--draft", type=int, metavar="N",
                 help="Copy N tokens at a time from what is given where they fit: the same sequences, fewer passes."),
    click.option("--preset", type=click.Choice(PRESETS),
                 help="The published grid of context sizes and settings: 25 times -n are drawn, the best -n kept."),
    click.option("--max-length", type=int, metavar="N",
                 help="Most tokens of a sequence.  [default: 200 for molecules, 1024 residues, 1000 bases]"),
    options.seed,
)  # fmt: skip
openings: options.Decorator = options.stacked(
    click.option("--prompt", default="", help="Begin every sequence with this."),
    click.option("--context", metavar="FILE",
                 help="Molecules of one kind, or homologs, like which new ones are made."),
    click.option("--context-tokens", type=int, metavar="N", help="Most tokens of a context."),
    click.option("--context-size", type=int, metavar="N", help="Most molecules or homologs of a context."),
    click.option("--contexts", type=int, metavar="N",
                 help="Number of contexts, which samples take turns with."),
    click.option("--state", metavar="FILE", help="A context that `bioxlstm state build` has read."),
    click.option("--scaffold", metavar="SMILES",
                 help="Keep this part and add to it, where it has a * or at any atom."),
    click.option("--protein", metavar="FILE|SEQUENCE", help="The protein of which --infill makes residues anew."),
    click.option("--infill", multiple=True, metavar="FIRST-LAST", help="Residues to make anew (repeatable)."),
    click.option("--keep-length", is_flag=True, help="As many residues as there were."),
)  # fmt: skip
demands: options.Decorator = options.stacked(
    click.option("--constrain", is_flag=True,
                 help="Never write what cannot become a SMILES within --max-length."),
    click.option("--valid-only", is_flag=True,
                 help="Only molecules that RDKit can read, only sequences that come to their end."),
    click.option("--unique", is_flag=True, help="Nothing twice."),
    click.option("--exclude", multiple=True, metavar="FILE", help="Nothing that stands there (repeatable)."),
    click.option("--filter-smarts", multiple=True, metavar="SMARTS",
                 help="No molecule with this substructure (repeatable)."),
    windows,
    click.option("--max-tries", type=int, metavar="N",
                 help="Stop after N sequences.  [default: 20 for each one wanted, at least 2000]"),
    click.option("--sort", type=click.Choice(SORTS), default="auto", show_default=True,
                 help="Order of the rows; auto: proteins by perplexity, others as drawn."),
    click.option("--keep", type=int, metavar="N", help="Keep the N of least perplexity."),
)  # fmt: skip


@click.command()
@click.option("-n", "--count", required=True, type=int, metavar="N", help="How many sequences.")
@click.option(
    "-o", "--output", required=True, help="File to write: .csv .tsv .smi .fasta, also .gz. - is stdout (CSV)."
)
@click.option("-m", "--model", help="Bundled name, model directory or hub id.")
@choosing
@openings
@demands
@click.option("--format", type=click.Choice(list(FORMATS)), help="Format where the suffix does not tell.")
@options.device
@click.option("--batch-tokens", type=options.CountOrAuto(), default="auto", show_default=True,
              help="Tokens computed at once, one of every sequence; less takes less memory.")  # fmt: skip
@options.output_policy
@options.config
@options.talk
def generate(verbose: bool, **choices: Any) -> None:
    """Make new molecules, proteins or DNA.

    Sample i depends on the model, the seed and i alone.
    """
    from bio_xlstm.errors import OutputError
    from bio_xlstm.tasks.generate.request import GenerateRequest
    from bio_xlstm.tasks.generate.run import run_job
    from bio_xlstm.tasks.generate.setup import open_job

    def say(line: str) -> None:
        if not choices["quiet"]:
            click.echo(line, err=True)

    given = {name: choices.pop(name) for name in WINDOWS}
    windows = {name: window for name, window in given.items() if window is not None}
    request = GenerateRequest(**choices, windows=windows, command_line=command_line())
    with reported(say):
        outcome = run_job(open_job(request, say), say)
    for line in outcome.lines:
        say(line)
    if outcome.shortage:
        raise OutputError(outcome.shortage)
