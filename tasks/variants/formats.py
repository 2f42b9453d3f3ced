"""Output formats of variants: tables, and the VCF that came in."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.variants import tables, vcf_output
from bio_xlstm.tasks.writers import FORMATS, pick_format
from bio_xlstm.tasks.writers.result import Format
from bio_xlstm.tasks.writers.text import SEPARATORS

_LOAD = {
    "parquet": 'import pyarrow.parquet; table = pyarrow.parquet.read_table("{path}")',
    "csv": 'import pyarrow.csv as csv; table = csv.read_csv("{path}")',
    "tsv": "import pyarrow.csv as csv; "
    'table = csv.read_csv("{path}", parse_options=csv.ParseOptions(delimiter="\\t"))',
}


def choose_format(output: str, name: str | None, *, vcf: bool) -> Format:
    """Return the format that an output's suffix or an explicit name asks for; ConfigError where there is none."""
    writers: dict[str, Callable[[Any, Path], None]] = {
        "parquet": tables.write_parquet,
        **{form: partial(tables.write_text, separator) for form, separator in SEPARATORS.items()},
    }
    known = {
        form: replace(FORMATS[form], write=write, load_hint=partial(_hint, form))
        for form, write in writers.items()
    }
    form = pick_format(output, name, known | {"vcf": vcf_output.FORMAT})
    if form.name == "vcf" and not vcf:
        raise ConfigError(
            "the output is a VCF where the input is one, with --genome; use .csv, .tsv or .parquet"
        )
    return form


def _hint(form: str, path: str, result: object) -> str:
    """Return the line of Python that loads the file."""
    return _LOAD[form].format(path=path)
