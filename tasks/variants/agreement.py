"""How well values agree with what was measured: Spearman, AUC and MCC, as ProteinGym computes them."""

import csv
import gzip
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from bio_xlstm.tasks.journal import store_file
from bio_xlstm.tasks.writers.part import GOOD
from bio_xlstm.tokenizers.tokenizer import counted

FEWEST = 3


@dataclass(frozen=True)
class Agreement:
    """Compare N values with measured ones; a number that is not defined is None."""

    rows: int
    measured: str
    divided_by: str
    """What tells high from low: a column, or the median of the measured values."""
    spearman: float | None
    auc: float | None
    mcc: float | None
    left_out: int = 0
    """rows with a value that have no measured number"""

    def line(self) -> str:
        """Say it in one line."""
        numbers = {"Spearman": self.spearman, "AUC": self.auc, "MCC": self.mcc}
        words = [
            f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in numbers.items()
        ]
        told = f"{counted(self.rows, 'row')}; high and low by {self.divided_by}"
        if self.left_out:
            told += f"; {counted(self.left_out, 'row')} without a measured number left out"
        return f"{self.measured}: {', '.join(words)} ({told})"


def compare(
    values: np.ndarray, measured: np.ndarray, classes: np.ndarray | None, names: tuple[str, str | None]
) -> Agreement:
    """Compare values (N,) with measured ones (N,) and, where known, with classes (N,), NaN where missing.

    Without classes the median divides the measured values. MCC divides the values at their median.
    """
    known = np.isfinite(values) & np.isfinite(measured)
    left_out = int((np.isfinite(values) & ~known).sum())
    values, measured = values[known], measured[known]
    if classes is None:
        high, by = measured > np.median(measured) if len(measured) else measured > 0, "its median"
        divided = np.ones(len(high), bool)
    else:
        classes = classes[known]
        divided, by = np.isfinite(classes), str(names[1])
        high = classes > 0
    return Agreement(
        len(values),
        names[0],
        by,
        _spearman(values, measured),
        *_divided(values[divided], high[divided]),
        left_out,
    )


def _spearman(values: np.ndarray, measured: np.ndarray) -> float | None:
    """Return the rank correlation."""
    from scipy.stats import spearmanr

    if len(values) < FEWEST or np.ptp(values) == 0 or np.ptp(measured) == 0:
        return None
    return float(spearmanr(values, measured).statistic)


def _divided(values: np.ndarray, high: np.ndarray) -> tuple[float | None, float | None]:
    """Return the area under the ROC curve, and Matthews' correlation of both sides of the median."""
    from sklearn.metrics import matthews_corrcoef, roc_auc_score

    if len(values) < FEWEST or high.all() or not high.any():
        return None, None
    above = values >= np.median(values)
    return float(roc_auc_score(high, values)), float(matthews_corrcoef(high, above))


def agreement_of(table: Path, form: str, value: str, status: str, names: tuple[str, str | None]) -> Agreement:
    """Compare the good rows of a finished table; `names` are those of the measured values and classes."""
    wanted = [value, status, *(name for name in names if name is not None)]
    rows = [row for row in read_columns(table, form, wanted) if row[1] in GOOD]
    columns = [np.array([_number(row[i]) for row in rows], float) for i in (0, *range(2, len(wanted)))]
    return compare(columns[0], columns[1], columns[2] if len(columns) > 2 else None, names)


def agreement_path(output: Path) -> Path:
    """Return the file beside an output that holds the agreement."""
    return output.with_name(output.name + ".metrics.json")


def store_agreement(agreement: Agreement, output: Path) -> None:
    """Write it as JSON beside the output."""
    text = json.dumps(asdict(agreement), indent=1) + "\n"
    store_file(agreement_path(output), lambda file: file.write(text.encode()))


def read_columns(table: Path, form: str, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the cells of some columns of a table that `variants` wrote, as text."""
    if form == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(table) as file:
            for batch in file.iter_batches(columns=list(dict.fromkeys(names))):
                columns = [batch.column(name).to_pylist() for name in names]
                for cells in zip(*columns, strict=True):
                    yield ["" if cell is None else str(cell) for cell in cells]
        return
    opened = gzip.open if table.suffix == ".gz" else open
    with cast(IO[str], opened(table, "rt", encoding="utf-8", newline="")) as stream:
        rows: Iterator[Mapping[str, str]] = csv.DictReader(stream, delimiter="\t" if form == "tsv" else ",")
        for row in rows:
            yield [row[name] for name in names]


def _number(text: str) -> float:
    """Read a cell; NaN where it holds no number."""
    try:
        value = float(text)
    except ValueError:
        # yes and no, as some tables write classes
        value = {"true": 1.0, "false": 0.0}.get(text.strip().lower(), math.nan)
    return value if math.isfinite(value) else math.nan
