"""How the test metric grows with the training part: what more measurements may bring."""

from typing import Any

import numpy as np

from bio_xlstm.tasks.assay.metrics.measure import MAIN, measure
from bio_xlstm.tasks.assay.splits.split import Round
from bio_xlstm.tasks.finetune.closed_form import Chosen, fit_form
from bio_xlstm.tasks.finetune.frozen import Embedded, answer_embedded, as_member, frozen_data
from bio_xlstm.tasks.finetune.plan import Plan

_SHARES = (0.125, 0.25, 0.5, 1.0)
_FEWEST = 20


def learning_curve(plan: Plan, embedded: Embedded, one: Round, chosen: Chosen) -> list[dict[str, Any]]:
    """Fit the form that was chosen to growing shares of the training part; a share holds the smaller ones."""
    order = np.random.default_rng(plan.request.seed).permutation(one.train)
    found = []
    for share in _SHARES:
        rows = np.sort(order[: round(share * len(order))])
        if len(rows) < _FEWEST or not len(one.test):
            continue
        data = frozen_data(plan, embedded, rows, plan.request.seed)
        balanced = plan.request.class_weights == "balanced"
        head = fit_form(data, plan.assay.task, chosen, balanced=balanced, seed=plan.request.seed)
        member = as_member(plan, embedded, head, chosen)
        predicted = answer_embedded(plan, member, embedded, one.test).predicted
        name = MAIN[plan.assay.task.name]
        metrics = measure(plan.assay.task, plan.values(one.test), predicted, bootstrap=0)
        value = next(metric.value for metric in metrics if metric.metric == name)
        found.append({"rows": len(rows), "metric": name, "value": value})
    return found
