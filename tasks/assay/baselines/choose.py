"""Which baselines suit an assay."""

from collections.abc import Sequence

from bio_xlstm.tasks.assay.baselines.baseline import Baseline
from bio_xlstm.tasks.assay.baselines.constant import Constant
from bio_xlstm.tasks.assay.baselines.features import Lengths, OneHot, WordCounts
from bio_xlstm.tasks.assay.baselines.forest import Forest
from bio_xlstm.tasks.assay.baselines.linear import Linear
from bio_xlstm.tasks.assay.baselines.per_letter import PerLetter
from bio_xlstm.tasks.assay.task import Task


def baselines_for(kind: str, task: Task, sequences: Sequence[str]) -> list[Baseline]:
    """Return fresh baselines for the training sequences of a kind, from the simplest on.

    mean; length; for molecules a random forest on Morgan bits; for letters a linear model on short words, and on the
    letters by position where all sequences have one length.
    """
    if task.name == "per_token":
        return [PerLetter(0), PerLetter(1)]
    model = "ridge regression" if task.numeric else "logistic regression"
    found: list[Baseline] = [Constant(), Linear("length", f"{model} on the length", Lengths())]
    if kind == "smiles":
        return [*found, Forest()]
    short = model.split()[0]
    if len({len(text) for text in sequences}) == 1:
        found.append(Linear(f"one-hot {short}", f"{model} on the letter at every position", OneHot()))
    return [*found, Linear(f"k-mer {short}", f"{model} on the counts of short words", WordCounts(kind))]
