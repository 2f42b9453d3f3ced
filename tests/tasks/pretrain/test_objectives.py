"""Laws of objectives: what is predicted, what is never predicted, and that draws depend on nothing but the sequence."""

import numpy as np
import pytest
import torch

from bio_xlstm.errors import ConfigError
from bio_xlstm.infilling import reveal
from bio_xlstm.positions import read_positions
from bio_xlstm.tasks.pretrain.batch_order import BatchOrder
from bio_xlstm.tasks.pretrain.data_settings import DataSettings, Domain
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.luck import base_key
from bio_xlstm.tasks.pretrain.objectives import Causal, Infill, Masked, letters_of, make_objective
from bio_xlstm.tasks.pretrain.packing import IGNORED, PackedBatch
from bio_xlstm.tasks.pretrain.token_store import Piece, TokenStore, collect
from bio_xlstm.tasks.pretrain.windows import cut_windows
from bio_xlstm.tokenizers import TOKENIZERS, Tokenizer

DNA, PROTEIN, SMILES = (TOKENIZERS[kind]() for kind in ("dna", "protein", "smiles"))
SYMMETRIC = type(DNA)(specials=DNA.specials._replace(start=None, stop=None))
DATA = DataSettings(kind="dna", domains=(Domain(name="a", files=("x",)),))


def genome(length: int = 60_000, seed: int = 0) -> TokenStore:
    """Make a chromosome with one unknown base in ten."""
    rng = np.random.default_rng(seed)
    ids = DNA.encode("".join(rng.choice(list("ACGTN"), length, p=[0.225] * 4 + [0.1])))
    return collect([Piece(ids, 0)], np.dtype(np.uint8))


