"""The data of a run: the same windows whatever divides the work, and memory that does not grow with the tokens."""

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bio_xlstm.tasks.pretrain.corpus import Corpus, prepare
from bio_xlstm.tasks.pretrain.data_module import PretrainData
from bio_xlstm.tasks.pretrain.gathering import first_copies, gather
from bio_xlstm.tasks.pretrain.reading import Found
from bio_xlstm.tasks.pretrain.settings import Recipe, parse_recipe
from bio_xlstm.tasks.pretrain.tensor_batch import TensorBatch
from bio_xlstm.tasks.pretrain.token_store import Cuts, Piece, copy_store
from bio_xlstm.tokenizers import TOKENIZERS

PROTEIN = TOKENIZERS["protein"]()
STEPS = 7


def recipe(**training: Any) -> Recipe:
    """Describe a corpus of proteins and families."""
    domains = [
        {"name": "alone", "files": ["p.fasta"], "held_out": 0.2, "test": 0.2},
        {"name": "families", "files": ["f*.a3m"], "sets": "file", "held_out": 0.3, "weight": 2.0},
    ]
    return parse_recipe(
        {
            "model": {"family": "protein"},
            "data": {"kind": "protein", "window": 120, "stages": [[0, 60], [4, 120]], "domains": domains},
            "training": {"steps": STEPS, "batch_tokens": 400, "validation_tokens": 500, **training},
        }
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Prepare random proteins and families."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def fasta(count: int) -> str:
        texts = ("".join(rng.choice(list("ACDEFGHIKL"), rng.integers(5, 50))) for _ in range(count))
        return "".join(f">{n}\n{text}\n" for n, text in enumerate(texts))

    (folder / "p.fasta").write_text(fasta(60))
    for number in range(8):
        (folder / f"f{number}.a3m").write_text(fasta(9))
    return prepare(recipe(), folder, folder / "cache")


def process(
    corpus: Corpus, rank: int = 0, processes: int = 1, done: int = 0, **training: Any
) -> PretrainData:
    """Make the data of one process."""
    data = PretrainData(recipe(**training), corpus, PROTEIN, objective="infill")
    data.trainer = SimpleNamespace(global_rank=rank, world_size=processes, global_step=done)  # type: ignore[assignment]
    data.load_state_dict({"steps_done": done})
    return data


def parts(data: PretrainData, count: int) -> Iterator[TensorBatch]:
    """Give the first parts of a process."""
    return itertools.islice(iter(data.train_dataloader()), count)


def equal(a: TensorBatch, b: TensorBatch) -> bool:
    """Tell whether two parts are equal."""
    pairs = zip(a[:-1], b[:-1], strict=True)
    return a.total == b.total and all(torch.equal(x, y) for x, y in pairs)  # type: ignore[arg-type]


def joined(batches: list[TensorBatch]) -> list[bytes]:
    """Join what parts hold, but for parts without anything to predict."""
    real = [batch for batch in batches if batch.weights.any()]
    fields = ([batch[field] for batch in real] for field in (0, 1, 3, 4))
    return [torch.cat(tensors, 1).numpy().tobytes() for tensors in fields]  # type: ignore[arg-type]


@pytest.mark.parametrize(("processes", "accumulate"), [(1, 3), (2, 1), (2, 2), (5, 1)])
def test_all_divisions_of_a_step_hold_the_same_windows(
    corpus: Corpus, processes: int, accumulate: int
) -> None:
    whole = list(parts(process(corpus), STEPS))
    shares = [
        list(parts(process(corpus, rank, processes, accumulate=accumulate), STEPS * accumulate))
        for rank in range(processes)
    ]
    for step in range(STEPS):
        mine = [part for share in shares for part in share[step * accumulate : (step + 1) * accumulate]]
        assert joined(mine) == joined([whole[step]])
        assert {part.total for part in mine} == {whole[step].total}
        assert sum(float(part.weights.sum()) for part in mine) == whole[step].total


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_neither_order_nor_content(corpus: Corpus, workers: int) -> None:
    expected = list(parts(process(corpus, accumulate=2), 2 * STEPS))
    found = list(parts(process(corpus, accumulate=2, workers=workers), 2 * STEPS))
    assert all(map(equal, expected, found))


@pytest.mark.parametrize("done", [1, 4, 6])
def test_a_resumed_run_goes_on_with_the_step_it_would_have_had(corpus: Corpus, done: int) -> None:
    expected = list(parts(process(corpus), STEPS))
    data = process(corpus, done=done)
    assert data.state_dict() == {"steps_done": done}
    assert all(map(equal, expected[done:], parts(data, STEPS - done)))


def test_held_out_and_test_batches_are_shared_among_processes(corpus: Corpus) -> None:
    for name in ("val_dataloader", "test_dataloader"):
        whole = list(getattr(process(corpus), name)())
        shares = [list(getattr(process(corpus, rank, 3), name)()) for rank in range(3)]
        assert sum(map(len, shares)) == len(whole) > 1
        assert all(n == m and equal(a, b) for (n, a), (m, b) in zip(whole[1::3], shares[1], strict=True))
        assert all(torch.equal(batch.weights > 0, batch.targets >= 0) for _, batch in whole)
    assert {domain for domain, _ in process(corpus).val_dataloader()} == {0, 1}
    assert {domain for domain, _ in process(corpus).test_dataloader()} == {0}


def test_memory_does_not_grow_with_the_tokens(tmp_path: Path) -> None:
    count, length = 400, 100_000
    rng = np.random.default_rng(0)

    def found() -> Iterator[Found]:
        for _ in range(count):
            yield Found(Piece(rng.integers(4, 24, length, dtype=np.uint8), 0), "")

    tracemalloc.start()
    gathered = gather(found(), tmp_path / "gathered", np.dtype(np.uint8), seed=0)
    kept = np.flatnonzero(first_copies(gathered))
    copy_store(gathered.store, Cuts(kept[1:], kept[1:] * 0, kept[1:] * 0 + length), tmp_path / "train")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # of 40 MB of tokens, one sequence at a time
    assert peak < 4e6 and (tmp_path / "train" / "tokens.npy").stat().st_size > (count - 1) * length
