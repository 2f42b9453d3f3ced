"""Splits are disjoint by their own criterion, and the audit finds what a worse one leaks."""

import re
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.assay.assay import Assay
from bio_xlstm.tasks.assay.fingerprint import fingerprints, reverse_complement
from bio_xlstm.tasks.assay.similarity import nearest
from bio_xlstm.tasks.assay.splits.deal import deal
from bio_xlstm.tasks.assay.splits.groups import scaffold_names
from bio_xlstm.tasks.assay.splits.leakage import audit_leakage
from bio_xlstm.tasks.assay.splits.make import make_split
from tests.tasks.assay.conftest import MOLECULES, Read, bases, proteins


@pytest.fixture
def molecules(read: Read) -> Assay:
    """Read thirty molecules, one of them written in two ways, with two classes."""
    return read(
        {"smiles": [*MOLECULES, "OCC"], "y": [0, 1, 1] * 10 + [0], "day": [n // 4 for n in range(31)]}
    )


def families(count: int, size: int) -> list[str]:
    """Draw families of proteins: each a parent and copies with one residue changed."""
    rng = np.random.default_rng(1)
    found = []
    for parent in proteins(count, 80, seed=2):
        for _ in range(size):
            place = int(rng.integers(len(parent)))
            found.append(parent[:place] + "W" + parent[place + 1 :])
    return found


@pytest.mark.parametrize("folds", [0, 4])
@pytest.mark.parametrize("method", ["random", "scaffold", "cluster"])
def test_every_row_is_in_one_part_and_rounds_do_not_overlap(
    molecules: Assay, method: str, folds: int
) -> None:
    split = make_split(molecules, method, folds=folds, seed=3, fractions=(0.6, 0.2, 0.2))
    together = np.concatenate(split.parts)
    assert sorted(together.tolist()) == list(range(31)) and all(len(part) for part in split.parts)
    rounds = list(split.rounds())
    assert len(rounds) == (folds or 1)
    for one in rounds:
        everything = np.concatenate(one)
        assert len(everything) == len(set(everything.tolist())) == 31
        if split.groups is not None:
            sides = [set(split.groups[part].tolist()) for part in one]
            assert not sides[0] & sides[2] and not sides[1] & sides[2] and not sides[0] & sides[1]
    assert all(
        leak.count == 0
        for leak in audit_leakage(molecules, split).leaks
        if leak.what in ("exact", "canonical")
    )
    again = make_split(molecules, method, folds=folds, seed=3, fractions=(0.6, 0.2, 0.2))
    assert all((one == other).all() for one, other in zip(split.parts, again.parts, strict=True))


def test_random_parts_keep_the_classes_and_equal_molecules(read: Read) -> None:
    texts = proteins(200)
    assay = read({"seq": texts, "y": [1 if n % 10 == 0 else 0 for n in range(200)]})
    split = make_split(assay, "random")
    assert [len(part) for part in split.parts] == [160, 20, 20]
    assert [assay.values[part].sum() for part in split.parts] == [16, 2, 2]
    other = make_split(assay, "random", seed=1)
    assert not np.array_equal(split.parts[2], other.parts[2])


def test_scaffolds_are_not_divided(molecules: Assay) -> None:
    split = make_split(molecules, "scaffold")
    names = scaffold_names(molecules.sequences)
    sides = [{names[number] for number in part.tolist()} for part in split.parts]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    # ethanol has no ring: it is a group of its own, in both spellings
    assert names[0] == names[30] == "(CCO)"


def test_clusters_hold_no_similar_pair_across_parts(read: Read) -> None:
    texts = families(12, 5)
    assay = read({"seq": texts, "y": np.arange(60) * 0.5})
    split = make_split(assay, "cluster", fractions=(0.6, 0.2, 0.2))
    prints = fingerprints(texts, "protein")
    train, validation, test = split.parts
    assert nearest(prints[test], prints[np.concatenate([train, validation])])[0].max() < split.threshold
    # families stay together
    assert all(len({number // 5 for number in part.tolist()}) * 5 == len(part) for part in split.parts)
    leaks = {leak.what: leak.count for leak in audit_leakage(assay, split).leaks}
    assert leaks == {"exact": 0, "canonical": 0, "similar": 0}
    worse = {leak.what: leak.count for leak in audit_leakage(assay, make_split(assay, "random")).leaks}
    assert worse["similar"] > 0


def test_both_strands_are_one_cluster_and_found_by_the_audit(read: Read) -> None:
    one = bases(30)
    assay = read({"dna": [*one, *map(reverse_complement, one)], "y": np.arange(60) * 0.5})
    cluster = make_split(assay, "cluster")
    leaks = {leak.what: leak.count for leak in audit_leakage(assay, cluster).leaks}
    assert leaks["reverse_complement"] == leaks["similar"] == 0
    found = {leak.what: leak for leak in audit_leakage(assay, make_split(assay, "random")).leaks}
    assert found["reverse_complement"].count > 0
    row, other = found["reverse_complement"].examples[0]
    assert assay.sequences[row] == reverse_complement(assay.sequences[other])


def test_the_audit_counts_copies_and_contradictions(read: Read) -> None:
    smiles = [*MOLECULES[:10], "OCC", "CCCO"]
    parts = ["train"] * 10 + ["test"] * 2
    assay = read({"smiles": smiles, "y": [*np.arange(10) * 0.5, 9, 0.5], "set": parts})
    split = make_split(assay, "column", column="set", fractions=(0.9, 0, 0.1))
    leakage = audit_leakage(assay, split)
    leaks = {leak.what: leak for leak in leakage.leaks}
    assert leaks["exact"].count == 1 and leaks["exact"].examples == [(11, 1)]
    assert leaks["canonical"].count == 2 and leaks["canonical"].conflicting == 1
    assert leaks["similar"].count == 2 and leakage.nearest[10] == 1
    assert "1 of 2 test sequences are written as one that is trained on" in leakage.lines()


def test_a_column_names_parts(read: Read) -> None:
    parts = ["Train"] * 20 + ["test"] * 8 + [""] * 2
    marks = ["True"] * 3 + [""] * 27
    table = {"smiles": MOLECULES, "y": np.arange(30) * 0.5, "set": parts}
    with_mark = make_split(read({**table, "validation": marks}), "column", column="set")
    assert [part.tolist()[:3] for part in with_mark.parts] == [[3, 4, 5], [0, 1, 2], [20, 21, 22]]
    drawn = make_split(read(table), "column", column="SET")
    assert [len(part) for part in drawn.parts] == [18, 2, 8]
    assert drawn.notes == [
        "2 rows with an empty cell in column 'set' are in no part",
        "column 'set' names no validation part; 2 random training rows are it",
    ]
    assert drawn.part_of(30)[29] == "" and drawn.part_of(30)[20] == "test"


def test_a_column_names_groups(molecules: Assay) -> None:
    split = make_split(molecules, "column", column="day", fractions=(0.5, 0.25, 0.25))
    days = np.array(molecules.cells("day"))
    sides = [set(days[part].tolist()) for part in split.parts]
    assert not sides[0] & sides[2] and all(sides)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("guess", {}, "--split must be one of random, scaffold, cluster, column"),
        ("random", {"fractions": (0.5, 0.1, 0.1)}, "must add up to 1, not 0.5, 0.1, 0.1"),
        ("random", {"fractions": (1.0, 0.0, 0.0)}, "train and test need a share above 0"),
        ("random", {"folds": 1}, "--folds takes 2 to 31 for 31 sequences, not 1"),
        ("random", {"column": "day"}, "a column is read by --split column, not by --split random"),
        ("random", {"similarity": 0.5}, "a similarity is for --split cluster, not for --split random"),
        ("cluster", {"similarity": 1.5}, "a similarity lies between 0 and 1, not at 1.5"),
        ("cluster", {"similarity": 0.01}, "too many to divide; take another split, or a higher similarity"),
        ("column", {}, "--split column needs the name of a column"),
        ("column", {"column": "colour"}, "there is no column 'colour'; the columns are smiles, y, day"),
        ("column", {"column": "y"}, "column 'y' holds what is to be predicted; it cannot divide them"),
        ("column", {"column": "smiles"}, "column 'smiles' holds the sequences; it cannot divide them"),
        (
            "column",
            {"column": "day", "folds": 20},
            "--split column finds 8 groups, and 20 parts are asked for",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(
    molecules: Assay, method: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_split(molecules, method, **options)


def test_more_that_cannot_be_divided(read: Read) -> None:
    letters = read({"seq": proteins(12), "y": np.arange(12) * 0.5, "same": ["x"] * 12, "set": ["train"] * 12})
    with pytest.raises(ConfigError, match="--split scaffold is for molecules"):
        make_split(letters, "scaffold")
    with pytest.raises(ConfigError, match="column 'same' has one value alone; it divides nothing"):
        make_split(letters, "column", column="same")
    with pytest.raises(ConfigError, match="no usable row has 'test' in column 'set'"):
        make_split(letters, "column", column="set")
    variants = read({"seq": families(1, 40), "y": np.arange(40) * 0.5, "set": ["train", "test"] * 20})
    with pytest.raises(ConfigError, match="the largest cluster still holds 100% of the sequences"):
        make_split(variants, "cluster")
    with pytest.raises(ConfigError, match="names train and test; folds need a column of groups"):
        make_split(variants, "column", column="set", folds=3)


def test_ten_rows_have_all_parts(read: Read) -> None:
    split = make_split(read({"smiles": MOLECULES[:10], "y": [0, 1] * 5}), "random")
    assert [len(part) for part in split.parts] == [8, 1, 1]


def test_dealing_keeps_groups_and_sizes() -> None:
    groups = np.repeat(np.arange(200), 3)
    parts = deal(groups, (0.8, 0.1, 0.1), seed=0)
    assert all(abs(len(part) - due) <= 3 for part, due in zip(parts, (480, 60, 60), strict=True))
    owners = [set(groups[part].tolist()) for part in parts]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]
    # one large group goes to the large part
    assert 0 in deal(np.array([0] * 50 + list(range(1, 51))), (0.8, 0.1, 0.1), seed=0)[0]
