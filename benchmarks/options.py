"""What the scripts of the model cards have in common on the command line: words, and errors in one line."""

import argparse
from collections.abc import Callable
from pathlib import Path

from bio_xlstm.errors import BioXlstmError


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser that shows the description of a script as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_model(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Take the model that is measured."""
    parser.add_argument("model", help=f"model directory or bundled name{more}")


def add_recipe(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """Take a recipe, and where its data lie; a script that can do without says so."""
    parser.add_argument("recipe", type=Path, nargs=None if needed else "?")
    parser.add_argument("--data", type=Path, required=needed, help="folder that the recipe's files lie in")
    parser.add_argument("--cache", type=Path, required=needed, help="folder for prepared data")


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Take what a script runs on, and where its numbers go."""
    parser.add_argument("--threads", type=int, default=1, help="CPU threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="[%(default)s]")
    parser.add_argument("--json", type=Path, help="file for the numbers, which model_cards.py reads")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Take the seed of all that is drawn."""
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")


def run_script(main: Callable[[], None]) -> None:
    """Run a script; what is wrong with its files is said in one line, such as a recipe's data that are not there."""
    try:
        main()
    except BioXlstmError as error:
        raise SystemExit(f"Error: {error}") from None
    except FileNotFoundError as error:
        raise SystemExit(
            f"Error: {error.filename} does not exist; name the folder of the data with --data"
        ) from None
