"""Text to ids and back, for each kind of sequence."""

import json
from pathlib import Path

from bio_xlstm.errors import ModelError
from bio_xlstm.tokenizers.dna import DnaTokenizer
from bio_xlstm.tokenizers.ids import IdTokenizer
from bio_xlstm.tokenizers.protein import ProteinTokenizer
from bio_xlstm.tokenizers.smiles import SmilesTokenizer
from bio_xlstm.tokenizers.tokenizer import Prepared, Tokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

__all__ = ["TOKENIZERS", "Prepared", "Tokenizer", "Vocabulary", "load_tokenizer"]

# kinds of sequences; a name of theirs is also what an input file holds
TOKENIZERS: dict[str, type[DnaTokenizer] | type[ProteinTokenizer] | type[SmilesTokenizer]] = {
    "dna": DnaTokenizer,
    "protein": ProteinTokenizer,
    "smiles": SmilesTokenizer,
}
# kinds that a tokenizer.json may name
_READABLE: dict[str, type[Tokenizer]] = {**TOKENIZERS, IdTokenizer.kind: IdTokenizer}


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read a `tokenizer.json`; raise ModelError that names the file and what is wrong in it."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(data, dict):
        raise ModelError(f"{path} must hold a JSON object, not {type(data).__name__}")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _READABLE:
        problem = "is missing" if "kind" not in data else f"is {kind!r}, not one of {', '.join(_READABLE)}"
        raise ModelError(f"{path}: field 'kind' {problem}")
    try:
        return _READABLE[kind].from_json(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
