"""The options that several commands share, one decorator each, with the words of the help."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bio_xlstm.records.formats import FORMATS, KINDS
from bio_xlstm.tasks.assay.columns import RELATIONS
from bio_xlstm.tasks.choices import ON_ERROR
from bio_xlstm.tasks.device import BACKEND_NAMES, DTYPES

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


class CountOrAuto(click.ParamType[int | None]):
    """Read `auto` as None and anything else as a whole number."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Turn the text into a number."""
        if value is None or value == "auto":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither auto nor a whole number", param, ctx)


class Shard(click.ParamType[tuple[int, int]]):
    """Read `2/8` as (2, 8)."""

    name = "i/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Turn the text into two numbers."""
        if isinstance(value, tuple):
            return value
        first, slash, second = str(value).partition("/")
        numbers = slash and all(re.fullmatch("[0-9]+", number) for number in (first, second))
        if not (numbers and 1 <= int(first) <= int(second)):
            self.fail(f"{value!r} is no shard; shards are 1/N, 2/N, ... N/N", param, ctx)
        return int(first), int(second)


def read_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Take defaults of options from a TOML file: `batch-tokens = 4096`, or under a table named for the command."""
    if value is None:
        return
    try:
        settings = tomllib.loads(Path(value).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{value} cannot be read: {error}", ctx, param) from None
    own = settings.pop(str(ctx.info_name), {})
    if not isinstance(own, dict):
        raise click.BadParameter(
            f"{value}: {ctx.info_name} is a table, [{ctx.info_name}], not a value", ctx, param
        )
    plain = {name: setting for name, setting in settings.items() if not isinstance(setting, dict)} | own
    # an option is known by its words, `--batch-tokens`, and gets its default under its parameter's name
    names = {word.lstrip("-"): option for option in ctx.command.params for word in option.opts}
    unknown = [name for name in plain if name.replace("_", "-") not in names]
    if unknown:
        raise click.BadParameter(f"{value}: {ctx.info_name} has no option {unknown[0]!r}", ctx, param)
    defaults = {}
    for name, setting in plain.items():
        option = names[name.replace("_", "-")]
        try:
            defaults[option.name] = as_words(option, setting)
        except ValueError as error:
            raise click.BadParameter(f"{value}: {name} {error}, not {setting!r}", ctx, param) from None
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def as_words(option: click.Parameter, setting: Any) -> Any:
    """Turn a TOML value into what the command line would hand over; ValueError says what the option takes."""
    if getattr(option, "is_flag", False):
        if not isinstance(setting, bool):
            raise ValueError("takes true or false")
        return setting
    several = setting if option.multiple and isinstance(setting, list) else [setting]
    if not all(isinstance(word, str | int | float) and not isinstance(word, bool) for word in several):
        raise ValueError("takes text or numbers" if option.multiple else "takes one text or number")
    return tuple(map(str, several)) if option.multiple else str(setting)


def found_by(*names: str, rest: str = "") -> str:
    """End the help of an option for a column with the names by which it is found where it is not given."""
    return f"  [default: found by name: {', '.join(names)}{rest}]"


def stacked(*decorators: Decorator) -> Decorator:
    """Apply decorators so that the help lists them in the order given."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


model: Decorator = click.option(
    "-m",
    "--model",
    help="Bundled name, model directory or hub id.  [default: the bundled model for the input]",
)
config: Decorator = click.option(
    "--config",
    callback=read_config,
    is_eager=True,
    expose_value=False,
    metavar="FILE",
    help="TOML file with defaults of these options.",
)
reading: Decorator = stacked(
    click.option("--kind", type=click.Choice(KINDS), help="What the input holds."),
    click.option(
        "--input-format",
        type=click.Choice(FORMATS),
        help="Format of the input where its suffix does not tell.",
    ),
    click.option("--column", help="Column of a table that holds the sequences."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N records only."),
)
support: Decorator = stacked(
    click.option("--support", metavar="FILE", help="Table of labelled molecules, proteins or DNA."),
    click.option("--support-column", metavar="NAME", help="Its column of sequences.  [default: found out]"),
    click.option("--target", metavar="NAME", help="Its column of labels.  [default: found out]"),
    click.option(
        "--relation-column",
        metavar="NAME",
        help=f"Its column of >, < and =, if there is one.{found_by(*RELATIONS)}",
    ),
    click.option(
        "--task", type=click.Choice(("binary", "regression")), help="What labels are.  [default: found out]"
    ),
)
place: Decorator = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:NUMBER or mps."
)
device: Decorator = stacked(
    place,
    click.option(
        "--dtype", type=click.Choice(list(DTYPES)), default="auto", show_default=True,
        help="Precision of the computation; auto is fp32.",
    ),
    click.option(
        "--backend", type=click.Choice(BACKEND_NAMES), default="auto", show_default=True,
        help="Kernels to compute with.",
    ),
)  # fmt: skip
batch_tokens: Decorator = click.option(
    "--batch-tokens", type=CountOrAuto(), default="auto", show_default=True,
    help="Tokens computed at once; less takes less memory.",
)  # fmt: skip
workers: Decorator = click.option(
    "--workers", type=CountOrAuto(), default="auto", show_default=True,
    help="Processes that check molecules beside the computation.",
)  # fmt: skip
seed: Decorator = click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of random numbers."
)
output_policy: Decorator = stacked(
    click.option(
        "--resume/--no-resume", default=True, show_default=True, help="Continue a run that was killed."
    ),
    click.option("--overwrite", is_flag=True, help="Replace an output that exists."),
)
sharding: Decorator = click.option(
    "--shard", type=Shard(), default="1/1", show_default=True,
    help="Do every N-th record, beginning with the i-th: one output per shard, rows keep their numbers.",
)  # fmt: skip
bad_rows: Decorator = stacked(
    click.option(
        "--on-error", type=click.Choice(ON_ERROR), default="record", show_default=True,
        help="Rows that cannot be read: keep them with status and reason, leave them out, or stop.",
    ),
    click.option("--strict", is_flag=True, help="Exit with 3 when a row failed."),
)  # fmt: skip
talk: Decorator = stacked(
    click.option("-q", "--quiet", is_flag=True, help="No progress and no messages but errors."),
    click.option("-v", "--verbose", is_flag=True, help="More messages; errors with their traceback."),
)
