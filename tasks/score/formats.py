"""Output formats of scores; what they are called and how they are found again is as for embeddings."""

from dataclasses import replace
from functools import partial

from bio_xlstm.tasks.choices import SCORE_FORMATS
from bio_xlstm.tasks.score import numbers, positions
from bio_xlstm.tasks.score.result import ScoreResult
from bio_xlstm.tasks.writers import FORMATS, pick_format
from bio_xlstm.tasks.writers.result import Format

_LOAD = {
    "parquet": 'import pyarrow.parquet; table = pyarrow.parquet.read_table("{path}")',
    "csv": 'import pyarrow.csv as csv; table = csv.read_csv("{path}")',
    "tsv": "import pyarrow.csv as csv; "
    'table = csv.read_csv("{path}", parse_options=csv.ParseOptions(delimiter="\\t"))',
    "npz": 'import numpy; data = numpy.load("{path}"); scores = data["{name}"]',
}


def choose_format(output: str, name: str | None, *, per_token: bool) -> Format:
    """Return the format that an output's suffix or an explicit name asks for; ConfigError where there is none."""
    form = pick_format(output, name, {known: FORMATS[known] for known in SCORE_FORMATS})
    write = (positions if per_token else numbers).WRITERS[form.name]
    return replace(form, write=write, load_hint=partial(_hint, form.name))


def _hint(form: str, path: str, result: ScoreResult) -> str:
    """Return the line of Python that loads the file."""
    return _LOAD[form].format(path=path, name="values" if result.per_token else "logprob_sum")
