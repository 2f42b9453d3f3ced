"""Public assays that fine-tuning is judged on: what is measured, how it is divided, and the metric of its field."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import labelled_sets
import numpy as np
import pandas as pd

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# substitution scans of ProteinGym, the four with most mutants of those at hand
SCANS = {
    "amfr": "AMFR_HUMAN_Rocklin_2023_4G3O",
    "dnja1": "DNJA1_HUMAN_Rocklin_2023_2LO1",
    "bbc1": "BBC1_YEAST_Rocklin_2023_1TG0",
    "bchb": "BCHB_CHLTE_Rocklin_2023_2KRU",
}
GB1_SPLITS = ("sampled", "low_vs_high", "one_vs_rest", "two_vs_rest", "three_vs_rest")
# rows of a part, or of a class, that a drawn subset keeps whatever its size
FEWEST = 10


class Assay(NamedTuple):
    """Hold N sequences with their values, and what divides them: names of parts, or groups that stay together."""

    target: str  # "" where a set is one assay
    texts: list[str]
    values: list[str]
    marks: list[str] | None = None

    def take(self, rows: np.ndarray) -> "Assay":
        """Select rows."""
        texts, values = ([column[row] for row in rows] for column in (self.texts, self.values))
        marks = None if self.marks is None else [self.marks[row] for row in rows]
        return self._replace(texts=texts, values=values, marks=marks)


class AssaySet(NamedTuple):
    """Name a data set; of its metrics the first one decides."""

    title: str
    kind: str
    task: str
    metrics: tuple[str, ...]
    split: str
    """as `finetune --split` has it; "column" for marks"""
    words: str
    """the split in words"""
    given: bool
    """whether the set brings its parts: a seed then changes the training alone"""
    read: Callable[[Path], list[Assay]]


def thinned(assay: Assay, one: AssaySet, limit: int, seed: int) -> Assay:
    """Draw rows where there are more than a limit, in the shares of given parts and of classes (0: all)."""
    count = len(assay.texts)
    if not limit or count <= limit:
        return assay
    parts = assay.marks if one.given and assay.marks else [""] * count
    classes = [""] * count if one.task == "regression" else assay.values
    _, strata = np.unique(
        [f"{part} {value}" for part, value in zip(parts, classes, strict=True)], return_inverse=True
    )
    rng = np.random.default_rng(seed)
    chosen = []
    for stratum in range(strata.max() + 1):
        rows = np.flatnonzero(strata == stratum)
        wanted = max(round(limit * len(rows) / count), min(FEWEST, len(rows)))
        chosen.append(rng.choice(rows, wanted, replace=False))
    return assay.take(np.sort(np.concatenate(chosen)))


def _molecules(file: str, sequence: str, value: str) -> Callable[[Path], list[Assay]]:
    """Read a table of molecules as it stands."""

    def read(data: Path) -> list[Assay]:
        table = pd.read_csv(data / "mol_assays" / file)
        return [_assay("", table[sequence], table[value])]

    return read


def _targets(file: str, sequence: str, value: str) -> Callable[[Path], list[Assay]]:
    """Read a table of the molecules of many targets, with their parts; each target is an assay."""

    def read(data: Path) -> list[Assay]:
        table = pd.read_csv(data / "mol_assays" / file)
        return [
            _assay(str(target), some[sequence], some[value], some["split"])
            for target, some in table.groupby("dataset")
        ]

    return read


def _flip(file: str) -> Callable[[Path], list[Assay]]:
    """Read a table of FLIP: parts in `set`, rows of the validation part marked beside them in some tables."""

    def read(data: Path) -> list[Assay]:
        table = pd.read_csv(data / "protein_assays" / file)
        held = table["validation"].eq(True) if "validation" in table else pd.Series(False, table.index)
        parts = table["set"].mask(held & table["set"].eq(TRAIN), VALIDATION)
        return [_assay("", table["sequence"], table["target"], parts)]

    return read


def _stability(data: Path) -> list[Assay]:
    """Read the stability of small designed proteins (TAPE)."""
    files = {TRAIN: "train", VALIDATION: "valid", TEST: "test"}
    parts = {
        part: pd.read_csv(data / f"protein_assays/proteinbert_stability.{name}.csv.xz")
        for part, name in files.items()
    }
    table = pd.concat(parts, names=["part"]).reset_index("part")
    return [_assay("", table["seq"], table["label"], table["part"])]


def _scan(name: str, *, by_position: bool) -> Callable[[Path], list[Assay]]:
    """Read the single mutants of a scan, with the position of each where positions are not to be divided."""

    def read(data: Path) -> list[Assay]:
        table = pd.read_csv(data / f"protein_assays/proteingym_v1/{name}.csv.xz")
        table = table[~table["mutant"].str.contains(":")]
        places = table["mutant"].str[1:-1] if by_position else None
        return [_assay("", table["mutated_sequence"], table["DMS_score"], places)]

    return read


def _labelled(read: Callable[[Path], labelled_sets.Labelled]) -> Callable[[Path], list[Assay]]:
    """Read DNA whose sequences are grouped by the words they share."""

    def assays(data: Path) -> list[Assay]:
        found = read(data)
        return [_assay("", found.texts, found.labels.tolist(), found.groups.tolist())]

    return assays


def _assay(
    target: str, texts: Sequence[str], values: Sequence[object], marks: Sequence[object] | None = None
) -> Assay:
    """Keep columns as text, which is what a table is written of."""
    return Assay(
        target, list(texts), [str(one) for one in values], None if marks is None else [str(m) for m in marks]
    )


def _gb1(split: str) -> AssaySet:
    """Describe a split of the binding of protein G's domain B1 (FLIP)."""
    read = _flip(f"flip_gb1_{split}.csv.xz")
    title = f"GB1, {split.replace('_', ' ')}"
    return AssaySet(title, "protein", "regression", ("spearman",), "column", "its own", True, read)


