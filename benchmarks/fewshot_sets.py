"""Tables of assays that few-shot prediction is judged on, and what is asked about each."""

import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class FewshotSet(NamedTuple):
    """Name a table, the options of `evaluate fewshot` for it, and the metrics that are shown."""

    title: str
    words: str
    file: str
    options: dict[str, Any]
    metrics: tuple[str, ...]
    groups: str = ""


_SIZES = (16, 32, 64, 128, 256)
_FEW = (16, 64, 256)
CLASSES = ("delta_auprc", "auroc", "log_loss_of_share")
NUMBERS = ("r2", "spearman", "rmse_of_mean")
SETS = {
    "fsmol": FewshotSet(
        "FS-Mol, validation fold: classes",
        "stratified supports, all other molecules of the assay are queries",
        "fsmol_valid.tsv.xz",
        {"support": _SIZES},
        CLASSES,
        groups="fsmol_valid_proteins.csv.xz",
    ),
    "fsmol-numbers": FewshotSet(
        "FS-Mol, validation fold: numbers",
        "the same assays; values that are only bounded are examples, but no queries",
        "fsmol_valid.tsv.xz",
        {"task": "regression", "support": _SIZES},
        NUMBERS,
    ),
    "simpd": FewshotSet(
        "SIMPD: classes, divided as if by time",
        "63 targets (ChEMBL Ki); supports from the earlier part, all of the later part are queries",
        "simpd_chembl_ki.csv.xz",
        {"support": _FEW, "split_column": "split"},
        CLASSES,
    ),
    "simpd-numbers": FewshotSet(
        "SIMPD: numbers, divided as if by time",
        "the same, pKi",
        "simpd_chembl_ki.csv.xz",
        {"task": "regression", "support": _FEW, "split_column": "split"},
        NUMBERS,
    ),
    "moleculeace": FewshotSet(
        "MoleculeACE: numbers, with activity cliffs",
        "19 targets (ChEMBL Ki and EC50); supports from the training part, all of the test part are queries; "
        "`rmse_marked` counts queries that have a much more or less active near copy",
        "moleculeace.csv.xz",
        {"task": "regression", "support": _FEW, "split_column": "split", "mark_column": "cliff_mol", "target": "y"},
        (*NUMBERS, "rmse", "rmse_marked"),
    ),
}  # fmt: skip


def published(folder: Path, sizes: Sequence[int]) -> dict[str, list[float | None]]:
    """Return the mean delta AUC-PR of the baselines that FS-Mol published, on its test fold; none without the files."""
    found = {}
    for path in sorted(folder.glob("fsmol_baseline_*.csv.xz")):
        with lzma.open(path, "rt") as file:
            table = pd.read_csv(file)
        means: list[float | None] = []
        for size in sizes:
            reached = table[f"{size}_train"].map(lambda cell: str(cell).split("+")[0])
            ahead = pd.to_numeric(reached, errors="coerce") - table["fraction_positive_test"]
            means.append(float(np.nanmean(ahead)) if ahead.notna().any() else None)
        found[path.name.removeprefix("fsmol_baseline_").removesuffix(".csv.xz")] = means
    return found
