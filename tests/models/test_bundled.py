"""The models that come with the library do what the commands choose them for."""

import json

import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.models.directory import (
    BUNDLED,
    CONFIG,
    DEFAULT_CAUSAL_MODELS,
    DEFAULT_MODELS,
    WEIGHTS,
    bundled_names,
    default_model,
)

LARGEST = 10e6  # bytes of weights in the wheel


@pytest.mark.parametrize("name", bundled_names())
def test_each_is_small_complete_and_described(name: str) -> None:
    model = bx.load(name)
    assert model.name == json.loads((BUNDLED / name / CONFIG).read_text())["name"] == name
    assert (BUNDLED / name / WEIGHTS).stat().st_size < LARGEST
    for heading in ("## Model", "## Data and licences", "## Training", "## Held-out quality"):
        assert heading in model.card


@pytest.mark.parametrize("kind", DEFAULT_MODELS)
def test_defaults_read_what_they_are_for(kind: str) -> None:
    assert bx.load(default_model(kind)).kind == kind
    causal = bx.load(default_model(kind, causal=True))
    assert causal.kind == kind and causal.causal
    assert set(DEFAULT_CAUSAL_MODELS) == set(DEFAULT_MODELS)


def test_both_strands_of_dna_have_one_embedding() -> None:
    model = bx.load(default_model("dna"))
    strand = "ACGTTGCANGGATTACAGGCTTGAGCCACCGCGCCTGGCC"
    other = strand.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    one, two = (torch.as_tensor(vector) for vector in model.embed([strand, other]))
    assert (one - two).abs().max() < 1e-5 * one.abs().max()
