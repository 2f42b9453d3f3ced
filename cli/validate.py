"""bioxlstm validate: a dry look at an input before hours are spent on it."""

from typing import TYPE_CHECKING, Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.messages import reported

if TYPE_CHECKING:
    from bio_xlstm.tasks.validate import Cost, Findings

BAR = 40


@click.command()
@click.argument("input")
@options.model
@options.reading
@click.option("--estimate/--no-estimate", default=True, help="Embed a sample to estimate the cost.")
@options.device
@options.config
@options.talk
def validate(estimate: bool, verbose: bool, **choices: Any) -> None:
    """Count what INPUT holds and what would go wrong, without writing anything."""
    from bio_xlstm.tasks.choices import KIND_WORDS
    from bio_xlstm.tasks.embed.request import EmbedRequest
    from bio_xlstm.tasks.files.opening import open_input
    from bio_xlstm.tasks.files.units import selected
    from bio_xlstm.tasks.validate import estimate_cost, examine

    def say(line: str) -> None:
        if not choices["quiet"]:
            click.echo(line, err=True)

    request = EmbedRequest(**choices, output="-")
    source, _, loaded = open_input(request, say)
    found = examine(selected(source, request.limit, request.shard), loaded.tokenizer)
    click.echo(f"{source.name}: {source.format}, {KIND_WORDS[source.kind]}, {found.records:,} records")
    show_statuses(found)
    show_lengths(found)
    show_letters(found)
    if estimate and found.embeddable:
        with reported(say):
            cost = estimate_cost(found, loaded)
        show_cost(cost, loaded.name)


def show_statuses(found: "Findings") -> None:
    """Print how many records have which status, and the first problems."""
    click.echo("\nstatus")
    for status, count in found.statuses.most_common():
        click.echo(f"  {status:<16}{count:>12,}")
    for row in found.problems:
        click.echo(f"  row {row.row} ({row.id or 'no id'}): {row.status}. {row.detail}")


def show_lengths(found: "Findings") -> None:
    """Print a histogram of the lengths."""
    if not found.embeddable:
        return
    mean = found.tokens / found.embeddable
    click.echo(f"\nlength  shortest {found.shortest:,}, mean {mean:,.1f}, longest {found.longest:,} tokens")
    most = max(found.lengths.values())
    for lower, count in sorted(found.lengths.items()):
        span = f"{lower:,} - {2 * lower - 1:,}" if lower > 1 else "1" if lower else "not read"
        click.echo(f"  {span:<24}{count:>10,}  {'#' * max(1, round(BAR * count / most))}")


def show_letters(found: "Findings") -> None:
    """Print unknown letters, repeated sequences and repeated ids."""
    letters = ", ".join(f"{letter!r} {count:,}" for letter, count in found.unknown.most_common(20))
    scope = "" if found.duplicates_complete else " (at least: the file is too large to compare all)"
    click.echo(f"\nletters outside the vocabulary: {letters or 'none'}")
    click.echo(f"repeated sequences: {found.duplicates:,}{scope}")
    click.echo(f"repeated ids: {found.repeated_ids:,}{scope}")


def show_cost(cost: "Cost", name: str) -> None:
    """Print the estimate."""
    from bio_xlstm.tasks.progress import duration, size

    click.echo(f"\nembedding with {name} here")
    click.echo(f"  time    about {duration(cost.seconds)} ({cost.tokens_per_second:,.0f} tokens/s)")
    click.echo(
        f"  memory  {size(cost.memory) if cost.memory else 'unknown'} at the most while this was measured"
    )
    click.echo(f"  output  about {size(cost.output)} as Parquet with one vector per sequence")
