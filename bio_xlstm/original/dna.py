"""DNA-xLSTM: a Lightning checkpoint and the model section of its hydra configuration."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bio_xlstm.config import ModelConfig
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
from bio_xlstm.original.weights import Weights
from bio_xlstm.tokenizers.dna import DnaTokenizer
from bio_xlstm.tokenizers.tokenizer import Specials, Tokenizer
from bio_xlstm.tokenizers.vocabulary import Vocabulary

PROGRAM, REPOSITORY = "DNA-xLSTM", "ml-jku/DNA-xLSTM"
SETTINGS = "model_config.json"

# settings that every run writes down, and those that no weight shows with what the program takes where none is written
_ALWAYS = ("d_model", "n_layer", "vocab_size")
_UNSEEN: dict[str, bool] = {
    "bidirectional": False,
    "bidirectional_alternating": False,
    "m_backend_bidirectional": False,
    "m_position_embeddings": False,
    "m_conv1d_causal": True,
    "s_conv1d_causal": True,
}
_BACKEND = "parallel"

# in training, id 4 (the padding) stood wherever a base was unknown: it is what N means to these models
_SYMBOLS = ("[CLS]", "[SEP]", "[BOS]", "[MASK]", "N", "[RESERVED]", "[UNK]", "A", "C", "G", "T", "[N]")
# the inner width is a multiple of it, and the vocabulary may have been padded to a multiple of the other
_INNER_MULTIPLE, _VOCABULARY_MULTIPLE = 64, 8
_SINUSOIDS = "xlstm_block_stack.absolute_pos_embeds.scale"


def read(weights_file: Path, settings_file: Path, choices: Choices) -> Original:
    """Read a checkpoint of DNA-xLSTM; ModelError says what does not fit."""
    check_family(choices, PROGRAM, "dna")
    stored = pickled_weights(weights_file)
    shared = any(".submodule." in name for name in stored.shapes)
    weights = stored.renamed(names.canonical)
    found = measure(weights)
    settings = section_of(read_json(settings_file))
    settings.require(PROGRAM, _ALWAYS)
    _check(settings, found, shared)
    check_heads(choices, weights, found.fields()["heads"])
    config, notes = _configure(settings, weights, found, shared, choices)
    make = partial(tokenizer_of, found.vocabulary, weights.label)
    tokenizer = chosen_tokenizer(choices, make, weights, found.vocabulary, "dna")
    _check_complement(settings, stored, tokenizer)
    origins = partial(names.origins, config=config)
    return Original(PROGRAM, REPOSITORY, settings_file, weights, config, tokenizer, origins, notes)


def section_of(settings: Settings) -> Settings:
    """Return the table that describes the network, which may lie inside others."""
    for name in ("model", "config"):
        if isinstance(settings.values.get(name), Mapping):
            settings = settings.section(name)
    return settings


def tokenizer_of(vocabulary: int, label: str) -> DnaTokenizer:
    """Make the tokenizer that feeds a model what it was trained on; ModelError where the vocabulary is another one.

    There was no start token, and N stood as the padding.

    >>> tokenizer_of(12, "a checkpoint").encode("ACGTN")
    array([ 7,  8,  9, 10,  4], dtype=uint8)
    """
    if vocabulary < len(_SYMBOLS):
        raise ModelError(
            f"{label} has {vocabulary} tokens, fewer than DNA-xLSTM's {len(_SYMBOLS)}: name its --tokenizer"
        )
    symbols = _SYMBOLS + unused(len(_SYMBOLS), vocabulary)
    specials = Specials(start=None, stop="[SEP]", mask="[MASK]", unknown="[UNK]")
    return DnaTokenizer(Vocabulary(symbols), specials)


def _check(settings: Settings, found: Measured, shared: bool) -> None:
    """Refuse settings that contradict the weights."""
    whole, number = settings.whole, settings.number
    settings.agree("n_layer", whole("n_layer", 4), found.blocks, "blocks")
    settings.agree("d_model", whole("d_model", 256), found.dim, "channels")
    width = rounded_width(number("m_proj_factor", 2.0) * found.dim, _INNER_MULTIPLE, up=False)
    settings.agree("m_proj_factor", width, found.inner_dim, "inner channels")
    settings.agree("m_num_heads", whole("m_num_heads", 4), found.heads, "heads")
    settings.agree("m_conv1d_kernel_size", whole("m_conv1d_kernel_size", 4), found.conv_width, "taps")
    settings.agree("m_qkv_proj_blocksize", whole("m_qkv_proj_blocksize", 4), found.qkv_block, "rows a block")
    settings.agree("s_num_heads", whole("s_num_heads", 4), found.slstm_heads, "sLSTM heads")
    settings.agree("s_conv1d_kernel_size", whole("s_conv1d_kernel_size", 4), found.slstm_conv_width, "taps")
    multiple, up = whole("s_round_proj_up_to_multiple_of", 64), settings.truth("s_round_proj_up_dim_up", True)
    width = rounded_width(number("s_proj_factor", 1.3) * found.dim, multiple, up)
    settings.agree("s_proj_factor", width, found.ffn_dim, "feed-forward channels")
    tokens = whole("vocab_size", found.vocabulary)
    if -(-tokens // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE != found.vocabulary:
        settings.agree("vocab_size", tokens, found.vocabulary, "tokens")
    at = settings.indices("s_lstm_at", found.blocks)
    if "s_lstm_at" in settings and at != found.slstm_at:
        raise ModelError(
            f"{settings.path}: s_lstm_at is {list(at)}, but the sLSTM blocks of the weights are {list(found.slstm_at)}"
        )
    if settings.truth("rcps", shared) != shared:
        raise ModelError(
            f"{settings.path}: rcps is {not shared}, but the weights are {'' if shared else 'not '}shared"
        )
    if shared and found.heads:
        raise ModelError(
            f"{settings.path}: the original program cannot share the strands of mLSTM blocks (rcps)"
        )


def _check_complement(settings: Settings, stored: Weights, tokenizer: Tokenizer) -> None:
    """Refuse another pairing of bases than the tokenizer's, in the settings and in the buffers of shared strands."""
    assert tokenizer.complement is not None
    faces = tokenizer.complement.tolist()
    known = {str(left): right for left, right in enumerate(faces)}
    for left, right in settings.section("complement_map").values.items():
        if known.get(left) != right:
            raise ModelError(
                f"{settings.path}: complement_map pairs id {left} with {right!r}, which is no complement"
            )
    for name in stored.shapes:
        if name.endswith(".complement_map") and stored.read(name).tolist() != faces:
            raise ModelError(f"{stored.label}: {name} pairs other bases than the tokenizer")


