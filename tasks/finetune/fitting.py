"""One member of a run: fitted now, or taken up from an earlier run that was stopped."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bio_xlstm.tasks.assay.splits.split import Round
from bio_xlstm.tasks.finetune.answers import Answers
from bio_xlstm.tasks.finetune.closed_form import Chosen, in_words
from bio_xlstm.tasks.finetune.curves import draw_tuning
from bio_xlstm.tasks.finetune.directory import load_member, member_folder, save_member
from bio_xlstm.tasks.finetune.folder import members_folder
from bio_xlstm.tasks.finetune.frozen import Embedded, answer_embedded, fit_frozen
from bio_xlstm.tasks.finetune.member import Member
from bio_xlstm.tasks.finetune.plan import Plan
from bio_xlstm.tasks.pretrain.run_folder import RunFolder

Say = Callable[[str], None]


class Fitted(NamedTuple):
    """Hold a member, what it says of all usable sequences, and how it came about."""

    member: Member
    answers: Answers
    record: dict[str, Any]
    chosen: Chosen


def fit_member(
    plan: Plan,
    embedded: Embedded,
    folder: RunFolder,
    one: Round,
    number: int,
    begun: float,
    first: bool,
    say: Say,
) -> Fitted:
    """Fit a member to the training part of a round; `number` counts all members of the run, `begun` is its start.

    Of several processes that train together only the `first` writes.
    """
    request = plan.request
    seed = request.seed + number % request.ensemble
    every = np.arange(len(plan.assay))
    frozen = request.method == "head"
    member, chosen = fit_frozen(
        plan,
        embedded,
        one.train,
        seed=seed,
        bagged=request.ensemble > 1 and frozen,
        curve=request.head if frozen else "linear",
    )
    record: dict[str, Any] = {"seed": seed, "round": number // request.ensemble, "head": chosen._asdict()}
    record["sees"] = in_words(chosen, plan.layers)
    if frozen:
        say(f"head     {record['sees']}")
        return Fitted(member, answer_embedded(plan, member, embedded, every), record, chosen)
    from bio_xlstm.tasks.finetune.tune import tune_member

    kept = member_folder(members_folder(folder), number)
    about = kept / "record.json"
    if about.is_file():
        say(f"member {number + 1} was trained before")
        member, record = load_member(kept, plan.model), json.loads(about.read_text(encoding="utf-8"))
    else:
        member, curve = tune_member(plan, member, chosen, one, folder, number, seed, begun, say)
        record["training"] = curve
        if first:
            picture = (
                folder.curves.with_stem(f"{folder.curves.stem}-{number + 1}") if number else folder.curves
            )
            draw_tuning(curve["curve"], picture, f"member {number + 1}")
            save_member(member, kept, with_model=request.method in ("lora", "full"))
            about.write_text(json.dumps(record), encoding="utf-8")
    return Fitted(member, member.answer(plan.ids, plan.batch_tokens), record, chosen)
