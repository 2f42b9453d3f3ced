"""Profiles are read or built, and tell a family from other sequences."""

from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.evaluate.profile import read_profile, scores

pyhmmer = pytest.importorskip("pyhmmer")

# made up: one pattern with changes
FAMILY = [
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ",
    "MKTAYLAKQRQISFVRSHFSRQLEDRLGLIEVQ",
    "MRTAYIAKQRNISFVKSHFTRQLEERLG-IEVQ",
    "MKSAYIAKERQISFVKAHFSRQLEERLGLIDVQ",
]


@pytest.fixture
def family(tmp_path: Path) -> Path:
    path = tmp_path / "family.a3m"
    path.write_text("".join(f">{n}\n{row}\n" for n, row in enumerate(FAMILY)))
    return path


def test_a_family_fits_its_profile(family: Path) -> None:
    member, other, nothing = scores(read_profile(family), [FAMILY[0], FAMILY[0][::-1], "G"])
    assert member > 30 > other and nothing == 0
    assert scores(read_profile(family), []).shape == (0,)


def test_a_score_is_that_of_hmmer_whatever_stands_beside_it(family: Path) -> None:
    profile = read_profile(family)
    alone = scores(profile, [FAMILY[1]])
    np.testing.assert_array_equal(scores(profile, [FAMILY[0], FAMILY[1], "MKT"])[1:2], alone)
    alphabet = pyhmmer.easel.Alphabet.amino()
    sequence = pyhmmer.easel.TextSequence(name=b"x", sequence=FAMILY[1]).digitize(alphabet)
    hits = pyhmmer.plan7.Pipeline(alphabet).search_hmm(
        profile, pyhmmer.easel.DigitalSequenceBlock(alphabet, [sequence])
    )
    assert alone[0] == pytest.approx(hits[0].score, abs=0.5)


def test_a_file_of_hmmer_is_read(family: Path, tmp_path: Path) -> None:
    profile = read_profile(family)
    with (tmp_path / "family.hmm").open("wb") as file:
        profile.write(file)
    # the file keeps fewer digits
    again = read_profile(tmp_path / "family.hmm")
    np.testing.assert_allclose(scores(again, FAMILY), scores(profile, FAMILY), atol=0.1)


def test_what_is_no_profile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.fasta"
    path.write_text(">a\nMKT\n>b\nMKTA\n")
    with pytest.raises(InputError, match="x.fasta: the rows differ in length, so no profile can be built"):
        read_profile(path)
    for name, text, words in (
        ("a.hmm", "no profile\n", "cannot be read as a profile of HMMER"),
        ("b.hmm", "", "the file holds no profile|cannot be read as a profile of HMMER"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=f"{name}.*({words})"):
            read_profile(tmp_path / name)


def test_profiles_of_nucleotides_are_refused(tmp_path: Path) -> None:
    alphabet = pyhmmer.easel.Alphabet.dna()
    rows = [pyhmmer.easel.TextSequence(name=str(n).encode(), sequence="ACGTACGTACGT") for n in range(3)]
    aligned = pyhmmer.easel.TextMSA(name=b"x", sequences=rows).digitize(alphabet)
    background = pyhmmer.plan7.Background(alphabet)
    profile, _, _ = pyhmmer.plan7.Builder(alphabet).build_msa(aligned, background)
    with (tmp_path / "dna.hmm").open("wb") as file:
        profile.write(file)
    with pytest.raises(ConfigError, match="is a profile of nucleotides, not of proteins"):
        read_profile(tmp_path / "dna.hmm")
