"""Where every parameter of a Bio-xLSTM model is found in the original checkpoints, and how it is turned into ours."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from bio_xlstm.config import ModelConfig
from bio_xlstm.errors import ModelError
from bio_xlstm.original.weights import without_wrappers


class Origin(NamedTuple):
    """Name the original parameters that one of ours is made of, and how."""

    sources: tuple[str, ...]
    make: Callable[..., Tensor]


def _same(weight: Tensor) -> Tensor:
    return weight


def gain(weight: Tensor) -> Tensor:
    """Return the gain of a norm, stored as gain - 1; half precision is added up in float32, as 1 + weight would be."""
    return (weight.to(torch.promote_types(weight.dtype, torch.float32)) + 1).to(weight.dtype)


def _taps(weight: Tensor) -> Tensor:
    """Drop the axis of a depthwise convolution: (I, 1, W) -> (I, W)."""
    return weight.squeeze(1) if weight.ndim == 3 and weight.shape[1] == 1 else weight


def recurrent(kernel: Tensor) -> Tensor:
    """Turn a recurrent kernel into ours, (H, K, 4, K): previous output, gate i f z o, unit.

    The CUDA cell stores (H, K, 4 K) in that order, the plain one (H, 4 K, K) with the previous output last.
    """
    if is_plain(kernel):
        heads, _, width = kernel.shape
        return kernel.reshape(heads, 4, width, width).permute(0, 3, 1, 2)
    heads, width, gates = kernel.shape
    if gates != 4 * width:
        raise ModelError(
            f"a recurrent kernel of shape {tuple(kernel.shape)} is neither (H, K, 4 K) nor (H, 4 K, K)"
        )
    return kernel.reshape(heads, width, 4, width)


def _recurrent_bias(bias: Tensor, kernel: Tensor) -> Tensor:
    """Turn the bias of an sLSTM cell into ours, (H, 4, K): the plain cell stores it gate by gate."""
    heads, width = kernel.shape[0], min(kernel.shape[1:])
    if bias.numel() != 4 * heads * width:
        raise ModelError(f"a bias of {bias.numel()} numbers does not fit {heads} heads of {width} units")
    if is_plain(kernel):
        return bias.reshape(4, heads, width).transpose(0, 1)
    return bias.reshape(heads, 4, width)


def is_plain(kernel: Tensor) -> bool:
    """Tell the layout of the plain sLSTM cell from that of the CUDA cell."""
    return kernel.ndim == 3 and kernel.shape[1] == 4 * kernel.shape[2]


_STACK = "xlstm_block_stack."
# our name -> original names
_TOP = {
    "embedding.weight": Origin(("token_embedding.weight",), _same),
    "head.weight": Origin(("lm_head.weight",), _same),
    "norm.weight": Origin((_STACK + "post_blocks_norm.weight",), gain),
    "position_embedding.place.weight": Origin(("position_embedding.weight",), _same),
    "position_embedding.sequence.weight": Origin(("seq_position_embedding.weight",), _same),
    "position_embedding.scale": Origin((_STACK + "absolute_pos_embeds.scale",), _same),
}
_MLSTM = {
    "norm.weight": Origin(("xlstm_norm.weight",), gain),
    "mixer.conv_weight": Origin(("xlstm.conv1d.conv.weight",), _taps),
    "mixer.conv_bias": Origin(("xlstm.conv1d.conv.bias",), _same),
    "mixer.norm.weight": Origin(("xlstm.mlstm_cell.outnorm.weight",), gain),
    "mixer.skip": Origin(("xlstm.learnable_skip",), _same),
    **{
        f"mixer.{ours}.{part}": Origin((f"xlstm.{theirs}.{part}",), _same)
        for ours, theirs in (
            ("up", "proj_up"),
            ("down", "proj_down"),
            ("query", "q_proj"),
            ("key", "k_proj"),
            ("value", "v_proj"),
            ("input_gate", "mlstm_cell.igate"),
            ("forget_gate", "mlstm_cell.fgate"),
        )
        for part in ("weight", "bias")
    },
}
_SLSTM = {
    "norm.weight": Origin(("xlstm_norm.weight",), gain),
    "ffn_norm.weight": Origin(("ffn_norm.weight",), gain),
    "ffn.up.weight": Origin(("ffn.proj_up.weight",), _same),
    "ffn.down.weight": Origin(("ffn.proj_down.weight",), _same),
    "mixer.conv_weight": Origin(("xlstm.conv1d.conv.weight",), _taps),
    "mixer.conv_bias": Origin(("xlstm.conv1d.conv.bias",), _same),
    # the original module called fgate feeds the input gate, and igate the forget gate
    "mixer.input_gate.weight": Origin(("xlstm.fgate.weight",), _same),
    "mixer.forget_gate.weight": Origin(("xlstm.igate.weight",), _same),
    "mixer.cell_input.weight": Origin(("xlstm.zgate.weight",), _same),
    "mixer.output_gate.weight": Origin(("xlstm.ogate.weight",), _same),
    "mixer.recurrent": Origin(("xlstm.slstm_cell._recurrent_kernel_",), recurrent),
    "mixer.bias": Origin(("xlstm.slstm_cell._bias_", "xlstm.slstm_cell._recurrent_kernel_"), _recurrent_bias),
    "mixer.norm.weight": Origin(("xlstm.group_norm.weight",), gain),
}


def canonical(stored: str) -> str | None:
    """Return the name of a parameter without wrappers; None for buffers, which are no parameters.

    Reverse-complement parameter sharing wraps modules, too.
    """
    name = without_wrappers(stored).replace(".submodule.", ".")
    if name.endswith((".complement_map", ".causal_mask")):
        return None
    return name.replace("token_embedding.embedding.", "token_embedding.").replace(
        "lm_head.lm_head.", "lm_head."
    )


def origins(ours: Iterable[str], config: ModelConfig) -> Mapping[str, Origin]:
    """Find every one of our parameters in an original checkpoint."""
    return {name: _origin(name, config) for name in ours}


def _origin(name: str, config: ModelConfig) -> Origin:
    """Find one of our parameters."""
    if not name.startswith("blocks."):
        return _TOP[name]
    _, number, rest = name.split(".", 2)
    sources, make = (_SLSTM if int(number) in config.slstm_at else _MLSTM)[rest]
    return Origin(tuple(f"{_STACK}blocks.{number}.{source}" for source in sources), make)
