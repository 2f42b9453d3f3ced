"""Names and conventions of the original Bio-xLSTM checkpoints (mLSTM blocks), translated to ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from bio_xlstm.errors import ModelError

# original name -> our name; {i} is the number of a block
_NAMES = {
    "token_embedding.weight": "embedding.weight",
    "lm_head.weight": "head.weight",
    "xlstm_block_stack.post_blocks_norm.weight": "norm.weight",
    "xlstm_block_stack.blocks.{i}.xlstm_norm.weight": "blocks.{i}.norm.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.proj_up.weight": "blocks.{i}.mixer.up.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.proj_up.bias": "blocks.{i}.mixer.up.bias",
    "xlstm_block_stack.blocks.{i}.xlstm.conv1d.conv.weight": "blocks.{i}.mixer.conv_weight",
    "xlstm_block_stack.blocks.{i}.xlstm.conv1d.conv.bias": "blocks.{i}.mixer.conv_bias",
    "xlstm_block_stack.blocks.{i}.xlstm.q_proj.weight": "blocks.{i}.mixer.query.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.q_proj.bias": "blocks.{i}.mixer.query.bias",
    "xlstm_block_stack.blocks.{i}.xlstm.k_proj.weight": "blocks.{i}.mixer.key.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.k_proj.bias": "blocks.{i}.mixer.key.bias",
    "xlstm_block_stack.blocks.{i}.xlstm.v_proj.weight": "blocks.{i}.mixer.value.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.v_proj.bias": "blocks.{i}.mixer.value.bias",
    "xlstm_block_stack.blocks.{i}.xlstm.mlstm_cell.igate.weight": "blocks.{i}.mixer.input_gate.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.mlstm_cell.igate.bias": "blocks.{i}.mixer.input_gate.bias",
    "xlstm_block_stack.blocks.{i}.xlstm.mlstm_cell.fgate.weight": "blocks.{i}.mixer.forget_gate.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.mlstm_cell.fgate.bias": "blocks.{i}.mixer.forget_gate.bias",
    "xlstm_block_stack.blocks.{i}.xlstm.mlstm_cell.outnorm.weight": "blocks.{i}.mixer.norm.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.learnable_skip": "blocks.{i}.mixer.skip",
    "xlstm_block_stack.blocks.{i}.xlstm.proj_down.weight": "blocks.{i}.mixer.down.weight",
    "xlstm_block_stack.blocks.{i}.xlstm.proj_down.bias": "blocks.{i}.mixer.down.bias",
}


def translate_name(name: str) -> str:
    """Turn an original parameter name into ours; ModelError where it is not one of an mLSTM model."""
    number = re.search(r"\.blocks\.(\d+)\.", name)
    pattern = name.replace(number.group(), ".blocks.{i}.") if number else name
    if pattern not in _NAMES:
        raise ModelError(f"parameter {name!r} is not one of an original mLSTM model")
    return _NAMES[pattern].replace("{i}", number.group(1) if number else "")


def translate_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn original weights into ours: norms are stored there as gain - 1, the convolution with one more axis."""
    return {translate_name(name): _translate(name, weight) for name, weight in weights.items()}


def _translate(name: str, weight: Tensor) -> Tensor:
    """Change one tensor to our convention."""
    if name.endswith("conv.weight"):
        return weight.squeeze(1)  # (I, 1, W) -> (I, W)
    return weight + 1 if "norm" in name else weight
