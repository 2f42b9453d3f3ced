"""Laws of packing: every token once per epoch, budget kept, targets shifted, order a function of the step."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.batch_order import BatchOrder
from bio_xlstm.tasks.pretrain.filling import Filler
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.luck import base_key
from bio_xlstm.tasks.pretrain.objectives import Causal
from bio_xlstm.tasks.pretrain.packing import IGNORED, Framing, PackedBatch
from bio_xlstm.tasks.pretrain.token_store import Cuts, Piece, TokenStore, collect, copy_store, read_store
from bio_xlstm.tasks.pretrain.windows import cut_windows
from bio_xlstm.tokenizers import TOKENIZERS

START, STOP, HIDDEN = 0, 1, 2
ALLOWED = np.arange(200) != HIDDEN
ALLOWED[START] = False
COMPLEMENT = np.concatenate([[0, 1, 2], np.arange(199, 2, -1)])
FRAMING = Framing(START, STOP, ALLOWED, COMPLEMENT)
WINDOW = 9
BASE = base_key(0)


def store(lengths: list[int], domains: list[int] | None = None) -> TokenStore:
    """Make sequences whose ids are unlike each other's as far as 197 ids go."""
    ids = np.arange(sum(lengths)) % 197 + 3
    parts = np.split(ids, np.cumsum(lengths)[:-1])
    numbers = domains or [0] * len(lengths)
    return collect(
        [Piece(part, number) for part, number in zip(parts, numbers, strict=True)], np.dtype(np.uint8)
    )


def order(lengths: list[int], **changes) -> BatchOrder:
    """Make a batch order with small windows."""
    settings = {"stages": [(0, WINDOW)], "budget": 24, "weights": [1.0], "seed": 3} | changes
    sequences = store(lengths, settings.pop("domains", None))
    return BatchOrder(Filler(sequences, Causal(FRAMING), settings.pop("soft", 1.0)), **settings)


def same(a: PackedBatch, b: PackedBatch) -> bool:
    """Tell whether two batches are equal in all they hold."""
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True) if x is not None or y is not None)


def fill(sequences: TokenStore, reverse: np.ndarray | None = None, soft: float = 1.0) -> PackedBatch:
    """Fill all windows of some sequences."""
    return Filler(sequences, Causal(FRAMING), soft).fill(cut_windows(sequences, WINDOW), reverse, BASE)


LENGTHS = [1, 5, 8, 9, 40, 3, 17, 8]


@pytest.mark.parametrize("reverse", [0.0, 0.5, 1.0])
def test_an_epoch_predicts_every_token_and_every_stop_once(reverse: float) -> None:
    batches = order(LENGTHS, reverse_complement=reverse)
    seen = np.concatenate([batches.batch(step).targets[0] for step in range(batches.epoch_steps)])
    tokens = store(LENGTHS).tokens
    if reverse in (0.0, 1.0):  # windows of one sequence on different strands may both end at a true end
        assert (seen == STOP).sum() == len(LENGTHS)
    found = np.sort(seen[seen != STOP])
    if reverse == 0.0:
        assert found.tolist() == np.sort(tokens).tolist()
    elif reverse == 1.0:
        assert found.tolist() == np.sort(COMPLEMENT[tokens]).tolist()
    assert len(found) == len(tokens)


def test_no_batch_exceeds_the_budget_and_no_sequence_the_window() -> None:
    batches = order(LENGTHS)
    for step in range(3 * batches.epoch_steps):
        batch = batches.batch(step)
        assert batch.tokens.shape == batch.targets.shape
        assert batch.tokens.size <= 24
        assert np.diff(batch.cu_seqlens).max() <= WINDOW
        assert batch.cu_seqlens[-1] == batch.tokens.size


def test_targets_are_the_next_inputs_and_hidden_symbols_are_ignored() -> None:
    sequences = collect([Piece(np.array([7, HIDDEN, 9]), 0), Piece(np.array([5]), 0)], np.dtype(np.uint8))
    batch = fill(sequences)
    assert batch.tokens.tolist() == [[START, 7, HIDDEN, 9, START, 5]]
    assert batch.targets.tolist() == [[7, IGNORED, 9, STOP, 5, STOP]]
    assert batch.cu_seqlens.tolist() == [0, 4, 6]


