"""The embed run: every format equals the model's own answer, order is kept, shards are the whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.errors import InputError, OutputError
from bio_xlstm.tasks.embed.run import embed_file
from bio_xlstm.tasks.embed.setup import open_job
from bio_xlstm.tasks.files import estimate
from bio_xlstm.tasks.files.units import cut_units
from bio_xlstm.tasks.writers.arrays import texts_of

Make = Callable[..., Any]
LETTERS = np.array(list("ACDEFGHIKLMNPQRSTVWY"))


def proteins(count: int, seed: int = 0, longest: int = 60) -> list[str]:
    """Draw proteins of odd lengths."""
    random = np.random.default_rng(seed)
    return ["".join(random.choice(LETTERS, random.integers(1, longest))) for _ in range(count)]


def fasta(sequences: list[str]) -> str:
    """Write sequences as FASTA."""
    return "".join(f">p{i}\n{sequence}\n" for i, sequence in enumerate(sequences))


def npz(path: Path) -> dict[str, np.ndarray]:
    """Load all arrays of a file."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def test_equals_the_model_in_order(request_for: Make, tiny_models: dict[str, str], tmp_path: Path) -> None:
    import bio_xlstm as bx

    sequences = proteins(20)
    embed_file(request_for("protein", "a.fa", fasta(sequences), "out.npz", kind="protein", batch_tokens=64))
    found = npz(tmp_path / "out.npz")
    model = bx.load(tiny_models["protein"])
    expected = np.stack([model.embed([sequence])[0] for sequence in sequences])
    np.testing.assert_allclose(found["embeddings"], expected, rtol=1e-5, atol=1e-6)
    assert texts_of(found, "ids") == [f"p{i}" for i in range(20)]
    assert found["lengths"].tolist() == [len(sequence) for sequence in sequences]


def test_layers_and_pools(request_for: Make, tiny_models: dict[str, str], tmp_path: Path) -> None:
    import bio_xlstm as bx

    sequences = proteins(7)
    request = request_for(
        "protein", "a.fa", fasta(sequences), "out.npz", kind="protein", pools=("mean", "last"), layers="-1,0"
    )
    embed_file(request)
    found, model = npz(tmp_path / "out.npz"), bx.load(tiny_models["protein"])
    for layer in (-1, 0):
        for pool in ("mean", "last"):
            np.testing.assert_allclose(
                found[f"embeddings__L{layer}__{pool}"],
                model.embed(sequences, pool=pool, layer=layer),
                rtol=1e-5,
                atol=1e-6,
            )
    record = json.loads(str(found["provenance"]))
    assert record["options"]["--layers"] == "-1,0" and record["options"]["--pool"] == "mean,last"


