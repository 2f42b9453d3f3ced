"""A whole evaluation: files in, tables and pictures out, and one line for what cannot be."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from bio_xlstm.errors import BioXlstmError, ConfigError, InputError, OutputError
from bio_xlstm.tasks.evaluate import generation, histograms, judge_sequences
from bio_xlstm.tasks.evaluate.generation import evaluate_generation
from bio_xlstm.tasks.evaluate.places import FILES
from bio_xlstm.tasks.evaluate.request import GenerationRequest

PNG = b"\x89PNG"
DRAW = histograms.draw_histograms
DRAWN = "CCO\nOCC\nC1CC\n\nc1ccccc1O\nCc1ccncc1\nF[C@H](Cl)Br\n"
REAL = "CCN\nc1ccccc1N\nc1ccncc1\nCCCO\nOc1ccccc1\nCC(=O)O\n"
FAMILY = [
    "MKTAYIAKQRQISFVKSHFSRQ",
    "MKTAYLAKQRQISFVRSHFSRQ",
    "MRTAYIAKQRNISFVKSHFTRQ",
    "MKSAYIAKERQISFVKAHFSRQ",
]

Run = Callable[..., dict[str, Any]]


def fasta(*sequences: str) -> str:
    """Write sequences as FASTA."""
    return "".join(f">s{n}\n{sequence}\n" for n, sequence in enumerate(sequences))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that evaluates texts by the names of their files and returns the JSON."""
    monkeypatch.chdir(tmp_path)
    # drawing takes a second
    monkeypatch.setattr(histograms, "draw_histograms", lambda samples, shares, title: PNG)

    def call(generated: str, name: str, output: str = "out", /, **options: Any) -> dict[str, Any]:
        (tmp_path / name).write_text(generated)
        for role in ("reference", "train", "hmm"):
            if isinstance(options.get(role), tuple):
                file, text = options[role]
                (tmp_path / file).write_text(text)
                options[role] = file
        lines: list[str] = []
        defaults = {"quiet": True, "fcd": False, "workers": 0}
        request = GenerationRequest(generated=name, output=output, **(defaults | options))
        evaluate_generation(request, lines.append)
        path = Path(output) / "metrics.json" if request.folder else Path(output)
        text = path.read_text()
        assert "NaN" not in text and "Infinity" not in text
        return {**json.loads(text), "said": lines} if path.suffix == ".json" else {"text": text}

    return call