def test_the_stop_is_predicted_only_at_a_true_end() -> None:
    sequences = collect([Piece(np.array([4, 5, 6]), 0, begins=True, ends=False)], np.dtype(np.uint8))
    assert fill(sequences).targets.tolist() == [[4, 5, 6]]
    flipped = fill(sequences, np.array([True]))
    assert flipped.tokens.tolist() == [[START, *COMPLEMENT[[6, 5, 4]]]]
    assert flipped.targets.tolist() == [[*COMPLEMENT[[6, 5, 4]], STOP]]


def test_windows_of_a_long_sequence_join_to_the_whole() -> None:
    sequences = store([40])
    for phase in range(1, WINDOW):
        windows = cut_windows(sequences, WINDOW, np.array([phase]))
        assert windows.begin[0] == 0 and windows.end[-1] == 40
        assert (windows.begin[1:] == windows.end[:-1]).all()
        assert windows.closes.tolist() == [False] * (len(windows.begin) - 1) + [True]


def test_any_step_can_be_asked_for_first() -> None:
    forward, late = order(LENGTHS), order(LENGTHS)
    steps = 4 * forward.epoch_steps
    ahead = [forward.batch(step) for step in range(steps)]
    for step in (steps - 1, 0, steps // 2):
        assert same(ahead[step], late.batch(step))


def test_seed_and_epoch_change_the_order() -> None:
    batches = order(LENGTHS)
    first, second = batches.batch(0).tokens, batches.batch(batches.epoch_steps).tokens
    assert first.shape != second.shape or (first != second).any()
    other = order(LENGTHS, seed=4).batch(0).tokens
    assert first.shape != other.shape or (first != other).any()


def test_weights_repeat_and_thin_out_domains() -> None:
    batches = order([8] * 400, domains=[0, 1] * 200, weights=[2.0, 0.5])
    windows = batches._windows
    assert (windows.domain == 0).sum() == 400
    assert 60 < (windows.domain == 1).sum() < 140


def test_held_out_batches_cover_one_domain_in_order() -> None:
    sequences = store(LENGTHS, [0, 1] * 4)
    filler = Filler(sequences, Causal(FRAMING))
    seen = [b.targets[0] for b in held_out_batches(filler, 1, window=WINDOW, budget=24)]
    found = np.concatenate(seen)
    borders = sequences.offsets
    expected = np.concatenate([sequences.tokens[borders[n] : borders[n + 1]] for n in (1, 3, 5, 7)])
    assert found[found != STOP].tolist() == expected.tolist()
    few = list(held_out_batches(filler, 1, window=WINDOW, budget=24, tokens=10))
    assert 0 < sum(batch.tokens.size for batch in few) <= 20
    assert not list(held_out_batches(filler, 2, window=WINDOW, budget=24))


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
def test_parts_join_to_the_batch_of_the_step(parts: int) -> None:
    batches = order(LENGTHS, budget=60)
    for step in range(2 * batches.epoch_steps):
        whole = batches.batch(step)
        cut = [batches.part(step, part, parts) for part in range(parts)]
        real = [part for part in cut if part.total and part.weights.any()]
        for name in ("tokens", "targets", "weights"):
            joined = np.concatenate([getattr(part, name) for part in real], axis=1)
            assert np.array_equal(joined, getattr(whole, name))
        lengths = [np.diff(part.cu_seqlens) for part in real]
        assert np.concatenate(lengths).tolist() == np.diff(whole.cu_seqlens).tolist()
        assert {part.total for part in cut} == {whole.total} == {float((whole.targets >= 0).sum())}
        empty = [part for part in cut if not part.weights.any()]
        assert all(
            (part.tokens.tolist(), part.targets.tolist()) == ([[START]], [[IGNORED]]) for part in empty
        )
        if parts == 2:
            assert abs(cut[0].tokens.size - cut[1].tokens.size) <= WINDOW


def test_windows_grow_in_stages_and_any_step_can_be_asked_for_first() -> None:
    stages = [(0, 5), (7, 9), (8, 20)]
    forward, late = (order(LENGTHS, stages=stages) for _ in range(2))
    ahead = [forward.batch(step) for step in range(30)]
    longest = [int(np.diff(batch.cu_seqlens).max()) for batch in ahead]
    assert max(longest[:7]) <= 5 and longest[7] <= 9 and 9 < max(longest[8:]) <= 20
    assert all(same(ahead[step], late.batch(step)) for step in (29, 7, 0, 8, 6))


def test_both_strands_of_a_window_read_back_to_the_same_bases() -> None:
    sequences = store([8])
    forward, flipped = fill(sequences), fill(sequences, np.array([True]))
    letters = [batch.targets[0][batch.targets[0] != STOP] for batch in (forward, flipped)]
    assert letters[0].tolist() == COMPLEMENT[letters[1][::-1]].tolist()


def test_lower_case_letters_weigh_less_on_either_strand() -> None:
    soft = np.array([False, True, True, False])
    sequences = collect([Piece(np.array([4, 5, HIDDEN, 7]), 0, soft=soft)], np.dtype(np.uint8))
    assert fill(sequences, soft=0.5).weights.tolist() == [[1, 0.5, 0, 1, 1]]
    flipped = fill(sequences, np.array([True]), soft=0.5)
    assert flipped.weights.tolist() == [[1, 0, 0.5, 1, 1]] and flipped.total == 3.5
    assert fill(sequences).weights.tolist() == [[1, 1, 0, 1, 1]]


def test_repeats_of_a_window_draw_for_themselves() -> None:
    windows = order([8] * 20, weights=[3.0])._windows
    turns = {tuple(windows.turn[windows.piece == piece].tolist()) for piece in range(20)}
    assert {tuple(sorted(found)) for found in turns} == {(0, 1, 2)}


def test_an_order_travels_to_other_processes_as_the_name_of_its_files(tmp_path: Path) -> None:
    sequences = store([500] * 40)
    lengths = np.full(40, 500)
    copy_store(sequences, Cuts(np.arange(40), np.zeros(40, int), lengths), tmp_path / "train")
    mapped = read_store(tmp_path / "train")
    assert all(np.array_equal(a, b) for a, b in zip(mapped, sequences, strict=True))
    there = BatchOrder(Filler(mapped, Causal(FRAMING)), stages=[(0, 400)], budget=800, weights=[1.0], seed=3)
    sent = pickle.dumps(there)
    assert len(sent) < len(mapped.tokens) // 2
    assert same(pickle.loads(sent).batch(5), there.batch(5))


def test_parts_of_sequences_are_copied_with_their_true_ends(tmp_path: Path) -> None:
    sequences = store([10, 4, 6])
    cuts = Cuts(np.array([0, 0, 2]), np.array([0, 6, 1]), np.array([6, 10, 6]))
    copy_store(sequences, cuts, tmp_path)
    found = read_store(tmp_path)
    assert found.tokens.tolist() == [*sequences.tokens[:10], *sequences.tokens[15:20]]
    assert found.offsets.tolist() == [0, 6, 10, 15]
    assert found.begins.tolist() == [True, False, False] and found.ends.tolist() == [False, True, True]
    nothing = np.zeros(0, np.int64)
    copy_store(sequences, Cuts(nothing, nothing, nothing), tmp_path / "none")
    assert len(read_store(tmp_path / "none")) == 0


def test_errors_name_what_is_missing() -> None:
    empty = collect([], np.dtype(np.uint8))
    settings = {"stages": [(0, 9)], "budget": 24, "weights": [1.0]}
    with pytest.raises(ConfigError, match="training part of the corpus is empty"):
        BatchOrder(Filler(empty, Causal(FRAMING)), **settings)
    single = Filler(store([4]), Causal(FRAMING._replace(complement=None)))
    with pytest.raises(ConfigError, match="only possible for DNA"):
        BatchOrder(single, **settings, reverse_complement=0.5)
    with pytest.raises(ConfigError, match="windows of 1 tokens have no room: at least 2 are needed"):
        order([4], stages=[(0, 1)])
    with pytest.raises(ConfigError, match="no epoch shows anything: weights are too small"):
        order([4], weights=[0.0]).batch(0)
    with pytest.raises(
        ConfigError, match="dna vocabulary has no start or stop token: it cannot be trained on"
    ):
        dna = TOKENIZERS["dna"]()
        Framing.of(type(dna)(specials=dna.specials._replace(start=None)))
