"""bioxlstm doctor: does everything work here, is it exact, and how fast is it?"""

from collections.abc import Iterable

import click

from bio_xlstm.cli import options
from bio_xlstm.cli.messages import reported


@click.command()
@click.option("-m", "--model", "names", multiple=True, help="Model to test; default: all bundled ones.")
@options.place
@click.option("--speed/--no-speed", default=True, help="Measure tokens per second too.")
@options.config
@options.talk
def doctor(names: tuple[str, ...], device: str, speed: bool, quiet: bool, verbose: bool) -> None:
    """Show versions, devices and backends, run numerical self-tests, and measure speed.

    The exit code is 1 when a self-test fails.
    """
    from bio_xlstm.errors import BioXlstmError
    from bio_xlstm.models.directory import bundled_names, load
    from bio_xlstm.tasks.device import choose_device
    from bio_xlstm.tasks.doctor import backends, devices, speeds, versions
    from bio_xlstm.tasks.selftest import run_checks

    def say(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    section("versions", versions())
    section("devices", devices())
    chosen = choose_device(device)
    with reported(say):
        section(f"backends on {chosen}", backends(chosen))
        models = [load(name, device=chosen) for name in names or bundled_names()]
        checks = run_checks(models, chosen)
        section(
            f"self-tests on {chosen}",
            [(check.name, f"{'ok    ' if check.passed else 'FAILED'}  {check.detail}") for check in checks],
        )
        if speed:
            section(f"speed on {chosen}", speeds(models, chosen))
    failed = [check.name for check in checks if not check.passed]
    if failed:
        raise BioXlstmError(f"{len(failed)} of {len(checks)} self-tests failed: {', '.join(failed)}")
    click.echo(f"\nall {len(checks)} self-tests passed")


def section(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print a heading and one line per fact."""
    rows = list(facts)
    width = max([26, *(len(name) for name, _ in rows)])
    click.echo(f"\n{title}")
    for name, value in rows:
        click.echo(f"  {name:<{width}}  {value}")
