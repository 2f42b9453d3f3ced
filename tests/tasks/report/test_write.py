"""The report of a finished directory: whole, safe, plain about who wins."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bio_xlstm.errors import ModelError, OutputError
from bio_xlstm.tasks.report.page import PARTS
from bio_xlstm.tasks.report.sequences import drawing, excerpt
from bio_xlstm.tasks.report.style import style
from bio_xlstm.tasks.report.write import write_report
from tests.tasks.report.conftest import HOSTILE, Document

Make = Callable[..., Path]


def read(folder: Path) -> tuple[str, Document]:
    text = write_report(folder).read_text(encoding="utf-8")
    return text, Document(text)


def test_a_report_is_one_whole_file(make_run: Make) -> None:
    text, document = read(make_run())
    assert text.startswith("<!doctype html>") and document.all("html")[0]["lang"] == "en"
    assert [one["id"] for one in document.all("section")] == list(PARTS)
    assert {one["href"] for one in document.all("a")} == {f"#{name}" for name in PARTS}
    assert len(document.all("h1")) == 1 and len(document.all("h2")) == len(PARTS)
    for said in ("Model of assay.csv", "invalid_smiles", "bioxlstm predict model NEW.csv", "a simple model"):
        assert said in document.text


def test_nothing_comes_from_outside(make_run: Make) -> None:
    text, document = read(make_run())
    assert not re.search(r"https?:|url\(|@import|src=|javascript:", text)
    assert not document.all("script") and not document.all("link") and not document.all("img")
    policy = next(one["content"] for one in document.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'")
    assert not any(name.startswith("on") for _, attributes in document.found for name in attributes)


def test_every_picture_says_what_it_shows(make_run: Make) -> None:
    _, document = read(make_run())
    pictures = document.all("svg")
    assert len(pictures) > 8
    assert all(one.get("aria-label") or one.get("aria-hidden") == "true" for one in pictures)
    assert all(one["scope"] in ("col", "row") for one in document.all("th"))
    assert len(document.all("table")) == sum(one.get("role") == "region" for one in document.all("div"))


@pytest.mark.parametrize("kind", ["smiles", "protein"])
def test_hostile_names_and_sequences_stay_text(make_run: Make, kind: str) -> None:
    text, document = read(
        make_run(target=HOSTILE, sequences=[HOSTILE, "C |$<script>$|", "C\x00C"], kind=kind)
    )
    assert "<script" not in text and "\x00" not in text
    assert HOSTILE in document.text and not document.all("script")


def test_what_the_head_sees_is_said(make_run: Make) -> None:
    """The views that cross-validation took stand in the report, not in metrics.json alone."""
    _, document = read(make_run())
    assert f"embedding of layer 3 + {HOSTILE}" in document.text


def test_the_winner_is_named(make_run: Make) -> None:
    _, document = read(make_run(noise=0.1, baseline_noise=3))
    assert "Better than every baseline; the best of them is 'simple'" in document.text
    _, document = read(make_run(noise=3, baseline_noise=0.1))
    assert "The baseline 'simple' is better" in document.text
    assert "what the choice of test sequences explains" not in document.text
    _, document = read(make_run(noise=1, baseline_noise=1))
    assert "The difference is within what the choice of test sequences explains." in document.text


def test_without_baselines_nothing_is_claimed(make_run: Make) -> None:
    folder = make_run()
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"baselines": {}, "learning_curve": []}))
    (folder / "baselines.csv").unlink()
    _, document = read(folder)
    assert "it cannot be said what the model is worth" in document.text
    assert "There is no learning curve" in document.text


def test_few_test_rows_are_called_few(make_run: Make) -> None:
    _, document = read(make_run(rows=8))
    assert "Only 4 test sequences: the numbers below say little." in document.text
    # however far apart models are on four rows, none is called the better one
    for noise, other in ((0.1, 3), (3, 0.1)):
        _, document = read(make_run(rows=8, noise=noise, baseline_noise=other))
        assert "With 4 test rows it cannot be told which is better" in document.text
        assert "Prefer the simpler model" not in document.text
        assert "Better than every baseline" not in document.text
    _, document = read(make_run(rows=20, noise=0.1, baseline_noise=3))
    assert "it cannot be told" not in document.text


def test_no_order_of_two_rows_is_measured(make_run: Make) -> None:
    folder = make_run()
    lines = (folder / "predictions.csv").read_text().splitlines()
    far = [line.replace(",0.7,", ",0.1,") if line.startswith(("1,", "3,")) else line for line in lines]
    (folder / "predictions.csv").write_text("\n".join(far) + "\n")
    text, _ = read(folder)
    found = re.findall(r'<th scope="row">(inside|outside)</th>((?:<td>[^<]*</td>)+)', text)
    cells = {name: re.findall("<td>([^<]*)</td>", row) for name, row in found}
    assert cells["inside"][0] == "28" and cells["inside"][2] != "–"
    assert cells["outside"][0] == "2" and cells["outside"][1] != "–" and cells["outside"][2] == "–"


def test_the_same_files_give_the_same_report(make_run: Make) -> None:
    folder = make_run()
    assert write_report(folder).read_bytes() == write_report(folder).read_bytes()
    assert not list(folder.glob("*.part"))


def test_long_sequences_are_shortened_and_molecules_drawn() -> None:
    assert "(1,000 characters)" in excerpt("A" * 1000) and excerpt("ACGT") == "<code>ACGT</code>"
    picture = drawing("c1ccccc1N name", "smiles")
    assert picture is not None and "currentColor" in picture and "name</" not in picture
    Document(picture)
    assert drawing("C1CC", "smiles") is None and drawing("", "smiles") is None
    assert drawing("C" * 101, "smiles") is None and drawing("CCO", "protein") is None


def test_light_dark_and_paper_have_a_style() -> None:
    rules = style()
    assert rules.count("{") == rules.count("}") and "<" not in rules
    assert "prefers-color-scheme: dark" in rules and "@media print" in rules
    # a table that goes on beyond the edge shows a shade there, which moves away at its end
    (scroll,) = re.findall(r"\.scroll \{ overflow-x: auto;([^}]*)\}", rules)
    assert scroll.count("var(--shade)") == scroll.count("local") == 2
    assert rules.count("--shade: #") == 2 and ".scroll { overflow: visible; background: none; }" in rules


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("finetune.json", None, "is no fine-tuned model: finetune.json is missing"),
        ("metrics.json", None, "is not a complete fine-tuned model: metrics.json is missing"),
        ("predictions.csv", None, "is not a complete fine-tuned model: predictions.csv is missing"),
        ("metrics.json", "{", "metrics.json is damaged"),
        ("metrics.json", '{"kind": "dna"}', "metrics.json is damaged: it does not hold model, method, test"),
        (
            "predictions.csv",
            "row,part,s,status,detail\n",
            "predictions.csv is damaged: 0 columns of predictions",
        ),
        ("predictions.csv", "", "predictions.csv is damaged"),
        ("baselines.csv", "row,simple: y\n1,2\n", "predictions.csv is damaged: baselines.csv has other rows"),
    ],
)
def test_what_is_missing_or_damaged_is_named(
    make_run: Make, name: str, content: str | None, message: str
) -> None:
    folder = make_run()
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ModelError, match=re.escape(message)):
        write_report(folder)


def test_a_place_that_cannot_be_written_is_named(make_run: Make) -> None:
    folder = make_run()
    (folder / "report.html").mkdir()
    with pytest.raises(OutputError, match="report.html cannot be written"):
        write_report(folder)
