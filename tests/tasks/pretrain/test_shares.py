"""What is held out is what was asked for, or it is said that it is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.data_settings import DataSettings, Domain
from bio_xlstm.tasks.pretrain.run import plan_run
from bio_xlstm.tasks.pretrain.settings import Recipe, parse_recipe
from bio_xlstm.tasks.pretrain.shares import check_shares

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def lines(counts: dict[str, int], domain: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    """Check one domain `a`, of 1,000 sequences where nothing else is said."""
    one = Domain(name="a", files=("x",), **(domain or {}))
    # what the domain holds out is beside the point here
    other = Domain(name="b", files=("y",))
    data = DataSettings(**{"kind": "protein", "domains": (one, other), **changes})
    nothing = {"distinct": 0, "held_out": 0}
    return check_shares(data, {"a": {"distinct": 1000, "held_out": 0, "test": 0, **counts}, "b": nothing})


@pytest.mark.parametrize(
    ("counts", "domain", "changes", "expected"),
    [
        ({"held_out": 105}, {"held_out": 0.1}, {}, ""),
        ({"held_out": 0}, {}, {}, ""),
        ({"held_out": 975}, {"held_out": 1.0, "test": 0.0}, {}, ""),
        # a few sequences are a matter of luck
        ({"distinct": 30, "held_out": 7}, {"held_out": 0.1}, {}, ""),
        (
            {"held_out": 800, "distinct_sets": 4},
            {"held_out": 0.3, "sets": "file"},
            {},
            "a: held_out = 0.3 came to 0.8 of the sequences: sets are held out whole, and it has 4 sets",
        ),
        (
            {"held_out": 20, "distinct_sets": 9},
            {"held_out": 0.05, "sets": "file"},
            {},
            "a: held_out = 0.05 came to 0.02 of the sequences: sets are held out whole, and it has 9 sets",
        ),
        (
            {"held_out": 100, "distinct_sets": 1},
            {"held_out": 0.1, "test": 0.2, "sets": "file"},
            {},
            "a: test = 0.2 came to none of the sequences: sets are held out whole, and it has 1 set",
        ),
        ({"held_out": 300}, {"held_out": 0.1}, {}, "a: held_out = 0.1 came to 0.3 of the sequences"),
        (
            {"held_out": 300},
            {"held_out": 0.1},
            {"kind": "smiles", "split": "scaffold"},
            "a: held_out = 0.1 came to 0.3 of the sequences: molecules with the same scaffold are held out together",
        ),
        (
            {"held_out": 400},
            {"held_out": 1.0},
            {"split": "families"},
            "a: held_out = 1 came to 0.4 of the sequences: near-duplicates are in no part",
        ),
        # what a limit leaves is not what was drawn, and of older corpora that is not known
        ({"held_out": 10, "held_out_drawn": 101}, {"held_out": 0.1}, {"held_out_limit": 10}, ""),
        ({"held_out": 10}, {"held_out": 0.1}, {"held_out_limit": 10}, ""),
        (
            {"held_out": 10, "held_out_drawn": 700},
            {"held_out": 0.1},
            {"held_out_limit": 10},
            "a: held_out = 0.1 came to 0.7 of the sequences",
        ),
        # every sequence has a tail
        (
            {"distinct": 2, "distinct_tokens": 1000, "held_out": 2, "held_out_tokens": 100},
            {"held_out": 0.1},
            {"kind": "dna", "split": "tail"},
            "",
        ),
        (
            {"held_out": 900},
            {"held_out": 0.1, "regions": "x.bed", "region_split": True},
            {"kind": "dna"},
            "",
        ),
    ],
)
def test_a_share_that_is_clearly_another_is_said(
    counts: dict[str, int], domain: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    assert lines(counts, domain, **changes) == ([expected] if expected else [])


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"domain 'a': held_out = 0.1 holds nothing out of 1,000 sequences: raise"
    ):
        lines({}, {"held_out": 0.1})
    message = r"domain 'a': held_out = 0.2 holds nothing out of 1 set, as sets are held out whole: give it more sets"
    with pytest.raises(ConfigError, match=message):
        lines({"distinct_sets": 1}, {"held_out": 0.2, "sets": "file"})


@pytest.fixture
def families(tmp_path: Path) -> Callable[..., Recipe]:
    """Return a function that writes so many families and describes a recipe that holds out a share of them."""

    def make(count: int, held_out: float) -> Recipe:
        for number in range(count):
            letters = RESIDUES[number:] + RESIDUES[:number]
            rows = (f">{n}\n{letters * 2}{letters[n:]}\n" for n in range(5))
            (tmp_path / f"f{number}.fasta").write_text("".join(rows))
        domain = {"name": "fam", "files": ["f*.fasta"], "sets": "file", "held_out": held_out}
        return parse_recipe(
            {
                "model": {"family": "protein", "dim": 32, "blocks": 1, "heads": 2},
                "data": {"kind": "protein", "window": 128, "domains": [domain]},
                "training": {"steps": 1, "batch_tokens": 128, "accelerator": "cpu"},
            }
        )

    return make


def test_one_family_cannot_be_held_out_in_part(families: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"domain 'fam': held_out = 0.01 holds nothing out of 1 set"):
        plan_run(families(1, 0.01), tmp_path, tmp_path / "out")


def test_a_plan_says_which_share_was_missed(families: Callable[..., Recipe], tmp_path: Path) -> None:
    for asked, reached in ((0.2, "0.25"), (0.5, "0.25"), (0.6, "0.5"), (0.3, "0.25")):
        lines = plan_run(families(4, asked), tmp_path, tmp_path / "out").lines()
        line = (
            f"shares     fam: held_out = {asked} came to {reached} of the sequences: sets are held out whole, and it "
            "has 4 sets"
        )
        assert (line in lines) is (asked == 0.5) is any(line.startswith("shares") for line in lines)
