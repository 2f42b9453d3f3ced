"""Chem-xLSTM: model.pt and the arguments the training program was started with."""

from functools import partial
from pathlib import Path

from bio_xlstm.errors import ModelError
from bio_xlstm.original import names
from bio_xlstm.original.measure import measure
from bio_xlstm.original.original import (
    Choices,
    Original,
    check_family,
    check_heads,
    chosen_tokenizer,
    configure,
    unused,
)
from bio_xlstm.original.pickled import pickled_weights
from bio_xlstm.original.settings import Settings, read_json
from bio_xlstm.tokenizers.smiles import SmilesTokenizer
from bio_xlstm.tokenizers.tokenizer import Specials
from bio_xlstm.tokenizers.vocabulary import Vocabulary

PROGRAM, REPOSITORY = "Chem-xLSTM", "ml-jku/Chem-xLSTM"
SETTINGS = "init_arguments.json"

# settings that every checkpoint states, beside the table of symbols
_ALWAYS = ("model_dim", "n_layers")
_TABLE = "token2label"
_MODE = "smiles"
_START, _STOP = "[BEG]", "[END]"


def read(weights_file: Path, settings_file: Path, choices: Choices) -> Original:
    """Read a checkpoint of Chem-xLSTM; ModelError says what does not fit."""
    check_family(choices, PROGRAM, "chem")
    weights = pickled_weights(weights_file).renamed(names.canonical)
    found = measure(weights)
    settings = read_json(settings_file)
    settings.require(PROGRAM, _ALWAYS)
    settings.agree("n_layers", settings.whole("n_layers", 4), found.blocks, "blocks")
    settings.agree("model_dim", settings.whole("model_dim", 256), found.dim, "channels")
    # the program records one head whatever it trained: the gates tell
    check_heads(choices, weights, found.fields()["heads"])
    config = configure(
        settings_file,
        **found.fields(),
        family="chem",
        objective=choices.objective or "causal",
        # the recorded dropout never reached the blocks
        dropout=0.0,
    )
    make = partial(tokenizer_of, settings, found.vocabulary)
    tokenizer = chosen_tokenizer(choices, make, weights, found.vocabulary, "smiles")
    origins = partial(names.origins, config=config)
    notes = settings.assumed({"mode": _MODE})
    return Original(PROGRAM, REPOSITORY, settings_file, weights, config, tokenizer, origins, notes)


def tokenizer_of(settings: Settings, vocabulary: int) -> SmilesTokenizer:
    """Make the tokenizer of the table that was learned from the training data; ModelError where it is no such table."""
    settings.require(PROGRAM, [_TABLE])
    if settings.word("mode", _MODE) != _MODE:
        raise ModelError(
            f"{settings.path}: mode is {settings.values['mode']!r}; only SMILES models can be converted"
        )
    table = settings.section(_TABLE).values
    symbols: list[str | None] = [None] * vocabulary
    for symbol, label in table.items():
        if type(label) is not int or not 0 <= label < vocabulary or not symbol:
            raise ModelError(f"{settings.path}: token2label gives {symbol!r} the id {label!r}")
        if " " in symbol or not symbol.isprintable():
            raise ModelError(
                f"{settings.path}: token2label holds {symbol!r}, which cannot stand in a line of SMILES"
            )
        if symbols[label] is not None:
            raise ModelError(
                f"{settings.path}: token2label gives {symbols[label]!r} and {symbol!r} the same id"
            )
        symbols[label] = symbol
    for symbol in (_START, _STOP):
        if symbol not in table:
            raise ModelError(
                f"{settings.path}: token2label has no {symbol}: the vocabulary cannot be read from it"
            )
    names_of_all = (symbol or unused(number, number + 1)[0] for number, symbol in enumerate(symbols))
    return SmilesTokenizer(Vocabulary(tuple(names_of_all)), Specials(_START, _STOP, mask=None, unknown=None))
