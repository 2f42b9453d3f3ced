"""What a run writes beside the model: predictions.csv, splits.csv, metrics.json."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.finetune.answers import Answers
from bio_xlstm.tasks.finetune.calibrated import Calibrated
from bio_xlstm.tasks.finetune.columns import (
    column_names,
    is_uncertain,
    numbers_of,
    predicted_number,
    write_cells,
)
from bio_xlstm.tasks.finetune.plan import Plan

PREDICTIONS, SPLITS, METRICS, BASELINES = "predictions.csv", "splits.csv", "metrics.json", "baselines.csv"
# values of an assay of letters, or of hundreds of labels, stand in its own file
_MOST_TARGETS = 50


def write_predictions(directory: Path, plan: Plan, found: Calibrated, domain: Domain) -> None:
    """Write one line per row of the input: its part, what was measured, what is predicted, or why it is not used."""
    assay, task = plan.assay, plan.assay.task
    numbers = numbers_of(task, found.answers, found.ends, domain, assay.sequences)
    names = column_names(task, found.trust, uncertain=is_uncertain(task, numbers))
    shown = task.targets if assay.values.shape[1] and len(task.targets) <= _MOST_TARGETS else ()
    cells = write_cells(task, numbers, domain.threshold)
    place_of = {row: place for place, row in enumerate(assay.rows.tolist())}
    issues = {issue.row: issue for issue in assay.issues}
    parts = plan.split.part_of(len(assay))
    sequences = assay.columns[assay.sequence_column]

    def lines() -> Iterable[Sequence[Any]]:
        yield ["row", "part", assay.sequence_column, *shown, *names, "status", "detail"]
        for row in range(assay.input_rows):
            place = place_of.get(row)
            if place is None:
                empty = [""] * (len(shown) + len(names))
                yield [row, "", sequences[row], *empty, issues[row].status, issues[row].detail]
                continue
            measured = [_measured(plan, place, target) for target in range(len(shown))]
            yield [row, parts[place], sequences[row], *measured, *cells[place], "ok", ""]

    _write_csv(directory / PREDICTIONS, lines())


def write_splits(directory: Path, plan: Plan) -> None:
    """Write which part every usable row of the input is in."""
    parts = plan.split.part_of(len(plan.assay))
    validation = [""] * len(plan.assay)
    if plan.split.folds:
        for name, rows in zip(plan.split.names, plan.split.validation, strict=True):
            for row in rows.tolist():
                validation[row] = f"{validation[row]} {name}".strip()
    header = ["row", "part"] + (["validation_of"] if plan.split.folds else [])
    rows_of = zip(plan.assay.rows.tolist(), parts, validation, strict=True)
    lines = [[row, part, *([held] if plan.split.folds else [])] for row, part, held in rows_of]
    _write_csv(directory / SPLITS, [header, *lines])


def write_baselines(directory: Path, plan: Plan, said: Mapping[str, Answers]) -> None:
    """Write what every baseline says of the test parts, one column per output; nothing for letters and large panels."""
    task = plan.assay.task
    outputs = task.classes if task.name == "multiclass" else task.targets
    if task.name == "per_token" or len(outputs) > _MOST_TARGETS:
        return
    tested = np.sort(np.concatenate([one.test for one in plan.rounds]))
    header = ["row", *(f"{name}: {output}" for name in said for output in outputs)]
    columns = [np.asarray(answers.predicted)[tested] for answers in said.values()]
    cells = np.concatenate([*columns, np.zeros((len(tested), 0))], 1)
    rows = plan.assay.rows[tested].tolist()
    lines = [
        [row, *(predicted_number(task, one) for one in own.tolist())]
        for row, own in zip(rows, cells, strict=True)
    ]
    _write_csv(directory / BASELINES, [header, *lines])


def write_metrics(directory: Path, found: Mapping[str, Any]) -> None:
    """Write everything that was measured."""
    partial = directory / f"{METRICS}.part"
    partial.write_text(
        json.dumps(found, indent=2, ensure_ascii=False, default=plain) + "\n", encoding="utf-8"
    )
    partial.replace(directory / METRICS)


def described(record: Any) -> dict[str, Any]:
    """Describe an audit as plain data."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(record), default=plain))
    return found


def plain(value: Any) -> Any:
    """Turn numbers and arrays of numpy into what JSON holds."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def _measured(plan: Plan, place: int, target: int) -> str:
    """Write a measured value as the input has it, of a class its name."""
    assay = plan.assay
    value = float(assay.values[place, target])
    if np.isnan(value):
        return ""
    if assay.task.numeric:
        return assay.columns[assay.task.targets[target]][int(assay.rows[place])].strip()
    return assay.task.classes[int(value)]


def _write_csv(path: Path, lines: Iterable[Sequence[Any]]) -> None:
    """Write a table that appears under its name when it is whole."""
    partial = path.with_name(f"{path.name}.part")
    with partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    partial.replace(path)
