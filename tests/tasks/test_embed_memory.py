"""Embedding within limits: too little memory is met with smaller batches, and no NaN is called an embedding."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bio_xlstm.tasks.embed import compute
from bio_xlstm.tasks.embed.run import embed_file
from bio_xlstm.tasks.files.worker import within_memory

Make = Callable[..., Any]


def npz(path: Path) -> dict[str, np.ndarray]:
    """Load all arrays of a file."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def fasta(sequences: list[str]) -> str:
    """Write sequences as FASTA."""
    return "".join(f">p{i}\n{sequence}\n" for i, sequence in enumerate(sequences))


def proteins(count: int) -> list[str]:
    """Draw proteins of odd lengths."""
    random = np.random.default_rng(0)
    letters = np.array(list("ACDEFGHIKLMNPQRSTVWY"))
    return ["".join(random.choice(letters, random.integers(1, 60))) for _ in range(count)]


def memory_of(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model run out of memory beyond so many tokens at once."""
    real = compute.embed_batch

    def limited(model: Any, sequences: Any, *, batch_tokens: int, **options: Any) -> Any:
        if min(batch_tokens, sum(map(len, sequences))) > tokens:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(model, sequences, batch_tokens=batch_tokens, **options)

    monkeypatch.setattr(compute, "embed_batch", limited)


def test_smaller_batches_give_the_same(
    request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = fasta(proteins(40))
    embed_file(request_for("protein", "a.fa", text, "a.npz", kind="protein", batch_tokens=2048))
    memory_of(300, monkeypatch)
    embed_file(request_for("protein", "a.fa", text, "b.npz", kind="protein", batch_tokens=2048))
    a, b = npz(tmp_path / "a.npz"), npz(tmp_path / "b.npz")
    assert b["status"].tolist() == ["ok"] * 40
    np.testing.assert_allclose(a["embeddings"], b["embeddings"], rtol=1e-5, atol=1e-6)


def test_what_fits_nowhere_is_oom(request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_of(100, monkeypatch)
    text = fasta(["MKTAY", "M" * 120, "MKL"])
    embed_file(request_for("protein", "a.fa", text, "out.npz", kind="protein", batch_tokens=1024))
    found = npz(tmp_path / "out.npz")
    assert found["status"].tolist() == ["ok", "oom", "ok"] and found["lengths"].tolist() == [5, 120, 3]
    assert np.isnan(found["embeddings"][1]).all()
    assert "120 tokens do not fit into memory" in (tmp_path / "out.npz.issues.csv").read_text()


def test_other_failures_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        within_memory(fail)


def spoil(monkeypatch: pytest.MonkeyPatch, number: float) -> None:
    """Let the model compute one odd number for every sequence of three tokens."""
    real = compute.embed_batch

    def spoiled(model: Any, sequences: Any, **options: Any) -> Any:
        found = real(model, sequences, **options)
        for ids, vectors in zip(sequences, found, strict=True):
            if len(ids) == 3:
                next(iter(vectors.values())).reshape(-1)[1] = number
        return found

    monkeypatch.setattr(compute, "embed_batch", spoiled)


@pytest.mark.parametrize("pool", ["mean", "none"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_no_embedding(
    request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str, number: float
) -> None:
    spoil(monkeypatch, number)
    text = fasta(["MKTAY", "MKT", "MKLV"])
    outcome = embed_file(request_for("protein", "a.fa", text, "out.npz", kind="protein", pools=(pool,)))
    found = npz(tmp_path / "out.npz")
    assert found["status"].tolist() == ["ok", "error", "ok"] and outcome.failed == 1
    if pool == "none":
        assert np.diff(found["offsets"]).tolist() == [5, 0, 4] and np.isfinite(found["values"]).all()
    else:
        assert np.isnan(found["embeddings"]).all(1).tolist() == [False, True, False]
    assert "computed numbers that are not finite" in (tmp_path / "out.npz.issues.csv").read_text()


def test_numbers_too_large_for_the_stored_precision_are_said(
    request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 1e6)
    text = fasta(["MKTAY", "MKT"])
    embed_file(request_for("protein", "a.fa", text, "half.npz", kind="protein", store_dtype="fp16"))
    embed_file(request_for("protein", "a.fa", text, "full.npz", kind="protein"))
    assert npz(tmp_path / "half.npz")["status"].tolist() == ["ok", "error"]
    assert npz(tmp_path / "full.npz")["status"].tolist() == ["ok", "ok"]
    issues = (tmp_path / "half.npz.issues.csv").read_text()
    assert "some numbers are too large for --store-dtype fp16; fp32 holds them" in issues
