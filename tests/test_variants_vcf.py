"""Variants of a genome: windows computed by hand, alleles, and what is wrong with them."""

from itertools import product
from pathlib import Path

import pytest

from bio_xlstm.errors import InputError, SequenceError
from bio_xlstm.variants.genome import Genome
from bio_xlstm.variants.vcf import allele_windows, alleles, vcf_lines
from bio_xlstm.variants.windows import cut_windows

#         0         1
#         01234567890123456789
CONTIG = "AACCGGTTAACCGGTTACGT"


@pytest.mark.parametrize(
    ("begin", "reference", "alternative", "width", "expected"),
    [
        # in the middle: as many letters before the variant as behind it, or one less
        (9, "A", "T", 5, ("TAACC", "TATCC")),
        (9, "A", "T", 6, ("TAACCG", "TATCCG")),
        # several letters for as many
        (9, "AC", "TT", 6, ("TAACCG", "TATTCG")),
        # insertion: the reference reaches further to the right
        (9, "A", "ATT", 7, ("TAACCGG", "TAATTCC")),
        # deletion: the alternative does
        (9, "ACC", "A", 7, ("TAACCGG", "TAAGGTT")),
        # at the left end
        (0, "A", "T", 6, ("AACCGG", "TACCGG")),
        (1, "A", "ATTT", 8, ("AACCGGTT", "AATTTCCG")),
        # at the right end: the windows share what is behind and reach to the left
        (19, "T", "C", 6, ("TTACGT", "TTACGC")),
        (19, "T", "TAA", 6, ("TTACGT", "ACGTAA")),
        (17, "CGT", "C", 6, ("TTACGT", "GGTTAC")),
        # a window larger than the contig
        (9, "A", "T", 99, (CONTIG, CONTIG[:9] + "T" + CONTIG[10:])),
        # nothing but the alleles
        (9, "AC", "TT", 2, ("AC", "TT")),
    ],
)
def test_windows_by_hand(
    begin: int, reference: str, alternative: str, width: int, expected: tuple[str, str]
) -> None:
    assert cut_windows(CONTIG, begin, reference, alternative, width) == expected


def test_windows_have_one_length_and_hold_their_alleles() -> None:
    contig = "ACGTTGCA"
    for begin, size, alternative, width in product(
        range(len(contig)), (1, 2, 3), ("n", "nn", "nnnn"), range(1, 12)
    ):
        reference = contig[begin : begin + size]
        try:
            one, other = cut_windows(contig, begin, reference, alternative, width)
        except SequenceError as error:
            assert "does not fit" in str(error) or "too short" in str(error)
            continue
        assert len(one) == len(other) <= width
        assert reference in one and alternative in other
        assert one in contig and other in contig[:begin] + alternative + contig[begin + len(reference) :]


def test_windows_that_do_not_exist_are_refused() -> None:
    with pytest.raises(SequenceError, match="an allele of 9 letters does not fit into a window of 8"):
        cut_windows(CONTIG, 9, "A", "A" * 9, 8)
    with pytest.raises(SequenceError, match="too short for two windows of one length"):
        cut_windows("ACGTA", 2, "G", "G" * 8, 99)


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    """Write a genome of three contigs, in several lines and in lower case."""
    path = tmp_path / "genome.fa"
    path.write_text(">chr1 first\naaccg\nGTTAA\nCCGGTTACGT\n>2\nACGTRACGUA\n>chrM\nTTTTT\n")
    return Genome(path)


def test_contigs_have_several_spellings(genome: Genome) -> None:
    for name in ("chr1", "1"):
        assert genome.contig(name) == CONTIG
    assert genome.contig("chr2") == genome.contig("2") == "ACGTRACGTA"
    assert genome.contig("MT") == genome.contig("M") == "TTTTT"
    assert genome.contig("chr1") == CONTIG  # again, after others
    assert genome.contig("chr3") is None and genome.contig("chr3") is None


def test_little_room_reads_again(genome: Genome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bio_xlstm.variants.genome._KEPT", 12)
    for _ in range(2):
        assert genome.contig("2") == "ACGTRACGTA" and genome.contig("1") == CONTIG


def line(chrom: str, position: object, reference: str, alternative: str) -> str:
    """Write a line of a VCF."""
    return "\t".join((chrom, str(position), ".", reference, alternative, ".", ".", "."))


def test_every_alternative_is_an_allele(genome: Genome) -> None:
    several = alleles(7, line("1", 10, "A", "T,ATT"))
    assert [allele.name() for allele in several] == ["1:10:A>T", "1:10:A>ATT"]
    assert [allele_windows(allele, genome, 7) for allele in several] == [
        ("TTAACCG", "TTATCCG"),
        ("TAACCGG", "TAATTCC"),
    ]
    assert alleles(1, "##fileformat") == alleles(2, "#CHROM\tPOS") == alleles(3, "") == []


def test_ambiguous_letters_of_the_genome_are_n(genome: Genome) -> None:
    (allele,) = alleles(1, line("2", 5, "N", "A"))
    assert allele_windows(allele, genome, 3) == ("TRA", "TAA")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line("chr1", 10, "C", "T"), "REF is 'C', but .*genome.fa has 'A' there: is it another assembly"),
        (line("chr1", 20, "TA", "T"), "REF is 'TA', but .* has 'T' there"),
        (line("chr1", 21, "A", "T"), "genome.fa ends at chr1:20"),
        (line("chr7", 1, "A", "T"), "genome.fa has no sequence 'chr7'"),
        (line("chr1", 1, "A", "<DEL>"), "ALT <DEL> is symbolic: its letters are not given"),
        (line("chr1", 1, "A", "A[chr2:3["), "is symbolic"),
        (line("chr1", 1, "A", "*"), r"ALT \* stands for an allele that another deletion removes"),
        (line("chr1", 1, "A", "."), "there is no alternative allele"),
        (line("chr1", 1, "A", "R"), "ALT 'R' holds letters other than A, C, G, T and N"),
        (line("chr1", 5, "R", "A"), "REF 'R' holds letters other than"),
        (line("chr1", 1, "A", "a"), "ALT is the same as REF"),
        (
            line("chr1", "x", "A", "T"),
            "line 4 is no variant: expected CHROM, POS, ID, REF, ALT parted by tabs",
        ),
        ("chr1 1 . A T", "line 4 is no variant"),
    ],
)
def test_alleles_without_windows_say_why(genome: Genome, text: str, message: str) -> None:
    (allele,) = alleles(4, text)
    with pytest.raises(SequenceError, match=message):
        allele_windows(allele, genome, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t1\t.\tA\tT\n", "line 1: no header line .* is it a VCF"),
        ("##fileformat=VCFv4.2\n", "there is no header line"),
    ],
)
def test_what_is_no_vcf_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(vcf_lines(path))