def _configure(
    settings: Settings, weights: Weights, found: Measured, shared: bool, choices: Choices
) -> tuple[ModelConfig, tuple[str, ...]]:
    """Describe the network in our words, and say what the settings left open."""
    direction, notes = _direction(settings, found)
    config = configure(
        settings.path,
        **found.fields(),
        **_compatibility(settings, found, shared, direction),
        family="dna",
        objective="masked",
        direction=direction,
        reverse_complement="equivariant" if shared else "none",
        rotary="head" if found.heads and _unseen(settings, "m_position_embeddings") else "none",
        position_embedding="sinusoidal" if _SINUSOIDS in weights else "none",
        dropout=settings.number("dropout", 0.0),
    )
    notes += _assumed(settings, found)
    if settings.truth("tie_weights"):
        notes.append("tie_weights never had an effect in the original program: the head has its own weights")
    if choices.objective is None and config.causal and not _unseen(settings, "bidirectional"):
        notes.append(
            "the checkpoint does not say how it was trained: taken for next tokens (or say --objective masked)"
        )
        return replace(config, objective="causal"), tuple(notes)
    return replace(config, objective=choices.objective or "masked"), tuple(notes)


def _unseen(settings: Settings, key: str) -> bool:
    """Return a setting that no weight shows."""
    return settings.truth(key, _UNSEEN[key])


def _assumed(settings: Settings, found: Measured) -> tuple[str, ...]:
    """Say which of the settings that matter here and that no weight shows are taken as the program's defaults."""
    matter = ["bidirectional"]
    if _unseen(settings, "bidirectional"):
        matter.append("bidirectional_alternating")
        if found.heads and not _unseen(settings, "bidirectional_alternating"):
            matter.append("m_backend_bidirectional")
    two_sided = "m_backend_bidirectional" in matter and _unseen(settings, "m_backend_bidirectional")
    matter += ["m_position_embeddings", "m_conv1d_causal"] if found.heads else []
    matter += ["s_conv1d_causal"] if found.slstm_conv_width else []
    backend = {"m_backend": _BACKEND} if two_sided else {}
    return settings.assumed({**{key: _UNSEEN[key] for key in matter}, **backend})


def _direction(settings: Settings, found: Measured) -> tuple[str, list[str]]:
    """Say how the blocks read."""
    if not _unseen(settings, "bidirectional"):
        return "causal", []
    if _unseen(settings, "bidirectional_alternating"):
        return "alternating", []
    if not _unseen(settings, "m_backend_bidirectional") or not found.heads:
        return "shared", []
    backend = settings.word("m_backend", _BACKEND, ("parallel", "chunkwise"))
    if backend == "parallel":
        return "two_sided", []
    if found.slstm_at:
        raise ModelError(
            f"{settings.path}: mLSTM blocks that read one way (m_backend chunkwise) between sLSTM blocks that read "
            "both ways cannot be converted"
        )
    return "causal", [
        "m_backend_bidirectional had no effect with m_backend chunkwise: the model reads left to right"
    ]


def _compatibility(settings: Settings, found: Measured, shared: bool, direction: str) -> dict[str, Any]:
    """Say where the original program computes something that a correct model would not."""
    return {
        "double_residual": direction == "shared" or (direction == "two_sided" and bool(found.slstm_at)),
        "flip_strand_heads": shared and (found.slstm_heads or 1) > 1,
        "conv_causal": not found.heads or _unseen(settings, "m_conv1d_causal"),
        "slstm_conv_causal": not found.slstm_at or _unseen(settings, "s_conv1d_causal"),
    }
