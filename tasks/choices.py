"""The words that options take: written once for the command line and for Python, without a heavy import."""

import re
from collections.abc import Collection

from bio_xlstm.errors import ConfigError

POOLS = ("mean", "last", "first", "max", "none")
RC = ("auto", "none", "average", "concat")
STORE_DTYPES = ("fp32", "fp16", "bf16")
OUTPUT_FORMATS = ("parquet", "npz", "safetensors", "csv", "tsv", "rostlab-h5", "esm-pt")
SCORE_FORMATS = ("parquet", "npz", "csv", "tsv")
PREDICT_FORMATS = ("csv", "tsv", "parquet")
SCORE_REDUCTIONS = ("sequence", "per-position")
DIRECTIONS = ("forward", "reverse", "both")
SCORE_RC = ("auto", "none", "average")
NULLS = ("unigram", "markov", "shuffled")
ON_ERROR = ("record", "skip", "fail")
KIND_WORDS = {"dna": "DNA", "protein": "proteins", "smiles": "molecules", "tokens": "token ids"}

# what the random numbers of all commands take
MOST_SEED = 2**63 - 1


def check_choice(name: str, value: object, known: Collection[str]) -> None:
    """Raise ConfigError when an option has a value that it does not take."""
    if value not in known:
        raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def check_seed(seed: int) -> None:
    """Raise ConfigError when a seed is out of range."""
    if not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"--seed must be a number from 0 to {MOST_SEED}, not {seed}")


def parse_layers(text: str, layer_count: int) -> tuple[str, ...]:
    """Split `-1,0,3` or `all` into layers as the user wrote them; ConfigError when one is no number or twice there."""
    if text.strip() == "all":
        return tuple(str(layer) for layer in range(layer_count))
    layers = tuple(part.strip() for part in text.split(","))
    for layer in layers:
        if not re.fullmatch("-?[0-9]+", layer):
            raise ConfigError(f"--layers takes numbers separated by commas, or all; {layer!r} is no number")
    if len(set(layers)) < len(layers):
        raise ConfigError(f"--layers {text} names the same layer twice")
    return layers
