"""Fine-tune on one assay from one seed as the command does, and measure it beside all baselines."""

import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from assay_sets import Assay, AssaySet

from bio_xlstm.heads.features import Features, embed_features
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.tasks.finetune.closed_form import in_words
from bio_xlstm.tasks.finetune.fitting import fit_member
from bio_xlstm.tasks.finetune.folder import begin_folder
from bio_xlstm.tasks.finetune.frozen import embed_all
from bio_xlstm.tasks.finetune.judge import judge_baselines, judged
from bio_xlstm.tasks.finetune.plan import make_plan
from bio_xlstm.tasks.finetune.request import FinetuneRequest

SEQUENCE, VALUE, MARK = "sequence", "value", "mark"
# draws of the test rows of a set that brings them; of others the seeds change them
DRAWS = 200
Score = tuple[float | None, float | None, float | None]
"""a metric, and the ends of its interval over test rows where they were drawn anew"""


class How(NamedTuple):
    """Hold what is asked of every run."""

    model: str
    method: str
    device: str


class Memory:
    """Embed every sequence once: the next splits and seeds of the same assay ask for the same again."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, Features, bytes], np.ndarray] = {}

    def __call__(
        self,
        model: SequenceModel,
        sequences: Sequence[np.ndarray],
        features: Features,
        *,
        batch_tokens: int = 8192,
    ) -> list[np.ndarray]:
        """Return the features of sequences of token ids; those of the last call are known."""
        weights = model.weight_hash()
        keys = [(weights, features, ids.tobytes()) for ids in sequences]
        # one sequence of each key
        new = {key: ids for key, ids in zip(keys, sequences, strict=True) if key not in self.last}
        found = embed_features(model, list(new.values()), features, batch_tokens=batch_tokens) if new else []
        known = self.last | dict(zip(new, found, strict=True))
        self.last = {key: known[key] for key in keys}
        return [known[key] for key in keys]


def measure(assay: Assay, one: AssaySet, how: How, seed: int, memory: Memory) -> dict[str, Any]:
    """Return what the fine-tuned model and all baselines reach on the test part, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        return _measured(request_for(assay, one, how, seed, Path(folder)), one, memory)


def request_for(assay: Assay, one: AssaySet, how: How, seed: int, folder: Path) -> FinetuneRequest:
    """Write the assay as a table, and ask for a model of it."""
    table = folder / "assay.csv"
    columns = {SEQUENCE: assay.texts, VALUE: assay.values}
    if assay.marks is not None:
        columns[MARK] = assay.marks
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])
    return FinetuneRequest(
        input=str(table),
        output=str(folder / "model"),
        model=how.model,
        column=SEQUENCE,
        targets=(VALUE,),
        kind=one.kind,
        task=one.task,
        method=how.method,
        split=one.split,
        split_column=MARK if one.split == "column" else None,
        seed=seed,
        device=how.device,
        bootstrap=DRAWS if one.given else 0,
        quiet=True,
    )


def _measured(request: FinetuneRequest, one: AssaySet, memory: Memory) -> dict[str, Any]:
    """Take the steps of the command up to the metrics, and note the seconds of each."""
    clock = Clock()
    plan = make_plan(request, _silent)
    (round_,) = plan.rounds
    clock.note("prepare")
    embedded = embed_all(plan, memory)
    clock.note("embed")
    folder = begin_folder(request)
    fitted = fit_member(plan, embedded, folder, round_, 0, time.monotonic(), True, _silent)
    own = judged(plan, fitted.answers.take(round_.test).predicted, round_.test)
    clock.note("fit")
    baselines, _ = judge_baselines(plan, _silent)
    clock.note("baselines")
    return {
        "train": len(round_.train),
        "validation": len(round_.validation),
        "test": len(round_.test),
        "head": in_words(fitted.chosen, plan.layers),
        "ours": scores(own, one.metrics),
        "baselines": {name: scores(found["test"], one.metrics) for name, found in baselines.items()},
        "seconds": clock.noted,
        "processor_seconds": clock.processor(),
    }


def scores(metrics: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Score]:
    """Pick metrics by name: their values, None where one does not exist, with their ends."""
    found = {metric["metric"]: (metric["value"], metric["low"], metric["high"]) for metric in metrics}
    return {name: found.get(name, (None, None, None)) for name in names}


class Clock:
    """Note how long steps take, and the processor's time, which neighbours on the machine hardly change."""

    def __init__(self) -> None:
        self.noted: dict[str, float] = {}
        self.begin = time.perf_counter()
        self.worked = time.process_time()

    def note(self, step: str) -> None:
        """Note the seconds since the last step."""
        now = time.perf_counter()
        self.noted[step] = round(now - self.begin, 2)
        self.begin = now

    def processor(self) -> float:
        """Return the processor's seconds since the beginning, of all threads together."""
        return round(time.process_time() - self.worked, 2)


def _silent(line: str) -> None:
    """Say nothing."""
