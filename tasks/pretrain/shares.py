"""Whether what is held out is as much as the recipe asks for."""

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

from bio_xlstm.errors import ConfigError
from bio_xlstm.tasks.pretrain.data_settings import DataSettings, Domain

Report = Mapping[str, Mapping[str, Any]]

# a share is told where it differs by so much, or by so large a factor; where sequences are drawn one by one, only if it
# is also so many standard deviations away
_CLEAR, _FACTOR, _DEVIATIONS = 0.1, 2.0, 3.0
_TOGETHER = {
    "scaffold": "molecules with the same scaffold are held out together",
    "families": "near-duplicates are in no part",
}


def check_shares(data: DataSettings, report: Report) -> list[str]:
    """Say which shares were missed clearly, a line each; ConfigError where nothing is held out though asked for."""
    lines: list[str] = []
    for domain in data.domains:
        counts = report[domain.name]
        # a file of regions says itself what is held out
        if domain.region_split or not counts["distinct"]:
            continue
        if domain.held_out and not counts["held_out"]:
            raise ConfigError(_nothing(domain, counts))
        for part, asked in (("held_out", domain.held_out), ("test", data.test_share(domain))):
            lines += _missed(data, domain, counts, part, asked)
    return lines


def _nothing(domain: Domain, counts: Mapping[str, Any]) -> str:
    """Say that nothing is held out, and what to do."""
    asked = f"domain {domain.name!r}: held_out = {domain.held_out:g} holds nothing out of"
    if "distinct_sets" in counts:
        return (
            f"{asked} {_sets(counts)}, as sets are held out whole: give it more sets, or make those that are to be "
            "held out a domain of their own with held_out = 1"
        )
    few = counts["distinct"]
    return f"{asked} {few:,} sequence{'' if few == 1 else 's'}: raise it, or set it to 0"


def _missed(
    data: DataSettings, domain: Domain, counts: Mapping[str, Any], part: str, asked: float
) -> Iterator[str]:
    """Yield a line where a share differs clearly from what was asked for."""
    # tails are cut from every sequence
    unit, what = ("_tokens", "bases") if data.split == "tail" else ("", "sequences")
    found = counts.get(part, 0)
    drawn = f"{part}_drawn" if f"{part}_drawn" in counts else part
    if drawn == part and data.held_out_limit and found >= data.held_out_limit:
        # how many were drawn before the limit is not known of a corpus of an earlier version
        return
    total = counts[f"distinct{unit}"]
    reached = counts.get(f"{drawn}{unit}", 0) / total
    difference = abs(reached - asked)
    factor = max(reached, asked) > _FACTOR * min(reached, asked)
    in_sets = "distinct_sets" in counts
    chance = 0.0 if unit or in_sets else _DEVIATIONS * sqrt(asked * (1 - asked) / total)
    if difference > chance and (factor or difference > _CLEAR):
        reason = f"sets are held out whole, and it has {_sets(counts)}" if in_sets else ""
        reason = reason or _TOGETHER.get(data.split, "")
        share = f"{reached:.2g}" if reached else "none"
        yield (
            f"{domain.name}: {part} = {asked:g} came to {share} of the {what}{': ' if reason else ''}{reason}"
        )


def _sets(counts: Mapping[str, Any]) -> str:
    count = counts["distinct_sets"]
    return f"{count:,} set{'' if count == 1 else 's'}"
