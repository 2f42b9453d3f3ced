"""What is excluded: whatever a file holds of the model's kind, and a word on what could not be read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rdkit import Chem

from bio_xlstm.errors import InputError
from bio_xlstm.tasks.generate.known import known_keys

from .conftest import rows_of

Generate = Callable[..., Any]


def test_what_is_excluded_is_not_written(generate: Generate) -> None:
    generate(count=6, valid_only=True, temperature=0.6)
    first = rows_of()
    # spelled in another way
    texts = [Chem.MolToSmiles(Chem.MolFromSmiles(row["sequence"]), canonical=False) for row in first]
    Path("known.smi").write_text("\n".join([*texts, "no molecule"]))
    generate(count=6, temperature=0.6, exclude=("known.smi",))
    rows = rows_of()
    assert {row["novel"] for row in rows} == {"true"}
    assert not {row["canonical"] for row in first} & {row["canonical"] for row in rows if row["canonical"]}


def test_what_is_known_does_not_depend_on_who_reads_it(tmp_path: Path) -> None:
    path, letters = tmp_path / "known.smi", tmp_path / "known.faa"
    path.write_text("OCC\nC(C)O\nno molecule\nc1ccccc1\nC1CC\n")
    letters.write_text(">a\nmkt-ay\n>b\nMKTAY*\n>c\nGG\n")
    said: list[str] = []
    alone = known_keys([str(path), str(path)], "smiles", workers=0, say=said.append)
    line = f"{path.name}: 2 molecules of --exclude cannot be read and are not compared"
    assert [one.replace(f"{tmp_path}/", "") for one in said] == [line] * 2
    assert alone == {"CCO", "c1ccccc1"} == known_keys([str(path)], "smiles", workers=2)
    assert known_keys([str(letters)], "protein", workers=2, say=pytest.fail) == {"MKTAY", "GG"}


def test_a_file_of_something_else_is_refused(generate: Generate) -> None:
    Path("a.fasta").write_text(">a\nMKTAYIAKQRQISFVKSHFSRQ\n")
    Path("b.smi").write_text("C1CC\nno molecule\n")
    Path("c.smi").write_text("CCO\n")
    with pytest.raises(
        InputError, match=r"a.fasta holds proteins, but --exclude of this model holds molecules"
    ):
        generate(exclude=("c.smi", "a.fasta"))
    with pytest.raises(InputError, match="c.smi holds molecules, but --exclude of this model holds proteins"):
        generate(model="protein-small", exclude=("c.smi",))
    with pytest.raises(
        InputError, match="b.smi holds no molecule that can be read: nothing would be excluded"
    ):
        generate(exclude=("b.smi",))
    assert not Path("out.csv").exists()
