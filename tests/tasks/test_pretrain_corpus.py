"""Corpora: deduplicated, split without leaks, prepared once."""

import lzma
from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.pretrain.corpus import prepare
from bio_xlstm.tasks.pretrain.settings import Domain, parse_recipe
from bio_xlstm.tasks.pretrain.split import by_families, by_hash, by_scaffold, by_tail, scaffold_key
from bio_xlstm.tasks.pretrain.token_store import Piece


def domains(*shares: float) -> list[Domain]:
    """Make domains that hold out the given shares."""
    return [Domain(name=str(n), files=(), held_out=share) for n, share in enumerate(shares)]


def proteins(count: int, seed: int = 0) -> list[Piece]:
    """Make unrelated random proteins."""
    rng = np.random.default_rng(seed)
    return [Piece(rng.integers(4, 24, rng.integers(40, 80)).astype(np.uint8), 0) for _ in range(count)]


def texts(*smiles: str) -> list[Piece]:
    """Make molecules of domain 0."""
    return [Piece(np.frombuffer(text.encode(), np.uint8), 0, text=text) for text in smiles]


def recipe(files: list[str], **data):
    """Describe a corpus of SMILES files."""
    return parse_recipe(
        {
            "model": {"family": "chem"},
            "data": {"kind": "smiles", "domains": [{"name": "all", "files": files, "held_out": 0.3}], **data},
            "training": {"steps": 1},
        }
    )


def test_hash_split_depends_on_the_sequence_alone() -> None:
    pieces = proteins(300)
    train, held = by_hash(pieces, domains(0.2), seed=0)
    assert 30 < len(held) < 90 and len(train) + len(held) == 300
    _, again = by_hash(pieces[::-1], domains(0.2), seed=0)
    assert {p.ids.tobytes() for p in held} == {p.ids.tobytes() for p in again}


def test_scaffolds_never_stand_on_both_sides() -> None:
    rings = [
        "c1ccccc1",
        "C1CCCCC1",
        "c1ccncc1",
        "c1ccsc1",
        "C1CCOC1",
        "c1ccc2ccccc2c1",
        "C1CCNCC1",
        "c1cc[nH]c1",
    ]
    molecules = texts(
        *(f"{tail}{ring}" for ring in rings for tail in ("C", "CC", "CCO", "N#C")), "CCO", "not a molecule"
    )
    train, held = by_scaffold(molecules, domains(0.5), seed=1)
    assert train and held
    assert not {scaffold_key(p.text) for p in train} & {scaffold_key(p.text) for p in held}
    assert all("not" not in p.text for p in train + held)


def test_scaffold_keys_ignore_side_chains_stereo_and_spelling() -> None:
    assert scaffold_key("OC(=O)c1ccccc1") == scaffold_key("C1=CC=CC=C1C")
    assert scaffold_key("CCO") == scaffold_key("OCC") != scaffold_key("CCN")
    assert scaffold_key("C(") == ""


def test_relatives_of_held_out_proteins_are_not_trained_on() -> None:
    pieces = proteins(60)
    train, held = by_families(pieces, domains(0.2), seed=0)
    assert len(held) > 3 and len(train) + len(held) == 60
    relatives = [p._replace(ids=np.concatenate([p.ids[:25], proteins(1, seed=9)[0].ids])) for p in held]
    kept, same = by_families([*pieces, *relatives], domains(0.2), seed=0)
    assert {p.ids.tobytes() for p in held} <= {p.ids.tobytes() for p in same}
    names = {p.ids.tobytes() for p in kept}
    assert not any(p.ids.tobytes() in names for p in relatives)


def test_near_duplicates_are_left_out() -> None:
    pieces = proteins(5)
    copy = pieces[2]._replace(ids=np.concatenate([pieces[2].ids, [5, 6]]).astype(np.uint8))
    train, held = by_families([*pieces, copy], domains(0.0), seed=0)
    assert (len(train), len(held)) == (5, 0)


def test_tails_are_contiguous_and_marked() -> None:
    genome = [Piece(np.arange(100, dtype=np.uint8), 0), Piece(np.arange(10, dtype=np.uint8), 1)]
    train, held = by_tail(genome, domains(0.1, 1.0), seed=0)
    assert [len(p.ids) for p in train] == [90] and [len(p.ids) for p in held] == [10, 10]
    assert (train[0].begins, train[0].ends) == (True, False)
    assert (held[0].begins, held[0].ends, held[1].begins, held[1].ends) == (False, True, True, True)


def test_a_corpus_is_prepared_once_and_holds_no_repeats(tmp_path: Path) -> None:
    lines = [f"{'C' * n}O" for n in range(1, 40)]
    (tmp_path / "a.smi").write_text("\n".join([*lines, *lines[:5], "C$#!"]) + "\n")
    with lzma.open(tmp_path / "b.smi.xz", "wt") as file:
        file.write("\n".join(lines[10:20]) + "\nCCN\n")
    corpus = prepare(recipe(["a.smi", "b.smi.xz"]), tmp_path, tmp_path / "cache")
    report = corpus.report["all"]
    assert report["distinct"] == 40 and report["repeated"] == 15
    assert report["train"] + report["held_out"] == 40 == len(corpus.train) + len(corpus.held_out)
    stamp = [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").rglob("*.npy"))]
    prepare(recipe(["a.smi", "b.smi.xz"]), tmp_path, tmp_path / "cache")
    assert stamp == [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").rglob("*.npy"))]


def test_limits_keep_that_many_held_out_sequences(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("\n".join(f"{'C' * n}O" for n in range(1, 40)) + "\n")
    corpus = prepare(recipe(["a.smi"], held_out_limit=3), tmp_path, tmp_path / "cache")
    assert len(corpus.held_out) == 3


def test_missing_files_and_unknown_kinds_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"gone.smi \(domain 'all'\) does not exist; name the data folder with --data"
    ):
        prepare(recipe(["gone.smi"]), tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"kind must be one of .*, not 'rna'"):
        prepare(recipe([], kind="rna"), tmp_path, tmp_path)
