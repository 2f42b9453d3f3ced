"""Tables of assays: what is left out, what counts once, and what is kept for the next run."""

from pathlib import Path

import numpy as np
import pytest
import torch

import bio_xlstm
from bio_xlstm.errors import InputError
from bio_xlstm.in_context.config import InContextConfig
from bio_xlstm.in_context.described import Described, describe
from bio_xlstm.tasks.in_context.assays import AssayTable, describe_all, pick, read_assays
from bio_xlstm.tasks.in_context.recipe import AssayFiles

FILES = AssayFiles(train="", validation="")
CONFIG = InContextConfig(bits=512, prints=64)
HEADER = "assay_id\tsmiles\tproperty\tlog_regression_property\trelation\n"


def read(path: Path, rows: str) -> AssayTable:
    """Read a table of some rows."""
    path.write_text(HEADER + rows)
    return read_assays(path, FILES, bio_xlstm.load("chem-small"))


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    """Unreadable, repeated and contradictory rows are left out and counted; stereo marks make no other molecule."""
    table = read(
        tmp_path / "a.tsv",
        "A\tCCO\t1\t6.0\t=\n"
        "A\tOCC\t1\t6.1\t=\n"  # repeats
        "A\tC1CC\t0\t5.0\t=\n"  # no molecule
        "A\tC[C@H](N)O\t1\t7\t=\nA\tC[C@@H](N)O\t0\t5\t=\n"  # contradict each other
        "A\tCCN\t0\t4.0\t>\nA\tCCF\t0\t4.5\t<\nA\tCCCl\t0\t\t\n"
        "A\tCCS\t\t5\t=\n",  # no label
    )
    (assay,) = table.assays
    assert [table.smiles[row] for row in assay.molecules] == ["CCO", "CCN", "CCF", "CCCl"]
    assert assay.classes.tolist() == [1, 0, 0, 0]
    # a potency above some concentration is a logarithm below
    assert assay.relations.tolist() == [0, -1, 1, 0]
    assert np.isnan(assay.numbers[3])
    assert (table.refused, table.repeated) == (2, 3)


def test_assays_of_one_class_teach_nothing(tmp_path: Path) -> None:
    """They are left out."""
    table = read(tmp_path / "a.tsv", "A\tCCO\t1\t6\t=\nA\tCCN\t1\t6\t=\nB\tCCO\t1\t6\t=\nB\tCCN\t0\t6\t=\n")
    assert [assay.name for assay in table.assays] == ["B"]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    """The columns that there are stand in the message."""
    (tmp_path / "a.tsv").write_text("assay\tsmiles\nA\tCCO\n")
    with pytest.raises(InputError, match="no column 'assay_id'; the columns are assay, smiles"):
        read_assays(tmp_path / "a.tsv", FILES, bio_xlstm.load("chem-small"))


def test_descriptions_are_kept_and_picked(tmp_path: Path) -> None:
    """What was kept is what was computed, in any order and more than once."""
    smiles = ["CCO", "c1ccccc1C", "N", "CC(C)(C)O"]
    encoder = bio_xlstm.load("chem-small")
    first = describe_all(smiles, encoder, CONFIG, tmp_path)
    assert len(list(tmp_path.glob("molecules-*.npz"))) == 1
    again = describe_all(smiles, encoder, CONFIG, tmp_path)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.float(), other.float())
    rows = [2, 0, 2, 3]
    picked = pick(again, np.array(rows))
    direct = describe(encoder, [smiles[row] for row in rows], CONFIG)
    assert torch.equal(picked.bits, direct.bits)
    assert torch.equal(picked.offsets, direct.offsets)
    assert torch.equal(picked.counts, direct.counts)
    assert torch.equal(picked.prints, direct.prints)
    torch.testing.assert_close(picked.embeddings, direct.embeddings, rtol=2e-3, atol=2e-3)
    assert isinstance(picked, Described)
