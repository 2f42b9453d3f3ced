"""Every kind of original checkpoint, converted, embeds, scores, writes sequences and reads contexts."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from bio_xlstm.cli.main import run
from tests.original.checkpoints import (
    DNA_STATED,
    large_weights,
    shared_strands,
    v1_weights,
    write_chem,
    write_dna,
    write_hub,
    write_large,
    write_protein,
)

SLSTM = (0, 1)


class Kind(NamedTuple):
    """Describe a kind of checkpoint, and what its model reads."""

    write: Callable[[Path], Path]
    suffix: str
    lines: tuple[str, ...]
    prompt: str
    causal: bool = True


def dna(folder: Path, slstm: bool = False, strands: bool = False, both: bool = False) -> Path:
    """Write a small DNA model."""
    at = SLSTM if slstm else ()
    weights = v1_weights(blocks=2, slstm_at=at, slstm_heads=1, dtype=torch.float32)
    sizes = {"d_model": 40, "n_layer": 2, "vocab_size": 12, "s_lstm_at": list(at)}
    if slstm:
        sizes["s_num_heads"] = 1
    stated = {**DNA_STATED, **sizes, "bidirectional": both, "rcps": strands}
    return write_dna(folder, shared_strands(weights) if strands else weights, stated)


def protein(folder: Path) -> Path:
    """Write a small protein model with rotary positions."""
    weights = v1_weights(vocabulary=38, inner=128, blocks=2, dtype=torch.float32)
    return write_protein(folder, weights, {"position_embeddings": "rot_1d", "rope_base_frequency": 500_000})


def chem(folder: Path) -> Path:
    """Write a small chemical model, whose table has 19 symbols."""
    return write_chem(folder, v1_weights(vocabulary=19, inner=128, blocks=2, dtype=torch.float32))


def large(folder: Path) -> Path:
    """Write a small xLSTM-large."""
    config = {"embedding_dim": 40, "num_heads": 4, "num_blocks": 2, "vocab_size": 50}
    return write_large(folder, large_weights(dtype=torch.float32), config)


def hub(folder: Path) -> Path:
    """Write the other layout, which names ids that begin and end a text."""
    config = {"hidden_size": 40, "num_hidden_layers": 2, "num_heads": 4, "bos_token_id": 0, "eos_token_id": 2}
    return write_hub(folder, large_weights(dtype=torch.float32), config)


BASES = ("ACGTTGCANACG", "GGGCCC", "TTA")
IDS = ("5 17 3", "49 1 7 7", "8 30")
# the folders of tests/golden, and the other layout of xLSTM-large
KINDS = {
    "chem_mlstm": Kind(chem, "smi", ("CCO", "c1ccoc1", "C[C@@H](N)O"), "CC"),
    "dna_mlstm_uni": Kind(dna, "fasta", BASES, "ACG"),
    "dna_slstm_uni": Kind(lambda folder: dna(folder, slstm=True), "fasta", BASES, "ACG"),
    "dna_mlstm_bidir_shared": Kind(
        lambda folder: dna(folder, both=True), "fasta", BASES, "ACG", causal=False
    ),
    "dna_slstm_rcps_bidir_shared_h1": Kind(
        lambda folder: dna(folder, slstm=True, strands=True, both=True), "fasta", BASES, "ACG", causal=False
    ),
    "prot_rot1d": Kind(protein, "fasta", ("MKTAYIAK", "GSHMKV", "MKL"), "MK"),
    "xlstm_large_base": Kind(large, "txt", IDS, "5 17"),
    "xlstm_7b": Kind(hub, "txt", IDS, "5 17"),
}
CAUSAL = [name for name, kind in KINDS.items() if kind.causal]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return a function that converts a kind once, as a user does, and returns the model's folder."""
    folder = tmp_path_factory.mktemp("in_use")

    def converted(name: str) -> str:
        target = folder / name
        if not target.exists():
            source = KINDS[name].write(folder / f"{name}_original")
            assert run(["models", "convert", str(source), str(target), "-q"]) == 0
        return str(target)

    return converted


def given(name: str, folder: Path) -> str:
    """Write the input of a kind."""
    kind = KINDS[name]
    path = folder / f"in.{kind.suffix}"
    head = ">{}\n{}\n" if kind.suffix == "fasta" else "{1}\n"
    path.write_text("".join(head.format(number, line) for number, line in enumerate(kind.lines)))
    return str(path)


def rows(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", KINDS)
def test_embed(name: str, models: Callable[[str], str], tmp_path: Path) -> None:
    source, output = given(name, tmp_path), tmp_path / "out.npz"
    assert run(["embed", source, "-m", models(name), "-o", str(output), "-q", "--strict"]) == 0
    with np.load(output) as found:
        (vectors,) = (found[key] for key in found.files if found[key].ndim == 2)
        assert len(vectors) == len(KINDS[name].lines) and np.isfinite(vectors).all()


@pytest.mark.parametrize("name", KINDS)
def test_score(name: str, models: Callable[[str], str], tmp_path: Path) -> None:
    source, output = given(name, tmp_path), tmp_path / "out.csv"
    assert run(["score", source, "-m", models(name), "-o", str(output), "-q", "--strict"]) == 0
    found = rows(output)
    assert [row["status"] for row in found] == ["ok"] * len(KINDS[name].lines)
    assert all(float(row["logprob_sum"]) < 0 for row in found)


@pytest.mark.parametrize("name", CAUSAL)
def test_generate(name: str, models: Callable[[str], str], tmp_path: Path) -> None:
    output, prompt = tmp_path / "out.csv", KINDS[name].prompt
    words = ["-n", "3", "--max-length", "12", "--prompt", prompt, "-o", str(output), "-q"]
    assert run(["generate", "-m", models(name), *words]) == 0
    found = rows(output)
    assert len(found) == 3
    assert all(any(value.startswith(prompt) for value in row.values() if value) for row in found)


@pytest.mark.parametrize("name", CAUSAL)
def test_state(name: str, models: Callable[[str], str], tmp_path: Path) -> None:
    state, output = tmp_path / "a.state", tmp_path / "out.csv"
    built = ["state", "build", given(name, tmp_path), "-m", models(name), "-o", str(state), "-q"]
    assert run(built) == 0 and run(["state", "info", str(state)]) == 0
    # nothing but a prompt begins the sequences of models without a start token
    words = ["-n", "2", "--max-length", "9", "--state", str(state), "--prompt", KINDS[name].prompt]
    assert (
        run(["generate", "-m", models(name), *words, "-o", str(output), "-q"]) == 0 and len(rows(output)) == 2
    )


@pytest.mark.parametrize("name", [name for name in KINDS if name not in CAUSAL])
def test_models_that_read_both_ways_write_nothing(
    name: str, models: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-n", "1", "-o", str(tmp_path / "out.csv"), "-q"]
    assert run(["generate", "-m", models(name), *words]) != 0
    told = capsys.readouterr().err
    assert told.startswith("Error: ") and told.count("\n") == 1 and "unexpected" not in told
    built = [
        "state",
        "build",
        given(name, tmp_path),
        "-m",
        models(name),
        "-o",
        str(tmp_path / "a.state"),
        "-q",
    ]
    assert run(built) != 0
    told = capsys.readouterr().err
    assert told.startswith("Error: ") and told.count("\n") == 1 and "unexpected" not in told
