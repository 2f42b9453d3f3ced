"""Output formats: one module each; `FORMATS` is the list, `choose_format` reads the suffix."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.writers import esm_pt, npz, parquet, rostlab_h5, safetensors, text
from bio_xlstm.tasks.writers.result import Format

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        parquet.FORMAT,
        npz.FORMAT,
        safetensors.FORMAT,
        text.CSV,
        text.TSV,
        rostlab_h5.FORMAT,
        esm_pt.FORMAT,
    )
}


def choose_format(output: str, name: str | None, *, per_token: bool, columns: int) -> Format:
    """Return the format that an output's suffix or an explicit name asks for.

    Raises ConfigError when the suffix is unknown or the format cannot hold what is asked for.
    """
    form = pick_format(output, name, FORMATS)
    if per_token and not form.per_token:
        able = _known(form for form in FORMATS.values() if form.per_token)
        raise ConfigError(f"{form.name} cannot hold one vector per token; use {able}")
    if columns > 1 and not form.several:
        raise ConfigError(f"{form.name} holds one vector per sequence: ask for one layer and one pool")
    if form.needs and find_spec(form.needs) is None:
        raise ConfigError(f"{form.name} needs the package {form.needs}: pip install {form.needs}")
    return form


def pick_format(output: str, name: str | None, formats: Mapping[str, Format]) -> Format:
    """Return one of some formats, by its name or by the output's suffix; ConfigError where there is none."""
    form = formats[name] if name else _by_suffix(output, formats)
    if output == "-" and form.name not in text.SEPARATORS:
        raise ConfigError(f"standard output takes csv or tsv, not {form.name}; give a file with -o")
    return form


def _by_suffix(output: str, formats: Mapping[str, Format]) -> Format:
    if output == "-":
        return formats["csv"]
    name = Path(output).name.lower()
    for form in formats.values():
        if name.endswith(form.suffixes):
            return form
    raise ConfigError(
        f"the suffix of {output} names no format; use {_known(formats.values())}, or give --format"
    )


def _known(formats: Iterable[Format]) -> str:
    return ", ".join(form.suffixes[0] for form in formats)
