"""Fine-tuning on public assays is what the command does, is measured once, and is reported as it ended."""

import json
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.heads.features import Features
from bio_xlstm.tasks.assay.metrics.binary import SCORES
from bio_xlstm.tasks.assay.metrics.multiclass import MULTICLASS
from bio_xlstm.tasks.assay.metrics.regression import REGRESSION
from bio_xlstm.tasks.finetune.run import finetune

Run = Callable[..., str]
Load = Callable[[str], ModuleType]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
WILD = "MKTAYIAKQRQISFVKSHFS"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as the script does by default: threads that wait for each other cost most where tensors are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a small protein model with fresh weights."""
    path = tmp_path / "tiny"
    one = bx.build("protein", dim=16, blocks=1, heads=2, seed=0)
    one.name = "tiny"
    one.save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write assays of a few sequences in the form of the public ones."""
    folder = tmp_path / "data"
    (folder / "protein_assays/proteingym_v1").mkdir(parents=True)
    rng = np.random.default_rng(0)
    mutants = []
    for place in range(2, 17):
        for letter in rng.choice(list(RESIDUES.replace(WILD[place], "")), 4, replace=False):
            text = WILD[:place] + letter + WILD[place + 1 :]
            # what a mutant does depends on the place and the letter
            mutants.append(
                [f"{WILD[place]}{place + 1}{letter}", text, place / 5 + RESIDUES.index(letter) / 20]
            )
    mutants.append(["K2A:T3A", "MAA" + WILD[3:], 0.0])
    table = pd.DataFrame(mutants, columns=["mutant", "mutated_sequence", "DMS_score"])
    table.to_csv(folder / "protein_assays/proteingym_v1/AMFR_HUMAN_Rocklin_2023_4G3O.csv.xz", index=False)
    table["set"] = np.where(np.arange(len(table)) % 4 == 3, "test", "train")
    table["validation"] = np.where(np.arange(len(table)) % 8 == 0, "True", "")
    table = table.rename(columns={"mutated_sequence": "sequence", "DMS_score": "target"})
    table.to_csv(folder / "protein_assays/flip_gb1_sampled.csv.xz", index=False)
    return folder


