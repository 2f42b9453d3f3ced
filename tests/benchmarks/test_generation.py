"""The comparisons of generation run, count like with like, and say what they lack."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import bio_xlstm as bx

from .conftest import Shop

Load = Callable[[str], ModuleType]
Run = Callable[..., str]
TINY = ("--tiny", "--threads", "1", "--device", "cpu")


def test_drawing_is_raced_against_a_plain_step(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    out = run("generation", "drawing", *TINY, "--sequences", "1", "--dtypes", "float32", "--json", file)
    assert out.count("\n|---") == 1
    rows = json.loads(file.read_text())["drawing"]
    assert [row["from token"] for row in rows[:: len(rows) // 2]] == [0, 40]
    for row in rows:
        # a peer that is not installed says so
        assert row["tokens/s"] or row["note"] == "not installed", row
        assert bool(row["draw is faster by"]) == (row["contender"] != "draw" and bool(row["tokens/s"]))


def test_all_sequences_are_as_long_as_they_are_counted(load: Load) -> None:
    drawing = load("generation_drawing")
    model = bx.build("chem", dim=32, blocks=1, heads=2)
    for begin in (0, 20):
        samples = drawing.drawing(model, 3, begin, 25)()
        assert [len(sample.ids) for sample in samples] == [25] * 3 and not any(s.ended for s in samples)


def test_the_plain_step_is_the_model(load: Load) -> None:
    from bio_xlstm.decoding import Decoder

    step = load("decode").plain_step
    model = bx.build("chem", dim=32, blocks=2, heads=2, qkv_block=4).eval()
    tokens = torch.tensor([[5, 6], [7, 8]])
    state = model(tokens).state
    decoder = Decoder(model, 2)
    decoder.load(None, state)
    with torch.no_grad():
        logits, _ = step(model, tokens[:, 0], list(state.blocks))
    torch.testing.assert_close(logits, decoder.step(tokens[:, 0]), rtol=1e-4, atol=1e-5)


def test_places_far_apart_and_drafts_are_compared(run: Run) -> None:
    out = run("generation", "steady", "drafts", *TINY)
    assert "at token 300" in out and "infill of a loop" in out and out.count("\n|---") == 2


def test_a_context_is_compared_with_none(
    run: Run, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load("generation_contexts"), "has_chemnet", lambda: False)
    (tmp_path / "smiles").mkdir()
    texts = [f"{'C' * (n % 9 + 1)}c1ccc(N{'C' * (n // 9)})cc1" for n in range(90)]
    with lzma.open(tmp_path / "smiles/icst_valid_sets.txt.xz", "wt") as file:
        file.write(".".join(texts) + "\n" + ".".join(texts[:5]) + "\n" + ".".join(f"{t}O" for t in texts))
    out = run("generation", "contexts", *TINY, "--data", tmp_path, "--json", tmp_path / "n.json")
    *domains, mean = json.loads((tmp_path / "n.json").read_text())["contexts"]
    # the small one cannot spare a context
    assert [row["domain"] for row in domains] == [0, 2] and mean["domain"] == "mean of 2"
    gain = np.mean(
        [r["nearest similarity after 20"] - r["nearest similarity after nothing"] for r in domains]
    )
    assert mean["nearest similarity: gain"].startswith(f"{gain:.3g} (") and "FCD: gain" not in mean
    assert "mean of 2" in out


def test_families_are_compared_by_context(
    run: Run, load: Load, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("generation_families")
    (tmp_path / "msas").mkdir()
    path = shop.fasta("family.fasta", 30, "ACDEFGHIKLMNPQRSTVWY", 30)
    with lzma.open(tmp_path / "msas/family.fasta.xz", "wt") as file:
        file.write(path.read_text())
    monkeypatch.setattr(module, "has_pyhmmer", lambda: False)
    monkeypatch.setattr(module, "FAMILIES", ("family.fasta",))
    out = run("generation", "families", *TINY, "--data", tmp_path)
    assert out.count("\n| family | ") == 3 and "real members, nats per residue" in out


def test_sections_that_do_not_exist_are_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (("speed",), "there is no section 'speed'; known: drawing"),
        (("contexts",), "contexts needs --data, the folder that holds smiles/ and msas/"),
    ):
        with pytest.raises(SystemExit):
            run("generation", *words)
        assert message in capsys.readouterr().err
