"""Public labelled sets of molecules, proteins and DNA, and the groups that must not be divided between two parts."""

import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from bio_xlstm.errors import InputError
from bio_xlstm.records import open_records
from bio_xlstm.tasks.evaluate.molecule import read_molecules

# share of the groups that is for the test where a set has no split of its own
TEST = 0.2


class Labelled(NamedTuple):
    """Hold N sequences with their labels."""

    name: str
    kind: str  # regression, binary or classes
    texts: list[str]
    labels: np.ndarray  # (N,) numbers, or classes as text
    groups: np.ndarray  # (N,) int64, what is alike has one number
    test: np.ndarray | None  # (N,) bool where the set comes with a split
    split: str  # in words

    def take(self, rows: np.ndarray) -> "Labelled":
        """Select rows."""
        test = None if self.test is None else self.test[rows]
        texts = [self.texts[row] for row in rows]
        return self._replace(texts=texts, labels=self.labels[rows], groups=self.groups[rows], test=test)


def parted(data: Labelled, seed: int) -> np.ndarray:
    """Mark the rows (N,) of the test part: as given, or groups chosen at random until they hold a fifth of the rows."""
    if data.test is not None:
        return data.test
    order = np.random.default_rng(seed).permutation(int(data.groups.max()) + 1)
    sizes = np.bincount(data.groups, minlength=len(order))[order]
    # a group too large for what is missing stays in training
    chosen, held = [], 0
    for group, size in zip(order.tolist(), sizes.tolist(), strict=True):
        if held + size <= TEST * len(data.texts):
            chosen.append(group)
            held += size
    return np.isin(data.groups, chosen)


def bbbp(data: Path) -> Labelled:
    """Read blood-brain barrier penetration (MoleculeNet)."""
    table = _csv(data / "mol_assays/bbbp.csv.xz")
    return _molecules("BBBP", "binary", table["smiles"], table["p_np"])


def esol(data: Path) -> Labelled:
    """Read aqueous solubility (MoleculeNet)."""
    table = _csv(data / "mol_assays/esol.csv.xz")
    return _molecules(
        "ESOL", "regression", table["smiles"], table["measured log solubility in mols per litre"]
    )


def lipophilicity(data: Path) -> Labelled:
    """Read octanol-water distribution (MoleculeNet)."""
    table = _csv(data / "mol_assays/lipophilicity.csv.xz")
    return _molecules("Lipophilicity", "regression", table["smiles"], table["exp"])


def stability(data: Path) -> Labelled:
    """Read the stability of small designed proteins (TAPE) in its own split; its validation part is trained on."""
    parts = [
        _csv(data / f"protein_assays/proteinbert_stability.{part}.csv.xz")
        for part in ("train", "valid", "test")
    ]
    table = pd.concat(parts, keys=range(3), names=["part"])
    test = table.index.get_level_values("part").to_numpy() == 2
    return _given("Stability", "regression", table["seq"], table["label"], test)


def meltome(data: Path) -> Labelled:
    """Read melting temperatures (FLIP, early version, clustered)."""
    table = _csv(data / "protein_assays/flip_meltome_clustered_2021.csv.xz")
    return _given(
        "Meltome", "regression", table["sequence"], table["target"], (table["set"] == "test").to_numpy()
    )


def deeploc(data: Path) -> Labelled:
    """Read subcellular locations (DeepLoc); the validation part is trained on, as the training part is not at hand."""
    texts, labels, test = [], [], []
    for number, part in enumerate(("val", "test")):
        for record in open_records(data / f"protein_assays/deeploc_{part}.fasta.xz", kind="protein"):
            texts.append(record.text)
            # Nucleus-U: what follows the last dash tells membrane proteins from soluble ones
            labels.append((record.fields or {})["description"].split()[0].rsplit("-", 1)[0])
            test.append(number == 1)
    return _given("DeepLoc", "classes", texts, labels, np.array(test))


def human_enhancers(data: Path) -> Labelled:
    """Read human enhancers against other DNA (Genomic Benchmarks, its test part alone, divided anew)."""
    table = _csv(data / "dna_tasks/gb_human_enhancers_cohn_test.csv.xz")
    return _clustered("Human enhancers", "binary", table["seq"], table["label"], word=48)


