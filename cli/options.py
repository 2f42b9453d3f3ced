"""The options that several commands share, one decorator each, with the words of the help."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
        if not (slash and first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second)):
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
    plain = {name: setting for name, setting in settings.items() if not isinstance(setting, dict)} | own
    # an option is known by its words, `--batch-tokens`, and gets its default under its parameter's name
    names = {word.lstrip("-"): option.name for option in ctx.command.params for word in option.opts}
    unknown = [name for name in plain if name.replace("_", "-") not in names]
    if unknown:
        raise click.BadParameter(f"{value}: {ctx.info_name} has no option {unknown[0]!r}", ctx, param)
    defaults = {names[name.replace("_", "-")]: setting for name, setting in plain.items()}
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


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
    click.option("--kind", type=click.Choice(["dna", "protein", "smiles"]), help="What the input holds."),
    click.option("--input-format", help="Format of the input where its suffix does not tell."),
    click.option("--column", help="Column of a table that holds the sequences."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N records only."),
)
device: Decorator = stacked(
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:NUMBER or mps."),
    click.option(
        "--dtype", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto", show_default=True,
        help="Precision of the computation; auto is fp32.",
    ),
    click.option(
        "--backend", type=click.Choice(["auto", "torch", "numba", "triton"]), default="auto", show_default=True,
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
        "--on-error", type=click.Choice(["record", "skip", "fail"]), default="record", show_default=True,
        help="Rows that cannot be read: keep them with status and reason, leave them out, or stop.",
    ),
    click.option("--strict", is_flag=True, help="Exit with 3 when a row failed."),
)  # fmt: skip
talk: Decorator = stacked(
    click.option("-q", "--quiet", is_flag=True, help="No progress and no messages but errors."),
    click.option("-v", "--verbose", is_flag=True, help="More messages; errors with their traceback."),
)
