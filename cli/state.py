"""bioxlstm state: contexts that were read once, in files of fixed size."""

from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported


@click.group()
def state() -> None:
    """Read a context once, and use it again: files of fixed size, whatever was read."""


@state.command()
@click.argument("input")
@click.option("-o", "--output", required=True, help="File to write, family.state for instance.")
@options.model
@click.option("--context-tokens", type=int, metavar="N", help="Most tokens to read.  [default: all]")
@click.option("--context-size", type=int, metavar="N", help="Most molecules or homologs to read.")
@options.seed
@options.device
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@options.config
@options.talk
def build(verbose: bool, quiet: bool, **choices: Any) -> None:
    """Read the homologs or molecules of INPUT, in random order, into a state."""
    from bio_xlstm.tasks.states import StateRequest, build_state

    def say(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    with reported(say):
        lines = build_state(StateRequest(**choices, command_line=command_line()), say)
    for line in lines:
        say(line)


@state.command()
@click.argument("path", metavar="STATE")
@options.talk
def info(path: str, **talk: bool) -> None:
    """Say which model made STATE, of how many tokens, and how large it is."""
    from bio_xlstm.tasks.states import describe_state

    found = describe_state(path)
    width = max(map(len, found))
    for name, text in found.items():
        click.echo(f"{name:<{width}}  {text}")
