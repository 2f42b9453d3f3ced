import copy
import pickle

import pytest

from bio_xlstm.errors import ModelError
from bio_xlstm.tokenizers import Vocabulary


def test_the_id_of_a_symbol_is_its_place() -> None:
    vocabulary = Vocabulary(("A", "<mask>", "T"))
    assert len(vocabulary) == 3
    assert [vocabulary.index[symbol] for symbol in vocabulary.symbols] == [0, 1, 2]
    assert "<mask>" in vocabulary and "C" not in vocabulary
    assert repr(vocabulary) == "Vocabulary(3 symbols)"


def test_a_vocabulary_is_a_value() -> None:
    vocabulary = Vocabulary(("A", "C"))
    assert vocabulary == Vocabulary(("A", "C")) != Vocabulary(("C", "A"))
    assert hash(vocabulary) == hash(Vocabulary(("A", "C")))
    assert vocabulary.index["C"] == 1
    assert pickle.loads(pickle.dumps(vocabulary)) == copy.deepcopy(vocabulary) == vocabulary


def test_a_vocabulary_cannot_be_changed() -> None:
    vocabulary = Vocabulary(("A", "C"))
    with pytest.raises(AttributeError):
        vocabulary.symbols = ("A",)  # type: ignore[misc]
    with pytest.raises(TypeError):
        vocabulary.index["A"] = 7  # type: ignore[index]


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ((), "a vocabulary needs at least one symbol"),
        (("A", "C", "A"), "the vocabulary holds 'A' twice"),
        (("A", ""), "a vocabulary holds non-empty text symbols, not ''"),
        (("A", 3), "a vocabulary holds non-empty text symbols, not 3"),
    ],
)
def test_a_bad_vocabulary_is_refused(symbols: tuple[str, ...], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{message}$"):
        Vocabulary(symbols)
