"""Laws of choosing homologs: weights, similarities and samples agree with counting by hand."""

from pathlib import Path

import numpy as np
import pytest

from bio_xlstm import homologs
from bio_xlstm.homologs import sample_homologs, sequence_weights, similarity
from bio_xlstm.records.alignment import Alignment, read_alignment


def family(count: int, columns: int, seed: int = 0) -> Alignment:
    """Make relatives of one protein, with gaps."""
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWYX", np.uint8)
    table = np.repeat(rng.choice(letters, (1, columns)), count, 0)
    for row in range(1, count):
        change = rng.random(columns) < rng.random() * 0.6
        table[row, change] = rng.choice(letters, change.sum())
        table[row, rng.random(columns) < rng.random() * 0.5] = 0
    texts = tuple(row[row > 0].tobytes().decode() or "M" for row in table)
    return Alignment(tuple(map(str, range(count))), texts, table)


def slow_weights(columns: np.ndarray, theta: float) -> list[float]:
    """Compare every sequence with every other."""
    weights = []
    for row in columns:
        shared = ((columns == row) & (row > 0)).sum(1)
        weights.append(1 / max(int((shared > (1 - theta) * (row > 0).sum()).sum()), 1))
    return weights


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 63), (64, 64), (65, 65), (150, 130), (7, 500)])
@pytest.mark.parametrize("theta", [0.0, 0.2, 0.5])
def test_weights_are_one_over_the_number_of_like_sequences(count: int, columns: int, theta: float) -> None:
    table = family(count, columns).columns
    assert table is not None
    assert sequence_weights(table, theta).tolist() == pytest.approx(slow_weights(table, theta))


def test_blocks_meet_without_gap_or_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    table = family(83, 40).columns
    assert table is not None
    expected = sequence_weights(table)
    monkeypatch.setattr(homologs, "_ROWS", 5)
    monkeypatch.setattr(homologs, "_OTHERS", 9)
    assert sequence_weights(table).tolist() == expected.tolist()


def test_bits_are_counted_without_numpy_2_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(0).integers(0, 2**63, (4, 5), dtype=np.uint64)
    expected = [[bin(word).count("1") for word in row] for row in words.tolist()]
    assert homologs._ones(words).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert homologs._ones(words).tolist() == expected


def test_repeats_share_one_vote_and_fragments_are_like_the_whole_only() -> None:
    rows = ["MKTAYIAKQR", "MKTAYIAKQR", "MKTAY-----", "WWWWWWWWWW", "----------"]
    table = np.where(table := np.array([list(row.encode()) for row in rows], np.uint8), table, 0)
    table[table == ord("-")] = 0
    assert sequence_weights(table).tolist() == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1, 1])
    assert similarity(table).tolist() == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert similarity(table, query=2).tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]


def test_samples_keep_limits_and_leave_out_what_is_too_like_or_unlike() -> None:
    relatives, rng = family(200, 100), np.random.default_rng(0)
    assert relatives.columns is not None
    alike = similarity(relatives.columns)
    for _ in range(20):
        chosen = sample_homologs(relatives, rng, count=15, max_similarity=0.9, max_dissimilarity=0.6)
        assert len(set(chosen.tolist())) == 15
        assert alike[chosen].max() <= 0.9 and alike[chosen].min() >= 0.4
    lengths = np.array([len(text) + 1 for text in relatives.sequences])
    chosen = sample_homologs(relatives, rng, tokens=900)
    assert 900 - lengths.max() < lengths[chosen].sum() <= 900
    everything = sample_homologs(relatives, rng, max_similarity=1, max_dissimilarity=1)
    assert sorted(everything.tolist()) == list(range(1, 200))


def test_rare_sequences_are_drawn_more_often() -> None:
    relatives, rng = family(40, 50), np.random.default_rng(1)
    weights = np.where(np.arange(40) < 20, 1.0, 0.1)
    settings = {"weights": weights, "max_similarity": 1.0, "max_dissimilarity": 1.0}
    counts = np.bincount(
        np.concatenate([sample_homologs(relatives, rng, count=5, **settings) for _ in range(300)]),
        minlength=40,
    )
    assert counts[0] == 0 and counts[1:20].sum() > 6 * counts[20:].sum()
    first = [int(sample_homologs(relatives, rng, count=30, **settings)[0]) for _ in range(300)]
    # the order is random whatever the weights are
    assert 0.2 < np.mean(np.array(first) >= 20) < 0.6


def test_samples_are_functions_of_the_generator() -> None:
    relatives = family(60, 80)
    first, second = (sample_homologs(relatives, np.random.default_rng(3), count=20) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_families_without_an_alignment_are_drawn_evenly(tmp_path: Path) -> None:
    (tmp_path / "f.fasta").write_text(">a\nMKT\n>b\nMKTA\n>c\nMKTAY\n")
    unaligned = read_alignment(tmp_path / "f.fasta")
    assert unaligned.columns is None
    assert sorted(sample_homologs(unaligned, np.random.default_rng(0)).tolist()) == [1, 2]
    assert sample_homologs(unaligned, np.random.default_rng(0), tokens=5).tolist() == [1]
    assert sample_homologs(unaligned, np.random.default_rng(0), tokens=3).tolist() == []
