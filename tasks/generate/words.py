"""The words and numbers that the options of `generate` take, without a heavy import."""

import re
from math import isinf
from typing import NamedTuple

from bio_xlstm.errors import ConfigError

SORTS = ("auto", "index", "perplexity")
# the formats, by the suffixes that choose them
FORMATS = {
    "csv": (".csv",),
    "tsv": (".tsv",),
    "smi": (".smi", ".smiles"),
    "fasta": (".fasta", ".fa", ".faa", ".fna", ".fas"),
}
# what sequences of a kind are called, one of them
NOUNS = {"smiles": "molecule", "protein": "protein", "dna": "sequence", "tokens": "sequence"}
# most tokens of a sequence
LONGEST = {"smiles": 200, "protein": 1024, "dna": 1000, "tokens": 256}
# tokens of a context: the windows that the bundled models were trained with; more is read, and changes little
CONTEXT_TOKENS = {"smiles": 1024, "protein": 2048}
# what a molecule is measured by, with what the help calls it
WINDOWS = {
    "weight": "molecular weight (Da)",
    "logp": "logP (Crippen)",
    "qed": "drug-likeness QED",
    "tpsa": "polar surface area (A^2)",
    "sa": "synthetic accessibility, 1 easy to 10 hard",
}
# without --max-tries: so many tries for every sequence wanted, but at least so many
TRIES_EACH, TRIES_LEAST = 20, 2000
# the published protocol for Prot-xLSTM: so many homologs, None for all, and how residues are drawn:
# temperature, top-k and top-p; of all samples as many are kept as one cell of this grid has
PRESETS = ("prot-xlstm",)
PRESET_TOKENS = 131_072
GRID_SIZES = (10, 100, 500, 1000, None)
GRID_SETTINGS = ((1.0, 10, 1.0), (1.0, 15, 1.0), (1.0, 10, 0.95), (0.9, 10, 0.95), (0.8, 10, 0.9))
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


def context_budget(asked: int | None, preset: str | None, kind: str) -> int | None:
    """Return how many tokens a context has at most: what is asked for, else what a preset or a model is made for."""
    return asked or (CONTEXT_TOKENS.get(kind) if preset is None else PRESET_TOKENS)


class Range(NamedTuple):
    """Hold the least and the most that is accepted."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = ("" if isinf(edge) else f"{edge:g}" for edge in self)
        return f"{low}:{high}"

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and self.low <= value <= self.high


def parse_range(text: str) -> Range:
    """Read `200:500`, `:5` or `0.5:` as a range, both ends included; ConfigError for anything else.

    >>> 3 in parse_range("1:3")
    True
    """
    found = re.fullmatch(rf"\s*({_NUMBER})?\s*:\s*({_NUMBER})?\s*", text)
    if not found or not any(found.groups()):
        raise ConfigError(f"{text!r} is no range; ranges are LOW:HIGH, LOW: or :HIGH")
    return Range(float(found[1] or "-inf"), float(found[2] or "inf"))
