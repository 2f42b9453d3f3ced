"""SMILES lines, SDF, and RDKit's reasons."""

from pathlib import Path
from threading import Thread

import pytest

from bio_xlstm.records import Record, open_records
from bio_xlstm.records.chemistry import parse_reason


def smiles(folder: Path, text: str, name: str = "m.smi") -> list[tuple[str, str, int]]:
    (folder / name).write_bytes(text.encode())
    records = list(open_records(folder / name, kind="smiles"))
    assert [r.row for r in records] == list(range(len(records)))
    return [(r.text, r.id, r.line) for r in records]


def test_names_blanks_and_tabs(tmp_path: Path) -> None:
    text = "CCO ethyl alcohol\r\nc1ccccc1\tbenzene\n\nC\n\tnameless\n  N  \n\n\n"
    assert smiles(tmp_path, text) == [
        ("CCO", "ethyl alcohol", 1),
        ("c1ccccc1", "benzene", 2),
        ("", "", 3),
        ("C", "", 4),
        ("", "nameless", 5),
        ("N", "", 6),
    ]


@pytest.mark.parametrize(
    "heading",
    [
        "smiles name\n",
        "SMILES\n",
        "Canonical_SMILES ID\n",
        "#smiles\n",
        "# made by X\n#SMILES\n",
        "Drug name\n",
    ],
)
def test_headings_are_no_molecules(tmp_path: Path, heading: str) -> None:
    for name in ("m.smi", "m.txt"):
        assert [row[0] for row in smiles(tmp_path, heading + "CCO a\nCC b\n", name)] == ["CCO", "CC"]


@pytest.mark.parametrize("first", ["not_a_smiles", "CCO name", "XYZ abc", "C1CC bad ring", "NotAMol entry"])
def test_a_bad_first_molecule_is_no_heading(tmp_path: Path, first: str) -> None:
    assert len(smiles(tmp_path, f"{first}\nCC\n")) == 2
    assert smiles(tmp_path, f"#remark\n{first}\nCC x\n")[0][2] == 2


def test_a_table_under_a_smiles_suffix(tmp_path: Path) -> None:
    assert smiles(tmp_path, "id,smiles\nm1,CCO\n") == [("CCO", "m1", 2)]


def ethanol(title: str = "ethanol", atom: str = "O") -> str:
    atoms = [f"    0.0000    0.0000    0.0000 {symbol:<3} 0  0  0  0  0  0" for symbol in ("C", "C", atom)]
    bonds = ["  1  2  1  0", "  2  3  1  0"]
    return "\n".join(
        [title, "  made", "", "  3  2  0  0  0  0  0  0  0  0999 V2000", *atoms, *bonds, "M  END"]
    )


def sdf(folder: Path, text: str, name: str = "m.sdf") -> list[Record]:
    (folder / name).write_bytes(text.encode())
    return list(open_records(folder / name))


def test_sdf_gives_titles_canonical_smiles_and_data(tmp_path: Path) -> None:
    data = "> <pIC50>\n7.2\n\n>  25  <note> (1)\ntwo\nlines\n\n$$$$\n"
    first, second = sdf(tmp_path, f"{ethanol()}\n{data}{ethanol('', 'N')}\n$$$$\n")
    assert (first.id, first.text, first.line) == ("ethanol", "CCO", 1)
    assert first.fields == {"pIC50": "7.2", "note": "two\nlines"}
    assert (second.row, second.id, second.text, second.line, second.fields) == (1, "", "CCN", 19, None)


def test_sdf_without_suffix_crlf_and_without_closing_mark(tmp_path: Path) -> None:
    (record,) = sdf(tmp_path, ethanol().replace("\n", "\r\n") + "\r\n", "m.dat")
    assert (record.id, record.text, record.status) == ("ethanol", "CCO", "ok")


def test_bad_sdf_blocks_are_rows_with_rdkits_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    crowded = ethanol("crowded", "F").replace("  2  3  1  0", "  2  3  2  0")
    cut = "\n".join(ethanol("cut").split("\n")[:6])
    good, valence, last = sdf(tmp_path, f"{ethanol()}\n$$$$\n{crowded}\n$$$$\n{cut}\n")
    assert good.status == "ok"
    assert (valence.id, valence.status, valence.text) == ("crowded", "invalid_smiles", "")
    assert valence.detail == (
        "molecule of line 12: Explicit valence for atom # 2 F, 2, is greater than permitted"
    )
    assert (last.id, last.status) == ("cut", "invalid_smiles") and "line 23" in last.detail
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("CCO", None),
        ("", None),
        ("C1CC", "unclosed ring"),
        ("CC(C", "extra open parentheses at position 3"),
        ("CXC", "syntax error at position 2"),
        ("[Foo]", "syntax error at position 3"),
        ("F(C)C", "Explicit valence for atom # 0 F, 2, is greater than permitted"),
        ("c1cccc1", "Can't kekulize mol. Unkekulized atoms: 0 1 2 3 4"),
        ("C11", "duplicated ring closure 1 bonds atom 0 to itself"),
    ],
)
def test_reasons(text: str, reason: str | None, capfd: pytest.CaptureFixture[str]) -> None:
    assert parse_reason(text) == reason
    assert capfd.readouterr().err == ""


def test_what_would_end_the_process_is_not_asked() -> None:
    """RDKit overflows its stack on some giants; they are refused before, everywhere."""
    from bio_xlstm.tasks.evaluate.facts import read, read_flat
    from bio_xlstm.tasks.evaluate.molecule import flat_forms, read_molecules
    from bio_xlstm.tasks.generate.known import canonical

    reason = "20,001 characters are more than a molecule may have here (10,000)"
    for giant in ("C" * 20_001, "C(" * 10_000 + "C", "C" * 10_001):
        found = read(giant)
        assert found.canonical == "" and "more than a molecule may have here" in found.reason
        assert read_flat(giant) == canonical(giant) == "" and not flat_forms([giant])
        assert read_molecules([giant]) == [None]
    assert parse_reason("C" * 20_001) == reason and parse_reason("C" * 10_000) is None
    assert read("C" * 9000).canonical == "C" * 9000
    # 9,500 characters, and 13,868 in the canonical form
    sugar = read("OC1OC(CO)C(O)C(O)C1" * 500)
    assert sugar.canonical == "" and "characters of the canonical form are more than" in sugar.reason


def test_giants_of_sdf_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The molecule is named with its line, RDKit does not see it, and the others are read."""
    from rdkit.Chem import MolFromSmiles, MolToMolBlock, MolToV3KMolBlock

    from bio_xlstm.records import open_records, sdf

    monkeypatch.setattr(sdf, "LONGEST", 5)
    path = tmp_path / "two.sdf"
    forms = (MolToV3KMolBlock, MolToMolBlock)
    blocks = [write(MolFromSmiles(one)) for write in forms for one in ("C" * 6, "CCO")]
    path.write_text("".join(f"{block}$$$$\n" for block in blocks))
    giant, *others = open_records(str(path), kind="smiles")
    assert giant.status == "invalid_smiles" and "line 1: 6 atoms are more than" in giant.detail
    assert [(one.status, one.text) for one in others] == [("ok", "CCO"), ("ok", "C" * 6), ("ok", "CCO")]


def test_reasons_do_not_mix_between_threads() -> None:
    wrong: list[object] = []

    def work(text: str, reason: str | None) -> None:
        wrong.extend(found for _ in range(150) if (found := parse_reason(text)) != reason)

    cases = [("C1CC", "unclosed ring"), ("CXC", "syntax error at position 2"), ("CCO", None)]
    threads = [Thread(target=work, args=case) for case in cases * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