def ecoli_promoters(data: Path) -> Labelled:
    """Read promoters of E. coli against other DNA of E. coli."""
    texts: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(("negative2860", "positive2860")):
        for record in open_records(data / f"dna_tasks/ecoli_promoter_{name}.fa.xz", kind="dna"):
            texts.append(record.text)
            labels.append(label)
    return _clustered("E. coli promoters", "binary", texts, labels, word=20)


def splice_junctions(data: Path) -> Labelled:
    """Read primate exon-intron and intron-exon borders and other DNA (UCI)."""
    with lzma.open(data / "dna_tasks/splice_junctions_uci.txt.xz", "rt", encoding="utf-8") as file:
        rows = [[field.strip() for field in line.split(",")] for line in file if line.strip()]
    return _clustered(
        "Splice junctions", "classes", [row[2] for row in rows], [row[0] for row in rows], word=16
    )


SETS: dict[str, dict[str, Callable[[Path], Labelled]]] = {
    "smiles": {"bbbp": bbbp, "esol": esol, "lipophilicity": lipophilicity},
    "protein": {"stability": stability, "meltome": meltome, "deeploc": deeploc},
    "dna": {
        "human_enhancers": human_enhancers,
        "ecoli_promoters": ecoli_promoters,
        "splice_junctions": splice_junctions,
    },
}


def clusters(texts: Sequence[str], word: int) -> np.ndarray:
    """Number groups (N,) of DNA sequences that share a word of that length, on either strand, directly or by others."""
    codes, owners = _words(texts, word)
    _, places = np.unique(codes, return_inverse=True)
    # sequences on one side, words on the other
    size = len(texts) + int(places.max(initial=-1)) + 1
    graph = coo_matrix((np.ones(len(owners), bool), (owners, len(texts) + places)), shape=(size, size))
    return connected_components(graph, directed=False)[1][: len(texts)]


def _words(texts: Sequence[str], word: int) -> tuple[np.ndarray, np.ndarray]:
    """Code every word without ambiguous letters, the smaller of both strands; (P,) codes and their owners."""
    numbers = np.full(256, -1, np.int64)
    numbers[list(b"ACGT")] = range(4)
    codes, owners = [], []
    for owner, text in enumerate(texts):
        digits = numbers[np.frombuffer(text.upper().encode(), np.uint8)]
        if len(digits) < word:
            continue
        rows = np.lib.stride_tricks.sliding_window_view(digits, word)  # (P, word)
        rows = rows[(rows >= 0).all(1)]
        powers = 4 ** np.arange(word)
        codes.append(np.minimum(rows @ powers, (3 - rows[:, ::-1]) @ powers))
        owners.append(np.full(len(rows), owner))
    empty = np.zeros(0, np.int64)
    return np.concatenate([empty, *codes]), np.concatenate([empty, *owners])


def _molecules(name: str, kind: str, smiles: Sequence[str], labels: Sequence[float]) -> Labelled:
    """Keep the molecules that RDKit reads, canonical, one scaffold to a group; each molecule once."""
    first: dict[str, tuple[float, str]] = {}
    for molecule, label in zip(read_molecules(smiles), labels, strict=True):
        if molecule is not None:
            first.setdefault(molecule.canonical, (float(label), molecule.scaffold or molecule.flat))
    _, groups = np.unique([scaffold for _, scaffold in first.values()], return_inverse=True)
    values = np.array([label for label, _ in first.values()])
    return Labelled(name, kind, list(first), values, groups, None, "by Murcko scaffold")


def _given(
    name: str, kind: str, texts: Sequence[str], labels: Sequence[float] | Sequence[str], test: np.ndarray
) -> Labelled:
    """Keep a set with its own split; every row is a group."""
    groups = np.arange(len(test))
    return Labelled(name, kind, _letters(texts), np.asarray(labels), groups, test, "its own")


def _clustered(
    name: str, kind: str, texts: Sequence[str], labels: Sequence[int] | Sequence[str], *, word: int
) -> Labelled:
    """Keep a set whose sequences are grouped by what they share."""
    texts = _letters(texts)
    split = f"no {word} bases shared"
    return Labelled(name, kind, texts, np.asarray(labels), clusters(texts, word), None, split)


def _letters(texts: Sequence[str]) -> list[str]:
    """Keep the letters alone: how a file breaks its lines may tell its class."""
    return ["".join(text.split()).upper() for text in texts]


def _csv(path: Path) -> pd.DataFrame:
    """Read a table."""
    try:
        return pd.read_csv(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name the data folder with --data") from None
