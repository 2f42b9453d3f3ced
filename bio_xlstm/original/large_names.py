"""Where every parameter of a stack of post-up blocks is found in checkpoints of xLSTM-large and of xLSTM-7b."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor

from bio_xlstm.config import ModelConfig
from bio_xlstm.original.names import Origin
from bio_xlstm.original.weights import Weights, without_wrappers

# spellings of the Hugging Face layout -> those of xLSTM-large
_SPELLINGS = {
    "embeddings.": "embedding.",
    ".mlstm_layer.query.": ".mlstm_layer.q.",
    ".mlstm_layer.key.": ".mlstm_layer.k.",
    ".mlstm_layer.value.": ".mlstm_layer.v.",
}
_TOP = {"embedding": "embedding", "head": "lm_head", "norm": "out_norm"}
_BLOCK = {
    "norm": "norm_mlstm",
    "ffn_norm": "norm_ffn",
    "ffn.down": "ffn.proj_down",
    "mixer.norm": "mlstm_layer.multihead_norm",
    "mixer.down": "mlstm_layer.out_proj",
    "mixer.query": "mlstm_layer.q",
    "mixer.key": "mlstm_layer.k",
    "mixer.value": "mlstm_layer.v",
    "mixer.output_gate": "mlstm_layer.ogate_preact",
    "mixer.input_gate": "mlstm_layer.igate_preact",
    "mixer.forget_gate": "mlstm_layer.fgate_preact",
}
# the half that is activated comes first
_HALVES = ("ffn.proj_up_gate", "ffn.proj_up")
FUSED = "mlstm_layer.qkv_opreact"
FUSED_GATES = "mlstm_layer.ifgate_preact"
FUSED_FFN = "ffn.proj_up_gate_z"


def canonical(stored: str) -> str:
    """Return the name of a parameter without wrappers, spelled as in xLSTM-large."""
    name = without_wrappers(stored)
    for theirs, ours in _SPELLINGS.items():
        name = name.replace(theirs, ours)
    return name


def origins(ours: Iterable[str], config: ModelConfig, weights: Weights) -> Mapping[str, Origin]:
    """Find every one of our parameters in an original checkpoint."""
    return {name: _origin(name, config, weights) for name in ours}


def _origin(name: str, config: ModelConfig, weights: Weights) -> Origin:
    """Find one of our parameters: as it is, in a fused one, or in two halves."""
    module, _, part = name.rpartition(".")
    if not name.startswith("blocks."):
        if name == "norm.bias" and "out_norm.bias" not in weights:
            # the Hugging Face model gives its last norm no bias even where all others have one
            return Origin(("out_norm.weight",), torch.zeros_like)
        return Origin((f"{_TOP[module]}.{part}",), _same)
    _, number, module = module.split(".", 2)
    block = f"blocks.{number}."
    if module == "ffn.up":
        if f"{block}{FUSED_FFN}.weight" in weights:
            return Origin((f"{block}{FUSED_FFN}.{part}",), _same)
        return Origin(tuple(f"{block}{half}.{part}" for half in _HALVES), _joined)
    if f"{block}{FUSED}.weight" in weights and module in (rows := _fused_rows(config)):
        fused, start, stop = rows[module]
        return Origin((f"{block}{fused}.{part}",), _rows(start, stop))
    return Origin((f"{block}{_BLOCK[module]}.{part}",), _same)


def _fused_rows(config: ModelConfig) -> dict[str, tuple[str, int, int]]:
    """Say which rows of the fused projections are whose: q, k, v, output gate; input gate, forget gate."""
    keys, values, heads = config.key_dim, config.value_dim, config.heads
    widths = (("query", keys), ("key", keys), ("value", values), ("output_gate", values))
    rows: dict[str, tuple[str, int, int]] = {}
    start = 0
    for name, width in widths:
        rows[f"mixer.{name}"] = FUSED, start, start + width
        start += width
    rows["mixer.input_gate"] = FUSED_GATES, 0, heads
    rows["mixer.forget_gate"] = FUSED_GATES, heads, 2 * heads
    return rows


def _same(weight: Tensor) -> Tensor:
    return weight


def _joined(*halves: Tensor) -> Tensor:
    return torch.cat(halves)


def _rows(start: int, stop: int) -> Callable[[Tensor], Tensor]:
    return partial(_cut, start=start, stop=stop)


def _cut(weight: Tensor, start: int, stop: int) -> Tensor:
    return weight[start:stop]
