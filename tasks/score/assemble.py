"""Rows and scores of one unit, put together as a part: numbers by name, or one number per token."""

from collections.abc import Sequence

import numpy as np

from bio_xlstm.likelihoods import asked_ids
from bio_xlstm.tasks.files.prepare import Ready
from bio_xlstm.tasks.files.unit_rows import Laid, compute_unit
from bio_xlstm.tasks.score.compute import Scored, Scorer
from bio_xlstm.tasks.writers.part import Part
from bio_xlstm.tokenizers.tokenizer import Tokenizer, counted

TOKENS, LOGPROBS = "tokens", "logprobs"
COUNT = "n_tokens"


def number_names(scorer: Scorer, strands: Sequence[str]) -> tuple[str, ...]:
    """Name the numbers of a row, in the order of the table."""
    names: tuple[str, ...] = (COUNT, "logprob_sum", "logprob_mean", "perplexity")
    if len(strands) > 1:
        names += tuple(f"logprob_{strand}" for strand in strands)
    return names if scorer.null is None else (*names, "null_logprob_sum", "log_odds")


def score_unit(
    ready: Sequence[Ready], scorer: Scorer, names: Sequence[str], per_token: bool, on_error: str, source: str
) -> Part:
    """Score the readable rows of a unit and lay all rows out in order; `on_error` as in `compute_unit`."""

    def lay_out(results: Sequence[Scored | None]) -> Laid:
        return _tokens(results, scorer.model.tokenizer.stop) if per_token else _numbers(results, names)

    asked = asked_ids(scorer.model.tokenizer, stops=False)
    told = [_told(one, scorer.model.tokenizer, asked) for one in ready]
    return compute_unit(told, scorer, _fault, lay_out, on_error=on_error, source=source)


def _told(one: Ready, tokenizer: Tokenizer, asked: np.ndarray) -> Ready:
    """Note on a row which of its letters are read, but do not count."""
    aside = one.ids[~asked[one.ids]] if len(one.ids) else one.ids
    if not len(aside):
        return one
    names = ", ".join(str(tokenizer.vocabulary.symbols[letter]) for letter in np.unique(aside).tolist())
    verb = "does" if len(aside) == 1 else "do"
    told = f"{counted(len(aside), 'letter')} ({names}) {verb} not count"
    detail = f"{one.row.detail}; {told}" if one.row.detail else told
    return one._replace(row=one.row._replace(detail=detail))


def _fault(scored: Scored) -> str:
    """Say why numbers are no score; empty where all is well."""
    # an end alone says nothing of a sequence
    if np.isnan(scored.score.logprobs[: len(scored.ids)]).all():
        return "none of its letters can be scored: what stands for several (N, X), or after nothing, has no likelihood"
    values = [*scored.score.strands, 0.0 if scored.null is None else scored.null]
    if not np.isfinite(values).all():
        return "the model computed numbers that are not finite; --dtype fp32 or bf16 may help"
    return ""


def _numbers(results: Sequence[Scored | None], names: Sequence[str]) -> Laid:
    """Return one column (N,) per number."""
    rows = [_row(result, len(names)) for result in results]
    columns = np.array(rows, np.float64).reshape(-1, len(names)).T
    return Laid(np.zeros(len(results), np.int64), dict(zip(names, columns, strict=True)))


def _row(scored: Scored | None, width: int) -> list[float]:
    """Return the numbers of a row, NaN where it has no score."""
    if scored is None:
        return [float("nan")] * width
    score = scored.score
    numbers = [score.n_tokens, score.total, score.mean, score.perplexity]
    numbers += list(score.strands) if len(score.strands) > 1 else []
    return numbers if scored.null is None else [*numbers, scored.null, score.total - scored.null]


def _tokens(results: Sequence[Scored | None], stop: int | None) -> Laid:
    """Return the tokens of all rows, stops included, and log p of each."""
    found = [result for result in results if result is not None]
    counts = [0 if result is None else len(result.score.logprobs) for result in results]
    tokens = [np.append(one.ids.astype(np.int64), -1 if stop is None else stop) for one in found]
    cut = [ids[: len(one.score.logprobs)] for ids, one in zip(tokens, found, strict=True)]
    logprobs = [one.score.logprobs for one in found]
    values = {
        TOKENS: np.concatenate([*cut, np.empty(0, np.int64)]).astype(np.int32),
        LOGPROBS: np.concatenate([*logprobs, np.empty(0, np.float32)]),
    }
    return Laid(np.array(counts, np.int64), values)
