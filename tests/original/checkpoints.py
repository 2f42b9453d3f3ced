"""Checkpoints in the layouts of the original programs, with random weights."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

STACK = "xlstm_block_stack."
COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11])


class Draw:
    """Draw parameters of the size that makes every one of them matter."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype

    def __call__(self, *shape: int, scale: float = 0.3) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).mul(scale).to(self.dtype)


def v1_weights(
    *,
    vocabulary: int = 12,
    dim: int = 40,
    inner: int = 64,
    blocks: int = 3,
    heads: int = 4,
    slstm_at: tuple[int, ...] = (),
    slstm_heads: int = 4,
    conv: int = 4,
    slstm_conv: int = 4,
    ffn: int = 40,
    bias: bool = False,
    cuda: bool = False,
    positions: str = "none",
    tables: tuple[int, int] = (30, 5),
    tied: bool = False,
    sinusoidal: bool = False,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Draw a stack of original Bio-xLSTM blocks."""
    draw = Draw(seed, dtype)
    parts = {"abs_1d": 2, "abs_2d": 4}.get(positions, 1)
    weights = {"token_embedding.weight": draw(vocabulary, dim // min(parts, 2), scale=1.0)}
    if parts > 1:
        weights["position_embedding.weight"] = draw(tables[0], dim // parts, scale=1.0)
    if parts > 2:
        weights["seq_position_embedding.weight"] = draw(tables[1], dim // parts, scale=1.0)
    for number in range(blocks):
        prefix = f"{STACK}blocks.{number}."
        weights[prefix + "xlstm_norm.weight"] = draw(dim)
        if number in slstm_at:
            block = slstm_weights(draw, dim, slstm_heads, slstm_conv, ffn, cuda)
        else:
            block = mlstm_weights(draw, dim, inner, heads, conv, bias)
        weights |= {prefix + name: weight for name, weight in block.items()}
    weights[STACK + "post_blocks_norm.weight"] = draw(dim)
    if sinusoidal:
        weights[STACK + "absolute_pos_embeds.scale"] = draw(1, scale=1.0)
    weights["lm_head.weight"] = weights["token_embedding.weight"] if tied else draw(vocabulary, dim)
    return weights


def mlstm_weights(draw: Draw, dim: int, inner: int, heads: int, conv: int, bias: bool) -> dict[str, Tensor]:
    """Draw an mLSTM layer."""
    weights = {
        "xlstm.proj_up.weight": draw(2 * inner, dim),
        "xlstm.proj_down.weight": draw(dim, inner),
        "xlstm.conv1d.conv.weight": draw(inner, 1, conv),
        "xlstm.conv1d.conv.bias": draw(inner),
        "xlstm.learnable_skip": draw(inner, scale=1.0),
        "xlstm.mlstm_cell.outnorm.weight": draw(inner),
        "xlstm.mlstm_cell.igate.weight": draw(heads, 3 * inner, scale=0.1),
        "xlstm.mlstm_cell.igate.bias": draw(heads),
        "xlstm.mlstm_cell.fgate.weight": draw(heads, 3 * inner, scale=0.1),
        "xlstm.mlstm_cell.fgate.bias": draw(heads) + 1,
    }
    for name in ("q_proj", "k_proj", "v_proj"):
        weights[f"xlstm.{name}.weight"] = draw(inner // 4, 4, 4, scale=0.5)
        if bias:
            weights[f"xlstm.{name}.bias"] = draw(inner)
    if bias:
        weights |= {"xlstm.proj_up.bias": draw(2 * inner), "xlstm.proj_down.bias": draw(dim)}
    return weights


def slstm_weights(draw: Draw, dim: int, heads: int, conv: int, ffn: int, cuda: bool) -> dict[str, Tensor]:
    """Draw an sLSTM layer and its feed-forward layer, with the recurrent parameters in the layout of either cell."""
    width = dim // heads
    weights = {
        f"xlstm.{name}.weight": draw(heads, width, width) for name in ("fgate", "igate", "zgate", "ogate")
    }
    if conv:
        weights |= {"xlstm.conv1d.conv.weight": draw(dim, 1, conv), "xlstm.conv1d.conv.bias": draw(dim)}
    kernel = (heads, width, 4 * width) if cuda else (heads, 4 * width, width)
    return weights | {
        "xlstm.slstm_cell._recurrent_kernel_": draw(*kernel),
        "xlstm.slstm_cell._bias_": draw(4 * dim, scale=0.5),
        "xlstm.group_norm.weight": draw(dim),
        "ffn_norm.weight": draw(dim),
        "ffn.proj_up.weight": draw(2 * ffn, dim),
        "ffn.proj_down.weight": draw(dim, ffn),
    }


def large_weights(
    *,
    vocabulary: int = 50,
    dim: int = 40,
    blocks: int = 2,
    heads: int = 4,
    keys: int = 20,
    values: int = 40,
    ffn: int = 48,
    bias: bool = False,
    out_norm: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Draw an xLSTM-large with separate ("single") weights."""
    draw = Draw(seed, dtype)
    weights = {"embedding.weight": draw(vocabulary, dim, scale=1.0), "lm_head.weight": draw(vocabulary, dim)}

    def linear(name: str, out: int, into: int, always: bool = False) -> None:
        weights[name + ".weight"] = draw(out, into)
        if bias or always:
            weights[name + ".bias"] = draw(out)

    def norm(name: str, width: int) -> None:
        weights[name + ".weight"] = 1 + draw(width)
        if bias:
            weights[name + ".bias"] = draw(width)

    for number in range(blocks):
        prefix = f"backbone.blocks.{number}."
        layer = prefix + "mlstm_layer."
        for name, width in (("q", keys), ("k", keys), ("v", values), ("ogate_preact", values)):
            linear(layer + name, width, dim)
        for name in ("igate_preact", "fgate_preact"):
            linear(layer + name, heads, dim, always=True)
        linear(layer + "out_proj", dim, values)
        for name, out, into in (("proj_up_gate", ffn, dim), ("proj_up", ffn, dim), ("proj_down", dim, ffn)):
            linear(prefix + "ffn." + name, out, into)
        norm(layer + "multihead_norm", values)
        norm(prefix + "norm_mlstm", dim)
        norm(prefix + "norm_ffn", dim)
    if out_norm:
        norm("backbone.out_norm", dim)
    return weights


def fused(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store an xLSTM-large as its "fused" mode does."""
    groups = {
        "mlstm_layer.qkv_opreact": (
            "mlstm_layer.q",
            "mlstm_layer.k",
            "mlstm_layer.v",
            "mlstm_layer.ogate_preact",
        ),
        "mlstm_layer.ifgate_preact": ("mlstm_layer.igate_preact", "mlstm_layer.fgate_preact"),
        "ffn.proj_up_gate_z": ("ffn.proj_up_gate", "ffn.proj_up"),
    }
    rest = dict(weights)
    number = 0
    while (prefix := f"backbone.blocks.{number}.") + "norm_mlstm.weight" in weights:
        for whole, parts in groups.items():
            for kind in ("weight", "bias"):
                names = [f"{prefix}{part}.{kind}" for part in parts]
                if names[0] in rest:
                    rest[f"{prefix}{whole}.{kind}"] = torch.cat([rest.pop(name) for name in names])
        number += 1
    return rest


def sizes(weights: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Return the tokens, the channels and the number of blocks of a stack of original Bio-xLSTM blocks."""
    tokens, dim = weights["lm_head.weight"].shape
    return tokens, dim, sum(name.endswith(".xlstm_norm.weight") for name in weights)


# what a run of DNA-xLSTM writes beside the sizes: a network that reads left to right
DNA_STATED = {
    "bidirectional": False,
    "bidirectional_alternating": False,
    "m_backend_bidirectional": False,
    "m_backend": "parallel",
    "m_position_embeddings": False,
    "m_conv1d_causal": True,
    "s_conv1d_causal": True,
    "rcps": False,
}


def write_dna(
    folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any], prefix: str = "model.backbone."
) -> Path:
    """Write a Lightning checkpoint and the section of the configuration beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    state = OrderedDict((prefix + name, weight) for name, weight in weights.items())
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": []}, folder / "last.ckpt")
    (folder / "model_config.json").write_text(json.dumps({"config": dict(config)}))
    return folder


def shared_strands(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename parameters as reverse-complement parameter sharing wraps their modules."""
    renamed = {}
    for name, weight in weights.items():
        for module in ("xlstm_norm", "xlstm", "ffn_norm", "ffn", "post_blocks_norm"):
            name = name.replace(f".{module}.", f".{module}.submodule.")
        renamed[name] = weight
    renamed["token_embedding.embedding.weight"] = renamed.pop("token_embedding.weight")
    renamed["lm_head.lm_head.weight"] = renamed.pop("lm_head.weight")
    for module in ("token_embedding", "lm_head"):
        renamed[module + ".complement_map"] = COMPLEMENT
    return renamed


def write_protein(folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Path:
    """Write pytorch_model.bin and config.json, which always states what follows from the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens, dim, blocks = sizes(weights)
    always = {
        "mlstm_block": {"mlstm": {}},
        "vocab_size": tokens,
        "embedding_dim": dim,
        "num_blocks": blocks,
        "position_embeddings": "none",
    }
    torch.save({"backbone." + name: weight for name, weight in weights.items()}, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({**always, **config}))
    return folder


TABLE = (
    "[PAD]",
    "[BEG]",
    "C",
    "c",
    "(",
    ")",
    "1",
    "O",
    "=",
    "[",
    "]",
    "@",
    "H",
    "N",
    "[END]",
    "Cl",
    "+",
    "o",
    "%10",
)


def write_chem(folder: Path, weights: Mapping[str, Tensor], **changes: Any) -> Path:
    """Write model.pt and init_arguments.json, which always states what follows from the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model." + name: weight for name, weight in weights.items()}, folder / "model.pt")
    labels = {symbol: number for number, symbol in enumerate(TABLE)}
    _, dim, blocks = sizes(weights)
    always = {"mode": "smiles", "model_dim": dim, "n_layers": blocks, "token2label": labels}
    settings = {**always, "n_heads": 1, "dropout": 0.25, **changes}
    (folder / "init_arguments.json").write_text(json.dumps(settings))
    return folder


def write_large(folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Path:
    """Write model.safetensors and a flat config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), folder / "model.safetensors")
    lines = (f"{key}: {'null' if value is None else json.dumps(value)}" for key, value in config.items())
    (folder / "config.yaml").write_text("\n".join(lines) + "\n")
    return folder


def write_hub(folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> Path:
    """Write the Hugging Face layout of xLSTM-7b in two shards with their index."""
    folder.mkdir(parents=True, exist_ok=True)
    spelled = {
        name.replace("embedding.weight", "backbone.embeddings.weight"): w for name, w in weights.items()
    }
    names = sorted(spelled)
    homes = {
        name: f"model-0000{1 + 2 * i // len(names)}-of-00002.safetensors" for i, name in enumerate(names)
    }
    for home in set(homes.values()):
        save_file({name: spelled[name] for name in names if homes[name] == home}, folder / home)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))
    (folder / "config.json").write_text(json.dumps({"model_type": "xlstm", **config}))
    return folder