def proteins(count: int = 60, seed: int = 0) -> TokenStore:
    """Make proteins of the twenty residues and the unknown one, some in sets."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWYX"), rng.integers(1, 90))) for _ in range(count)]
    pieces = [Piece(PROTEIN.encode(text), 0, set=number % 3 - 1) for number, text in enumerate(texts)]
    return collect(pieces, np.dtype(np.uint8))


def whole(sequences: TokenStore, objective: object, window: int = 1000) -> PackedBatch:
    """Fill all windows of some sequences."""
    filler = Filler(sequences, objective)  # type: ignore[arg-type]
    room = objective.room  # type: ignore[attr-defined]
    return filler.fill(cut_windows(sequences, window, room=room), None, base_key(4))


def symbols(tokenizer: Tokenizer, ids: np.ndarray) -> set[str]:
    """Name different ids."""
    return {tokenizer.vocabulary.symbols[i] for i in np.unique(ids)}


@pytest.mark.parametrize("tokenizer", [DNA, SYMMETRIC], ids=["framed", "symmetric"])
def test_masks_follow_their_statistics_and_spare_unknown_bases(tokenizer: Tokenizer) -> None:
    sequences = genome()
    batch = whole(sequences, Masked(tokenizer))
    plain = whole(sequences, Masked(tokenizer, share=0.0)).tokens[0]
    tokens, targets = batch.tokens[0], batch.targets[0]
    chosen = targets != IGNORED
    assert (targets[chosen] == plain[chosen]).all() and (tokens[~chosen] == plain[~chosen]).all()
    assert symbols(tokenizer, targets[chosen]) == set("ACGT")
    assert symbols(tokenizer, tokens[chosen]) == {*"ACGT", "[MASK]"}
    bases = np.isin(plain, letters_of(tokenizer)).sum()
    assert chosen.sum() / bases == pytest.approx(0.15, abs=0.006)
    masked = (tokens[chosen] == tokenizer.mask).mean()
    kept = (tokens[chosen] == targets[chosen]).mean()
    # one of ten is kept, and a quarter of those that are random
    assert masked == pytest.approx(0.8, abs=0.02) and kept == pytest.approx(0.125, abs=0.015)
    changed = tokens[chosen & (tokens != tokenizer.mask) & (tokens != targets)]
    shares = np.bincount(changed, minlength=12)[letters_of(tokenizer)] / len(changed)
    assert np.abs(shares - 0.25).max() < 0.05


def test_masked_sequences_begin_with_a_start_if_there_is_one_and_have_no_stop() -> None:
    sequences = collect([Piece(DNA.encode("ACGTA"), 0)], np.dtype(np.uint8))
    framed = whole(sequences, Masked(DNA, share=0.0))
    assert DNA.decode(framed.tokens[0]) == "ACGTA" and framed.tokens[0, 0] == DNA.start
    assert framed.tokens.size == 6 and whole(sequences, Masked(SYMMETRIC, share=0.0)).tokens.size == 5
    windows = cut_windows(genome(100), 10, room=Masked(SYMMETRIC).room)
    assert windows.lengths.tolist() == [10] * 10


@pytest.mark.parametrize(
    ("tokenizer", "expected"), [(DNA, "ACGT"), (PROTEIN, "ACDEFGHIKLMNPQRSTVWY"), (SYMMETRIC, "ACGT")]
)
def test_masked_letters_are_the_ones_that_stand_for_one_thing(tokenizer: Tokenizer, expected: str) -> None:
    assert symbols(tokenizer, letters_of(tokenizer)) == set(expected)
    assert not symbols(SMILES, letters_of(SMILES)) & {"[BEG]", "[END]", "[PAD]"}


def test_unknown_bases_are_never_a_target() -> None:
    batch = whole(genome(5000), Causal(make_objective("causal", DNA, DATA).framing))
    assert symbols(DNA, batch.targets[batch.targets >= 0]) == {*"ACGT", "[SEP]"}
    assert (batch.weights[batch.targets == IGNORED] == 0).all()


@pytest.mark.parametrize("spans", ["multiple", "always", "single", "none"])
def test_hidden_spans_come_back_in_training_as_well(spans: str) -> None:
    sequences = proteins()
    batch = whole(sequences, Infill(PROTEIN, spans=spans))
    expected = whole(sequences, Causal(Infill(PROTEIN).framing))
    borders, plain = batch.cu_seqlens, expected.cu_seqlens
    hidden = 0
    for number in range(len(sequences)):
        tokens = batch.tokens[0, borders[number] : borders[number + 1]]
        found, places = reveal(tokens[1:], PROTEIN)
        assert found.tolist() == expected.tokens[0, plain[number] + 1 : plain[number + 1]].tolist()
        assert places.tolist() == list(range(1, len(found) + 1))
        hidden += PROTEIN.vocabulary.index["<eos>"] in tokens
    count = len(sequences)
    assert {"multiple": 0 < hidden < count, "none": hidden == 0}.get(spans, hidden == count)


def test_positions_of_hidden_spans_are_those_that_the_model_reads() -> None:
    batch = whole(proteins(), Infill(PROTEIN))
    read = read_positions(torch.from_numpy(batch.tokens), torch.from_numpy(batch.cu_seqlens), PROTEIN)
    assert batch.positions is not None and (read.place.numpy() == batch.positions).all()


def ask(loss: str) -> str:
    """Show what is predicted of one protein with two hidden spans; dots stand for what is not."""
    objective = Infill(PROTEIN, spans="always", loss=loss)
    for seed in range(99):
        sequences = collect([Piece(PROTEIN.encode("MKTAYIAKQR"), 0)], np.dtype(np.uint8))
        filler = Filler(sequences, objective)
        batch = filler.fill(cut_windows(sequences, 99, room=12), None, base_key(seed))
        text = "".join("." if t < 0 else PROTEIN.vocabulary.symbols[t][:1] for t in batch.targets[0])
        shown = [PROTEIN.vocabulary.symbols[t] for t in batch.tokens[0]]
        if shown.count("<mask-2>") == 2 and "<mask-3>" not in shown:
            return text
    raise AssertionError("no protein had two hidden spans")


def test_spans_and_their_ends_are_predicted_but_no_place_to_hide() -> None:
    everything, filled = ask("all"), ask("filled")
    # the targets: residues and a dot for each mask, <eos>, a dot for the first mask, span, <mask-2>, span, <cls>
    main, _, tail = everything.partition("<.")
    assert main.count(".") == 2 and tail.count("<") == 2 and tail.endswith("<")
    assert sorted((main + tail).replace(".", "").replace("<", "")) == sorted("MKTAYIAKQR")
    assert filled == "." * (len(filled) - len(tail)) + tail


def test_what_is_drawn_does_not_depend_on_the_batch() -> None:
    sequences = proteins(200)
    for objective in (Infill(PROTEIN), Masked(PROTEIN)):
        found = []
        for budget in (300, 2000):
            order = BatchOrder(
                Filler(sequences, objective), stages=[(0, 200)], budget=budget, weights=[1.0], seed=1
            )
            windows = set()
            for step in range(order.epoch_steps):
                batch = order.batch(step)
                assert batch.tokens.size <= budget
                for begin, end in zip(batch.cu_seqlens[:-1], batch.cu_seqlens[1:], strict=True):
                    assert end - begin <= 200
                    windows.add((batch.tokens[0, begin:end].tobytes(), batch.targets[0, begin:end].tobytes()))
            found.append(windows)
        assert found[0] == found[1] and len(found[0]) > 100


def test_every_epoch_and_every_seed_draws_anew_but_held_out_data_stay() -> None:
    sequences = genome(2000)
    filler = Filler(sequences, Masked(SYMMETRIC))
    windows = cut_windows(sequences, 2000, room=0)
    targets = [filler.fill(windows, None, base_key(0, epoch)).targets for epoch in range(3)]
    assert (targets[0] != targets[1]).any() and (targets[1] != targets[2]).any()
    first, second = (list(held_out_batches(filler, 0, window=500, budget=900)) for _ in range(2))
    assert all((a.targets == b.targets).all() for a, b in zip(first, second, strict=True))


def test_objectives_follow_the_settings() -> None:
    data = DataSettings(
        kind="protein", domains=DATA.domains, spans="single", infill_loss="filled", masked_share=0.4
    )
    infill, masked = make_objective("infill", PROTEIN, data), make_objective("masked", PROTEIN, data)
    assert isinstance(infill, Infill) and infill.spans == "single" and infill.only_filled
    assert isinstance(masked, Masked) and masked.share == 0.4
    assert isinstance(make_objective("causal", PROTEIN, data), Causal)


def test_vocabularies_that_cannot_be_hidden_are_named() -> None:
    with pytest.raises(
        ConfigError, match="objective 'infill' needs the masks <mask-1> to <mask-5>, which the smi"
    ):
        make_objective("infill", SMILES, DATA)
    bare = type(DNA)(specials=DNA.specials._replace(mask=None))
    with pytest.raises(
        ConfigError, match="objective 'masked' needs a mask, which the dna vocabulary has not"
    ):
        make_objective("masked", bare, DATA)
