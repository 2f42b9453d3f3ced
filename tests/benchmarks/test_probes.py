"""Linear models see the training part alone, and every kind of features is treated alike."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx

Run = Callable[..., str]
Load = Callable[[str], ModuleType]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def test_clusters_share_words_on_either_strand(load: Load) -> None:
    sets = load("labelled_sets")
    rng = np.random.default_rng(0)
    one, other = ("".join(rng.choice(list("ACGT"), 40)) for _ in range(2))
    turned = one[5:25].translate(str.maketrans("ACGT", "TGCA"))[::-1]
    found = sets.clusters([one, "AC" + turned, other, "NNN", other[20:] + "GGTTA"], word=16)
    assert found[0] == found[1] and found[2] == found[4]
    assert len(set(found.tolist())) == 3


def test_groups_are_not_divided(load: Load) -> None:
    sets = load("labelled_sets")
    groups = np.repeat(np.arange(40), np.random.default_rng(0).integers(1, 6, 40))
    texts = ["A"] * len(groups)
    data = sets.Labelled("x", "binary", texts, np.zeros(len(groups)), groups, None, "")
    masks = [sets.parted(data, seed) for seed in range(3)]
    for test in masks:
        assert not set(groups[test]) & set(groups[~test])
        assert 0.12 < test.mean() <= 0.2
    assert (masks[0] != masks[1]).any()
    given = np.arange(len(groups)) < 5
    assert (sets.parted(data._replace(test=given), 0) == given).all()


def test_line_breaks_do_not_tell_classes(load: Load, tmp_path: Path) -> None:
    (tmp_path / "dna_tasks").mkdir()

    for name, end in (("negative", "\r\n"), ("positive", "\n")):
        with lzma.open(tmp_path / f"dna_tasks/ecoli_promoter_{name}2860.fa.xz", "wb") as file:
            file.write(f">x{end}acg{end}TTA{end}>y{end}GGG{end}".encode())
    found = load("labelled_sets").ecoli_promoters(tmp_path)
    assert found.texts == ["ACGTTA", "GGG"] * 2 and found.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", ("regression", "binary", "classes"))
def test_a_linear_signal_is_found_in_the_better_features(load: Load, kind: str) -> None:
    probe = load("linear_probe")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6))
    signal = features[:, 0] - 2 * features[:, 1]
    labels = {
        "regression": signal,
        "binary": (signal > 0).astype(int),
        "classes": np.array(["low", "mid", "high"])[np.digitize(signal, (-1, 1))],
    }[kind]
    test = np.arange(300) >= 200
    candidates = {"noise": rng.normal(size=(300, 6)), "signal": features}
    found = probe.fit(candidates, labels, np.arange(300), test, kind)
    assert found.chosen == "signal" and found.cross_validated > 0.8
    assert probe.score(kind, labels[test], found.predicted) > 0.8
    # what is asked about has no part in the fit
    scrambled = labels.copy()
    scrambled[test] = rng.permutation(labels[:100])
    again = probe.fit(candidates, scrambled, np.arange(300), test, kind)
    assert (again.predicted == found.predicted).all() and again.penalty == found.penalty


def test_differences_are_drawn_on_the_same_rows(load: Load) -> None:
    probe = load("linear_probe")
    rng = np.random.default_rng(0)
    labels = rng.normal(size=200)
    good, copy = labels + rng.normal(size=200), labels + 3 * rng.normal(size=200)
    part = probe.Part(labels, {"embedding": good, "same": good.copy(), "worse": copy})
    drawn = probe.bootstrap("regression", [part, part], 200)
    assert (drawn["embedding"] == drawn["same"]).all()
    low, high = probe.interval(drawn["embedding"])
    assert low < probe.spearman(labels, good) < high
    assert probe.interval(drawn["embedding"] - drawn["worse"])[0] > 0
    assert probe.spearman(labels, np.ones(200)) == 0.0
    assert np.isnan(probe.score("binary", np.ones(3), np.arange(3)))


@pytest.mark.parametrize(
    ("family", "settings"),
    (
        ("chem", {}),
        ("protein", {}),
        ("dna", {"reverse_complement": "equivariant", "objective": "masked", "direction": "shared"}),
    ),
)
def test_probes_of_every_kind(
    shop: Any,
    run: Run,
    load: Load,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    settings: dict[str, str],
) -> None:
    model = shop.model(family, **settings)
    kind = bx.load(str(model)).kind
    rng = np.random.default_rng(0)
    letters = {"smiles": "CNO", "protein": RESIDUES, "dna": "ACGT"}[kind]
    texts = ["".join(rng.choice(list(letters), 12)) for _ in range(40)]
    sets, probes = load("labelled_sets"), load("probes")
    numbers = np.array([text.count(letters[0]) for text in texts], float)
    data = sets.Labelled("Counting", "regression", texts, numbers, np.arange(40), None, "by hand")
    monkeypatch.setitem(probes.SETS, kind, {"counting": lambda folder: data})
    options = ("--data", tmp_path, "--splits", 2, "--resamples", 10, "--limit", 30)
    text = run("probes", model, *options, "--json", tmp_path / "r.json")
    (row,) = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert (row["trained_on"], row["tested_on"], row["splits"]) == (24, 6, 2)
    assert list(row["scores"]) == ["embedding", "untrained", probes.baseline_name(kind)]
    assert len(row["chosen"]) == 2 and "Counting (24 / 6)" in text
    with pytest.raises(SystemExit, match="there is no set 'other' for tiny: counting"):
        run("probes", model, *options, "--only", "other")


def test_missing_data_is_named(load: Load, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="esol.csv.xz: No such file or directory; name the data folder"):
        load("labelled_sets").esol(tmp_path)
