"""Make a family's model with fresh weights."""

from dataclasses import replace
from typing import Any

import torch

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.chem import CHEM
from bio_xlstm.models.dna import DNA
from bio_xlstm.models.family import Family
from bio_xlstm.models.model import SequenceModel
from bio_xlstm.models.protein import PROTEIN
from bio_xlstm.models.tokens import TOKENS
from bio_xlstm.tokenizers import TOKENIZERS
from bio_xlstm.tokenizers.ids import IdTokenizer
from bio_xlstm.tokenizers.tokenizer import Tokenizer

FAMILIES: dict[str, Family] = {family.name: family for family in (DNA, PROTEIN, CHEM, TOKENS)}


def build(
    family: str, *, seed: int = 0, tokenizer: Tokenizer | None = None, **settings: Any
) -> SequenceModel:
    """Make a model of a family ("dna", "protein", "chem", "tokens") with fresh weights.

    Every field of `ModelConfig` is a keyword; the tokenizer is the family's own unless one is given (without a start
    token for equivariant models, which see a sequence from both of its ends).
    ConfigError names a family, setting or value that does not exist.

    >>> model = build("chem", dim=32, blocks=2, heads=4, seed=0)
    >>> model.embed(["CCO"]).shape
    (1, 32)
    """
    if family not in FAMILIES:
        raise ConfigError(f"unknown family {family!r}; known: {', '.join(FAMILIES)}")
    chosen = FAMILIES[family]
    tokenizer = tokenizer or _tokenizer(chosen.kind, settings)
    data = {"vocabulary": len(tokenizer.vocabulary), **chosen.defaults, **settings, "family": family}
    config = ModelConfig.from_dict(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SequenceModel(config, tokenizer, name=family)


def _tokenizer(kind: str, settings: dict[str, Any]) -> Tokenizer:
    """Make a family's own tokenizer; ids have no vocabulary of their own."""
    if kind == IdTokenizer.kind:
        count = settings.get("vocabulary")
        if type(count) is not int or count < 1:
            raise ConfigError(f"a model of tokens needs vocabulary=NUMBER of ids, not {count!r}")
        return IdTokenizer.of(count)
    tokenizer = TOKENIZERS[kind]()
    if settings.get("reverse_complement") == "equivariant":
        tokenizer = replace(tokenizer, specials=tokenizer.specials._replace(start=None))
    return tokenizer
