"""bioxlstm models: what models there are, what is known about one, and checkpoints of other programs made into one."""

from pathlib import Path
from typing import Any

import click

from bio_xlstm.cli import options


@click.group()
def models() -> None:
    """List the models that come with the library, describe one, or convert a checkpoint of the originals."""


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
            "" if model.learner else str(model.config["blocks"] + 1),
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
    from bio_xlstm.tasks.catalogue import summarise, weight_hash

    found = summarise(model)
    facts = {
        "name": found.name,
        "directory": str(found.directory),
        "reads": f"{found.kind}, {found.direction}",
        "parameters": f"{found.parameters:,}",
    }
    if not found.learner:
        facts |= {
            "dimensions": f"{found.config['dim']} per token or sequence",
            "layers": f"0 (embedding) to {found.config['blocks']} (or -1, after the final norm)",
            "vocabulary": f"{len(found.symbols)} symbols: {shown(found.symbols)}",
        }
    facts |= {
        "weight hash": weight_hash(model),
        "licence": found.licence or "not stated in the model card",
        "training data": found.data or "not stated in the model card",
    }
    for name, fact in facts.items():
        click.echo(f"{name:<14} {fact}")
    click.echo("\nsettings")
    for name, setting in found.config.items():
        click.echo(f"  {name:<16} {setting}")


@models.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.argument("target", type=click.Path(path_type=Path), metavar="DST")
@click.option("--family", help="What a general xLSTM reads: dna, protein, chem or tokens.  [default: tokens]")
@click.option("--heads", type=click.IntRange(min=1), help="Number of heads, to be held against the weights.")
@click.option("--objective", help="What it was trained for: causal, infill or masked.")
@click.option(
    "--tokenizer", metavar="FILE|MODEL", help="tokenizer.json to read with, or a model that has one."
)
@click.option("--name", help="Name of the model.  [default: that of the folder DST]")
@click.option(
    "--dtype", default="keep", show_default=True, help="Precision of the stored weights: keep, fp32 or fp64."
)
@click.option("--overwrite", is_flag=True, help="Replace a model in DST.")
@options.talk
def convert(source: Path, target: Path, quiet: bool, verbose: bool, **choices: Any) -> None:
    """Turn a checkpoint of the original implementations into a model directory DST.

    SRC is the folder that another program wrote, or the file of weights in it. Nothing in it is executed.

    \b
    program                   files
    DNA-xLSTM                 *.ckpt, model_config.json
    Prot-xLSTM                pytorch_model.bin or model.safetensors, config.json
    Chem-xLSTM                model.pt, init_arguments.json
    xLSTM-large               model.safetensors or model_0.safetensors ..., config.yaml
    xLSTM-7b (Hugging Face)   model.safetensors or shards and index, config.json

    \b
    bioxlstm models convert checkpoints/dna_xlstm_2m_mlm_ps dna-2m
    """
    from bio_xlstm.original.convert import convert as run

    made = run(source, target, **choices)
    if quiet:
        return
    config = made.config
    for line in (*made.switches, *made.notes):
        click.echo(f"note      {line}", err=True)
    click.echo(f"model     {made.directory}", err=True)
    click.echo(
        f"holds     {made.program}, {made.parameters:,} parameters, {config.blocks} blocks, "
        f"{config.objective} objective",
        err=True,
    )
    click.echo(f"load it   bio_xlstm.load({str(made.directory)!r})", err=True)


def shown(symbols: tuple[str, ...], limit: int = 60) -> str:
    """Join symbols with blanks, the first `limit` of them."""
    more = f" ... and {len(symbols) - limit} more" if len(symbols) > limit else ""
    return " ".join(symbols[:limit]) + more
