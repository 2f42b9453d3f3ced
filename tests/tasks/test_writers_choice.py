"""Which format an output gets, and what no format can hold."""

from typing import Any

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.writers import choose_format


@pytest.mark.parametrize(
    ("output", "name", "options", "message"),
    [
        (
            "x.xyz",
            None,
            {},
            r"the suffix of x.xyz names no format; use .parquet, .npz, .safetensors, .csv, .tsv, .h5",
        ),
        ("-", "npz", {}, "standard output takes csv or tsv, not npz"),
        (
            "x.csv",
            None,
            {"per_token": True},
            "csv cannot hold one vector per token; use .npz, .safetensors, .h5, .pt",
        ),
        ("x.h5", None, {"columns": 2}, "rostlab-h5 holds one vector per sequence"),
    ],
)
def test_wrong_formats_are_refused(
    output: str, name: str | None, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_format(output, name, **({"per_token": False, "columns": 1} | options))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.writers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="rostlab-h5 needs the package h5py: pip install h5py"):
        choose_format("x.h5", None, per_token=False, columns=1)


def test_suffixes_choose() -> None:
    for output, name in [
        ("a.PARQUET", "parquet"),
        ("a.csv.gz", "csv"),
        ("b.tsv", "tsv"),
        ("c.pt", "esm-pt"),
        ("-", "csv"),
    ]:
        assert choose_format(output, None, per_token=False, columns=1).name == name
    assert choose_format("whatever", "npz", per_token=False, columns=1).name == "npz"
