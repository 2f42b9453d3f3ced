"""What heads say of training sequences that they have not seen: fold after fold is left out."""

import numpy as np

from bio_xlstm.tasks.assay.splits.split import Round
from bio_xlstm.tasks.finetune.answers import Answers, blank, put
from bio_xlstm.tasks.finetune.closed_form import Chosen, fit_form
from bio_xlstm.tasks.finetune.folds import deal_folds
from bio_xlstm.tasks.finetune.frozen import Embedded, answer_embedded, as_member, frozen_data
from bio_xlstm.tasks.finetune.plan import Plan


def answers_across(plan: Plan, embedded: Embedded, one: Round, chosen: Chosen) -> Answers | None:
    """Fit the form that was chosen to all folds of the training part but one, and answer for that one.

    Nothing is said of other sequences; None where all of the part is one group.
    """
    request, task = plan.request, plan.assay.task
    folds = deal_folds(plan.groups[one.train], seed=request.seed)
    if len(np.unique(folds)) < 2:
        return None
    answers = blank(task, len(plan.assay))
    for fold in np.unique(folds).tolist():
        data = frozen_data(plan, embedded, one.train[folds != fold], request.seed)
        balanced = request.class_weights == "balanced"
        head = fit_form(data, task, chosen, balanced=balanced, seed=request.seed)
        held = one.train[folds == fold]
        put(answers, held, answer_embedded(plan, as_member(plan, embedded, head, chosen), embedded, held))
    return answers
