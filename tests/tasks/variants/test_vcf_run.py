"""Variants of a genome from a VCF to a VCF or a table: hand-computed windows, both strands, one value per allele."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.tasks.variants.request import VariantRequest
from bio_xlstm.tasks.variants.run import variants_file

CONTIG = "AACCGGTTAACCGGTTACGTTTGACCATTA"
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
LINES = [
    "chr1\t10\trs1\tA\tT,<DEL>,ATT\t50\tPASS\tDP=3\tGT\t0/1",
    "1\t10\t.\tACC\tA\t.\t.\t.\tGT\t1/1",
    "chr1\t10\t.\tAC\tTT\t.\t.\tBIOXLSTM_LLR=9;AC=1\tGT\t1/1",
    "chr1\t10\t.\tG\tT\t.\t.\t.\tGT\t1/1",
    "chr1\t10\t.\tA\t.\t.\t.\t.\tGT\t0/0",
]
# of width 7, counted by hand: reference and alternative of every allele that has letters
WINDOWS = {
    0: ("TTAACCG", "TTATCCG"),
    2: ("TAACCGG", "TAATTCC"),
    3: ("TAACCGG", "TAAGGTT"),
    4: ("TAACCGG", "TATTCGG"),
}


@pytest.fixture
def request_vcf(ask: Callable[..., Any], tmp_path: Path) -> Callable[..., VariantRequest]:
    """Return a function that writes a VCF and its genome and makes a request."""

    def made(output: str, kind: str = "dna", text: str | None = None, **options: Any) -> VariantRequest:
        genome = tmp_path / "genome.fa"
        genome.write_text(f">chr1 first\n{CONTIG[:11].lower()}\n{CONTIG[11:]}\n")
        vcf = HEADER + "".join(f"{line}\n" for line in LINES) if text is None else text
        options = {"genome": str(genome), "window": 7} | options
        return ask(VariantRequest, kind, "in.vcf", vcf, output, **options)

    return made


def wanted(model: Any, **options: Any) -> np.ndarray:
    """Return what the windows score, NaN where there are none."""
    found = np.full(7, np.nan)
    for row, (reference, alternative) in WINDOWS.items():
        one, other = model.score([reference, alternative], **options)
        found[row] = other - one
    return found


def test_alleles_get_the_ratios_of_their_windows(
    request_vcf: Callable[..., VariantRequest], tmp_path: Path, tiny_models: dict[str, str]
) -> None:
    model = bx.load(tiny_models["dna"])
    variants_file(request_vcf("out.csv"))
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ALT"] for row in rows] == ["T", "<DEL>", "ATT", "A", "TT", "T", "."]
    assert [row["status"] for row in rows] == ["ok", "error", "ok", "ok", "ok", "error", "error"]
    assert rows[0]["ID"] == "rs1" and rows[0]["INFO"] == "DP=3"
    for column, options in (
        ("log_likelihood_ratio", {"rc": "average"}),
        ("log_likelihood_ratio_forward", {"direction": "forward", "rc": "none"}),
        ("log_likelihood_ratio_reverse", {"direction": "reverse", "rc": "none"}),
    ):
        found = [float(row[column] or "nan") for row in rows]
        np.testing.assert_allclose(found, wanted(model, **options), atol=1e-4)


def test_one_strand_where_it_is_asked_for(
    request_vcf: Callable[..., VariantRequest], tmp_path: Path, tiny_models: dict[str, str]
) -> None:
    variants_file(request_vcf("out.tsv", rc="none"))
    with (tmp_path / "out.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = [float(row["log_likelihood_ratio"] or "nan") for row in rows]
    np.testing.assert_allclose(found, wanted(bx.load(tiny_models["dna"]), rc="none"), atol=1e-4)


def test_the_vcf_comes_back_annotated(request_vcf: Callable[..., VariantRequest], tmp_path: Path) -> None:
    variants_file(request_vcf("out.vcf"))
    variants_file(request_vcf("out.csv"))
    with (tmp_path / "out.csv").open(newline="") as file:
        values = [float(row["log_likelihood_ratio"] or "nan") for row in csv.DictReader(file)]
    lines = (tmp_path / "out.vcf").read_text().splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert header[1].startswith("##INFO=<ID=BIOXLSTM_LLR,Number=A,Type=Float,")
    assert header[3].startswith('##bio_xlstm={"') and header[4].startswith("#CHROM")
    body = [line.split("\t") for line in lines[len(header) :]]
    for before, after in zip(LINES, body, strict=True):
        columns = before.split("\t")
        assert after[:7] == columns[:7] and after[8:] == columns[8:]
    info = [dict(entry.split("=") for entry in columns[7].split(";")) for columns in body]
    assert info[0]["DP"] == "3" and info[0]["BIOXLSTM_STATUS"] == "ok,error,ok" and info[2]["AC"] == "1"
    found = [float(text.replace(".", "nan") if text == "." else text) for one in info
             for text in one["BIOXLSTM_LLR"].split(",")]  # fmt: skip
    np.testing.assert_allclose(found, values, rtol=1e-4)


def test_an_annotated_vcf_is_annotated_anew(
    request_vcf: Callable[..., VariantRequest], tmp_path: Path
) -> None:
    request = request_vcf("out.vcf")
    said: list[str] = []
    variants_file(request)
    variants_file(request, said.append)
    assert said[-1].endswith("is already complete; --overwrite makes it anew")
    variants_file(replace(request, input=str(tmp_path / "out.vcf"), output=str(tmp_path / "again.vcf.gz")))
    import gzip

    again = gzip.decompress((tmp_path / "again.vcf.gz").read_bytes()).decode().splitlines()
    before = (tmp_path / "out.vcf").read_text().splitlines()
    assert [line for line in again if "##bio_xlstm" not in line] == [
        line for line in before if "##bio_xlstm" not in line
    ]


def test_a_vcf_without_variants_stays_one(request_vcf: Callable[..., VariantRequest], tmp_path: Path) -> None:
    assert variants_file(request_vcf("out.vcf", text=HEADER)).rows == 0
    assert (tmp_path / "out.vcf").read_text().splitlines()[-1].startswith("#CHROM")


def test_limits_and_skipped_alleles(request_vcf: Callable[..., VariantRequest], tmp_path: Path) -> None:
    variants_file(request_vcf("few.vcf", limit=2))
    (line,) = [line for line in (tmp_path / "few.vcf").read_text().splitlines() if line[0] != "#"]
    assert line.split("\t")[7].endswith("BIOXLSTM_STATUS=ok,error,.")
    variants_file(request_vcf("good.vcf", on_error="skip"))
    assert sum(line[0] != "#" for line in (tmp_path / "good.vcf").read_text().splitlines()) == 3


def test_masked_models_compare_substitutions_and_windows(
    request_vcf: Callable[..., VariantRequest], tmp_path: Path, tiny_models: dict[str, str]
) -> None:
    model = bx.load(tiny_models["both"])
    variants_file(request_vcf("out.csv", kind="both"))
    with (tmp_path / "out.csv").open(newline="") as file:
        found = [float(row["log_likelihood_ratio"] or "nan") for row in csv.DictReader(file)]
    for row, (reference, alternative) in WINDOWS.items():
        one = model.variants(reference, [alternative], rc="average")[0]
        np.testing.assert_allclose(found[row], one, atol=1e-4)
