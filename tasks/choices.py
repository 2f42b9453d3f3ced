"""The words that options take: written once for the command line and for Python, without a heavy import."""

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


def check_choice(name: str, value: object, known: Collection[str]) -> None:
    """Raise ConfigError when an option has a value that it does not take."""
    if value not in known:
        raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}")
