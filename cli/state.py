"""bioxlstm state: contexts and labelled examples that were read once, in files of fixed size."""

from typing import Any

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.command_line import command_line
from bio_xlstm.cli.messages import reported

# what only one of the two ways takes, with the words of the option
_OF_CONTEXT = {"context_tokens": "--context-tokens", "context_size": "--context-size", "seed": "--seed"}
_OF_SUPPORT = {
    "support_column": "--support-column", "target": "--target", "relation_column": "--relation-column",
    "task": "--task",
}  # fmt: skip


@click.group()
def state() -> None:
    """Read a context, or labelled examples, once, and use them again: files of fixed size, whatever was read."""


@state.command()
@click.argument("input", required=False)
@click.option("-o", "--output", required=True, help="File to write: family.state, assay.state.")
@options.model
@options.support
@click.option("--context-tokens", type=int, metavar="N", help="Most tokens to read.  [default: all]")
@click.option("--context-size", type=int, metavar="N", help="Most molecules or homologs to read.")
@click.option("--seed", type=int, help="Seed of the order in which INPUT is read.  [default: 0]")
@options.device
@click.option("--overwrite", is_flag=True, help="Replace an output that exists.")
@options.config
@options.talk
def build(verbose: bool, quiet: bool, **choices: Any) -> None:
    """Read the homologs or molecules of INPUT, in random order, into a state for generate and score; or the labelled
    molecules, proteins or DNA of --support into one for predict.
    """

    def say(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    with reported(say):
        lines = _built(choices, say)
    for line in lines:
        say(line)


def _built(choices: dict[str, Any], say: Any) -> tuple[str, ...]:
    """Build the state that the options ask for; ConfigError where they ask for both or none."""
    from bio_xlstm.errors import ConfigError

    context, support = choices.pop("input"), choices.pop("support")
    if (context is None) == (support is None):
        raise ConfigError("give an INPUT to read, or --support labelled.csv, one of them")
    foreign, way = (_OF_CONTEXT, "INPUT") if context is None else (_OF_SUPPORT, "--support")
    for name, words in foreign.items():
        if choices.pop(name) is not None:
            raise ConfigError(f"{words} goes with {way}")
    given = {name: value for name, value in choices.items() if value is not None}
    if context is None:
        from bio_xlstm.tasks.in_context.states import AssayStateRequest, build_assay_state

        return build_assay_state(
            AssayStateRequest(support=support, **given, command_line=command_line()), say
        )
    from bio_xlstm.tasks.states import StateRequest, build_state

    return build_state(StateRequest(input=context, **given, command_line=command_line()), say)


@state.command()
@click.argument("path", metavar="STATE")
@options.talk
def info(path: str, **talk: bool) -> None:
    """Say which model made STATE, of what, and how large it is."""
    from bio_xlstm.tasks.states import describe_state

    found = describe_state(path)
    width = max(map(len, found))
    for name, text in found.items():
        click.echo(f"{name:<{width}}  {text}")
