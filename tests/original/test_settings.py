"""Settings files are read value by value; a wrong one is named with its file and key."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.errors import ModelError
from bio_xlstm.original.settings import Settings, read_json, read_yaml

PATH = Path("a.json")


@pytest.mark.parametrize("value", (4, 4.0, "4", " 4 "))
def test_whole_numbers_may_be_text(value: Any) -> None:
    assert Settings(PATH, {"n": value}).whole("n", 1) == 4


@pytest.mark.parametrize(("value", "wanted"), ((2, 2.0), ("1e-6", 1e-6), ("2.5", 2.5), (0.5, 0.5)))
def test_numbers_may_be_text(value: Any, wanted: float) -> None:
    assert Settings(PATH, {"n": value}).number("n", 1.0) == wanted


@pytest.mark.parametrize(("value", "wanted"), ((True, True), ("true", True), ("False", False)))
def test_truths_may_be_text(value: Any, wanted: bool) -> None:
    assert Settings(PATH, {"n": value}).truth("n") is wanted


@pytest.mark.parametrize("value", (None, "null", "None", "~"))
def test_nothing_stands_for_the_default(value: Any) -> None:
    settings = Settings(PATH, {"n": value})
    found = settings.whole("n", 7), settings.number("n", 0.5), settings.truth("n", True)
    assert found == (7, 0.5, True) and settings.indices("n", 3) == ()
    assert Settings(PATH, {}).word("n", "x") == "x" and not Settings(PATH, {}).section("n").values


@pytest.mark.parametrize("value", ([2, 0], "[0, 2]", "[2,0,0]"))
def test_blocks_may_be_listed_in_text(value: Any) -> None:
    assert Settings(PATH, {"at": value}).indices("at", 3) == (0, 2)
    assert Settings(PATH, {"at": "all"}).indices("at", 3) == (0, 1, 2)


@pytest.mark.parametrize(
    ("read", "value", "message"),
    (
        (lambda s: s.whole("n", 1), -1, "n must be a whole number, not -1"),
        (lambda s: s.whole("n", 1), 2.5, "n must be a whole number, not 2.5"),
        (lambda s: s.whole("n", 1), True, "n must be a whole number, not True"),
        (lambda s: s.whole("n", 1), 1 << 70, f"n must be a whole number, not {1 << 70}"),
        (lambda s: s.whole("n", 1), "${eval:1}", "n must be a whole number, not '${eval:1}'"),
        (lambda s: s.number("n", 1), "nan", "n must be a number, not 'nan'"),
        (lambda s: s.number("n", 1), 10**400, "n must be a number, not 1000"),
        (lambda s: s.number("n", 1), [1], "n must be a number, not [1]"),
        (lambda s: s.truth("n"), 1, "n must be true or false, not 1"),
        (lambda s: s.word("n", "x"), 3, "n must be text, not 3"),
        (lambda s: s.word("n", "x", ("x", "y")), "z", "n must be one of x, y, not 'z'"),
        (lambda s: s.indices("n", 3), [3], "n must be a list of blocks from 0 to 2, not [3]"),
        (lambda s: s.indices("n", 3), "0,1", "n must be a list of blocks from 0 to 2, not '0,1'"),
        (lambda s: s.section("n"), 3, "n must be a table of settings, not 3"),
        (lambda s: s.agree("n", 3, 4, "blocks"), 3, "n makes 3 blocks, but the weights have 4"),
    ),
)
def test_wrong_values_are_named(read: Callable[[Settings], Any], value: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(Settings(PATH, {"n": value}))
    assert str(caught.value).startswith(f"a.json: {message}") and len(str(caught.value)) < 150


def test_what_the_settings_do_not_state_agrees() -> None:
    Settings(PATH, {}).agree("n", 3, 4, "blocks")
    Settings(PATH, {"n": 3}).agree("n", 3, None, "blocks")


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("{", "cannot be read as JSON: Expecting property name"),
        ("[1]", "must hold a JSON object, not list"),
        ("[" * 100_000, "cannot be read as JSON: it is nested too deep"),
        ("\ud800", "cannot be read: it is not UTF-8 text"),
    ),
)
def test_a_file_that_is_no_object_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path} {message}")
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read_json(tmp_path / "b.json")


def test_a_file_too_large_for_settings_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelError, match=r"a\.json is too large for a file of settings"):
        read_json(path)


def test_flat_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        '---\n# xLSTM\nembedding_dim: 48   # width\nnorm_eps: 1e-6\nkernel: "chunkwise--native"\n\n'
        "mode: 'train'\nuse_bias: false\ngate_soft_cap: null\nempty:\nname: a#b\n"
    )
    settings = read_yaml(path)
    assert settings.whole("embedding_dim", 1) == 48 and settings.number("norm_eps", 1.0) == 1e-6
    assert settings.word("kernel", "") == "chunkwise--native" and settings.word("mode", "") == "train"
    assert settings.values["use_bias"] is False and settings.word("name", "") == "a#b"
    assert "gate_soft_cap" in settings.values and "gate_soft_cap" not in settings and "empty" not in settings


@pytest.mark.parametrize(
    "line", ("  nested: 1", "- item", "!!python/object/apply:os.system [ls]", "a", "{a: 1}", "? x")
)
def test_other_yaml_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"dim: 3\n{line}\n")
    with pytest.raises(ModelError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path} line 2 is not a flat setting `key: value`"
