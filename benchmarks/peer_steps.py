"""Decoding steps of other people's packages: one token for each of n sequences, from token ids to logits."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from peers import Peer
from setting import Setting
from torch import nn


class StepPeer(Peer):
    """Prepare a step of a whole model with as many blocks and tokens as ours."""

    devices = ("cpu",)

    def __init__(self, blocks: int, vocabulary: int) -> None:
        self.blocks, self.vocabulary = blocks, vocabulary
        self.form = self.note

    def describe(self, model: nn.Module) -> None:
        """Put the size of the model into the note, which is read after the peer is prepared."""
        numbers = sum(parameter.numel() for parameter in model.parameters())
        self.note = ", ".join(filter(None, (self.form, f"{numbers / 1e6:.1f} M parameters")))


class OriginalStep(StepPeer):
    """The recurrent step of `xlstm`'s stack of mLSTM blocks: the layers that ours are."""

    name = "xlstm block stack, step"
    package = "xlstm"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Go on from the state after one token."""
        xlstm = import_module("xlstm")
        layer = xlstm.mLSTMLayerConfig(num_heads=setting.shape.heads, qkv_proj_blocksize=4, proj_factor=2.0)
        config = xlstm.xLSTMBlockStackConfig(
            mlstm_block=xlstm.mLSTMBlockConfig(mlstm=layer),
            context_length=1,
            num_blocks=self.blocks,
            embedding_dim=setting.width,
        )
        stack = xlstm.xLSTMBlockStack(config).eval()
        embedding = nn.Embedding(self.vocabulary, setting.width)
        head = nn.Linear(setting.width, self.vocabulary, bias=False)
        model = nn.ModuleList([embedding, stack, head]).to(setting.device, setting.dtype)
        self.describe(model)
        tokens = _tokens(setting)
        held: dict[str, Any] = {"state": None}

        @torch.no_grad()
        def step() -> object:
            x, held["state"] = stack.step(embedding(tokens), state=held["state"])
            return head(x)

        step()
        return step


class TransformersStep(StepPeer):
    """The step of transformers' xLSTM with its cache."""

    name = "transformers xLSTM, cached step"
    package = "transformers"
    note = (
        "another block, that of xLSTM-7B (post-up-projection, feed-forward), at equal width, layers and heads"
    )

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Go on from the cache after one token."""
        transformers = import_module("transformers")
        config = transformers.xLSTMConfig(
            vocab_size=self.vocabulary,
            hidden_size=setting.width,
            num_hidden_layers=self.blocks,
            num_heads=setting.shape.heads,
            qk_dim_factor=1.0,
            autocast_kernel_dtype=str(setting.dtype)[6:],
        )
        model = transformers.xLSTMForCausalLM(config).eval().to(setting.device, setting.dtype)
        self.describe(model)
        tokens = _tokens(setting)
        with torch.no_grad():
            cache = model(tokens, use_cache=True).cache_params

        @torch.no_grad()
        def step() -> object:
            return model(tokens, cache_params=cache, use_cache=True).logits

        return step


def _tokens(setting: Setting) -> torch.Tensor:
    """Draw one token per sequence, (n, 1)."""
    return torch.randint(0, 8, (setting.shape.batch, 1), device=setting.device)


def step_peers(blocks: int, vocabulary: int) -> tuple[Peer, ...]:
    """Return the peers for a model of so many blocks and token ids."""
    return OriginalStep(blocks, vocabulary), TransformersStep(blocks, vocabulary)
