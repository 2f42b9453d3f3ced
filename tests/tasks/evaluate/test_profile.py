"""Profiles are read or built, and tell a family from other sequences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.evaluate.forward import forward_scores
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
    found = scores(read_profile(family), [FAMILY[0], FAMILY[0][::-1], "G"])
    member, other, nothing = found.bits
    assert member > 30 > other and nothing < 0 and found.hit.tolist()[::2] == [True, False]
    assert scores(read_profile(family), []).bits.shape == (0,)


def test_without_a_hit_the_score_is_what_hmmer_holds_against_its_thresholds(family: Path) -> None:
    profile, rng = read_profile(family), np.random.default_rng(0)
    mixed = ["".join(rng.permutation(list(FAMILY[0] * 3))[: 5 + 3 * n]) for n in range(30)]
    texts = [*FAMILY, *(row.replace("-", "") for row in FAMILY), *mixed, "MKTXBZJUO" + FAMILY[0], "M"]
    texts = [text.replace("-", "") for text in texts]
    hits = raw_hits(profile, texts)
    assert 10 < len(hits) < len(texts)
    bits = forward_scores(profile, texts)
    np.testing.assert_allclose(
        [bits[int(hit.name)] for hit in hits], [hit.pre_score for hit in hits], atol=1e-3
    )
    found = scores(profile, texts)
    assert found.hit.sum() == len(hits) and (found.bits[~found.hit] == bits[~found.hit]).all()
    # what fits nowhere is not better than what fits a little
    assert (
        found.bits[~found.hit].max() < np.median(found.bits[found.hit]) and found.bits[~found.hit].min() < 0
    )


def raw_hits(profile: Any, texts: list[str]) -> list[Any]:
    """Search without filters."""
    alphabet = pyhmmer.easel.Alphabet.amino()
    named = [pyhmmer.easel.TextSequence(name=str(n).encode(), sequence=text) for n, text in enumerate(texts)]
    block = pyhmmer.easel.DigitalSequenceBlock(alphabet, [one.digitize(alphabet) for one in named])
    free = {"bias_filter": False, "F1": 1.0, "F2": 1.0, "F3": 1.0, "E": float("inf")}
    return list(pyhmmer.plan7.Pipeline(alphabet, Z=1, **free).search_hmm(profile, block))


def test_a_score_is_that_of_hmmer_whatever_stands_beside_it(family: Path) -> None:
    profile = read_profile(family)
    alone = scores(profile, [FAMILY[1]]).bits
    np.testing.assert_array_equal(scores(profile, [FAMILY[0], FAMILY[1], "MKT"]).bits[1:2], alone)
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
    np.testing.assert_allclose(scores(again, FAMILY).bits, scores(profile, FAMILY).bits, atol=0.1)


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
