"""The score run: every format equals the model's own answer, order is kept, shards are the whole."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bio_xlstm as bx
from bio_xlstm.context import encode_context, load_context
from bio_xlstm.errors import ConfigError, InputError, ModelError, OutputError, SequenceError
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.scoring import score_sequences
from bio_xlstm.tasks.files import estimate
from bio_xlstm.tasks.score.compute import Scorer
from bio_xlstm.tasks.score.run import score_file
from bio_xlstm.tasks.score.setup import open_job

Make = Callable[..., Any]
COLUMNS = ["row", "id", "length", "n_tokens", "logprob_sum", "logprob_mean", "perplexity", "status", "detail"]


def proteins(count: int, seed: int = 0, longest: int = 40) -> list[str]:
    """Draw proteins of odd lengths."""
    random = np.random.default_rng(seed)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    return ["".join(random.choice(letters, random.integers(1, longest))) for _ in range(count)]


def fasta(sequences: list[str]) -> str:
    """Write sequences as FASTA."""
    return "".join(f">p{i}\n{sequence}\n" for i, sequence in enumerate(sequences))


def table(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(path: Path, name: str = "logprob_sum") -> np.ndarray:
    """Read a column of a table, NaN where it is empty."""
    return np.array([float(row[name] or "nan") for row in table(path)])


def close(found: object, wanted: object) -> None:
    """Compare to 1e-5."""
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.fixture
def protein(tiny_models: dict[str, str]) -> SequenceModel:
    """Load the tiny protein model."""
    return bx.load(tiny_models["protein"])


def test_equals_the_model_in_order(score_for: Make, protein: SequenceModel, tmp_path: Path) -> None:
    sequences = proteins(12)
    outcome = score_file(score_for("protein", "a.fa", fasta(sequences), kind="protein", batch_tokens=32))
    rows = table(tmp_path / "out.csv")
    assert list(rows[0]) == COLUMNS and [row["id"] for row in rows] == [f"p{i}" for i in range(12)]
    close(numbers(tmp_path / "out.csv"), [score_sequences(protein, [one])[0] for one in sequences])
    for reduce, name in (("mean", "logprob_mean"), ("perplexity", "perplexity")):
        close(numbers(tmp_path / "out.csv", name), score_sequences(protein, sequences, reduce=reduce))
    # the stop counts
    assert [int(row["n_tokens"]) for row in rows] == [len(one) + 1 for one in sequences]
    assert outcome.rows == 12 and outcome.failed == 0
    assert outcome.lines[1] == "12 rows, n_tokens, logprob_sum, logprob_mean, perplexity (nats)"


def load(path: Path) -> dict[str, np.ndarray]:
    """Load rows of numbers in any format, NaN where there are none."""
    import pyarrow.parquet as pq

    names = COLUMNS[3:7]
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name].astype(float) for name in names}
    if path.suffix == ".parquet":
        found = pq.read_table(path)
        assert found.column_names == COLUMNS
        return {name: found[name].to_pandas().to_numpy(float) for name in names}
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if ".tsv" in path.name else ","))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}


@pytest.mark.parametrize("name", ["out.csv", "out.tsv.gz", "out.npz", "out.parquet"])
def test_every_format_holds_the_same(
    score_for: Make, protein: SequenceModel, tmp_path: Path, name: str
) -> None:
    sequences = proteins(5)
    outcome = score_file(score_for("protein", "a.fa", fasta([*sequences, ""]), name, kind="protein"))
    found = load(tmp_path / name)
    close(found["logprob_sum"], [*score_sequences(protein, sequences), np.nan])
    assert found["n_tokens"][:5].tolist() == [len(one) + 1 for one in sequences]
    assert np.nan_to_num(found["n_tokens"][5]) == 0
    assert len(outcome.lines) == 3 and name in outcome.lines[0] and "1 without a score" in outcome.lines[1]
    assert not (tmp_path / f"{name}.parts").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.npz", "out.parquet"])
def test_positions_add_up_to_the_total(
    score_for: Make, protein: SequenceModel, tmp_path: Path, name: str
) -> None:
    sequences = proteins(4)
    text = fasta([sequences[0], "", *sequences[1:]])
    score_file(score_for("protein", "a.fa", text, name, kind="protein", reduce="per-position"))
    rows = positions(tmp_path / name)
    wanted = score_sequences(protein, sequences, reduce="none")
    assert rows.pop(1) == []
    stop = protein.tokenizer.specials.stop
    for row, values, sequence in zip(rows, wanted, sequences, strict=True):
        assert [token for token, _ in row] == [*sequence, stop]
        close([logprob for _, logprob in row], values)
    close([sum(logprob for _, logprob in row) for row in rows], score_sequences(protein, sequences))


def positions(path: Path) -> list[list[tuple[str, float]]]:
    """Load tokens and numbers of every row in any format."""
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        found = pq.read_table(path).to_pydict()
        pairs = zip(found["token"], found["logprob"], strict=True)
        return [list(zip(tokens or [], values or [], strict=True)) for tokens, values in pairs]
    if path.suffix == ".npz":
        symbols = bx.build("protein", dim=16, blocks=1, heads=1).tokenizer.vocabulary.symbols
        with np.load(path, allow_pickle=False) as arrays:
            borders = arrays["offsets"][1:-1]
            cut = zip(np.split(arrays["tokens"], borders), np.split(arrays["values"], borders), strict=True)
            return [[(symbols[t], float(v)) for t, v in zip(*pair, strict=True)] for pair in cut]
    rows: dict[str, list[tuple[str, float]]] = {}
    for line in table(path):
        mine = rows.setdefault(line["row"], [])
        if line["position"]:
            assert int(line["position"]) == len(mine) + 1
            mine.append((line["token"], float(line["logprob"])))
        else:
            assert line["status"] == "empty"
    return list(rows.values())


def test_bases_that_do_not_count_have_no_number(score_for: Make, tmp_path: Path) -> None:
    score_file(score_for("dna", "a.fa", ">a\nACNG\n", reduce="per-position"))
    assert [bool(row["logprob"]) for row in table(tmp_path / "out.csv")] == [True, True, False, True, True]
    score_file(score_for("dna", "a.fa", ">a\nACNG\n", "rows.csv"))
    assert table(tmp_path / "rows.csv")[0]["n_tokens"] == "4"


def test_shards_are_the_whole(score_for: Make, tmp_path: Path) -> None:
    text = fasta(proteins(11))
    score_file(score_for("protein", "a.fa", text, "all.csv", kind="protein", null="markov"))
    whole, rows = table(tmp_path / "all.csv"), []
    for i in (1, 2):
        options = {"kind": "protein", "shard": (i, 2), "null": "markov"}
        score_file(score_for("protein", "a.fa", text, f"{i}.csv", **options))
        shard = table(tmp_path / f"{i}.csv")
        rows += [int(row["row"]) for row in shard]
        # the null model, too, is that of the whole input
        close(
            [float(row["log_odds"]) for row in shard],
            [float(whole[int(row["row"])]["log_odds"]) for row in shard],
        )
    assert sorted(rows) == list(range(11))


def test_long_records_stream(score_for: Make, tmp_path: Path) -> None:
    text = ">long\n" + "ACGT" * 30 + "\n>short\nACGT\n"
    score_file(score_for("dna", "a.fa", text, "small.csv", batch_tokens=16))
    score_file(score_for("dna", "a.fa", text, "large.csv"))
    close(numbers(tmp_path / "small.csv"), numbers(tmp_path / "large.csv"))
    assert [row["status"] for row in table(tmp_path / "small.csv")] == ["ok", "ok"]


def test_masked_models_give_pseudo_likelihoods(
    score_for: Make, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    text = ">long\n" + "ACGT" * 30 + "\n>short\nACGT\n"
    score_file(score_for("both", "a.fa", text, "out.csv", batch_tokens=64, stride=3))
    rows = table(tmp_path / "out.csv")
    assert [row["status"] for row in rows] == ["windowed", "ok"] and rows[0]["n_tokens"] == "120"
    assert rows[0]["detail"] == "read in windows of 64 tokens"
    model = bx.load(tiny_models["both"])
    close(float(rows[1]["logprob_sum"]), score_sequences(model, ["ACGT"], stride=3)[0])
    score_file(score_for("both", "a.fa", ">n\nNNN\n", "n.csv"))
    (row,) = table(tmp_path / "n.csv")
    assert row["status"] == "error" and "none of its letters can be scored" in row["detail"]


def test_what_is_no_residue_does_not_count(
    score_for: Make, tiny_models: dict[str, str], tmp_path: Path
) -> None:
    text = ">whole\nMKTAY\n>some\nMKXBZUOJY1\n>none\nXXXX\n"
    score_file(score_for("protein", "a.fa", text, "out.csv"))
    whole, some, none = table(tmp_path / "out.csv")
    assert (whole["n_tokens"], whole["detail"]) == ("6", "")
    # M, K, U, O, Y and the end
    assert (some["n_tokens"], some["status"]) == ("6", "cleaned")
    assert some["detail"] == "1 rare residue (J) read as X; 1 digit removed; 4 letters (X, B, Z) do not count"
    assert none["status"] == "error" and "none of its letters can be scored" in none["detail"]
    model = bx.load(tiny_models["protein"])
    each = score_sequences(model, ["MKXBZUOXY"], reduce="none")[0]
    assert np.isnan(each).tolist() == [letter in "XBZ" for letter in "MKXBZUOXY"] + [False]
    close(float(some["logprob_sum"]), np.nansum(each))


def test_both_strands_have_columns_of_their_own(score_for: Make, tmp_path: Path) -> None:
    text = ">a\nACGTT\n>b\nAACGT\n"
    score_file(score_for("dna", "a.fa", text, "out.csv", rc="average"))
    one, other = table(tmp_path / "out.csv")
    close(float(one["logprob_forward"]), float(other["logprob_reverse"]))
    close(float(one["logprob_sum"]), (float(one["logprob_forward"]) + float(one["logprob_reverse"])) / 2)
    score_file(score_for("dna", "a.fa", text, "reverse.csv", direction="reverse"))
    close(numbers(tmp_path / "reverse.csv"), numbers(tmp_path / "out.csv", "logprob_reverse"))
    score_file(score_for("dna", "a.fa", text, "both.csv", direction="both"))
    close(numbers(tmp_path / "both.csv"), numbers(tmp_path / "out.csv"))


def test_a_context_is_read_first(score_for: Make, tiny_models: dict[str, str], tmp_path: Path) -> None:
    model = bx.load(tiny_models["smiles"])
    (tmp_path / "kind.smi").write_text("CCO\n")
    said: list[str] = []
    context = str(tmp_path / "kind.smi")
    score_file(score_for("smiles", "a.smi", "CCN\nCCCl\n", "c.csv", context=context), said.append)
    assert said == ["context: 1 molecules from kind.smi, 5 tokens"]
    state = encode_context(model, ["CCO"])
    close(numbers(tmp_path / "c.csv"), score_sequences(model, ["CCN", "CCCl"], state=state))
    state.save(tmp_path / "kind.state")
    score_file(score_for("smiles", "a.smi", "CCN\nCCCl\n", "s.csv", state=str(tmp_path / "kind.state")))
    close(numbers(tmp_path / "s.csv"), numbers(tmp_path / "c.csv"))
    # another context under the same name is another run
    (tmp_path / "kind.smi").write_text("CCF\n")
    with pytest.raises(
        OutputError, match=r"c.csv exists but --context was kind.smi \(\w+\) and is now kind.smi"
    ):
        score_file(score_for("smiles", "a.smi", "CCN\nCCCl\n", "c.csv", context=context))


def test_homologs_are_a_context(score_for: Make, protein: SequenceModel, tmp_path: Path) -> None:
    (tmp_path / "family.a3m").write_text(">q\nMKTAY\n")
    context = str(tmp_path / "family.a3m")
    score_file(score_for("protein", "a.fa", ">x\nMKSAY\n", kind="protein", context=context))
    close(
        numbers(tmp_path / "out.csv"),
        score_sequences(protein, ["MKSAY"], state=encode_context(protein, ["MKTAY"])),
    )


def test_a_state_of_another_model_is_refused(score_for: Make, tmp_path: Path) -> None:
    path = tmp_path / "other.state"
    other = bx.build("chem", dim=16, blocks=2, heads=2, seed=1).eval()
    encode_context(other, ["CCO"]).save(path)
    with pytest.raises(
        ModelError, match=r"other.state was made by another model \(hash \w+\); smiles|chem has hash"
    ):
        score_file(score_for("smiles", "a.smi", "CCN\n", state=str(path)))
    encode_context(other, ["CCO"]).select([0, 0]).save(path)
    with pytest.raises(ModelError, match="other.state holds 2 sequences; a context is one"):
        load_context(other, path)


def test_same_command_again_is_complete(score_for: Make, tmp_path: Path) -> None:
    text = fasta(proteins(4))
    for name in ("out.parquet", "out.csv", "out.npz"):
        first = score_file(score_for("protein", "a.fa", text, name, kind="protein"))
        said: list[str] = []
        assert score_file(score_for("protein", "a.fa", text, name, kind="protein"), said.append) == first
        assert f"{name} is already complete" in said[0]
        with pytest.raises(OutputError, match=f"{name} exists but --null was None and is now unigram; use"):
            score_file(score_for("protein", "a.fa", text, name, kind="protein", null="unigram"))
        with pytest.raises(OutputError, match=f"{name} exists but the input a.fa changed"):
            score_file(score_for("protein", "a.fa", text + ">x\nMK\n", name, kind="protein"))


def test_provenance_is_complete(score_for: Make, protein: SequenceModel, tmp_path: Path) -> None:
    score_file(score_for("protein", "a.fa", fasta(proteins(3)), kind="protein"))
    record = json.loads((tmp_path / "out.csv.provenance.json").read_text())
    assert record["command"] == "score" and record["weight_hash"] == protein.weight_hash()
    assert record["options"]["--direction"] == "forward" and record["rows"] == 3


@pytest.mark.parametrize(("name", "reduce"), [("out.csv", "sequence"), ("out.npz", "per-position")])
def test_interrupted_runs_go_on_to_the_same_bytes(
    score_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reduce: str
) -> None:
    text = fasta([*proteins(120), "", "M@"])
    options: dict[str, Any] = {"kind": "protein", "batch_tokens": 16, "reduce": reduce}
    score_file(score_for("protein", "a.fa", text, name, **options))
    undisturbed = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    real, calls = Scorer.run, []

    def interrupted(self: Scorer, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) in (3, 5):
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Scorer, "run", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            score_file(score_for("protein", "a.fa", text, name, overwrite=True, **options))
    said: list[str] = []
    score_file(score_for("protein", "a.fa", text, name, overwrite=True, **options), said.append)
    assert said[0].startswith("continuing: 3 units with ")
    assert (tmp_path / name).read_bytes() == undisturbed


def test_memory_that_is_too_small_is_met_with_smaller_batches(
    score_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = fasta(["MKTAY", "M" * 120, "MKL"])
    score_file(score_for("protein", "a.fa", text, "a.csv", kind="protein", batch_tokens=1024))
    real = Scorer.scores

    def limited(self: Scorer, sequences: Any, budget: int) -> Any:
        if min(budget, sum(map(len, sequences))) > 100:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(self, sequences, budget)

    monkeypatch.setattr(Scorer, "scores", limited)
    score_file(score_for("protein", "a.fa", text, "b.csv", kind="protein", batch_tokens=1024))
    rows = table(tmp_path / "b.csv")
    assert [row["status"] for row in rows] == ["ok", "oom", "ok"]
    close(numbers(tmp_path / "b.csv")[[0, 2]], numbers(tmp_path / "a.csv")[[0, 2]])


def test_numbers_that_are_not_finite_are_no_score(
    score_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Scorer.scores

    def spoiled(self: Scorer, sequences: Any, budget: int) -> Any:
        found = real(self, sequences, budget)
        return [found[0]._replace(strands=(-np.inf,)), *found[1:]]

    monkeypatch.setattr(Scorer, "scores", spoiled)
    score_file(score_for("protein", "a.fa", fasta(["MKT", "MKL"]), kind="protein"))
    rows = table(tmp_path / "out.csv")
    assert [row["status"] for row in rows] == ["error", "ok"] and "are not finite" in rows[0]["detail"]


def test_bad_rows_are_kept(score_for: Make, tmp_path: Path) -> None:
    text = "CCO a\nC1CC b\nC[Xx] c\n"
    outcome = score_file(score_for("smiles", "a.smi", text))
    assert [row["status"] for row in table(tmp_path / "out.csv")] == [
        "ok",
        "invalid_smiles",
        "invalid_smiles",
    ]
    assert outcome.failed == 2 and (tmp_path / "out.csv.issues.csv").exists()
    score_file(score_for("smiles", "a.smi", text, "b.csv", allow_invalid=True))
    assert [row["status"] for row in table(tmp_path / "b.csv")] == ["ok", "ok", "unknown_token"]
    outcome = score_file(score_for("smiles", "a.smi", text, "c.csv", on_error="skip"))
    assert [row["row"] for row in table(tmp_path / "c.csv")] == ["0"] and outcome.rows == 1
    with pytest.raises(SequenceError, match=r"a.smi row 1 'b': invalid_smiles: unclosed ring"):
        score_file(score_for("smiles", "a.smi", text, "d.csv", on_error="fail"))
    score_file(score_for("smiles", "a.smi", text, "e.csv", max_length=2))
    assert table(tmp_path / "e.csv")[0]["status"] == "too_long"


def test_dry_run_estimates_without_writing(score_for: Make, tmp_path: Path) -> None:
    for reduce, words in (("sequence", "5 rows of 4 numbers"), ("per-position", "one number for each of")):
        request = score_for("protein", "a.fa", fasta(proteins(5)), kind="protein", reduce=reduce)
        text = estimate.dry_run(open_job(request, print))
        assert words in text and "tokens per second" in text
    assert not list(tmp_path.glob("out*"))


def test_a_full_disk_is_said_before_work(score_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(OutputError, match=r"100 B are free .*--reduce sequence or --shard need less"):
        score_file(score_for("protein", "a.fa", fasta(proteins(5)), kind="protein"))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "protein",
            {"rc": "average"},
            "--rc average reads the other strand of DNA; protein reads proteins from",
        ),
        (
            "smiles",
            {"direction": "both"},
            "--direction both reads the other strand of DNA; chem reads molecules",
        ),
        (
            "dna",
            {"rc": "average", "direction": "reverse"},
            "--rc average reads both strands, --direction reverse only",
        ),
        (
            "dna",
            {"stride": 4},
            "--stride is for masked models; dna reads every token once, after those before it",
        ),
        (
            "both",
            {"context": "a.fa"},
            "--context is for causal models; dna is a masked model and reads no context",
        ),
        ("both", {"state": "a.state"}, "--state is for causal models; dna is a masked model"),
        ("dna", {"context": "a.fa"}, "--context holds homologs or molecules; dna reads DNA"),
        ("dna", {"reduce": "mean"}, "--reduce must be one of sequence, per-position, not 'mean'"),
        ("dna", {"direction": "up"}, "--direction must be one of forward, reverse, both, not 'up'"),
        ("dna", {"rc": "concat"}, "--rc must be one of auto, none, average, not 'concat'"),
        ("dna", {"null": "x"}, "--null must be one of unigram, markov, shuffled, not 'x'"),
        ("dna", {"stride": 0}, "--stride must be at least 1, not 0"),
        ("dna", {"context_tokens": 0}, "--context-tokens must be at least 1, not 0"),
        ("dna", {"context_tokens": 5}, "--context-tokens is about a --context, which is not given"),
        ("dna", {"context": "a", "state": "b"}, "--context and --state both say what is read before every"),
        ("dna", {"null": "markov", "reduce": "per-position"}, "--null compares whole sequences"),
        (
            "dna",
            {"background": "b.fa"},
            "--background is what --null unigram or markov counts, which is not asked",
        ),
        (
            "dna",
            {"background": "b.fa", "null": "shuffled"},
            "--background is what --null unigram or markov counts",
        ),
        ("dna", {"format": "esm-pt"}, "--format must be one of parquet, npz, csv, tsv, not 'esm-pt'"),
        (
            "dna",
            {"output": "x.h5"},
            "the suffix of x.h5 names no format; use .parquet, .npz, .csv, .tsv, or give",
        ),
    ],
)
def test_wrong_options_are_refused(score_for: Make, kind: str, options: dict[str, Any], message: str) -> None:
    text = {"protein": ">a\nMKT\n", "smiles": "CCO\n"}.get(kind, ">a\nACGT\n")
    name = "a.smi" if kind == "smiles" else "a.fa"
    with pytest.raises(ConfigError, match=message):
        score_file(
            score_for(kind, name, text, **({"kind": "protein"} if kind == "protein" else {}), **options)
        )


def test_a_context_of_another_kind_is_refused(score_for: Make, tmp_path: Path) -> None:
    (tmp_path / "family.fasta").write_text(fasta(proteins(5)))
    with pytest.raises(
        InputError, match="family.fasta holds proteins, but the context of this model holds molecules"
    ):
        score_file(score_for("smiles", "a.smi", "CCO\n", context=str(tmp_path / "family.fasta")))
