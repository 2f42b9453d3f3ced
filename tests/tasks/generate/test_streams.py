"""Contexts from standard input and pipes are read as files are, and called what they are."""

import io
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.tasks.generate.request import GenerateRequest
from bio_xlstm.tasks.generate.run import generate_file
from bio_xlstm.tasks.states import StateRequest, build_state

FAMILY = "".join(f">{n}\nMKTAYIAK{'QRSTV'[n]}R\n" for n in range(5))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Return a function that puts text on standard input."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return write


def test_a_state_is_built_from_standard_input(
    typed: Callable[[str], None], tiny_models: dict[str, str]
) -> None:
    Path("family.fa").write_text(FAMILY)
    typed(FAMILY)
    said: list[str] = []
    for source, target in (("family.fa", "a.state"), ("-", "b.state")):
        build_state(StateRequest(input=source, output=target, model=tiny_models["protein"]), said.append)
    one, other = (load_file(name) for name in ("a.state", "b.state"))
    assert one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)
    record = json.loads(Path("b.state.provenance.json").read_text())
    assert record["input"] == "standard input"
    assert not any("bioxlstm-input" in line for line in said)
    typed("")
    with pytest.raises(InputError, match="standard input: the file is empty"):
        build_state(StateRequest(input="-", output="c.state", model=tiny_models["protein"]))


@pytest.mark.parametrize("kind", ["protein", "smiles"])
def test_a_context_comes_from_standard_input(
    typed: Callable[[str], None], tiny_models: dict[str, str], kind: str
) -> None:
    text = FAMILY if kind == "protein" else "CCO\nCCN\nc1ccccc1O\n"
    model = tiny_models["protein"] if kind == "protein" else "chem-small"
    Path("some.txt").write_text(text)
    typed(text)
    common: dict[str, Any] = {"model": model, "count": 2, "max_length": 9, "quiet": True}
    said: list[str] = []
    for source, target in (("some.txt", "a.csv"), ("-", "b.csv")):
        generate_file(GenerateRequest(context=source, output=target, **common), said.append)
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert any(line.endswith("from standard input") for line in said)
    record = json.loads(Path("b.csv.provenance.json").read_text())
    assert record["settings"]["--context"].startswith("standard input (")
    # the same bytes are the same run
    typed(text)
    again = generate_file(GenerateRequest(context="-", output="b.csv", **common), said.append)
    assert again.rows == 2 and "b.csv is already complete" in said[-1]


def test_a_pipe_is_called_by_its_name_where_something_is_wrong(
    typed: Callable[[str], None], tiny_models: dict[str, str]
) -> None:
    os.mkfifo("some.pipe")
    threading.Thread(target=lambda: Path("some.pipe").write_text(FAMILY), daemon=True).start()
    request = GenerateRequest(
        context="some.pipe",
        context_tokens=2,
        output="a.csv",
        count=2,
        model=tiny_models["protein"],
        quiet=True,
    )
    with pytest.raises(ConfigError, match="^some.pipe: no protein fits into a context of 2 tokens"):
        generate_file(request)