def test_per_token(request_for: Make, tiny_models: dict[str, str], tmp_path: Path) -> None:
    import bio_xlstm as bx

    sequences = [*proteins(9), ""]
    embed_file(request_for("protein", "a.fa", fasta(sequences), "out.npz", kind="protein", pools=("none",)))
    found, model = npz(tmp_path / "out.npz"), bx.load(tiny_models["protein"])
    assert np.diff(found["offsets"]).tolist() == [len(sequence) for sequence in sequences]
    expected = np.concatenate(model.embed(sequences[:-1], pool="none"))
    np.testing.assert_allclose(found["values"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["out.parquet", "out.csv", "out.tsv.gz", "out.safetensors", "out.h5", "out.pt"]
)
def test_every_format_holds_the_same(request_for: Make, tmp_path: Path, name: str) -> None:
    text = fasta([*proteins(6), ""])
    embed_file(request_for("protein", "a.fa", text, "out.npz", kind="protein"))
    outcome = embed_file(request_for("protein", "a.fa", text, name, kind="protein"))
    expected = npz(tmp_path / "out.npz")["embeddings"]
    np.testing.assert_array_equal(load(tmp_path / name), expected)
    assert len(outcome.lines) == 3 and name in outcome.lines[0] and "7 rows" in outcome.lines[1]
    assert not (tmp_path / f"{name}.parts").exists()


def load(path: Path) -> np.ndarray:
    """Load the vectors (7, D) of any format, NaN where there are none."""
    import gzip

    import h5py
    import pyarrow.parquet as pq
    import torch
    from safetensors.numpy import load_file

    if path.suffix == ".parquet":
        rows = pq.read_table(path)["embedding"].to_pylist()
        return np.float32([[np.nan] * 16 if row is None else row for row in rows])
    if path.suffix == ".safetensors":
        return load_file(path)["embeddings"]
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return np.stack([file[f"p{i}"][:] for i in range(7)])
    if path.suffix == ".pt":
        records = [torch.load(path / f"p{i}.pt") for i in range(7)]
        return np.stack([record["mean_representations"][2].numpy() for record in records])
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    cells = [line.replace("\t", ",").split(",")[5:] for line in text.splitlines()[1:]]
    return np.float32([[float(cell or "nan") for cell in row] for row in cells])


@pytest.mark.parametrize("store", ["fp16", "bf16"])
def test_stored_precision(request_for: Make, tmp_path: Path, store: str) -> None:
    text = fasta(proteins(5))
    embed_file(request_for("protein", "a.fa", text, "full.npz", kind="protein"))
    embed_file(request_for("protein", "a.fa", text, "half.npz", kind="protein", store_dtype=store))
    full, half = npz(tmp_path / "full.npz")["embeddings"], npz(tmp_path / "half.npz")["embeddings"]
    np.testing.assert_allclose(half, full, rtol=2**-8, atol=1e-5)
    assert not np.array_equal(half, full) and half.dtype == (np.float16 if store == "fp16" else np.float32)


def test_shards_are_the_whole(request_for: Make, tmp_path: Path) -> None:
    text = fasta(proteins(23))
    embed_file(request_for("protein", "a.fa", text, "all.npz", kind="protein"))
    whole, rows = npz(tmp_path / "all.npz"), []
    for i in (1, 2, 3):
        embed_file(request_for("protein", "a.fa", text, f"{i}.npz", kind="protein", shard=(i, 3)))
        shard = npz(tmp_path / f"{i}.npz")
        rows += shard["rows"].tolist()
        np.testing.assert_allclose(
            shard["embeddings"], whole["embeddings"][shard["rows"]], rtol=1e-5, atol=1e-6
        )
    assert sorted(rows) == list(range(23))


def test_limit(request_for: Make, tmp_path: Path) -> None:
    assert embed_file(request_for("protein", "a.fa", fasta(proteins(9)), kind="protein", limit=4)).rows == 4


def test_windows_are_said(request_for: Make, tmp_path: Path) -> None:
    text = ">long\n" + "ACGT" * 50 + "\n>short\nACGT\n"
    embed_file(request_for("both", "a.fa", text, "out.npz", batch_tokens=64))
    assert npz(tmp_path / "out.npz")["status"].tolist() == ["windowed", "ok"]
    assert "read in windows of 64 tokens" in (tmp_path / "out.npz.issues.csv").read_text()
    embed_file(request_for("dna", "a.fa", text, "causal.npz", batch_tokens=64))
    assert npz(tmp_path / "causal.npz")["status"].tolist() == ["ok", "ok"]


def test_reverse_complement_doubles_the_width(request_for: Make, tmp_path: Path) -> None:
    embed_file(request_for("dna", "a.fa", ">a\nACGTT\n>b\nAACGT\n", "out.npz", rc="concat"))
    vectors = npz(tmp_path / "out.npz")["embeddings"]
    assert vectors.shape == (2, 32)
    np.testing.assert_allclose(vectors[0, :16], vectors[1, 16:], rtol=1e-5, atol=1e-6)


def test_workers_change_nothing(request_for: Make, tmp_path: Path) -> None:
    text = "".join(f"{'C' * (i % 7 + 1)}{'O' if i % 3 else '('} m{i}\n" for i in range(60))
    for name, workers in (("a", 0), ("b", 2)):
        embed_file(request_for("smiles", "a.smi", text, f"{name}.npz", workers=workers, batch_tokens=16))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert "invalid_smiles" in npz(tmp_path / "a.npz")["status"]


def test_same_command_again_is_complete(request_for: Make, tmp_path: Path) -> None:
    text = fasta(proteins(5))
    for name in ("out.parquet", "out.csv", "out.npz", "out.h5", "out.pt", "out.safetensors"):
        first = embed_file(request_for("protein", "a.fa", text, name, kind="protein"))
        said: list[str] = []
        again = embed_file(request_for("protein", "a.fa", text, name, kind="protein"), said.append)
        assert again == first and f"{name} is already complete" in said[0]
        with pytest.raises(
            OutputError, match=rf"{name} exists but --rc was none|--max-length was None and is now 3"
        ):
            embed_file(request_for("protein", "a.fa", text, name, kind="protein", max_length=3))
        with pytest.raises(OutputError, match=rf"{name} exists but the input a.fa changed; use --overwrite"):
            embed_file(request_for("protein", "a.fa", text + ">x\nMK\n", name, kind="protein"))
        request = request_for("protein", "a.fa", text + ">x\nMK\n", name, kind="protein", overwrite=True)
        assert embed_file(request).rows == 6


def test_provenance_is_complete(request_for: Make, tiny_models: dict[str, str], tmp_path: Path) -> None:
    import hashlib

    import bio_xlstm as bx

    text = fasta(proteins(3))
    embed_file(
        request_for(
            "protein", "a.fa", text, "out.npz", kind="protein", seed=5, command_line="bioxlstm embed a.fa"
        )
    )
    record = json.loads(str(npz(tmp_path / "out.npz")["provenance"]))
    assert record["weight_hash"] == bx.load(tiny_models["protein"]).weight_hash()
    assert record["input_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    expected = {
        "command": "embed", "command_line": "bioxlstm embed a.fa", "licence": "Apache-2.0", "dtype": "fp32",
        "input": "a.fa", "device": "cpu", "seed": 5, "code_version": bx.__version__, "format_version": 1,
        "rows": 3, "failed": 0, "issues": 0,
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert record["backend"] not in ("", "auto")


def test_wrong_modality_is_refused_before_work(request_for: Make, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"a.fa holds proteins, but the model \w+ reads DNA; use -m protein-small, or --kind"
    ):
        embed_file(request_for("dna", "a.fa", fasta(proteins(5))))
    with pytest.raises(InputError, match=r"a.smi holds molecules, but .* reads proteins; use -m chem-small"):
        embed_file(request_for("protein", "a.smi", "CCO\n"))
    assert not list(tmp_path.glob("out*"))


def test_the_model_decides_between_columns(request_for: Make, tmp_path: Path) -> None:
    text = "id,smiles,protein_sequence\na,CCO,MKT\nb,CCN,MKL\n"
    assert embed_file(request_for("protein", "a.csv", text, "p.npz")).failed == 0
    assert embed_file(request_for("smiles", "a.csv", text, "s.npz")).failed == 0
    assert npz(tmp_path / "p.npz")["lengths"].tolist() == [3, 3]


def test_the_model_is_chosen_and_named(
    request_for: Make, tiny_models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bio_xlstm.tasks.files.opening.default_model", lambda kind, causal: tiny_models[kind])
    said: list[str] = []
    embed_file(request_for("smiles", "a.smi", "CCO\n", model=None), said.append)
    assert "a.smi holds molecules: using the bundled model" in said[0] and tiny_models["smiles"] in said[0]


def test_a_full_disk_is_said_before_work(
    request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(
        OutputError, match=r"out.parquet and its parts need about .* 100 B are free .*--store-dtype fp16"
    ):
        embed_file(request_for("protein", "a.fa", fasta(proteins(5)), kind="protein"))
    assert not list(tmp_path.glob("out*"))


def test_dry_run_estimates_without_writing(request_for: Make, tmp_path: Path) -> None:
    sequences = proteins(5)
    text = estimate.dry_run(open_job(request_for("protein", "a.fa", fasta(sequences), kind="protein"), print))
    assert (
        "5 records" in text
        and f"{sum(map(len, sequences)):,} letters" in text
        and "tokens per second" in text
    )
    assert [line.split()[0] for line in text.splitlines()] == ["input", "model", "output", "disk", "time"]
    assert not list(tmp_path.glob("out*"))


def test_units_follow_from_the_records_alone() -> None:
    from bio_xlstm.records import Record

    records = [Record(i, "", "A" * length, 1) for i, length in enumerate([5, 5, 30, 1, 1])]
    assert [[len(r.text) for r in unit] for unit in cut_units(records, 10)] == [[5, 5], [30], [1, 1]]
    assert [len(unit) for unit in cut_units([Record(i, "", "", 1) for i in range(5000)], 10)] == [4096, 904]


def test_dry_run_says_what_stands_in_the_way(request_for: Make) -> None:
    text = fasta(proteins(3))
    embed_file(request_for("protein", "a.fa", text, kind="protein"))

    def last(**options: Any) -> str:
        job = open_job(request_for("protein", "a.fa", text, kind="protein", **options), print)
        return estimate.dry_run(job).splitlines()[-1]

    assert last().startswith("done") and "out.parquet is already complete: nothing would be done" in last()
    assert last(layers="0").startswith("stop    the run would stop at once: ")
    assert "--layers was -1 and is now 0; use --overwrite" in last(layers="0")
    assert last(layers="0", overwrite=True).startswith("time")


def test_a_different_file_is_named(request_for: Make) -> None:
    embed_file(request_for("protein", "a.fa", ">a\nMKT\n", kind="protein"))
    with pytest.raises(OutputError, match=r"out.parquet exists but the input was a.fa and is now b.fa; use"):
        embed_file(request_for("protein", "b.fa", ">a\nMKL\n", kind="protein"))


def test_the_shape_is_one_short_line(request_for: Make) -> None:
    request = request_for("protein", "a.fa", ">a\nMKT\n", kind="protein", layers="all", pools=("mean", "max"))
    assert embed_file(request).lines[1] == "1 row, 6 vectors per row of 16 numbers (fp32)"


def test_a_long_id_costs_its_own_length_alone(request_for: Make, tmp_path: Path) -> None:
    long = "x" * 200_000
    text = fasta(proteins(300)) + f">{long}\nMKT\n"
    request = request_for("protein", "a.fa", text, "out.npz", kind="protein")
    assert estimate.estimate_size(open_job(request, print)).output > 200_000
    embed_file(request)
    assert (tmp_path / "out.npz").stat().st_size < 400_000
    assert texts_of(npz(tmp_path / "out.npz"), "ids")[-1] == long
