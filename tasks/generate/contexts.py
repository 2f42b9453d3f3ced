"""Contexts from a file: molecules of a kind or homologs, permuted and laid out as in training; others as they stand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bio_xlstm.errors import ConfigError, InputError
from bio_xlstm.homologs import MAX_DISSIMILARITY, MAX_SIMILARITY, comparable, sample_homologs
from bio_xlstm.records import KINDS, RecordSource, open_records
from bio_xlstm.records.alignment import Alignment, read_alignment
from bio_xlstm.tasks.choices import KIND_WORDS
from bio_xlstm.tasks.files.prepare import Preparation
from bio_xlstm.tasks.generate.words import NOUNS
from bio_xlstm.tokenizers.tokenizer import Tokenizer, counted

Say = Callable[[str], None]
Members = list[np.ndarray]
# where not all of a family fits
ADVICE = " (`bioxlstm state build` reads all)"


class Extent(NamedTuple):
    """Say how much of a file a context holds."""

    tokens: int | None = None  # at most so many, starts and stops included; None: any number
    members: int | None = None  # at most so many
    contexts: int | None = None  # so many contexts; None: one of homologs, of molecules as many as hold all


def read_contexts(
    path: str, tokenizer: Tokenizer, extent: Extent, seed: int, say: Say, *, advice: str = ""
) -> list[Members]:
    """Read a file as contexts, each a list of bare ids; InputError where it holds nothing for this model.

    `say` is told what is left out, and `advice` how to read all of a family where it does not fit.
    """
    source = open_of_kind(path, tokenizer.kind, "the context of this model holds")
    if tokenizer.kind == "protein":
        return _families(path, tokenizer, extent, seed, lambda line: say(line + advice))
    rng = np.random.default_rng(seed) if tokenizer.kind == "smiles" else None
    return _sets(source, tokenizer, extent, rng, say)


def open_of_kind(path: str, kind: str, purpose: str) -> RecordSource:
    """Open a file and compare what it holds with what a model reads; `purpose` says what it is for."""
    source = open_records(path)
    if kind not in KINDS:
        # numbers look like anything
        return source.with_kind(kind)
    try:
        found = source.kind
    except InputError:
        # letters that do not tell: the model does
        return source.with_kind(kind)
    if found != kind:
        raise InputError(f"{source.name} holds {KIND_WORDS[found]}, but {purpose} {KIND_WORDS[kind]}")
    return source


def _sets(
    source: RecordSource, tokenizer: Tokenizer, extent: Extent, rng: np.random.Generator | None, say: Say
) -> list[Members]:
    """Read sequences in random order, or in that of the file, and divide them among contexts of about equal size."""
    noun = NOUNS[tokenizer.kind]
    ready = Preparation(tokenizer, chemistry=tokenizer.kind == "smiles")(list(source))
    bad = [one.row for one in ready if not len(one.ids)]
    members = [one.ids for one in ready if len(one.ids)]
    if bad:
        say(
            f"{source.name}: {counted(len(bad), noun)} left out of the context, "
            f"row {bad[0].row} first: {bad[0].status}. {bad[0].detail}"
        )
    cleaned = [one.row for one in ready if one.row.status == "cleaned"]
    if cleaned:
        say(
            f"{source.name}: {counted(len(cleaned), noun)} cleaned, row {cleaned[0].row} first: {cleaned[0].detail}"
        )
    if not members:
        raise InputError(f"{source.name} holds no {noun} that can be read: the context is empty")
    costs = np.array([len(ids) + 2 for ids in members])
    _check_room(source.name, costs, extent, noun)

    def order() -> np.ndarray:
        return np.arange(len(members)) if rng is None else rng.permutation(len(members))

    if extent.contexts is None:
        chosen = divided(order(), costs, extent)
    else:
        chosen = [fitting(order(), costs, extent) for _ in range(extent.contexts)]
    lost = len(members) - len(np.unique(np.concatenate(chosen)))
    if lost:
        say(
            f"{source.name}: {lost:,} of {counted(len(members), noun)} left out: no room within {_limits(extent)}"
        )
    return [[members[i] for i in group] for group in chosen]


def _families(path: str, tokenizer: Tokenizer, extent: Extent, seed: int, say: Say) -> list[Members]:
    """Read a family in random order: all of it where it fits, else homologs drawn, and the first with them."""
    family = read_alignment(path)
    costs = np.array([len(sequence) + 1 for sequence in family.sequences])
    _check_room(path, costs, extent, "protein")
    rng = np.random.default_rng(seed)
    whole = _fits(costs, extent)
    if not whole:
        _say_what_is_drawn(Path(path).name, family, extent, say)
    draw = partial(_drawn, family, costs, extent, rng)
    found = [rng.permutation(len(costs)) if whole else draw() for _ in range(extent.contexts or 1)]
    return [[tokenizer.prepare(family.sequences[i]).ids for i in chosen.tolist()] for chosen in found]


def _drawn(family: Alignment, costs: np.ndarray, extent: Extent, rng: np.random.Generator) -> np.ndarray:
    """Draw homologs that fit, the rare ones sooner; the first sequence, what they are compared with, is among them."""
    room = None if extent.tokens is None else extent.tokens - int(costs[0])
    if room is not None and room < 0:
        return fitting(rng.permutation(len(costs)), costs, extent)
    count = None if extent.members is None else extent.members - 1
    return rng.permutation(np.append(sample_homologs(family, rng, count=count, tokens=room), 0))


def _say_what_is_drawn(name: str, family: Alignment, extent: Extent, say: Say) -> None:
    """Say that a context does not hold all of a family, and what cannot be in it."""
    left_out, line = int((~comparable(family)[1:]).sum()), ""
    if left_out:
        line = (
            f", without {left_out} that are more than {MAX_SIMILARITY:.0%} or less than "
            f"{1 - MAX_DISSIMILARITY:.0%} like the first"
        )
    drawn = f"of {counted(len(family.sequences), 'protein')} as many are drawn as {_limits(extent)} allows"
    say(f"{name}: {drawn}{line}")


def _limits(extent: Extent) -> str:
    """Name the options that keep a context from holding all of a file."""
    limits = [(extent.members, "--context-size"), (extent.tokens, "--context-tokens")]
    return " and ".join(f"{option} {limit:,}" for limit, option in limits if limit is not None)


def divided(order: np.ndarray, costs: np.ndarray, extent: Extent) -> list[np.ndarray]:
    """Divide members in their order among as few contexts as hold them all, about as many in each.

    >>> [group.tolist() for group in divided(np.arange(5), np.full(5, 3), Extent(tokens=9))]
    [[0, 1, 2], [3, 4]]
    """
    kept = order if extent.tokens is None else order[costs[order] <= extent.tokens]
    for count in range(1, len(kept) + 1):
        groups = np.array_split(kept, count)
        if all(_fits(costs[group], extent) for group in groups):
            return groups
    raise AssertionError("a member fits alone")


def fitting(order: np.ndarray, costs: np.ndarray, extent: Extent) -> np.ndarray:
    """Take members in their order, leaving out what does not fit any more."""
    taken: list[int] = []
    room = np.inf if extent.tokens is None else extent.tokens
    for member in order.tolist():
        if costs[member] <= room and len(taken) < (extent.members or len(order)):
            taken.append(member)
            room -= costs[member]
    return np.array(taken, np.int64)


def _fits(costs: np.ndarray, extent: Extent) -> bool:
    within = extent.tokens is None or costs.sum() <= extent.tokens
    return bool(within and (extent.members is None or len(costs) <= extent.members))


def _check_room(name: str, costs: np.ndarray, extent: Extent, noun: str) -> None:
    """Refuse a budget into which nothing fits."""
    if extent.tokens is not None and costs.min() > extent.tokens:
        raise ConfigError(
            f"{name}: no {noun} fits into a context of {extent.tokens} tokens, the shortest takes {costs.min()}"
        )
