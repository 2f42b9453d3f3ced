"""Laws of sets: whole sequences of one set to a window, in a new order every epoch, and salts never torn apart."""

from collections import Counter

import numpy as np
import pytest

from bio_xlstm.records import Record
from bio_xlstm.tasks.pretrain.batch_order import BatchOrder
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.objectives import Causal, Infill
from bio_xlstm.tasks.pretrain.packing import IGNORED, Framing
from bio_xlstm.tasks.pretrain.reading import members
from bio_xlstm.tasks.pretrain.respelling import Respelling
from bio_xlstm.tasks.pretrain.token_store import Piece, collect
from bio_xlstm.tokenizers import TOKENIZERS

SMILES, PROTEIN = TOKENIZERS["smiles"](), TOKENIZERS["protein"]()
ACIDS = [f"{'C' * n}C(=O)O" for n in range(1, 21)]
AMINES = [f"{'C' * n}N.Cl" for n in range(1, 21)]
SETS = {**dict.fromkeys(ACIDS, 0), **dict.fromkeys(AMINES, 1)}


def molecules(share: float = 1.0, lone: tuple[str, ...] = ()):
    """Make two sets of molecules, one of them salts, and molecules of no set."""
    pieces = [Piece(SMILES.encode(text), 0, set=number, share=share) for text, number in SETS.items()]
    pieces += [Piece(SMILES.encode(text), 0) for text in lone]
    return collect(pieces, np.dtype(SMILES.dtype))


def order(sequences, window: int = 60, **changes) -> BatchOrder:
    """Order windows of molecules."""
    filler = Filler(sequences, Causal(Framing.of(SMILES)), respelling=changes.pop("respelling", None))
    settings = {"stages": [(0, window)], "budget": 200, "weights": [1.0], "seed": 2} | changes
    return BatchOrder(filler, **settings)


def epoch(batches: BatchOrder, first: int = 0) -> list[list[str]]:
    """Return the molecules of every window of an epoch, whose last token is no input."""
    windows = []
    for step in range(first, first + batches.epoch_steps):
        batch = batches.batch(step)
        for begin, end in zip(batch.cu_seqlens[:-1], batch.cu_seqlens[1:], strict=True):
            tokens = np.append(batch.tokens[0, begin:end], batch.targets[0, end - 1])
            assert end - begin <= 60 and tokens[0] == SMILES.start
            parts = np.split(tokens, np.flatnonzero(tokens == SMILES.start))[1:]
            assert all(part[-1] == SMILES.stop for part in parts)
            windows.append([SMILES.decode(part) for part in parts])
    return windows


def test_every_molecule_is_shown_once_with_others_of_its_set() -> None:
    batches = order(molecules())
    windows = epoch(batches)
    assert Counter(text for window in windows for text in window) == Counter([*SETS])
    assert all(len({SETS[text] for text in window}) == 1 for window in windows)
    assert max(map(len, windows)) > 2


def test_molecules_come_in_a_new_order_every_epoch() -> None:
    batches = order(molecules())
    first = [text for window in epoch(batches) for text in window]
    batches.batch(batches.epoch_steps)
    second = [text for window in epoch(batches, batches._first_step) for text in window]
    assert sorted(first) == sorted(second) and first != second
    places = Counter(epoch(order(molecules(), seed=seed))[0][0] for seed in range(30))
    assert len(places) > 15


def test_stops_are_predicted_but_no_start_behind_them() -> None:
    batch = order(molecules()).batch(0)
    stops = batch.tokens == SMILES.stop
    assert stops.any() and (batch.targets[stops] == IGNORED).all()
    assert (batch.targets == SMILES.start).sum() == 0
    ends = [int((batch.tokens == symbol).sum()) for symbol in (SMILES.start, SMILES.stop)]
    assert ends[0] == ends[1] + len(batch.cu_seqlens) - 1


def test_a_share_of_the_molecules_is_shown_one_by_one() -> None:
    batches = order(molecules(lone=("CCO",)), set_shares=[0.5])
    windows = epoch(batches)
    assert Counter(text for window in windows for text in window) == Counter([*SETS, "CCO"])
    alone = [window[0] for window in windows if len(window) == 1]
    assert 10 < len(alone) < 35 and "CCO" in alone


