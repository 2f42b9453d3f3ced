"""Proteins with hidden spans in pieces and token by token: with their positions given, the same as the whole."""

import numpy as np
import pytest
import torch

import bio_xlstm as bx
from bio_xlstm.decoding import Decoder
from bio_xlstm.infilling import hide
from bio_xlstm.models.model import SequenceModel

PLACED: list[dict[str, object]] = [
    {"rotary": "head"},
    {"rotary": "inner"},
    {"rotary": "inner_2d"},
    {"rotary": "inner_absolute"},
    {"position_embedding": "learned_2d"},
    {"position_embedding": "sinusoidal", "slstm_at": (1,)},
]
TOLERANCE = 1e-12


def make(settings: dict[str, object]) -> SequenceModel:
    """Build a small model in double precision."""
    size = {"dim": 32, "blocks": 2, "heads": 2, "inner_dim": 64, "objective": "infill"}
    return bx.build("protein", **size, **settings, seed=1).double().eval()


def hidden_protein(model: SequenceModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and positions (1, T) of a protein with two hidden spans, and another protein behind it."""
    tokenizer = model.tokenizer
    start = np.array([tokenizer.start])
    hidden = hide(tokenizer.encode("MKTAYIAKQRQISFVK"), [(2, 5), (9, 10)], tokenizer)
    after = tokenizer.encode("GSHMA")
    tokens = np.concatenate([start, hidden.ids, start, after])
    places = np.concatenate([[0], hidden.positions, np.arange(len(after) + 1)])
    return torch.from_numpy(tokens.astype(np.int64))[None], torch.from_numpy(places.astype(np.int64))[None]


@pytest.mark.parametrize("settings", PLACED, ids=str)
@torch.inference_mode()
def test_positions_are_read_off_the_whole(settings: dict[str, object]) -> None:
    model = make(settings)
    tokens, places = hidden_protein(model)
    assert torch.equal(model(tokens, positions=places).logits, model(tokens).logits)


@pytest.mark.parametrize("settings", PLACED, ids=str)
@torch.inference_mode()
def test_pieces_are_the_whole_wherever_it_is_cut(settings: dict[str, object]) -> None:
    model = make(settings)
    tokens, places = hidden_protein(model)
    whole = model(tokens).logits
    ends = int((tokens[0] == model.tokenizer.start).nonzero()[-1])  # of the protein with hidden spans
    for cut in range(1, tokens.shape[1]):
        head = model(tokens[:, :cut], positions=places[:, :cut])
        # what follows the protein needs no positions
        given = places[:, cut:] if cut < ends else None
        tail = model(tokens[:, cut:], state=head.state, positions=given)
        assert (torch.cat([head.logits, tail.logits], 1) - whole).abs().max() < TOLERANCE


@pytest.mark.parametrize("settings", PLACED, ids=str)
@torch.inference_mode()
def test_steps_are_the_whole(settings: dict[str, object]) -> None:
    model = make(settings)
    tokens, places = hidden_protein(model)
    decoder = Decoder(model, 1)
    steps = [decoder.step(token, positions=place) for token, place in zip(tokens.T, places.T, strict=True)]
    assert (torch.stack(steps, 1) - model(tokens).logits).abs().max() < 1e-4
