"""How many numbers per token training keeps between the way forward and the way back.

Blocks keep their inputs, what their steps need again, and on a CPU the memories between chunks. The letters of the
comments: D model width, I inner width, H heads, K and V widths of all keys and values, P feed-forward width.
"""

from math import ceil
from typing import NamedTuple

from bio_xlstm.config import ModelConfig
from bio_xlstm.tasks.pretrain.training_settings import TrainingSettings

# what a block on its way back takes beside what it kept, as a multiple of it: on a CPU, not all memory of the many
# tensors that come and go is used again; found with benchmarks/training_memory.py
_ON_CPU = {"pre_up": 4.0, "post_up": 2.0, "sLSTM": 2.5}
# what the second way forward leaves behind there, in numbers per token as a multiple of D; found likewise
_LEFT_BEHIND = 8


class Reading(NamedTuple):
    """Say what is read where."""

    length: float
    """Mean length of the sequences, in tokens."""
    longest: int
    on_cpu: bool


class Kept(NamedTuple):
    """Count numbers per token of one block."""

    inside: float
    """Kept beside the block's input."""
    back: float
    """Held for a while by the block that is on its way back."""


def activation_bytes(config: ModelConfig, training: TrainingSettings, reading: Reading) -> float:
    """Return the bytes that one token takes where they are most."""
    wide = 8 if training.precision == "64-true" else 4
    # a CPU keeps single precision whatever it is told to compute in
    narrow = 2 if training.precision.endswith("mixed") and not reading.on_cpu else wide
    dim, strands = config.dim, 2 if config.equivariant else 1
    blocks = [kept_by_block(config, index, reading) for index in range(config.blocks)]
    back = strands * max(block.back for block in blocks) * narrow
    stream = dim * (wide + narrow)  # what enters a block, and the same normalised
    head = 3 * config.vocabulary * wide + strands * stream
    if training.checkpoint_blocks:
        again = max(block.inside for block in blocks) * narrow + stream
        left = _LEFT_BEHIND * dim * wide if _is_fused(config, reading) else 0
        return strands * config.blocks * dim * wide + again + left + back + head
    inside = sum(block.inside for block in blocks) * narrow
    return strands * (config.blocks * stream + inside) + back + head


def kept_by_block(config: ModelConfig, index: int, reading: Reading) -> Kept:
    """Count what one block keeps."""
    slstm = index in config.slstm_at
    both = config.direction in ("shared", "separate") or (slstm and config.direction == "two_sided")
    passes = 2 if both else 1
    inside: float
    if slstm:
        # convolved D, gates 4 D, cell and head norm 3 D
        inside = passes * 8 * config.dim + _feed_forward(config)
    elif config.block == "post_up":
        # normalised D, queries and keys 2 K, values, memory, head norm, gate and their products 6 V
        mixed = 2 * config.key_dim + 6 * config.value_dim + _memories(config, reading)
        inside = config.dim + passes * mixed + _feed_forward(config)
    elif _is_fused(config, reading):
        # projected 2 I, convolved, memory and gated I each
        inside = passes * (5 * config.inner + 8 * config.heads + _memories(config, reading))
        return Kept(inside, 6 * config.inner)
    else:
        # as above, with queries, keys, values and what lies between norm and gate; both again where turned
        numbers = 12 if config.rotary == "none" else 14
        inside = passes * (numbers * config.inner + 8 * config.heads + _memories(config, reading))
    return Kept(inside, inside * (_ON_CPU["sLSTM" if slstm else config.block] if reading.on_cpu else 0.5))


def _is_fused(config: ModelConfig, reading: Reading) -> bool:
    """Tell whether compiled loops do all that lies between the projections at once."""
    plain = config.conv_causal and config.direction != "two_sided" and config.rotary in ("none", "head")
    return reading.on_cpu and plain


def _feed_forward(config: ModelConfig) -> int:
    """Count input and normalised input 2 D (3 D for the norm of post_up), the steps between the projections 4 P."""
    return (3 if config.block == "post_up" else 2) * config.dim + 4 * config.ffn_width


def _memories(config: ModelConfig, reading: Reading) -> float:
    """Count the memories kept between chunks; a GPU computes them again."""
    if not reading.on_cpu:
        return 0.0
    # only a CPU needs the compiled loops
    from bio_xlstm.kernels.mlstm.numba_mlstm import choose_size

    key, value = config.key_dim // config.heads, config.value_dim // config.heads
    chunks = ceil(reading.length / choose_size(reading.longest, key, value))
    return config.heads * key * (value + 1) * chunks / max(reading.length, 1)
