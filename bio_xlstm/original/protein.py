"""Prot-xLSTM: pytorch_model.bin or model.safetensors, and the dataclass of its configuration as config.json."""

from functools import partial
from pathlib import Path
from typing import Any

from bio_xlstm.errors import ModelError
from bio_xlstm.original import names
from bio_xlstm.original.measure import Measured, measure, rounded_width
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
from bio_xlstm.original.shards import safetensors_weights
from bio_xlstm.tokenizers.protein import ProteinTokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

PROGRAM, REPOSITORY = "Prot-xLSTM", "ml-jku/Prot-xLSTM"

# settings that every checkpoint states: the program writes its whole configuration
_ALWAYS = ("num_blocks", "embedding_dim", "vocab_size", "position_embeddings")
# what position_embeddings says -> our fields
_POSITIONS = {
    "none": {},
    "abs_1d": {"position_embedding": "learned"},
    "abs_2d": {"position_embedding": "learned_2d"},
    "rot_1d": {"rotary": "inner"},
    "rot_2d": {"rotary": "inner_2d"},
    "rot": {"rotary": "inner_absolute"},
}
# the table of absolute rotations never sees rope_base_frequency, whose default it equals
_ROTARY_BASE = 10_000.0
_POSITIONS_AT_MOST, _SEQUENCES_AT_MOST = 2048, 512


def read(weights_files: tuple[Path, ...], settings_file: Path, choices: Choices) -> Original:
    """Read a checkpoint of Prot-xLSTM; ModelError says what does not fit."""
    check_family(choices, PROGRAM, "protein")
    pickled = weights_files[0].suffix != ".safetensors"
    stored = pickled_weights(weights_files[0]) if pickled else safetensors_weights(weights_files)
    weights = stored.renamed(names.canonical)
    found = measure(weights)
    settings = read_json(settings_file)
    settings.require(PROGRAM, _ALWAYS)
    _check(settings, found)
    check_heads(choices, weights, found.fields()["heads"])
    config = configure(
        settings_file,
        **found.fields(),
        **_positions(settings),
        family="protein",
        objective=choices.objective or "infill",
        dropout=settings.number("dropout", 0.0),
        embedding_dropout=settings.truth("add_embedding_dropout"),
        tie_weights=settings.truth("tie_weights"),
    )
    make = partial(tokenizer_of, found.vocabulary, weights.label)
    tokenizer = chosen_tokenizer(choices, make, weights, found.vocabulary, "protein")
    origins = partial(names.origins, config=config)
    return Original(
        PROGRAM, REPOSITORY, settings_file, weights, config, tokenizer, origins, _assumed(settings)
    )


def tokenizer_of(vocabulary: int, label: str) -> ProteinTokenizer:
    """Make the tokenizer of the original models; ModelError where the vocabulary is another one."""
    usual = ProteinTokenizer()
    known = usual.vocabulary.symbols
    if vocabulary < len(known):
        raise ModelError(
            f"{label} has {vocabulary} tokens, fewer than Prot-xLSTM's {len(known)}: name its --tokenizer"
        )
    return ProteinTokenizer(
        Vocabulary(known + unused(len(known), vocabulary)), usual.specials, usual.alphabet
    )


def _check(settings: Settings, found: Measured) -> None:
    """Refuse settings that contradict the weights."""
    layer = settings.section("mlstm_block").section("mlstm")
    settings.agree("num_blocks", settings.whole("num_blocks", 1), found.blocks, "blocks")
    settings.agree("embedding_dim", settings.whole("embedding_dim", 128), found.dim, "channels")
    settings.agree("vocab_size", settings.whole("vocab_size", 1), found.vocabulary, "tokens")
    layer.agree("num_heads", layer.whole("num_heads", 4), found.heads, "heads")
    layer.agree("conv1d_kernel_size", layer.whole("conv1d_kernel_size", 4), found.conv_width, "taps")
    layer.agree("qkv_proj_blocksize", layer.whole("qkv_proj_blocksize", 4), found.qkv_block, "rows a block")
    layer.agree("proj_factor", _inner(layer, found.dim), found.inner_dim, "inner channels")


def _inner(layer: Settings, dim: int) -> int:
    """Return the inner width that the settings make."""
    multiple, up = layer.whole("round_proj_up_to_multiple_of", 64), layer.truth("round_proj_up_dim_up", True)
    return rounded_width(layer.number("proj_factor", 2.0) * dim, multiple, up)


def _positions(settings: Settings) -> dict[str, Any]:
    """Say how positions enter the network."""
    scheme = settings.word("position_embeddings", "none", _POSITIONS)
    base = _ROTARY_BASE if scheme == "rot" else settings.number("rope_base_frequency", _ROTARY_BASE)
    return {
        **_POSITIONS[scheme],
        "rotary_base": base,
        "max_positions": settings.whole("max_position_embeddings", _POSITIONS_AT_MOST),
        "max_sequences": settings.whole("max_seq_position_embeddings", _SEQUENCES_AT_MOST),
    }


def _assumed(settings: Settings) -> tuple[str, ...]:
    """Say which of the settings that matter here and that no weight shows are taken as the program's defaults."""
    scheme = settings.word("position_embeddings", "none", _POSITIONS)
    matter: dict[str, float] = {}
    if scheme in ("rot_1d", "rot_2d"):
        matter["rope_base_frequency"] = _ROTARY_BASE
    if scheme != "none":
        matter["max_position_embeddings"] = _POSITIONS_AT_MOST
    if scheme.endswith("2d"):
        matter["max_seq_position_embeddings"] = _SEQUENCES_AT_MOST
    return settings.assumed(matter)
