"""The `bioxlstm` program: finds the command, prints errors as one line, returns the exit code."""

import os
import sys
from importlib import import_module
from typing import NamedTuple

import click

from bio_xlstm import __version__
from bio_xlstm.cli.command_line import PROGRAM, command_line
from bio_xlstm.cli.memory import keep_freed_memory
from bio_xlstm.errors import BioXlstmError, ConfigError

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

# torch reads them when it is imported and first allocates. Threads that spin while they wait take the cores from the
# compiled loops; large pages (Linux) are mapped sooner. What they are worth: docs/performance.md
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "THP_MEM_ALLOC_ENABLE": "1"}


class Entry(NamedTuple):
    """Say where a command lives and what it does; its module is imported only when it runs."""

    target: str  # "module:command"
    help: str


COMMANDS = {
    "embed": Entry("bio_xlstm.cli.embed:embed", "Turn sequences or molecules into vectors."),
    "score": Entry("bio_xlstm.cli.score:score", "Give the likelihood of sequences or molecules."),
    "variants": Entry("bio_xlstm.cli.variants:variants", "Compare mutations with their wild type."),
    "generate": Entry("bio_xlstm.cli.generate:generate", "Make new molecules, proteins or DNA."),
    "state": Entry("bio_xlstm.cli.state:state", "Read a context or labelled examples once, into a file."),
    "finetune": Entry("bio_xlstm.cli.finetune:finetune", "Make a model of measured values."),
    "predict": Entry(
        "bio_xlstm.cli.predict:predict", "Predict with a fine-tuned model, or from labelled examples."
    ),
    "pretrain": Entry("bio_xlstm.cli.pretrain:pretrain", "Train a model from a configuration file."),
    "evaluate": Entry("bio_xlstm.cli.evaluate:evaluate", "Measure how good generated sequences are."),
    "models": Entry("bio_xlstm.cli.models:models", "List, describe and convert models."),
    "validate": Entry(
        "bio_xlstm.cli.validate:validate", "Look at an input: counts, lengths, problems, cost."
    ),
    "doctor": Entry("bio_xlstm.cli.doctor:doctor", "Check this installation, its devices and its numbers."),
}


class LazyGroup(click.Group):
    """Look commands up in COMMANDS, so that help needs none of their imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of the dict."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].target.split(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their line of help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name=PROGRAM)
def program() -> None:
    """Language models of proteins, DNA and molecules, built on xLSTM."""


def main() -> None:
    """Run the program and exit with its code."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run the program with the given words (default: the process's) and return the exit code."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    keep_freed_memory()
    try:
        code = program.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):
            # click takes it for a user who left a prompt, but there are no prompts here
            return _fail(error.__cause__)
        # --no-resume would throw away what was done
        again = command_line(without=("--no-resume",))
        click.echo(f"Interrupted. To go on where this run stopped:\n  {again}", err=True)
        return INTERRUPTED
    except BioXlstmError as error:
        _raise_if_verbose(error)
        click.echo(f"Error: {error}", err=True)
        return WRONG_USAGE if isinstance(error, ConfigError) else FAILED
    except BrokenPipeError:
        # whoever read our output has had enough of it, `head` for instance
        _forget_stdout()
        return FAILED
    except Exception as error:
        return _fail(error)


def _fail(error: Exception) -> int:
    """Say in one line what failed in the machine or in this program; neither deserves a page of text unasked."""
    _raise_if_verbose(error)
    reason = " ".join(str(error).split()) or "no reason given"
    kind = "" if isinstance(error, OSError) else f"unexpected {type(error).__name__}: "
    click.echo(f"Error: {kind}{reason} (-v shows the traceback)", err=True)
    return FAILED


def _raise_if_verbose(error: Exception) -> None:
    """Let Python show the traceback where it was asked for."""
    if "-v" in sys.argv or "--verbose" in sys.argv:
        raise error


def _forget_stdout() -> None:
    """Keep Python from complaining about the closed pipe when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
