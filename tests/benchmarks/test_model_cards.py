"""Documents hold what was measured of these weights, and can be written again."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import bio_xlstm as bx

Run = Callable[..., str]
Load = Callable[[str], ModuleType]


@pytest.fixture
def carded(shop: Any, tmp_path: Path, load: Load) -> Path:
    """Write a folder with one model, a document, and a result of its weights."""
    shop.model("dna")
    (tmp_path / "models.md").write_text(
        "# Models\n<!-- measured: overview -->\n<!-- end of measured: overview -->\nprose\n"
        "<!-- measured: models -->\nold\n<!-- end of measured: models -->\nmore\n"
    )
    (tmp_path / "results").mkdir()
    row = {"domain": "fly", "tokens": 1000, "model": 1.3, "unigram_all": 1.38, "unigram_own": 1.38}
    result = {
        "benchmark": "perplexity",
        "model": "tiny",
        "weights": bx.load(str(tmp_path / "model")).weight_hash()[:16],
        "date": "2026-01-02",
        "machine": {"cpu": "some", "threads": 1, "torch": "2"},
        "options": {"tokens": 0, "window": 0},
        "kind": "dna",
        "objective": "causal",
        "part": "test",
        "window": 512,
        "rows": [{**row, "markov_all": 1.35, "markov_own": None}],
    }
    (tmp_path / "results" / "any.json").write_text(json.dumps(result))
    return tmp_path


def cards(run: Run, folder: Path, *more: str) -> int:
    """Run the command on a folder and return its exit code."""
    where = ("--results", folder / "results", "--models", folder, "--document", folder / "models.md")
    with pytest.raises(SystemExit) as found:
        run("model_cards", *where, *more)
    return found.value.code  # type: ignore[return-value]


def test_documents_are_written_again_and_again(run: Run, carded: Path) -> None:
    assert cards(run, carded, "--check") == 1 and "old" in (carded / "models.md").read_text()
    assert cards(run, carded) == 0
    document, card = (carded / "models.md").read_text(), (carded / "model" / "README.md").read_text()
    assert "| fly | 1,000 | 1.876 | 1.991 | 1.991 | 1.948 | - |" in document
    assert document.startswith("# Models") and "prose" in document and document.endswith("more\n")
    assert "## tiny" in document and "old" not in document and "old" not in card
    assert "### Held-out quality" in document and "\n## Held-out quality" in card
    assert "Not measured for these weights: `benchmarks/probes.py`." in card
    assert "`benchmarks/perplexity.py`, 2026-01-02, some, 1 thread, torch 2" in card
    assert "Drawn molecules" not in card
    assert cards(run, carded, "--check") == 0


def test_results_of_other_weights_are_left_out(
    run: Run, carded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = bx.load(str(carded / "model"))
    with torch.no_grad():
        model.norm.weight.add_(1)
    model.save(carded / "model", card="# tiny\n")
    assert cards(run, carded) == 1
    assert "left out: perplexity of tiny, as it was measured on other weights" in capsys.readouterr().err
    assert "fly" not in (carded / "models.md").read_text()
    file = carded / "results" / "any.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model": "gone"}))
    assert cards(run, carded) == 1
    assert "left out: perplexity of gone, as there is no such model" in capsys.readouterr().err


def test_wrong_results_and_documents_are_named(run: Run, carded: Path) -> None:
    file = carded / "results" / "any.json"
    text = file.read_text()
    for content, message in (("{", "is no JSON file"), ("[]", "holds no result of homologs")):
        (carded / "results" / "wrong.json").write_text(content)
        with pytest.raises(SystemExit, match=message):
            run("model_cards", "--results", carded / "results")
    (carded / "results" / "wrong.json").write_text(text)
    with pytest.raises(SystemExit, match="both hold perplexity of tiny"):
        run("model_cards", "--results", carded / "results")
    with pytest.raises(SystemExit, match="holds no JSON file"):
        run("model_cards", "--results", carded)
    (carded / "results" / "wrong.json").unlink()
    (carded / "models.md").write_text("no markers")
    with pytest.raises(SystemExit, match="the document needs one line <!-- measured: overview -->"):
        run(
            "model_cards",
            *("--results", carded / "results", "--models", carded, "--document", carded / "models.md"),
        )


def test_the_document_has_its_markers_and_names_scripts_that_exist(root: Path, load: Load) -> None:
    module, text = load("model_cards"), (root / "docs" / "models.md").read_text()
    for name in (module.OVERVIEW, module.MODELS):
        module.between_markers(text, name, "")
    for section in module.SECTIONS:
        assert f"python benchmarks/{section.benchmark}.py" in text
        assert (root / "benchmarks" / f"{section.benchmark}.py").exists()


def test_results_of_another_recipe_are_left_out(
    run: Run, carded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = carded / "results" / "any.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "recipe": "other"}))
    assert cards(run, carded) == 1
    assert "or with another recipe's data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"options": {"tokens": 500, "window": 0}}, "it was measured with tokens 500, not 0"),
        ({"options": {"tokens": 0, "window": 64}}, "it was measured with window 64, not 0"),
        ({"options": {}}, "it was measured with tokens None, not 0"),
        ({"rows": []}, "its run was ended early, or made shorter"),
    ],
)
def test_runs_that_were_made_shorter_reach_no_card(
    run: Run, carded: Path, capsys: pytest.CaptureFixture[str], change: dict, reason: str
) -> None:
    file = carded / "results" / "any.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert cards(run, carded) == 1
    assert f"left out: perplexity of tiny, as {reason}" in capsys.readouterr().err
    document, card = (carded / "models.md").read_text(), (carded / "model" / "README.md").read_text()
    assert "fly" not in document and "fly" not in card
    assert "Not measured for these weights: `benchmarks/perplexity.py`." in document


def test_every_kind_of_short_run_is_told_from_a_whole_one(shop: Any, load: Load) -> None:
    module, model = load("model_cards"), bx.load(str(shop.model("chem")))
    names = ("xLSTM", "LSTM", "Transformer")
    peers = {
        "benchmark": "language_models",
        "options": {"tokens": 0, "seeds": 2},
        "comparison": {"steps": 2000},
        "rows": [{"model": name, "seed": seed} for name in names for seed in (0, 1)],
    }
    drawn = {"benchmark": "molecules", "options": {"count": 10_000, "temperature": 1.0}, "fcd": None}
    probed = {
        "benchmark": "probes",
        "options": {"only": "", "limit": 6000, "splits": 3, "resamples": 1000},
        "rows": [{}] * 3,
    }
    read = {
        "benchmark": "homologs",
        "options": {"limit": 0, "proteins": 10, "longest": 1000},
        "sizes": [0, 1, 10, 50],
        "rows": [{}],
    }
    for whole in (peers, drawn, probed, read):
        assert module.shortened(whole, model) == ""
    for short in (
        peers | {"rows": peers["rows"][:-1]},
        peers | {"comparison": {"steps": 4}},
        {"benchmark": "molecules", "options": drawn["options"]},
        drawn | {"options": {"count": 100, "temperature": 1.0}},
        probed | {"rows": [{}]},
        probed | {"options": {**probed["options"], "only": "esol"}},
        read | {"sizes": [0, 1]},
        read | {"options": {**read["options"], "limit": 3}},
    ):
        assert module.shortened(short, model) != "", short


@pytest.mark.parametrize("script", ("perplexity", "language_models", "molecules", "homologs", "probes"))
def test_a_run_without_options_can_reach_a_card(
    load: Load, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    words = ["r.toml", "--data", "d", "--cache", "c"]
    if script == "probes":
        words = ["tiny", "--data", "d"]
    elif script != "language_models":
        words = ["tiny", *words]
    monkeypatch.setattr("sys.argv", [f"{script}.py", *words])
    asked = vars(load(script).parse())
    for name, needed in load("model_cards").BENCHMARKS[script].options.items():
        assert asked[name] == needed, name