def rows(path: Path = Path("out/records.csv")) -> list[dict[str, str]]:
    """Read the table of records."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_grows_with_the_number_is_compared_at_one_number(run: Run) -> None:
    rings = ["c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccoc1", "c1ccsc1", "C1CCNC1", "C1CC1", "c1cc[nH]c1"]
    reference = ("r.smi", "\n".join(rings) + "\n")
    metrics = run("c1ccccc1\nc1ccncc1\nC1CC\n", "g.smi", reference=reference)["metrics"]
    assert metrics["scaffolds"]["reference"] == 2 and metrics["circles"]["reference"] <= 2
    # the whole reference where the number does not matter, and where there are no more
    weights = [Descriptors.MolWt(Chem.MolFromSmiles(ring)) for ring in rings]
    assert metrics["mean_weight"]["reference"] == pytest.approx(sum(weights) / 8)
    assert (
        run("c1ccccc1\n" * 20, "h.smi", "more", reference=reference)["metrics"]["scaffolds"]["reference"] == 8
    )


def test_molecules_are_evaluated(run: Run) -> None:
    found = run(DRAWN, "g.smi", reference=("r.smi", REAL), train=("t.smi", "CCO\nFC(Cl)Br\nC1CC\n"))
    metrics = found["metrics"]
    assert metrics["validity"]["value"] == 5 / 7 and metrics["uniqueness"]["value"] == 4 / 5
    # ethanol, and the other without its stereo marks, were met
    assert metrics["novelty"]["value"] == 2 / 4
    assert metrics["internal_diversity"]["reference"] > 0.5
    assert all(metric["definition"] for metric in metrics.values())
    assert found["kind"] == "smiles" and found["inputs"]["reference"]["file"] == "r.smi"
    table = rows()
    assert [row["status"] for row in table] == ["ok", "ok", "invalid_smiles", "empty", "ok", "ok", "ok"]
    assert [row["unique"] for row in table] == ["true", "false", "", "", "true", "true", "true"]
    assert [row["novel"] for row in table] == ["false", "false", "", "", "true", "true", "false"]
    assert table[2]["detail"] == "unclosed ring" and table[2]["weight"] == ""
    assert table[4]["nearest_similarity"] == "1.0" and table[4]["scaffold"] == "c1ccccc1"
    assert {path.name for path in Path("out").iterdir()} == set(FILES)
    for name in ("properties.png", "molecules.png"):
        assert (Path("out") / name).read_bytes()[:4] == PNG
    with open("out/metrics.csv", newline="") as file:
        listed = {row["metric"]: row for row in csv.DictReader(file)}
    assert list(listed) == list(metrics)
    assert float(listed["validity"]["low"]) == metrics["validity"]["low"]


@pytest.mark.parametrize(("generated", "name"), [(DRAWN, "g.smi"), (fasta(*FAMILY), "g.faa")])
def test_histograms_are_drawn(run: Run, monkeypatch: pytest.MonkeyPatch, generated: str, name: str) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(histograms, "draw_histograms", DRAW)
    run(generated, name, reference=name)
    assert len(Path("out/properties.png").read_bytes()) > 20_000


def test_workers_change_nothing(run: Run) -> None:
    alone = run(DRAWN, "g.smi", "a.json", reference=("r.smi", REAL), train=("t.smi", "CCO\n"))
    shared = run(DRAWN, "g.smi", "b.json", reference="r.smi", train="t.smi", workers=1)
    assert alone["metrics"] == shared["metrics"]


def test_proteins_are_evaluated(run: Run) -> None:
    generated = fasta(FAMILY[0], FAMILY[0].lower(), FAMILY[1][:-1] + "W", "MK1@T", "")
    found = run(
        generated, "g.fasta", reference=("r.fasta", fasta(*FAMILY)), train=("t.fasta", fasta(FAMILY[0]))
    )
    metrics = found["metrics"]
    assert metrics["validity"]["value"] == 3 / 5 and metrics["uniqueness"]["value"] == 2 / 3
    assert metrics["novelty"]["value"] == 1 / 2
    # two copies, and one with a residue of 22 changed
    assert metrics["mean_nearest_distance"]["value"] == pytest.approx(1 / 22 / 3)
    assert metrics["kolmogorov_smirnov_length"] == {
        "value": 0, "reference": 0, "definition": "Kolmogorov-Smirnov distance to the reference: length",
    }  # fmt: skip
    assert metrics["mean_profile_score"]["note"] == "no profile was given (--hmm)"
    table = rows()
    assert [row["status"] for row in table] == ["ok", "ok", "ok", "error", "empty"]
    assert [row["unique"] for row in table] == ["true", "false", "true", "", ""]
    assert float(table[2]["nearest_distance"]) == pytest.approx(1 / 22)
    assert Path("out/properties.png").read_bytes()[:4] == PNG
    assert not Path("out/molecules.png").exists()


def test_a_profile_scores_proteins(run: Run) -> None:
    pytest.importorskip("pyhmmer")
    found = run(
        fasta(FAMILY[0]), "g.fasta", reference=("r.fasta", fasta(*FAMILY)), hmm=("f.a3m", fasta(*FAMILY))
    )
    score = found["metrics"]["mean_profile_score"]
    assert score["value"] > 10 and score["reference"] > 10
    assert float(rows()[0]["profile_score"]) == score["value"]


def test_without_pyhmmer_one_line_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "has_pyhmmer", lambda: False)
    found = run(fasta(FAMILY[0]), "g.fasta", hmm=("f.a3m", fasta(*FAMILY)))
    assert "the package pyhmmer is not installed (pip install" in "\n".join(found["said"])


def test_dna_is_evaluated(run: Run) -> None:
    found = run(
        fasta("ACGTACGTAC", "GGGGCCCCNN"), "g.fna", reference=("r.fna", fasta("ACGT" * 4, "AATTAATT"))
    )
    metrics = found["metrics"]
    assert metrics["mean_gc"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert 0 < metrics["jensen_shannon_3"]["value"] <= 1
    assert rows()[1]["unknown"] == "0.2"


def test_nothing_valid_leaves_blanks(run: Run) -> None:
    for generated, name in (("C1CC\nC(\n", "g.smi"), (fasta("M@", "@@"), "g.faa"), (fasta("A@"), "g.fna")):
        real = (f"r.{name}", REAL if name == "g.smi" else fasta("ACGTACGT", "ACCA", "GATTA", "CAT"))
        real = (f"r{name[1:]}", real[1])
        metrics = run(generated, name, reference=real, overwrite=True)["metrics"]
        assert metrics["validity"]["value"] == 0 and metrics["uniqueness"]["value"] is None
        assert all(m["note"] for m in metrics.values() if m["value"] is None)
        assert {path.name for path in Path("out").iterdir()} == {"metrics.json", "metrics.csv", "records.csv"}


def test_one_molecule_and_one_real_one(run: Run) -> None:
    metrics = run("CCO\n", "g.smi", reference=("r.smi", "CCO\n"), fcd=True)["metrics"]
    assert metrics["nearest_similarity"] == {
        "value": 1, "definition": metrics["nearest_similarity"]["definition"],
    }  # fmt: skip
    assert metrics["internal_diversity"]["value"] is None and metrics["fcd"]["value"] is None
    one = run(fasta("MKTW"), "g.faa", reference=("r.faa", fasta("MKTW")), overwrite=True)["metrics"]
    assert one["mean_nearest_distance"]["value"] == 0


def test_without_a_reference_the_numbers_say_so(run: Run) -> None:
    for text, name, metric in (("CCO\n", "g.smi", "fcd"), (fasta("MKTW"), "g.faa", "jensen_shannon_1")):
        metrics = run(text, name, fcd=True, overwrite=True)["metrics"]
        assert metrics[metric]["value"] is None and metrics[metric]["note"]
    assert metrics["wasserstein_length"]["note"] == "no reference was given (--reference)"


def test_the_output_can_be_one_file(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("CCO\n", "g.smi", "o.json")["metrics"]["validity"]["value"] == 1
    assert run("CCO\n", "g.smi", "o.csv")["text"].startswith(
        "metric,value,definition,reference,low,high,note\n"
    )
    evaluate_generation(
        GenerationRequest(generated="g.smi", output="-", fcd=False, quiet=True), lambda _: None
    )
    assert json.loads(capsys.readouterr().out)["metrics"]["records"]["value"] == 1


def test_equal_work_gives_equal_files(run: Run) -> None:
    run(DRAWN, "g.smi", "a", reference=("r.smi", REAL), compare=3, seed=5)
    run(DRAWN, "g.smi", "b", reference="r.smi", compare=3, seed=5)
    for name in ("metrics.json", "metrics.csv", "records.csv"):
        assert (Path("a") / name).read_bytes() == (Path("b") / name).read_bytes()


def test_columns_are_chosen(run: Run) -> None:
    table = "id,first,second\na,CCO,CCN\nb,CC,C1C\n"
    options = {"kind": "smiles", "column": "second", "reference_column": "first", "train_column": "first"}
    metrics = run(table, "g.csv", reference=("r.csv", table), train=("t.csv", table), **options)["metrics"]
    assert metrics["validity"]["value"] == 0.5 and metrics["novelty"]["value"] == 1


def test_the_columns_of_generate_are_read(run: Run) -> None:
    table = "sequence,logprob,valid,canonical,unique,novel,index,seed\nOCC,-3.5,true,CCO,true,,0,0\n"
    assert run(table, "g.csv", kind="smiles")["metrics"]["validity"]["value"] == 1


REFUSED = [
    ({"reference": ("r.fasta", fasta(*FAMILY))}, InputError,
     "r.fasta holds proteins, but g.smi holds molecules; if that is not so, say what both hold with --kind"),
    ({"train": ("t.fna", fasta("ACGT"))}, InputError, "t.fna holds DNA, but g.smi holds molecules"),
    ({"reference": ("r.smi", "C1CC\n")}, InputError,
     "r.smi: no record is a valid molecule \\(row 0: invalid_smiles. unclosed ring\\)"),
    ({"reference": ("r.smi", "")}, InputError, "r.smi: the file is empty"),
    ({"reference": "none.smi"}, InputError, "none.smi: there is no such file"),
    ({"hmm": "f.a3m"}, ConfigError, "--hmm scores proteins, and g.smi holds molecules"),
    ({"compare": 1}, ConfigError, "--compare must be 2 or more, not 1"),
    ({"limit": 0}, ConfigError, "--limit must be 1 or more, not 0"),
    ({"workers": -1}, ConfigError, "--workers must be 0 or more, not -1"),
    ({"reference": "-", "train": "-"}, ConfigError, r"standard input \(-\) can be given for one file only"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "words"), REFUSED)
def test_what_cannot_be_is_said(
    run: Run, options: dict[str, Any], kind: type[BioXlstmError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        run("CCO\n", "g.smi", **options)
    assert not Path("out").exists()


def test_an_empty_file_is_named(run: Run) -> None:
    with pytest.raises(InputError, match="g.smi: the file is empty"):
        run("", "g.smi")


def test_a_missing_profile_is_named(run: Run) -> None:
    with pytest.raises(ConfigError, match="--hmm none.hmm: no such file"):
        run(fasta(*FAMILY), "g.fasta", hmm="none.hmm")


def test_a_missing_device_is_named_before_the_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "has_chemnet", lambda: True)
    with pytest.raises(ConfigError, match="--device must be auto, cpu"):
        run("CCO\n", "g.smi", fcd=True, device="nonsense")


def test_outputs_are_not_replaced_unasked(run: Run) -> None:
    run("CCO\n", "g.smi")
    with pytest.raises(OutputError, match="metrics.json exists; use --overwrite to replace it"):
        run("CCO\n", "g.smi")
    run("CCO\nCC\n", "g.smi", overwrite=True)
    assert len(rows()) == 2
    with pytest.raises(
        OutputError, match="g.smi is a file; give a folder, or a name that ends in .json or .csv"
    ):
        run("CCO\n", "g.smi", "g.smi")
    with pytest.raises(OutputError, match="cannot be written"):
        run("CCO\n", "g.smi", "g.smi/below")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("no/x/y.json", "no/x/y.json: there is no folder no/x"),
        (
            "m.txt",
            r"m.txt: the suffix names no format; known are .json and .csv \(a folder of that name: m.txt/\)",
        ),
        ("g.smi/below/all", "g.smi/below/all cannot be written: .*/g.smi is a file"),
        ("t.csv", "t.csv is the input; give the output another name"),
        ("g.csv/x.json", "g.csv/x.json: there is no folder g.csv"),
    ],
)
def test_an_output_is_checked_before_the_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, output: str, words: str
) -> None:
    monkeypatch.setattr(generation, "open_sources", lambda _: pytest.fail("the inputs are read first"))
    train = ("t.csv", "smiles\nCCO\n")
    with pytest.raises(OutputError, match=words):
        run("CCO\n", "g.smi", output, train=train, overwrite=True)
    assert {path.name for path in Path().iterdir()} == {"g.smi", "t.csv"}


def test_a_folder_may_be_called_as_a_file_where_that_is_said(run: Run) -> None:
    for output in ("m.txt/", "temperature-0.9"):
        run("CCO\n", "g.smi", output)
        assert (Path(output) / "metrics.json").is_file()
    # what is there already is no mistake
    run("CCO\n", "g.smi", "m.txt", overwrite=True)


def test_a_table_that_is_judged_is_not_replaced(run: Run) -> None:
    Path("out").mkdir()
    with pytest.raises(OutputError, match="out/records.csv is the input; give the output another name"):
        run("smiles\nCCO\n", "out/records.csv", overwrite=True)


def test_without_matplotlib_all_else_is_written(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> bytes:
        raise ImportError

    monkeypatch.setattr(histograms, "draw_histograms", missing)
    run("CCO\n", "g.smi")
    assert "properties.png is not drawn: it needs matplotlib (pip install 'bio-xlstm[plot]')" in caplog.text
    assert not Path("out/properties.png").exists() and rows()


def test_large_references_are_thinned_fairly(run: Run) -> None:
    real = "".join("C" * (n + 1) + "\n" for n in range(40))
    found = run("CCO\n", "g.smi", reference=("r.smi", real), compare=10)
    assert found["metrics"]["molecules"].get("reference") is None
    assert 10 < 2 * found["metrics"]["mean_heavy_atoms"]["reference"] < 60
    assert judge_sequences.TOO_FEW not in found["said"]
