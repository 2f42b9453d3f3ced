"""Null models: what they say of a sequence can be counted by hand, and depends on no batch."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.errors import InputError, OutputError
from bio_xlstm.records import Record
from bio_xlstm.scoring import score_sequences
from bio_xlstm.tasks.score import null
from bio_xlstm.tasks.score.null import CountedNull, ShuffledNull
from bio_xlstm.tasks.score.run import score_file

Make = Callable[..., Any]


def rows(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_unigrams_are_smoothed_frequencies() -> None:
    tokenizer = bx.build("dna", dim=16, blocks=1, heads=1).tokenizer
    ids = tokenizer.encode("AAAC")
    for stops, total in ((True, 5), (False, 4)):
        counted = CountedNull(tokenizer, 0, ("forward",), stops=stops).fit(
            [Record(0, "a", "AAAC", 1)], "a.fa"
        )
        (found,) = counted(None, [ids], 1)  # type: ignore[arg-type]
        symbols = 4 + stops
        types = 2 + stops
        # Pitman-Yor back-off to the uniform with discount 1/2 and strength 1
        below = (1 + 0.5 * types) / symbols
        p = {times: (times - 0.5 + below) / (total + 1) for times in (3, 1)}
        wanted = 3 * np.log(p[3]) + (1 + stops) * np.log(p[1])
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize("kind", ["dna", "both"])
@pytest.mark.parametrize("name", ["unigram", "markov", "shuffled"])
def test_log_odds_are_differences_and_depend_on_no_batch(
    score_for: Make, tmp_path: Path, name: str, kind: str
) -> None:
    text = "".join(f">{i}\n{'ACGGT' * (i + 1)}{'AT' * (5 - i)}\n" for i in range(5))
    for output, budget in (("a.csv", 16), ("b.csv", 2048)):
        # the windows of a masked model would follow the budget
        tokens = 2048 if kind == "both" else budget
        score_file(score_for(kind, "a.fa", text, output, null=name, rc="average", batch_tokens=tokens))
    a, b = rows(tmp_path / "a.csv"), rows(tmp_path / "b.csv")
    for one, other in zip(a, b, strict=True):
        odds = float(one["logprob_sum"]) - float(one["null_logprob_sum"])
        assert float(one["log_odds"]) == pytest.approx(odds, rel=1e-5)
        assert float(one["null_logprob_sum"]) == pytest.approx(float(other["null_logprob_sum"]), rel=1e-5)


def test_markov_models_know_what_repeats(score_for: Make, tmp_path: Path) -> None:
    text = ">a\n" + "ACGGT" * 40 + "\n"
    found = {}
    for name in ("unigram", "markov"):
        score_file(score_for("dna", "a.fa", text, f"{name}.csv", null=name))
        found[name] = float(rows(tmp_path / f"{name}.csv")[0]["null_logprob_sum"])
    assert found["markov"] > 0.2 * found["unigram"]


def test_a_background_is_counted_in_place_of_the_input(score_for: Make, tmp_path: Path) -> None:
    background = tmp_path / "background.fa"
    background.write_text(">b\n" + "A" * 100 + "\n")
    for name, options in (("own.csv", {}), ("other.csv", {"background": str(background)})):
        score_file(score_for("dna", "a.fa", ">a\nCCCCCC\n", name, null="unigram", **options))
    own, other = (float(rows(tmp_path / n)[0]["null_logprob_sum"]) for n in ("own.csv", "other.csv"))
    assert own > other
    background.write_text(">b\n" + "C" * 100 + "\n")
    with pytest.raises(OutputError, match=r"--background was background.fa \(\w+\) and is now background.fa"):
        options = {"null": "unigram", "background": str(background)}
        score_file(score_for("dna", "a.fa", ">a\nCCCCCC\n", "other.csv", **options))


def test_shuffling_keeps_the_letters_and_follows_the_seed(score_for: Make, tmp_path: Path) -> None:
    ids = np.arange(30, dtype=np.uint8)
    one, again, other = (ShuffledNull(seed)._orders(ids) for seed in (0, 0, 1))
    assert all(np.array_equal(np.sort(order), ids) for order in one)
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])


def test_the_mean_over_shuffled_copies_is_the_models_own(
    score_for: Make, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    score_file(score_for("smiles", "a.smi", "CCOCN\n", null="shuffled", seed=3))
    model = bx.load(tiny_models["smiles"])
    orders = ShuffledNull(3)._orders(model.tokenizer.encode("CCOCN"))
    wanted = score_sequences(model, [model.tokenizer.decode(order) for order in orders]).mean()
    assert float(rows(tmp_path / "out.csv")[0]["null_logprob_sum"]) == pytest.approx(wanted, rel=1e-5)


def test_only_so_many_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = bx.build("dna", dim=16, blocks=1, heads=1).tokenizer
    records = [Record(0, "a", "AAAA", 1), Record(1, "b", "CCCC", 3)]
    monkeypatch.setattr(null, "COUNTED", 4)
    few = CountedNull(tokenizer, 0, ("forward",), stops=False).fit(records, "a.fa")
    assert few.markov.counts[0].totals.tolist() == [4]


def test_nothing_to_count_is_said() -> None:
    tokenizer = bx.build("dna", dim=16, blocks=1, heads=1).tokenizer
    with pytest.raises(InputError, match="a.fa holds nothing that a null model could count"):
        CountedNull(tokenizer, 0, ("forward",), stops=True).fit([Record(0, "a", "", 1)], "a.fa")
