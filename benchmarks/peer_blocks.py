"""Blocks of other people's packages at the width of ours."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from peers import Peer, too_long, too_much_memory, whole_chunk
from setting import Setting, module_runner
from torch import Tensor, nn
from torch.nn import functional as F


class OriginalBlock(Peer):
    """The mLSTM block of `xlstm`: the same layers, a parallel cell quadratic in T."""

    name = "xlstm block, parallel"
    package = "xlstm"

    def obstacle(self, setting: Setting) -> str:
        """Refuse what the parallel form cannot hold."""
        return too_much_memory(setting, 8)

    def build(self, setting: Setting) -> Any:
        """Make a stack of one block."""
        xlstm = import_module("xlstm")
        layer = xlstm.mLSTMLayerConfig(num_heads=setting.shape.heads, qkv_proj_blocksize=4, proj_factor=2.0)
        config = xlstm.xLSTMBlockStackConfig(
            mlstm_block=xlstm.mLSTMBlockConfig(mlstm=layer),
            context_length=setting.shape.time,
            num_blocks=1,
            embedding_dim=setting.width,
            add_post_blocks_norm=False,
        )
        return xlstm.xLSTMBlockStack(config).to(setting.device, setting.dtype)

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Run it on (B, T, D)."""
        x = setting.random(setting.shape.batch, setting.shape.time, setting.width)
        return module_runner(self.build(setting), x, setting.backward)


class ChunkwiseBlock(OriginalBlock):
    """The same block with the chunkwise cell of `mlstm_kernels` put in, as the DNA and protein models use it."""

    name = "xlstm block, chunkwise"

    def obstacle(self, setting: Setting) -> str:
        """Ask for both packages."""
        return "" if find_spec("mlstm_kernels") else "mlstm_kernels is not installed"

    def build(self, setting: Setting) -> Any:
        """Replace the cell."""
        kernel = "chunkwise--triton_xl_chunk" if setting.device == "cuda" else "chunkwise--native_autograd"
        run = import_module("mlstm_kernels.torch").get_mlstm_kernel(kernel)
        size = whole_chunk(setting.shape.time, 64)

        def cell(
            queries: Tensor,
            keys: Tensor,
            values: Tensor,
            igate_preact: Tensor,
            fgate_preact: Tensor,
            **_: Any,
        ) -> Tensor:
            gates = igate_preact.squeeze(-1), fgate_preact.squeeze(-1)
            return run(queries, keys, values, *gates, chunk_size=size)

        # the stack makes a mask of context_length squared that this cell has no use for
        stack = super().build(setting._replace(shape=setting.shape._replace(time=1)))
        stack.blocks[0].xlstm.mlstm_cell.backend_fn = cell
        return stack


class TransformersBlock(Peer):
    """The block of transformers' xLSTM: post-up-projection with a gated feed-forward, at equal width and head count."""

    name = "transformers xLSTM block"
    package = "transformers"
    note = "another block: with feed-forward"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Run one block on (B, T, D)."""
        transformers = import_module("transformers")
        config = transformers.xLSTMConfig(
            vocab_size=8,
            hidden_size=setting.width,
            num_hidden_layers=1,
            num_heads=setting.shape.heads,
            qk_dim_factor=1.0,
            mode="train",
            chunk_size=whole_chunk(setting.shape.time, 64),
            autocast_kernel_dtype=str(setting.dtype)[6:],
        )
        block = transformers.xLSTMModel(config).blocks[0].to(setting.device, setting.dtype)
        x = setting.random(setting.shape.batch, setting.shape.time, setting.width)
        return module_runner(block, x, setting.backward)


class _AttentionBlock(nn.Module):
    """Project, attend, project: softmax attention at equal width and nothing else."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Take and give (B, T, D)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, T, K) each
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(-2))


class AttentionBlock(Peer):
    """A block of softmax attention."""

    name = "torch attention block"
    note = "attention alone: no norm, no feed-forward"

    def obstacle(self, setting: Setting) -> str:
        """Refuse very long sequences on a CPU."""
        return too_long(setting)

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Run it on (B, T, D)."""
        block = _AttentionBlock(setting.width, setting.shape.heads).to(setting.device, setting.dtype)
        x = setting.random(setting.shape.batch, setting.shape.time, setting.width)
        return module_runner(block, x, setting.backward)


BLOCK_PEERS: tuple[Peer, ...] = (OriginalBlock(), ChunkwiseBlock(), TransformersBlock(), AttentionBlock())
