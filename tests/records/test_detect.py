"""DNA, protein or SMILES: suffix, column name, letters."""

import subprocess
import sys
from pathlib import Path

import pytest

from bio_xlstm.errors import InputError
from bio_xlstm.records import detect_kind, open_records

DNA = "ACGTNACGTAGGCATCGA"
PROTEIN = "MKTAYIAKQRQISFVKSHFSRQ"

CASES = [
    ("x.faa", f">a\n{DNA}\n", "protein"),
    ("x.fna", f">a\n{PROTEIN}\n", "dna"),
    ("x.ffn.gz", f">a\n{PROTEIN}\n", "dna"),
    ("x.fq", "@a\nAC\n+\nII\n", "dna"),
    ("x.smi", "CC\n", "smiles"),
    ("x.fa", f">a\n{DNA}\n", "dna"),
    ("x.fa", f">a\n{DNA.lower()}\n", "dna"),
    ("x.fa", ">a\nAUGGCUUAA\n", "dna"),
    ("x.fa", f">a\n{'ACGT' * 25}RYK\n>b\n--AC..\n", "dna"),
    ("x.fa", f">a\n{PROTEIN}*\n", "protein"),
    ("x.fa", ">a\nACGT\n>b\nCAT\n", "dna"),
    ("x.fa", ">a\nCCO\n", "protein"),
    ("x.fa", ">a\n>b\nMKL\n", "protein"),
    ("x.fa", ">a\nGRGDS*\n", "protein"),
    ("x.a3m", ">a\nMK-Tlv\n", "protein"),
    ("x.txt", "CCO\n", "smiles"),
    ("x.txt", "c1ccccc1\n", "smiles"),
    ("x.txt", "CCN\nCN\n", "smiles"),
    ("x.txt", "CCO ethanol\n", "smiles"),
    ("x.txt", "smiles name\nCC a\n", "smiles"),
    ("x.txt", "[Na+].[Cl-]\nClCCBr\nwrong!\n", "smiles"),
    ("x.txt", "C[C@H](N)C(=O)O\n", "smiles"),
    ("x.txt", f"{DNA}\nNNNN\n", "dna"),
    ("x.txt", "NNNNNN\n", "dna"),
    ("x.txt", "        1 acgtacgt acgtaatt\n       17 ggcc\n", "dna"),
    ("x.txt", f"sequence\n{DNA}\n", "dna"),
    ("x.txt", f"{PROTEIN}\nGSHM\n", "protein"),
    ("x.txt", f">a\n{PROTEIN}\n", "protein"),
    ("x", "SIINFEKL\nGILGFVFTL\n", "protein"),
    ("x.csv", "smiles,y\nCC,1\n", "smiles"),
    ("x.csv", f"sequence,y\n{DNA},1\n", "dna"),
    ("x.csv", f"sequence,y\n{PROTEIN},1\n", "protein"),
    ("x.csv", "sequence,y\nCC(=O)O,1\n", "smiles"),
    ("x.csv", "mutant,mutated_sequence\nA1C,ACGT\n", "protein"),
    ("x.tsv", "dna\ty\nXX\t1\n", "dna"),
]


@pytest.mark.parametrize(("name", "text", "kind"), CASES)
def test_kind(tmp_path: Path, name: str, text: str, kind: str) -> None:
    (tmp_path / name).write_text(text)
    assert detect_kind(tmp_path / name) == kind
    assert open_records(tmp_path / name).kind == kind


def test_an_asked_for_kind_wins(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("CCN\n")
    assert open_records(tmp_path / "x.txt", kind="dna").kind == "dna"
    assert open_records(tmp_path / "x.txt", kind="dna").format == "lines"
    assert open_records(tmp_path / "x.txt").format == "smiles"


def test_column_and_format_options_reach_detection(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"smiles,chain\nCC,{PROTEIN}\n")
    assert detect_kind(tmp_path / "x.csv", column="chain") == "protein"
    (tmp_path / "x.fa").write_text("CC\n")
    assert detect_kind(tmp_path / "x.fa", input_format="smiles") == "smiles"


@pytest.mark.parametrize("text", [">a\n1230123\n", ">a\n???!!!AC\n"])
def test_what_nothing_tells_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.fa").write_text(text)
    with pytest.raises(
        InputError, match=r"x\.fa: cannot tell DNA, protein and SMILES apart here; name a model"
    ):
        detect_kind(tmp_path / "x.fa")


def test_only_the_first_records_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(f"{PROTEIN}\n".encode() * 100_000 + b"\xff\n")
    assert detect_kind(tmp_path / "x.txt") == "protein"


def test_reading_sequences_imports_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"sequence\n{PROTEIN}\n")
    code = (
        "import sys; from bio_xlstm.records import open_records; list(open_records(sys.argv[1])); "
        "print([m for m in ('torch', 'rdkit', 'pyarrow', 'Bio', 'numpy') if m in sys.modules])"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "x.csv")]
    root = Path(__file__).parents[2]
    assert subprocess.run(run, capture_output=True, text=True, check=True, cwd=root).stdout == "[]\n"


@pytest.mark.parametrize(
    "text", ["RYSWKM", "ACGTRYSWKMNNN", "ACGTXXXX", "acgtacgtrykm", "RGDS", "GAGAGSGAGAGS"]
)
def test_ambiguous_bases_or_peptides_are_asked_for(tmp_path: Path, text: str) -> None:
    for name, content in {"x.fa": f">a\n{text}\n", "x.csv": f"sequence,y\n{text},1\n"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(
            InputError, match=r"every letter is a nucleotide code, .* say --kind dna or --kind"
        ):
            detect_kind(tmp_path / name)
        assert open_records(tmp_path / name, kind="dna").kind == "dna"


@pytest.mark.parametrize("name", ["x.fa", "x.sto", "x.faa"])
def test_remarks_alone_are_no_records(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("# made by X\n\n# empty\n")
    with pytest.raises(InputError, match=rf"{name}: the file holds no records$"):
        _ = open_records(tmp_path / name).kind, list(open_records(tmp_path / name))


def test_a_source_can_be_told_its_kind_afterwards(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("CCN\n")
    source = open_records(tmp_path / "x.txt")
    assert (source.kind, source.with_kind("dna").kind, source.with_kind("dna").format) == (
        "smiles",
        "dna",
        "lines",
    )


def test_broken_and_empty_records_do_not_hide_the_kind_of_fasta(tmp_path: Path) -> None:
    path = tmp_path / "bad.fa"
    path.write_text(">a\nMKTAYIAKQR\n>b\n\n>c\nMK(T\n")
    assert detect_kind(path) == "protein"
    path.write_text(">a\n>b\n\n")
    with pytest.raises(
        InputError, match="bad.fa: no record holds a sequence; say its --kind or name a model"
    ):
        detect_kind(path)
