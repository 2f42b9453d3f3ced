"""The model card of a fine-tuned model."""

from typing import Any

from bio_xlstm.tasks.finetune.judge import main_metric
from bio_xlstm.tasks.finetune.plan import Plan


def card(plan: Plan, metrics: dict[str, Any]) -> str:
    """Write README.md: what the model predicts, what it was trained on, how good it is."""
    task, request = plan.assay.task, plan.request
    targets = ", ".join(task.targets[:20]) + (", ..." if len(task.targets) > 20 else "")
    baselines = [
        f"- {name}: {main_metric(plan, found['test'])}" for name, found in metrics["baselines"].items()
    ]
    sizes = ", ".join(f"{name} {size:,}" for name, size in metrics["split"]["sizes"].items())
    base = plan.model.card.strip()
    return "\n".join(
        [
            f"# Fine-tuned from {plan.base}",
            "",
            f"Predicts {targets} ({task.name}) from {plan.assay.kind} sequences. Method `{request.method}`, "
            f"{len(plan.rounds) * request.ensemble} model(s), seed {request.seed}.",
            "",
            f"Data: {plan.assay.source}, {plan.assay.audit.used:,} of {plan.assay.audit.input_rows:,} rows, "
            f"{plan.split.method} split ({sizes}).",
            "",
            f"Test: {main_metric(plan, metrics['test'])}",
            *(["", "On the same split:", "", *baselines] if baselines else []),
            "",
            "The terms of the data decide what the model may be used for.",
            *(["", "## The model it was made from", "", base] if base else []),
            "",
        ]
    )
