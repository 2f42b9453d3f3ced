"""The door to variants: wild types and what became of them to log-likelihood ratios, on one strand or both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from bio_xlstm.embedding import encode_listed
from bio_xlstm.errors import ConfigError, SequenceError
from bio_xlstm.likelihoods import asked_ids
from bio_xlstm.scoring import STRIDE, check_score, is_masked
from bio_xlstm.state import ModelState
from bio_xlstm.variants.changes import changed_places
from bio_xlstm.variants.filling import filling_ratios
from bio_xlstm.variants.likelihood import WORTH_A_WALK, likelihood_differences, likelihood_ratios
from bio_xlstm.variants.masking import masking_ratios, pseudo_differences
from bio_xlstm.variants.mutations import WILD_TYPE, apply_mutations, parse_mutations

if TYPE_CHECKING:
    from bio_xlstm.models.model import SequenceModel

METHODS = ("auto", "likelihood", "marginal")
Pair = tuple[np.ndarray, np.ndarray]


class Ratio(NamedTuple):
    """Hold how much more likely a variant is than its wild type, in nats, on every strand that was read."""

    strands: tuple[float, ...]

    @property
    def total(self) -> float:
        """Return the mean over the strands."""
        return sum(self.strands) / len(self.strands)


@torch.inference_mode()
def variant_ratios(
    model: "SequenceModel",
    pairs: Sequence[Pair],
    *,
    method: str = "auto",
    direction: str = "forward",
    rc: str = "none",
    stride: int = STRIDE,
    state: ModelState | None = None,
    batch_tokens: int = 8192,
) -> list[Ratio]:
    """Compare variants with their wild types, pairs (wild, mutant) of bare ids (T,), in order.

    method="likelihood" compares whole sequences: the difference of their scores. "marginal" compares the changed
    letters alone, given all others: masked ones (masked models), or filled in after both flanks (models that fill in).
    "auto" is marginal for masked models, which have no likelihood. The other options are those of
    `bio_xlstm.scoring.score_batch`.
    """
    strands = check_score(
        model, direction=direction, rc=rc, stride=stride, state=state, batch_tokens=batch_tokens
    )
    chosen = choose_method(model, method)
    found = []
    for strand in strands:
        turn = model.tokenizer.reverse_complement
        read = pairs if strand == "forward" else [(turn(wild), turn(mutant)) for wild, mutant in pairs]
        found.append(_one_strand(model, read, chosen, stride, state, batch_tokens))
    return [Ratio(tuple(map(float, values))) for values in zip(*found, strict=True)]


def score_variants(
    model: "SequenceModel",
    wild: str,
    variants: Sequence[str],
    *,
    rc: str = "auto",
    offset: int = 0,
    **options: object,
) -> np.ndarray:
    """Compare variants with a wild type; the law behind `SequenceModel.variants`.

    Each variant is a list of substitutions, `A123T:G5D`, or a whole sequence. The options are those of
    `variant_ratios`; `offset` is added to positions. SequenceError names what cannot be read.

    >>> import bio_xlstm as bx
    >>> score_variants(bx.load("protein-small"), "MKTAYIAKQR", ["K2R", "MKTAYIAKQRQ"]).shape
    (2,)
    """
    if isinstance(variants, str):
        raise SequenceError("give a list of variants, not one string")
    before = encode_listed(model, 0, wild)
    letters = model.tokenizer.decode(before)
    pairs = []
    for index, text in enumerate(variants):
        mutated = text
        if not text.isalpha() or text.lower() in WILD_TYPE:
            try:
                mutated = apply_mutations(letters, parse_mutations(text, offset))
            except SequenceError as error:
                raise SequenceError(f"variant {index} {text!r}: {error}") from None
        after = encode_listed(model, index, mutated)
        if problem := find_problem(model, before, after):
            raise SequenceError(f"variant {index} {text!r}: {problem}")
        pairs.append((before, after))
    found = variant_ratios(model, pairs, rc=rc, **options)  # type: ignore[arg-type]
    return np.array([ratio.total for ratio in found], np.float64)


def choose_method(model: "SequenceModel", method: str) -> str:
    """Return what a method means for a model; ConfigError where it has none."""
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if method == "auto":
        return "marginal" if is_masked(model) else "likelihood"
    if method == "marginal" and model.config.objective == "causal":
        raise ConfigError(
            f"the method marginal hides letters; {model.name} reads them from left to right alone: use likelihood"
        )
    return method


def find_problem(model: "SequenceModel", wild: np.ndarray, mutant: np.ndarray) -> str:
    """Say why a pair has no ratio: a change from or to what stands for several letters; empty where it has one."""
    if len(wild) != len(mutant):
        return ""
    asked = asked_ids(model.tokenizer, stops=False)
    for place in changed_places(wild, mutant):
        for ids in (wild, mutant):
            if not asked[ids[place]]:
                letter = model.tokenizer.vocabulary.symbols[ids[place]]
                return f"position {place + 1}: {letter} stands for several letters, so it has no likelihood"
    return ""


def _one_strand(
    model: "SequenceModel",
    pairs: Sequence[Pair],
    method: str,
    stride: int,
    state: ModelState | None,
    budget: int,
) -> np.ndarray:
    """Compare pairs on the strand that they are written in."""
    if is_masked(model):
        ratios = masking_ratios if method == "marginal" else pseudo_differences
        return ratios(model, pairs, stride=stride, budget=budget)
    found = np.zeros(len(pairs))
    few: list[int] = []
    for numbers in _by_wild_type(pairs):
        wild, mutants = pairs[numbers[0]][0], [pairs[number][1] for number in numbers]
        if method == "marginal":
            found[numbers] = filling_ratios(model, wild, mutants, state=state, budget=budget)
        elif len(numbers) < WORTH_A_WALK:
            few += numbers
        else:
            found[numbers] = likelihood_ratios(model, wild, mutants, state=state, budget=budget)
    if few:
        found[few] = likelihood_differences(
            model, [pairs[number] for number in few], state=state, budget=budget
        )
    return found


def _by_wild_type(pairs: Sequence[Pair]) -> list[list[int]]:
    """Group the numbers of pairs that have their wild type in common."""
    groups: dict[bytes, list[int]] = {}
    for number, (wild, _) in enumerate(pairs):
        groups.setdefault(wild.tobytes(), []).append(number)
    return list(groups.values())