def test_redundant_sequences_are_drawn_by_their_share() -> None:
    sequences = molecules(share=0.25)
    counts = Counter(
        text for seed in range(40) for window in epoch(order(sequences, seed=seed)) for text in window
    )
    assert 0.2 < sum(counts.values()) / 40 / len(SETS) < 0.3
    twice = epoch(order(molecules(), weights=[2.0]))
    assert Counter(text for window in twice for text in window) == Counter([*SETS, *SETS])
    assert all(len(set(window)) == len(window) for window in twice)


def test_what_no_window_holds_is_left_out_of_sets_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    windows = epoch(order(molecules(), window=14))
    assert {text for window in windows for text in window} < set(SETS)
    assert "sequences of sets may be too long for a window of 14 tokens" in caplog.text


@pytest.mark.parametrize("spans", ["multiple", "single", "none"])
def test_homologs_stand_end_to_end_with_their_own_hidden_spans(spans: str) -> None:
    rng = np.random.default_rng(0)
    pieces = [Piece(rng.integers(4, 24, 30).astype(np.uint8), 0, set=0) for _ in range(40)]
    filler = Filler(collect(pieces, np.dtype(np.uint8)), Infill(PROTEIN, spans=spans))
    batches = BatchOrder(filler, stages=[(0, 300)], budget=300, weights=[1.0])
    starts = 0
    for step in range(batches.epoch_steps):
        batch = batches.batch(step)
        assert batch.tokens.size <= 300 and batch.tokens[0, 0] == PROTEIN.start
        begins = batch.tokens[0] == PROTEIN.start
        starts += int(begins.sum())
        assert (batch.positions[0][begins] == 0).all()
        # the start of a protein is the stop of the one before it
        assert (batch.targets[0] == PROTEIN.start).sum() == begins.sum()
    assert starts == 40


def test_held_out_sets_are_always_the_same() -> None:
    filler = Filler(molecules(share=0.5), Causal(Framing.of(SMILES)))
    first, second = (list(held_out_batches(filler, 0, window=60, budget=200)) for _ in range(2))
    assert all((a.tokens == b.tokens).all() for a, b in zip(first, second, strict=True))
    assert 10 < sum(int((batch.tokens == SMILES.start).sum()) for batch in first) < 30


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CCO.CCN", ["CCO", "CCN"]),
        ("CCN.Cl.CCO", ["CCN.Cl", "CCO"]),
        ("Cl.NCC.CC", ["Cl.NCC", "CC"]),
        ("CCO.[Na+].[O-]C(C)=O.CC", ["CCO", "[Na+].[O-]C(C)=O", "CC"]),
        ("CCO.C[N+](C)(C)C.[I-].CC", ["CCO", "C[N+](C)(C)C.[I-]", "CC"]),
        ("CC[NH3+].CC(=O)[O-].CC", ["CC[NH3+].CC(=O)[O-]", "CC"]),
        ("C[N+](=O)[O-].CCl.c1ccsc1", ["C[N+](=O)[O-]", "CCl", "c1ccsc1"]),
        ("CCN.Cl CCO\tCC.Br", ["CCN.Cl", "CCO", "CC.Br"]),
        ("[Ca+2].[Cl-].[Cl-].CC", ["[Ca+2].[Cl-].[Cl-].CC"]),
    ],
)
def test_salts_are_not_torn_apart(line: str, expected: list[str]) -> None:
    first, _, rest = line.replace("\t", " ").partition(" ")
    assert members(Record(0, rest, first, 1)) == expected


DRUGS = ["CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "OCC[NH3+].[Cl-]", "C/C=C\\C", "CCO"]


def test_respelled_molecules_are_the_same_molecules() -> None:
    from rdkit.Chem import CanonSmiles

    pieces = [Piece(SMILES.encode(text), 0) for text in DRUGS * 10]
    sequences = collect(pieces, np.dtype(SMILES.dtype))
    batches = order(sequences, respelling=Respelling(SMILES, [0.5]))
    texts = [window[0] for window in epoch(batches)]
    assert Counter(map(CanonSmiles, texts)) == Counter(map(CanonSmiles, DRUGS * 10))
    changed = [text for text in texts if text not in DRUGS]
    assert 10 < len(changed) < 30
    assert texts == [window[0] for window in epoch(order(sequences, respelling=Respelling(SMILES, [0.5])))]
    assert max(batches.batch(step).tokens.size for step in range(batches.epoch_steps)) <= 200
    assert not {w[0] for w in epoch(order(sequences, respelling=Respelling(SMILES, [0.0])))} - set(DRUGS)