def _proteingym(name: str, *, by_position: bool) -> AssaySet:
    """Describe a scan of ProteinGym, divided at random or by position."""
    split, words = ("column", "by position") if by_position else ("random", "random")
    title = f"ProteinGym {name.split('_Rocklin')[0]}, {words}"
    read = _scan(name, by_position=by_position)
    return AssaySet(title, "protein", "regression", ("spearman",), split, words, False, read)


def _dna(
    title: str,
    task: str,
    metrics: tuple[str, ...],
    words: str,
    read: Callable[[Path], labelled_sets.Labelled],
) -> AssaySet:
    """Describe a set of labelled DNA."""
    return AssaySet(title, "dna", task, metrics, "column", words, False, _labelled(read))


_SCAFFOLD = ("scaffold", "scaffold", False)
_OWN = ("column", "its own", True)
_SOLUBILITY = "measured log solubility in mols per litre"
_ERRORS = ("rmse", "spearman")
# sets of the same sequences stand together: they are embedded once
ASSAYS: dict[str, AssaySet] = {
    "bbbp": AssaySet("BBBP", "smiles", "binary", ("auroc",), *_SCAFFOLD,
                     _molecules("bbbp.csv.xz", "smiles", "p_np")),
    "esol": AssaySet("ESOL", "smiles", "regression", _ERRORS, *_SCAFFOLD,
                     _molecules("esol.csv.xz", "smiles", _SOLUBILITY)),
    "lipophilicity": AssaySet("Lipophilicity", "smiles", "regression", _ERRORS, *_SCAFFOLD,
                              _molecules("lipophilicity.csv.xz", "smiles", "exp")),
    "hiv": AssaySet("HIV", "smiles", "binary", ("auroc",), *_SCAFFOLD,
                    _molecules("hiv.csv.xz", "smiles", "HIV_active")),
    "moleculeace": AssaySet("MoleculeACE", "smiles", "regression", _ERRORS, *_OWN,
                            _targets("moleculeace.csv.xz", "smiles", "y [pEC50/pKi]")),
    "simpd": AssaySet("SIMPD", "smiles", "binary", ("auroc",), "column", "its own, by time", True,
                      _targets("simpd_chembl_ki.csv.xz", "canonical_smiles", "active")),
    **{f"gb1_{split}": _gb1(split) for split in GB1_SPLITS},
    "meltome": AssaySet("Meltome", "protein", "regression", ("spearman",), *_OWN,
                        _flip("flip_meltome_clustered_2021.csv.xz")),
    "stability": AssaySet("Stability (TAPE)", "protein", "regression", ("spearman",), *_OWN, _stability),
    **{f"{short}_{way}": _proteingym(name, by_position=way == "position")
       for short, name in SCANS.items() for way in ("random", "position")},
    "promoters": _dna("E. coli promoters", "binary", ("auroc",), "no 20 bases shared",
                      labelled_sets.ecoli_promoters),
    "enhancers": _dna("Human enhancers (Cohn)", "binary", ("auroc",), "no 48 bases shared",
                      labelled_sets.human_enhancers),
    "splice": _dna("Splice junctions", "multiclass", ("mcc", "accuracy"), "no 16 bases shared",
                   labelled_sets.splice_junctions),
}  # fmt: skip