@pytest.fixture
def plain_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command draw no report, which is what takes it longest."""
    monkeypatch.setattr("bio_xlstm.tasks.report.write.write_report", lambda output, about: None)


def test_a_run_is_that_of_the_command(
    load: Load, data: Path, model: Path, plain_command: None, tmp_path: Path
) -> None:
    sets, runs = load("assay_sets"), load("assay_run")
    how = runs.How(str(model), "head", "cpu")
    for name in ("gb1_sampled", "amfr_position"):
        one = sets.ASSAYS[name]
        (assay,) = one.read(data)
        found = runs.measure(assay, one, how, 1, runs.Memory())
        (tmp_path / name).mkdir()
        result = finetune(runs.request_for(assay, one, how, 1, tmp_path / name)).metrics
        assert found["ours"] == runs.scores(result["test"], one.metrics)
        assert {
            key: runs.scores(of["test"], one.metrics) for key, of in result["baselines"].items()
        } == found["baselines"]
        sizes = result["split"]["sizes"]
        assert [found[part] for part in ("train", "validation", "test")] == list(sizes.values())
        # test rows that others might have taken the place of: where the seed does not draw them
        assert (found["ours"]["spearman"][1] is not None) == one.given
        assert list(found["seconds"]) == ["prepare", "embed", "fit", "baselines"]


def test_classes_are_judged_as_the_command_judges_them(
    load: Load, model: Path, plain_command: None, tmp_path: Path
) -> None:
    sets, runs = load("assay_sets"), load("assay_run")
    how = runs.How(str(model), "head", "cpu")
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGT"), 20)) for _ in range(60)]
    splice = sets.ASSAYS["splice"]._replace(kind="protein")
    values = [("EI", "IE", "N")[min(text.count("GT"), 2)] for text in texts]
    assay = sets.Assay("", texts, values, [str(row // 2) for row in range(60)])
    found = runs.measure(assay, splice, how, 0, runs.Memory())
    (tmp_path / "splice").mkdir()
    result = finetune(runs.request_for(assay, splice, how, 0, tmp_path / "splice")).metrics
    assert result["calibration"] == {} or "probabilities" in result["calibration"]
    assert found["ours"] == runs.scores(result["test"], ("mcc", "accuracy"))


def test_sequences_are_embedded_once(
    load: Load, data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets, runs = load("assay_sets"), load("assay_run")
    one = sets.ASSAYS["amfr_random"]
    (assay,) = one.read(data)
    embed = runs.embed_features
    asked: list[int] = []

    def counting(network: Any, sequences: Any, features: Any, **options: Any) -> list[np.ndarray]:
        asked.append(len(sequences))
        return embed(network, sequences, features, **options)

    how, memory = runs.How(str(model), "head", "cpu"), runs.Memory()
    plain = runs.measure(assay, one, how, 1, runs.Memory())["ours"]
    monkeypatch.setattr(runs, "embed_features", counting)
    again = [runs.measure(assay, one, how, seed, memory)["ours"] for seed in (0, 1)]
    assert len(memory.last) == 60
    # of what a later assay does not ask for, nothing is kept
    network = bx.load(str(model))
    features = Features((0,), ("mean",))
    ids = [network.tokenizer.encode(text) for text in ("MKT", "MKV", "MKT")]
    first, _, third = memory(network, ids, features)
    assert first is third and len(memory.last) == 2
    assert asked == [60, 2] and again[1] == plain


def test_parts_and_groups_are_those_of_the_sets(load: Load, data: Path) -> None:
    sets = load("assay_sets")
    (flip,) = sets.ASSAYS["gb1_sampled"].read(data)
    assert {part: flip.marks.count(part) for part in ("train", "validation", "test")} == {
        "train": 38,
        "validation": 8,
        "test": 15,
    }
    (scan,) = sets.ASSAYS["amfr_position"].read(data)
    assert len(scan.texts) == 60 and set(scan.marks) == {str(place) for place in range(3, 18)}
    (random,) = sets.ASSAYS["amfr_random"].read(data)
    assert random.marks is None and random.texts == scan.texts
    for number, part in enumerate(("train", "valid", "test")):
        name = data / f"protein_assays/proteinbert_stability.{part}.csv.xz"
        pd.DataFrame({"seq": ["MK"] * (number + 1), "label": number}).to_csv(name, index=False)
    (stability,) = sets.ASSAYS["stability"].read(data)
    assert stability.marks == ["train", "validation", "validation", "test", "test", "test"]
    (data / "mol_assays").mkdir()
    with lzma.open(data / "mol_assays/simpd_chembl_ki.csv.xz", "wt") as file:
        file.write("dataset,canonical_smiles,active,split\nb,C,1,train\na,CC,0,test\nb,CCC,0,test\n")
    found = sets.ASSAYS["simpd"].read(data)
    assert [(one.target, one.texts, one.marks) for one in found] == [
        ("a", ["CC"], ["test"]),
        ("b", ["C", "CCC"], ["train", "test"]),
    ]


def test_every_set_names_metrics_that_exist(load: Load) -> None:
    names = {"regression": REGRESSION, "binary": SCORES, "multiclass": MULTICLASS}
    verdicts = load("assay_verdicts")
    for one in load("assay_sets").ASSAYS.values():
        assert set(one.metrics) <= set(names[one.task]) & set(verdicts.NAMES)


def test_a_subset_keeps_parts_and_classes(load: Load) -> None:
    sets = load("assay_sets")
    simpd, hiv = sets.ASSAYS["simpd"], sets.ASSAYS["hiv"]
    values = ["1" if row % 40 == 0 else "0" for row in range(1000)]
    parts = ["test" if row % 5 == 1 else "train" for row in range(1000)]
    assay = sets.Assay("", [str(row) for row in range(1000)], values, parts)
    assert sets.thinned(assay, simpd, 0, 0) is assay and sets.thinned(assay, simpd, 1000, 0) is assay
    some = sets.thinned(assay, simpd, 100, 0)
    kept = list(zip(some.marks, some.values, strict=True))
    assert kept.count(("test", "0")) == 20 and kept.count(("train", "0")) == 78
    # what is rare is not lost
    assert kept.count(("train", "1")) == 10
    assert sets.thinned(assay, simpd, 100, 1).texts != some.texts
    assert sets.thinned(assay, simpd, 100, 0).texts == some.texts
    assert len(sets.thinned(assay._replace(marks=None), hiv, 100, 0).texts) == 108


def row(name: str, seed: int, ours: float, forest: float, target: str = "", targets: int = 1) -> Any:
    """Make a row as a run leaves it."""
    about = {"set": name, "target": target, "targets": targets, "seed": seed, "train": 80, "test": 10}

    def score(value: float | None) -> dict[str, Any]:
        ends = (None, None, None) if value is None else (value, value - 0.02, value + 0.02)
        return dict.fromkeys(("auroc", "rmse", "spearman", "mcc", "accuracy"), ends)

    return {
        **about,
        "ours": score(ours),
        "baselines": {"mean": score(None), "forest": score(forest), "length": score(forest - 0.1)},
        "seconds": {"fit": 2.0, "embed": 1.0},
    }


def test_wins_and_losses_are_told_by_intervals(load: Load) -> None:
    verdicts = load("assay_verdicts")
    noise = (-0.01, 0.0, 0.01)
    for gap, result in ((0.2, "win"), (0.01, "tie"), (-0.2, "loss")):
        rows = [row("bbbp", seed, 0.7 + gap + noise[seed], 0.7 + noise[seed]) for seed in range(3)]
        (one,) = verdicts.summarise("bbbp", rows)
        assert one["result"] == result and one["best_baseline"] == "forest"
        assert one["at_least_as_good"] == (gap > 0) and one["seconds"] == 9.0
        # student's interval of three values: 4.303 deviations of the mean
        assert one["reached"]["ours"]["half"] == pytest.approx(4.3027 * 0.01 / 3**0.5, abs=1e-5)
        assert one["gain"]["mean"] == pytest.approx(gap) and one["gain"]["half"] == pytest.approx(0, abs=1e-9)
        assert one["reached"]["mean"] == {"mean": None, "half": None}


def test_less_error_is_better(load: Load) -> None:
    verdicts = load("assay_verdicts")
    rmse, spearman = verdicts.summarise("esol", [row("esol", seed, 0.5, 0.9) for seed in range(2)])
    assert (rmse["metric"], rmse["best_baseline"], rmse["result"]) == ("rmse", "length", "win")
    assert (spearman["metric"], spearman["best_baseline"], spearman["result"]) == (
        "spearman",
        "forest",
        "loss",
    )


def test_given_splits_count_what_other_test_rows_would_change(load: Load) -> None:
    verdicts = load("assay_verdicts")
    # seeds change nothing: without the test rows 0.01 would be a win
    (one,) = verdicts.summarise("meltome", [row("meltome", seed, 0.61, 0.6) for seed in range(3)])
    assert one["result"] == "tie" and one["reached"]["ours"]["half"] == pytest.approx(0.02)
    rows = [row("simpd", seed, 0.61, 0.6, target, 4) for seed in range(3) for target in "abcd"]
    (four,) = verdicts.summarise("simpd", rows)
    assert four["reached"]["ours"]["half"] == pytest.approx(0.01)


def test_targets_count_when_all_their_seeds_are_known(load: Load) -> None:
    verdicts = load("assay_verdicts")
    rows = [row("simpd", seed, 0.8, 0.7, "a", 3) for seed in range(2)]
    rows += [row("simpd", seed, 0.6, 0.7, "b", 3) for seed in range(2)]
    rows += [row("simpd", 0, 0.1, 0.7, "c", 3)]
    (one,) = verdicts.summarise("simpd", rows)
    assert (one["targets"], one["of_targets"], one["targets_at_least_as_good"]) == (2, 3, 1)
    assert one["reached"]["ours"]["mean"] == pytest.approx(0.7) and one["test"] == 20
    text = verdicts.report([one], ["simpd"], 2)
    assert "SIMPD, mean of 2 of 3 targets" in text and "tie; 1 of 2" in text
    assert verdicts.summarise("simpd", []) == []


def test_a_report_names_losses_and_what_is_missing(load: Load) -> None:
    verdicts = load("assay_verdicts")
    lost = [row("bbbp", seed, 0.5 + seed / 100, 0.8) for seed in range(2)]
    alone = [row("hiv", 0, 0.9, 0.8)]
    summaries = verdicts.summarise("bbbp", lost) + verdicts.summarise("hiv", alone)
    text = verdicts.report(summaries, ["bbbp", "esol", "hiv"], 2)
    assert "| AUROC | 0.505 (0.441 to 0.569) | 0.800 (0.800 to 0.800) forest | loss |" in text
    assert "HIV (seeds: 1 of 2)" in text and "| 0.900 | 0.800 forest | at least equal |" in text
    assert "1 of 2 sets; by intervals 0 won, 0 tied, 1 lost" in text
    assert "Not measured: ESOL." in text
    nothing = row("bbbp", 0, 0.5, 0.8)
    nothing["ours"]["auroc"] = (None, None, None)
    (one,) = verdicts.summarise("bbbp", [nothing])
    assert not one["at_least_as_good"] and "does not exist" in verdicts.report([one], ["bbbp"], 1)


def test_what_is_known_is_not_measured_again(
    run: Run, load: Load, data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out" / "assays.json"
    options = ("--data", data, "--only", "amfr_random", "--only", "amfr_position", "--json", file)
    assays = load("assays")
    made: list[int] = []
    measure = assays.measure

    def counted(*given: Any) -> Any:
        made.append(given[3])
        # a run that is stopped keeps what it has
        if len(made) == 3:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(assays, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        run("assays", *options, "--model", model, "--seeds", 2)
    assert [one["seed"] for one in json.loads(file.read_text())["rows"]] == [0, 1]
    text = run("assays", *options, "--model", model, "--seeds", 2)
    assert made == [0, 1, 0, 0, 1] and "ProteinGym AMFR_HUMAN, by position" in text
    assert run("assays", *options, "--model", model, "--seeds", 2) == text and len(made) == 5
    content = json.loads(file.read_text())
    assert (content["benchmark"], len(content["rows"]), len(content["sets"])) == ("assays", 4, 2)
    assert str(tmp_path) not in file.read_text()
    # other options are other runs; both stay
    assert "(seeds: " not in run("assays", *options, "--model", model, "--seeds", 1, "--limit", 50)
    content = json.loads(file.read_text())
    assert len(content["rows"]) == 6 and [one["seeds"] for one in content["sets"]] == [1, 1]
    assert content["rows"][-1]["limit"] == 50 and content["rows"][-1]["train"] < 48


def test_a_document_holds_whole_runs(
    run: Run, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, document = tmp_path / "assays.json", tmp_path / "doc.md"
    document.write_text("before\n<!-- measured: assays -->\nold\n<!-- end of measured: assays -->\nafter\n")
    options = ("--only", "gb1_sampled", "--seeds", 1, "--model", model, "--json", file)
    run("assays", *options, "--data", data)
    assert "wrote" in run("assays", *options, "--document", document)
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| GB1, sampled | 38 / 15 | its own | Spearman |" in text
    assert "`benchmarks/assays.py --method head`" in text
    with pytest.raises(SystemExit, match="holds no whole seed of these weights with --method lora"):
        run("assays", *options, "--document", document, "--method", "lora")
    with pytest.raises(SystemExit):
        run("assays", *options, "--document", document, "--limit", 20)
    assert "--document takes --json, and whole runs alone" in capsys.readouterr().err


def test_wrong_words_and_files_are_named(
    run: Run, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, said in (
        ((), "name the folder of the data with --data"),
        (("--data", data, "--seeds", 0), "--seeds must be at least 1, not 0"),
        (("--data", data, "--only", "other"), "invalid choice: 'other'"),
    ):
        with pytest.raises(SystemExit):
            run("assays", *options)
        assert said in capsys.readouterr().err
    file = tmp_path / "other.json"
    for text, said in (
        ("{", "other.json is no JSON file"),
        ('{"benchmark": "x"}', "other.json holds no result of assays"),
    ):
        file.write_text(text)
        with pytest.raises(SystemExit, match=said):
            run("assays", "--data", data, "--json", file)
