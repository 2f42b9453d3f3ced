"""The door: turn a checkpoint of an original implementation into a model directory."""

from dataclasses import dataclass
from functools import reduce
from math import prod
from pathlib import Path

import torch

from bio_xlstm.config import OBJECTIVES, ModelConfig
from bio_xlstm.errors import ConfigError
from bio_xlstm.models.build import FAMILIES
from bio_xlstm.models.directory import TOKENIZER, resolve
from bio_xlstm.original.card import card_of, switches
from bio_xlstm.original.fit import fit, stored_dtypes, translated
from bio_xlstm.original.locate import locate
from bio_xlstm.original.original import Choices
from bio_xlstm.original.write import check_target, write_model
from bio_xlstm.tokenizers import load_tokenizer
from bio_xlstm.tokenizers.tokenizer import Tokenizer

# what the weights are stored in; nothing keeps their format
DTYPES = {"keep": None, "fp32": torch.float32, "fp64": torch.float64}


@dataclass(frozen=True)
class Converted:
    """Say what was made."""

    directory: Path
    program: str
    """Which program wrote the original."""
    config: ModelConfig
    parameters: int
    switches: tuple[str, ...]
    """Compatibility switches that are on, and what they do."""
    notes: tuple[str, ...]
    """What else a user should know."""


def convert(
    source: str | Path,
    target: str | Path,
    *,
    family: str | None = None,
    heads: int | None = None,
    objective: str | None = None,
    tokenizer: str | Path | Tokenizer | None = None,
    name: str | None = None,
    dtype: str = "keep",
    overwrite: bool = False,
) -> Converted:
    """Turn a checkpoint of DNA-, Prot- or Chem-xLSTM, xLSTM-large or xLSTM-7b into a model directory.

    `source` is its folder or its file of weights; nothing in it is executed. `family` and `tokenizer` (a tokenizer.json
    or a model) say what a general xLSTM reads, `objective` what a causal DNA model was trained for; `heads` is checked
    against the weights. `dtype` "keep" leaves the precision of the weights; gains of norms, which the originals store
    as gain - 1, take float64 in the file, so that a model loaded in float64 is exact.
    ModelError names file and parameter where something is wrong with the checkpoint, ConfigError an option that does
    not fit it, OutputError a target that is taken.

    >>> convert("checkpoints/dna_xlstm_2m_mlm_ps", "dna-2m").parameters  # doctest: +SKIP
    >>> bio_xlstm.load("dna-2m").embed(["ACGT"])                         # doctest: +SKIP
    """
    source, target = Path(source), Path(target)
    options = (("dtype", dtype, DTYPES), ("family", family, FAMILIES), ("objective", objective, OBJECTIVES))
    for option, value, known in options:
        if value is not None and value not in known:
            raise ConfigError(f"{option} must be one of {', '.join(known)}, not {value!r}")
    check_target(target, source, overwrite)
    read = locate(source)
    original = read(Choices(family, heads, objective, _tokenizer(tokenizer)))
    plan = fit(original)
    chosen = name or target.resolve().name
    stored = DTYPES[dtype] or reduce(torch.promote_types, plan.dtypes)
    dtypes = stored_dtypes(plan, stored)
    tensors = translated(original, plan, dtypes)
    write_model(original, tensors, plan.shapes, dtypes, target, chosen, card_of(original, chosen))
    parameters = sum(prod(shape) for shape in plan.shapes.values())
    found = switches(original.config)
    return Converted(target, original.program, original.config, parameters, found, original.notes)


def _tokenizer(given: str | Path | Tokenizer | None) -> Tokenizer | None:
    """Read the tokenizer that the user names: a file, or that of a model."""
    if given is None or isinstance(given, Tokenizer):
        return given
    path = Path(given)
    return load_tokenizer(path if path.is_file() else resolve(given) / TOKENIZER)
