"""The numbers of an architecture, read off the shapes of its weights."""

import math
import re
from typing import Any, NamedTuple

from bio_xlstm.errors import ModelError
from bio_xlstm.original.weights import Weights

_STACK = "xlstm_block_stack."


class Measured(NamedTuple):
    """Describe a stack of original Bio-xLSTM blocks; None where it has no block of the kind."""

    vocabulary: int
    dim: int
    blocks: int
    slstm_at: tuple[int, ...]
    heads: int | None
    inner_dim: int | None
    conv_width: int | None
    qkv_block: int | None
    slstm_heads: int | None
    slstm_conv_width: int | None
    ffn_dim: int | None
    bias: bool
    final_norm: bool

    def fields(self) -> dict[str, Any]:
        """Return fields of ModelConfig."""
        found = {name: value for name, value in self._asdict().items() if value is not None}
        # a stack of sLSTM blocks alone still states a number of heads
        return {"heads": self.slstm_heads, **found}


def measure(weights: Weights) -> Measured:
    """Measure a checkpoint with canonical names; ModelError where it is no stack of xLSTM blocks."""
    table = "lm_head.weight" if "lm_head.weight" in weights else "token_embedding.weight"
    vocabulary, dim = weights.shape(table, 2)
    blocks = count_blocks(weights, _STACK)
    slstm = tuple(
        i for i in range(blocks) if f"{_STACK}blocks.{i}.xlstm.slstm_cell._recurrent_kernel_" in weights
    )
    first = next((i for i in range(blocks) if i not in slstm), None)
    return Measured(
        vocabulary,
        dim,
        blocks,
        slstm,
        **_mlstm(weights, f"{_STACK}blocks.{first}.xlstm.", first is not None),
        **_slstm(weights, f"{_STACK}blocks.{slstm[0] if slstm else 0}.", bool(slstm)),
        final_norm=_STACK + "post_blocks_norm.weight" in weights,
    )


def _mlstm(weights: Weights, block: str, exists: bool) -> dict[str, Any]:
    """Measure an mLSTM block."""
    if not exists:
        return dict.fromkeys(("heads", "inner_dim", "conv_width", "qkv_block"), None) | {"bias": False}
    return {
        "heads": weights.shape(block + "mlstm_cell.igate.weight", 2)[0],
        "inner_dim": weights.shape(block + "proj_down.weight", 2)[1],
        "conv_width": weights.shape(block + "conv1d.conv.weight", 3)[2],
        "qkv_block": weights.shape(block + "q_proj.weight", 3)[1],
        "bias": block + "proj_up.bias" in weights,
    }


def _slstm(weights: Weights, block: str, exists: bool) -> dict[str, Any]:
    """Measure an sLSTM block."""
    if not exists:
        return dict.fromkeys(("slstm_heads", "slstm_conv_width", "ffn_dim"), None)
    taps = block + "xlstm.conv1d.conv.weight"
    return {
        "slstm_heads": weights.shape(block + "xlstm.slstm_cell._recurrent_kernel_", 3)[0],
        "slstm_conv_width": weights.shape(taps, 3)[2] if taps in weights else 0,
        "ffn_dim": weights.shape(block + "ffn.proj_down.weight", 2)[1],
    }


def rounded_width(width: float, multiple: int, up: bool) -> int:
    """Round a width as the settings say; 0 where they say nothing sensible.

    >>> rounded_width(1.1 * 32, 8, up=False), rounded_width(2.0 * 40, 64, up=True)
    (32, 128)
    """
    if not multiple or not math.isfinite(width):
        return 0
    return (math.ceil if up else math.floor)(width / multiple) * multiple


def count_blocks(weights: Weights, stack: str) -> int:
    """Return the number of blocks, whose numbers must leave no gap; ModelError where there is none."""
    pattern = re.compile(rf"{re.escape(stack)}blocks\.(0|[1-9]\d{{0,5}})\.")
    found = {int(match[1]) for name in weights.shapes if (match := pattern.match(name))}
    if not found:
        example = next(iter(weights.stored.values()), "nothing")
        raise ModelError(f"{weights.label} holds no xLSTM blocks but {example} and the like")
    missing = next(number for number in range(len(found) + 1) if number not in found)
    if missing < len(found):
        raise ModelError(f"{weights.label} lacks {stack}blocks.{missing}")
    return len(found)
