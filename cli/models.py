"""bioxlstm models: what models there are, and what is known about one."""

import click

from bio_xlstm.cli import options


@click.group()
def models() -> None:
    """List the models that come with the library, or describe one."""


@models.command("list")
@options.talk
def list_models(quiet: bool, verbose: bool) -> None:
    """List the bundled models: what they read, how large they are, how they read it."""
    from bio_xlstm.tasks.catalogue import bundled_models

    head = ("name", "reads", "parameters", "dimensions", "layers", "MB", "direction")
    rows = [
        (
            model.name,
            model.kind,
            f"{model.parameters / 1e6:.2f} M",
            str(model.config["dim"]),
            str(model.config["blocks"] + 1),
            f"{model.bytes / 1e6:.1f}",
            model.direction,
        )
        for model in bundled_models()
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@models.command()
@click.argument("model")
@options.talk
def info(model: str, quiet: bool, verbose: bool) -> None:
    """Describe MODEL: a bundled name, a model directory or a hub id."""
    import bio_xlstm as bx
    from bio_xlstm.tasks.catalogue import summarise

    found = summarise(model)
    facts = {
        "name": found.name,
        "directory": str(found.directory),
        "reads": f"{found.kind}, {found.direction}",
        "parameters": f"{found.parameters:,}",
        "dimensions": f"{found.config['dim']} per token or sequence",
        "layers": f"0 (embedding) to {found.config['blocks']} (or -1, after the final norm)",
        "vocabulary": f"{len(found.symbols)} symbols: {shown(found.symbols)}",
        "weight hash": bx.load(model).weight_hash(),
        "licence": found.licence or "not stated in the model card",
        "training data": found.data or "not stated in the model card",
    }
    for name, fact in facts.items():
        click.echo(f"{name:<14} {fact}")
    click.echo("\nsettings")
    for name, setting in found.config.items():
        click.echo(f"  {name:<16} {setting}")


def shown(symbols: tuple[str, ...], limit: int = 60) -> str:
    """Join symbols with blanks, the first `limit` of them."""
    more = f" ... and {len(symbols) - limit} more" if len(symbols) > limit else ""
    return " ".join(symbols[:limit]) + more
