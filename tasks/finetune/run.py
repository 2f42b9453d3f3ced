"""The fine-tuning run, from a request to a model directory with its predictions and metrics."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.domain import Domain
from bio_xlstm.tasks.assay.splits.leakage import audit_leakage
from bio_xlstm.tasks.finetune.across import answers_across
from bio_xlstm.tasks.finetune.answers import Answers, blank, joined, put
from bio_xlstm.tasks.finetune.calibrated import Calibrated, calibrate
from bio_xlstm.tasks.finetune.card import card
from bio_xlstm.tasks.finetune.directory import about_record, member_folder, save_about, save_member
from bio_xlstm.tasks.finetune.fitting import Fitted, fit_member
from bio_xlstm.tasks.finetune.folder import begin_folder, check_folder, clear_scaffolding
from bio_xlstm.tasks.finetune.frozen import Embedded, embed_all
from bio_xlstm.tasks.finetune.judge import coverage, judge_baselines, judged, main_metric, tested_rows
from bio_xlstm.tasks.finetune.learning_curve import learning_curve
from bio_xlstm.tasks.finetune.plan import Plan, make_plan
from bio_xlstm.tasks.finetune.request import FinetuneRequest
from bio_xlstm.tasks.finetune.results import (
    described,
    write_baselines,
    write_metrics,
    write_predictions,
    write_splits,
)
from bio_xlstm.tasks.finetune.trust import LEAST
from bio_xlstm.tasks.pretrain.processes import is_first
from bio_xlstm.tasks.pretrain.run_folder import RunFolder, make_folder
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings
from bio_xlstm.tasks.pretrain.turns import alone

Say = Callable[[str], None]


class FinetuneResult(NamedTuple):
    """Tell where the model is, and what was measured."""

    directory: Path
    metrics: dict[str, Any]
    lines: tuple[str, ...]


def silent(line: str) -> None:
    """Say nothing."""


def finetune(request: FinetuneRequest, say: Say = silent) -> FinetuneResult:
    """Train a model of an assay, and write it with its predictions, its metrics and those of simple models.

    A run that was killed goes on where it stopped. Raises InputError, ModelError, ConfigError, OutputError, and
    KeyboardInterrupt where it is asked to stop.

    Example::

        finetune(FinetuneRequest(input="solubility.csv", output="solubility-model"))
    """
    output = Path(request.output)
    first = is_first(TrainingSettings(steps=1, devices=request.devices, nodes=request.nodes))
    say = say if first else silent
    make_folder(output.parent)
    with alone(output) if first else nullcontext():
        if first:
            check_folder(request)
        plan = make_plan(request, say)
        folder = begin_folder(request) if first else RunFolder(output)
        for line in plan.lines():
            say(line)
        return _run(plan, folder, first, say)


def _run(plan: Plan, folder: RunFolder, first: bool, say: Say) -> FinetuneResult:
    """Fit all members, judge them, and write everything; only the first of several processes does the latter."""
    begun = time.monotonic()
    embedded = embed_all(plan)
    say(f"features {len(plan.ids):,} sequences embedded")
    fitted: list[Fitted] = []
    answers = blank(plan.assay.task, len(plan.assay))
    for number, one in enumerate(plan.rounds):
        mine = [
            fit_member(plan, embedded, folder, one, number * plan.request.ensemble + turn, begun, first, say)
            for turn in range(plan.request.ensemble)
        ]
        fitted += mine
        # with folds every sequence is answered for by those that have not seen it
        rows = one.test if plan.split.folds else np.arange(len(plan.assay))
        put(answers, rows, joined([member.answers.take(rows) for member in mine]))
    if not first:
        return FinetuneResult(folder.output, {}, ())
    found = calibrate(plan, answers, _across(plan, embedded, fitted[0]))
    seen = np.unique(np.concatenate([one.train for one in plan.rounds]))
    domain = Domain.of([plan.assay.sequences[row] for row in seen.tolist()], plan.assay.kind)
    metrics = _measure(plan, fitted, found, domain)
    say(f"test     {main_metric(plan, metrics['test'])}")
    if found.words:
        say(f"trust    {found.words}")
    if plan.request.baselines:
        metrics["baselines"], said = judge_baselines(plan, say)
        write_baselines(folder.output, plan, said)
    if plan.request.method == "head" and not plan.split.folds:
        metrics["learning_curve"] = learning_curve(plan, embedded, plan.rounds[0], fitted[0].chosen)
    return _write(plan, fitted, found, domain, metrics)


def _across(plan: Plan, embedded: Embedded, first: Fitted) -> Answers | None:
    """Answer for training sequences unseen, where intervals need it; None where they do not, or it takes too long."""
    one = plan.rounds[0]
    few = not plan.split.folds and len(one.validation) < LEAST <= len(one.train)
    if plan.request.method != "head" or plan.assay.task.name != "regression" or not few:
        return None
    return answers_across(plan, embedded, one, first.chosen)


def _measure(plan: Plan, fitted: list[Fitted], found: Calibrated, domain: Domain) -> dict[str, Any]:
    """Measure everything about the model itself that the report shows."""
    assay, request, rows = plan.assay, plan.request, tested_rows(plan)
    answers = found.answers
    own = judged(plan, answers.take(rows).predicted, rows)
    validation = np.zeros(0, np.int64) if plan.split.folds else plan.rounds[0].validation
    return {
        "task": {"name": assay.task.name, "targets": assay.task.targets, "classes": assay.task.classes},
        "kind": assay.kind,
        "model": plan.base,
        "method": request.method,
        "test": own,
        "validation": judged(plan, answers.take(validation).predicted, validation),
        "baselines": {},
        "learning_curve": [],
        "coverage": coverage(plan, found.ends),
        "calibration": found.trust.to_record(),
        "calibrated": found.words,
        "domain_threshold": domain.threshold,
        "split": {
            "method": plan.split.method,
            "sizes": {name: len(part) for name, part in zip(plan.split.names, plan.split.parts, strict=True)},
            "notes": plan.split.notes,
        },
        "leakage": {**described(leaks := audit_leakage(assay, plan.split)), "lines": leaks.lines()},
        "audit": {**described(assay.audit), "lines": assay.audit.lines()},
        "members": [one.record for one in fitted],
        "seed": request.seed,
        "settings": dict(request.identity()),
    }


def _write(
    plan: Plan, fitted: list[Fitted], found: Calibrated, domain: Domain, metrics: dict[str, Any]
) -> FinetuneResult:
    """Write the model directory; finetune.json, which makes it whole, comes last."""
    output = Path(plan.request.output)
    text = card(plan, metrics)
    for number, one in enumerate(fitted):
        tuned = plan.request.method in ("lora", "full")
        if not number:
            one.member.model.name = output.resolve().name
        save_member(one.member, member_folder(output, number), with_model=tuned or not number, card=text)
    write_splits(output, plan)
    write_predictions(output, plan, found, domain)
    write_metrics(output, metrics)
    about = {
        "kind": plan.assay.kind,
        "base": plan.base,
        "method": plan.request.method,
        "sequence_column": plan.assay.sequence_column,
        "trained_on": len(domain.prints),
        "test": metrics["test"],
        "seed": plan.request.seed,
    }
    record = about_record(plan.assay.task, found.trust, len(fitted), about)
    # here: what it draws with is not needed to train
    from bio_xlstm.tasks.report.write import write_report

    write_report(output, record)
    save_about(output, record, domain)
    clear_scaffolding(RunFolder(output))
    return FinetuneResult(output, metrics, _lines(plan))


def _lines(plan: Plan) -> tuple[str, ...]:
    """Say where the model is, and how to use it."""
    output = plan.request.output
    count = len(plan.rounds) * plan.request.ensemble
    return (
        f"wrote {output}: {count} model(s), predictions.csv, metrics.json, report.html",
        f"use: bioxlstm predict {output} NEW.csv -o predictions.csv",
    )
