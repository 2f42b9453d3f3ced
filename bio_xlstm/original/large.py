"""xLSTM-large: safetensors and a flat config.yaml, or the Hugging Face layout of xLSTM-7b with its config.json."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bio_xlstm.errors import ModelError
from bio_xlstm.models.build import FAMILIES
from bio_xlstm.original import large_names as names
from bio_xlstm.original.measure import count_blocks
from bio_xlstm.original.original import Choices, Original, check_heads, chosen_tokenizer, configure
from bio_xlstm.original.pickled import pickled_weights
from bio_xlstm.original.settings import Settings, read_json, read_yaml
from bio_xlstm.original.shards import safetensors_weights
from bio_xlstm.original.weights import Weights
from bio_xlstm.tokenizers import TOKENIZERS
from bio_xlstm.tokenizers.ids import IdTokenizer
from bio_xlstm.tokenizers.tokenizer import Tokenizer

PROGRAM, REPOSITORY = "xLSTM-large", "NX-AI/xlstm"
SETTINGS = "config.yaml"

# settings that every checkpoint states: xLSTM-large has no defaults for them, the other layout writes all it has
_ALWAYS = ("embedding_dim", "num_heads", "num_blocks", "vocab_size")
_ALWAYS_HUB = ("hidden_size or embedding_dim", "num_hidden_layers or num_blocks", "num_heads")
# settings that no weight shows, with what the program takes where none is written
_CAPS = {"gate_soft_cap": 15.0, "output_logit_soft_cap": 30.0}
_NORM_EPS = 1e-6
# the epsilon of the mLSTM's normaliser, which our kernels do not vary
_EPS = 1e-6


class Measured(NamedTuple):
    """Describe a stack of post-up blocks."""

    vocabulary: int
    dim: int
    blocks: int
    heads: int
    keys: int
    values: int
    ffn_dim: int
    bias: bool
    final_norm: bool
    tie_weights: bool


def read(weights_files: tuple[Path, ...], settings_file: Path, choices: Choices) -> Original:
    """Read a checkpoint of xLSTM-large; ModelError says what does not fit."""
    pickled = weights_files[0].suffix != ".safetensors"
    stored = pickled_weights(weights_files[0]) if pickled else safetensors_weights(weights_files)
    weights = stored.renamed(names.canonical)
    found = measure(weights)
    flat = settings_file.name == SETTINGS
    settings = (read_yaml if flat else read_json)(settings_file)
    settings.require(PROGRAM if flat else "xLSTM-7b", _ALWAYS if flat else _ALWAYS_HUB)
    _check(settings, found)
    check_heads(choices, weights, found.heads)
    tokenizer = _tokenizer(settings, found, weights, choices)
    family = choices.family or next(one.name for one in FAMILIES.values() if one.kind == tokenizer.kind)
    config = configure(
        settings_file,
        family=family,
        block="post_up",
        objective=choices.objective or "causal",
        key_expansion=share(found.keys, found.dim),
        value_expansion=share(found.values, found.dim),
        norm_eps=settings.number("norm_eps", _NORM_EPS),
        gate_cap=_cap(settings, "gate_soft_cap"),
        logit_cap=_cap(settings, "output_logit_soft_cap"),
        **{name: value for name, value in found._asdict().items() if name not in ("keys", "values")},
    )
    origins = partial(names.origins, config=config, weights=weights)
    notes = _assumed(settings)
    return Original(PROGRAM, REPOSITORY, settings_file, weights, config, tokenizer, origins, notes)


def measure(weights: Weights) -> Measured:
    """Measure a checkpoint with canonical names; ModelError where it is no stack of post-up blocks."""
    blocks = count_blocks(weights, "")
    vocabulary, dim = weights.shape("embedding.weight", 2)
    layer = "blocks.0.mlstm_layer."
    values = weights.shape(layer + "out_proj.weight", 2)[1]
    fused = "blocks.0." + names.FUSED
    if fused + ".weight" in weights:
        heads = weights.shape(f"blocks.0.{names.FUSED_GATES}.weight", 2)[0] // 2
        keys = weights.shape(fused + ".weight", 2)[0] // 2 - values
    else:
        heads = weights.shape(layer + "igate_preact.weight", 2)[0]
        keys = weights.shape(layer + "q.weight", 2)[0]
    return Measured(
        vocabulary,
        dim,
        blocks,
        heads,
        keys,
        values,
        ffn_dim=weights.shape("blocks.0.ffn.proj_down.weight", 2)[1],
        bias=layer + "out_proj.bias" in weights,
        final_norm="out_norm.weight" in weights,
        tie_weights="lm_head.weight" not in weights,
    )


def share(width: int, dim: int) -> float:
    """Return the smallest number that makes a width again when it is multiplied by D and cut to a whole number."""
    part = width / dim
    return part if int(part * dim) == width else math.nextafter(part, math.inf)


def _check(settings: Settings, found: Measured) -> None:
    """Refuse settings that contradict the weights, or that no model here can follow."""
    stated = {
        "num_blocks": (found.blocks, "blocks"),
        "num_hidden_layers": (found.blocks, "blocks"),
        "embedding_dim": (found.dim, "channels"),
        "hidden_size": (found.dim, "channels"),
        "num_heads": (found.heads, "heads"),
        "vocab_size": (found.vocabulary, "tokens"),
    }
    for key, (number, what) in stated.items():
        settings.agree(key, settings.whole(key, 0), number, what)
    if "siging" in settings.word("chunkwise_kernel", ""):
        raise ModelError(
            f"{settings.path}: models with sigmoid input gates (chunkwise_kernel) cannot be converted"
        )
    if settings.number("eps", _EPS) != _EPS:
        raise ModelError(
            f"{settings.path}: eps is {settings.values['eps']}, but our kernels compute with {_EPS}"
        )


def _cap(settings: Settings, key: str) -> float:
    """Return a soft cap; where the file says null there is none."""
    return 0.0 if _says_none(settings, key) else settings.number(key, _CAPS[key])


def _says_none(settings: Settings, key: str) -> bool:
    return key in settings.values and key not in settings


def _assumed(settings: Settings) -> tuple[str, ...]:
    """Say which of the settings that no weight shows are taken as the program's defaults."""
    caps = {key: cap for key, cap in _CAPS.items() if not _says_none(settings, key)}
    return settings.assumed({"norm_eps": _NORM_EPS, **caps})


def _tokenizer(settings: Settings, found: Measured, weights: Weights, choices: Choices) -> Tokenizer:
    """Return the tokenizer that the user or the family names, else one of bare ids."""
    kind = choices.tokenizer.kind if choices.tokenizer else "tokens"
    if choices.family is not None:
        kind = FAMILIES[choices.family].kind
    ids = (_special(settings, key, found.vocabulary) for key in ("bos_token_id", "eos_token_id"))
    start, stop = ids
    bare: Callable[[], Tokenizer] = partial(IdTokenizer.of, found.vocabulary, start=start, stop=stop)
    return chosen_tokenizer(
        choices, bare if kind == "tokens" else TOKENIZERS[kind], weights, found.vocabulary, kind
    )


def _special(settings: Settings, key: str, vocabulary: int) -> int | None:
    """Return the id that begins or ends a text, if the settings name exactly one."""
    value: Any = settings.values.get(key)
    return value if type(value) is int and 0 <= value < vocabulary else None
