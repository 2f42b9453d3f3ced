"""Laws of packing: every token once per epoch, budget kept, targets shifted, order a function of the step."""

import numpy as np
import pytest

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.held_out import held_out_batches
from bio_xlstm.tasks.pretrain.packing import IGNORED, BatchOrder, Framing, cut_windows, fill
from bio_xlstm.tasks.pretrain.token_store import Piece, collect

START, STOP, HIDDEN = 0, 1, 2
ALLOWED = np.arange(200) != HIDDEN
ALLOWED[START] = False
COMPLEMENT = np.concatenate([[0, 1, 2], np.arange(199, 2, -1)])
FRAMING = Framing(START, STOP, ALLOWED, COMPLEMENT)
WINDOW = 9


def store(lengths: list[int], domains: list[int] | None = None):
    """Make sequences whose ids are unlike each other's as far as 197 ids go."""
    ids = np.arange(sum(lengths)) % 197 + 3
    parts = np.split(ids, np.cumsum(lengths)[:-1])
    numbers = domains or [0] * len(lengths)
    return collect(
        [Piece(part, number) for part, number in zip(parts, numbers, strict=True)], np.dtype(np.uint8)
    )


def order(lengths: list[int], **changes) -> BatchOrder:
    """Make a batch order with small windows."""
    settings = {"window": WINDOW, "budget": 24, "weights": [1.0], "seed": 3} | changes
    return BatchOrder(store(lengths, settings.pop("domains", None)), FRAMING, **settings)


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
    batch = fill(sequences, cut_windows(sequences, WINDOW), FRAMING)
    assert batch.tokens.tolist() == [[START, 7, HIDDEN, 9, START, 5]]
    assert batch.targets.tolist() == [[7, IGNORED, 9, STOP, 5, STOP]]
    assert batch.cu_seqlens.tolist() == [0, 4, 6]


def test_the_stop_is_predicted_only_at_a_true_end() -> None:
    sequences = collect([Piece(np.array([4, 5, 6]), 0, begins=True, ends=False)], np.dtype(np.uint8))
    windows = cut_windows(sequences, WINDOW)
    assert fill(sequences, windows, FRAMING).targets.tolist() == [[4, 5, 6]]
    flipped = fill(sequences, windows, FRAMING, np.array([True]))
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
        for expected, found in zip(ahead[step], late.batch(step), strict=True):
            assert (expected == found).all()


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
    seen = [b.targets[0] for b in held_out_batches(sequences, 1, FRAMING, window=WINDOW, budget=24)]
    found = np.concatenate(seen)
    borders = sequences.offsets
    expected = np.concatenate([sequences.tokens[borders[n] : borders[n + 1]] for n in (1, 3, 5, 7)])
    assert found[found != STOP].tolist() == expected.tolist()
    few = list(held_out_batches(sequences, 1, FRAMING, window=WINDOW, budget=24, tokens=10))
    assert 0 < sum(batch.tokens.size for batch in few) <= 20


def test_errors_name_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="training part of the corpus is empty"):
        BatchOrder(collect([], np.dtype(np.uint8)), FRAMING, window=9, budget=24, weights=[1.0])
    with pytest.raises(ConfigError, match="only possible for DNA"):
        BatchOrder(
            store([4]),
            FRAMING._replace(complement=None),
            window=9,
            budget=24,
            weights=[1.0],
            reverse_complement=0.5,
        )
