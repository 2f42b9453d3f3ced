"""The measurement of what scoring costs runs, and keeps its numbers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bio_xlstm as bx


def test_every_way_is_timed(run: Callable[..., str], tmp_path: Path) -> None:
    bx.build("chem", dim=16, blocks=1, heads=2).save(tmp_path / "tiny")
    kept = tmp_path / "numbers.json"
    out = run("scoring", "--model", tmp_path / "tiny", "--limit", 5, "--rounds", 1, "--json", kept)
    assert out.startswith("5 molecules, ") and "| score_batch |" in out and "100%" in out
    content = json.loads(kept.read_text())
    assert [row["way"] for row in content["rows"]][-1] == "bioxlstm score" and content["asked"] == 0.8
    assert all(row["tokens_per_second"] > 0 for row in content["rows"][:3])


def test_a_run_no_longer_than_its_start_has_no_speed(load: Callable[[str], Any]) -> None:
    scoring = load("scoring")
    assert scoring.row("bioxlstm score", -0.01, 100, 1.0)["tokens_per_second"] is None
    assert scoring.row("bioxlstm score", 2.0, 100, 1.0)["share_of_bare"] == 0.5
    assert [scoring.shown(value, ".0%") for value in (None, 0.5)] == ["too short to tell", "50%"]
