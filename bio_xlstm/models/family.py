"""What tells one family of models from another."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Family(NamedTuple):
    """Name a family, the tokenizer it reads with and the settings it starts from."""

    name: str
    kind: str
    """Kind of sequence, a key of `bio_xlstm.tokenizers.TOKENIZERS`."""
    defaults: Mapping[str, Any]
    """Fields of ModelConfig where the family departs from the general default."""
