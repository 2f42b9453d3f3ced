"""Output formats: one module each; `FORMATS` is the list, `choose_format` reads the suffix."""

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
    form = FORMATS[name] if name else _by_suffix(output)
    if output == "-" and form.name not in text.SEPARATORS:
        raise ConfigError(f"standard output takes csv or tsv, not {form.name}; give a file with -o")
    if per_token and not form.per_token:
        raise ConfigError(f"{form.name} cannot hold one vector per token; use {_known(per_token=True)}")
    if columns > 1 and not form.several:
        raise ConfigError(f"{form.name} holds one vector per sequence: ask for one layer and one pool")
    if form.needs and find_spec(form.needs) is None:
        raise ConfigError(f"{form.name} needs the package {form.needs}: pip install {form.needs}")
    return form


def _by_suffix(output: str) -> Format:
    if output == "-":
        return FORMATS["csv"]
    name = Path(output).name.lower()
    for form in FORMATS.values():
        if name.endswith(form.suffixes):
            return form
    raise ConfigError(f"the suffix of {output} names no format; use {_known()}, or give --format")


def _known(per_token: bool = False) -> str:
    return ", ".join(form.suffixes[0] for form in FORMATS.values() if form.per_token or not per_token)
