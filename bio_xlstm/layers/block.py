"""Residual blocks, one way and both ways."""

from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.layers.mlstm import LayerState, MlstmLayer


class Block(nn.Module):
    """Add what the mixer makes of the normalised input: x + mixer(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_eps, bias=False)
        self.mixer = MlstmLayer(config)

    def forward(
        self,
        x: Tensor,
        cu_seqlens: Tensor | None = None,
        state: LayerState | None = None,
        with_state: bool = True,
        reverse: bool = False,
    ) -> tuple[Tensor, LayerState | None]:
        """Take and give (B, T, D), and the state after the last token if it is wanted."""
        mixed, state = self.mixer(self.norm(x), cu_seqlens, state, reverse, with_state)
        return x + mixed, state


class ReversedBlock(Block):
    """Read every sequence right to left."""

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        cu_seqlens: Tensor | None = None,
        state: LayerState | None = None,
        with_state: bool = False,
    ) -> tuple[Tensor, None]:
        """Take and give (B, T, D); there is no state to continue from."""
        return super().forward(x, cu_seqlens, None, with_state=False, reverse=True)[0], None


class SharedBlock(Block):
    """Read both ways with one set of weights: x + mixer(norm(x)) + reversed mixer(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        # the original code adds two whole residual outputs, so that the stream doubles in every block
        self.residual = 2.0 if config.double_residual else 1.0

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        cu_seqlens: Tensor | None = None,
        state: LayerState | None = None,
        with_state: bool = False,
    ) -> tuple[Tensor, None]:
        """Take and give (B, T, D); there is no state to continue from."""
        normed = self.norm(x)
        rightward, _ = self.mixer(normed, cu_seqlens, with_state=False)
        leftward, _ = self.mixer(normed, cu_seqlens, reverse=True, with_state=False)
        return self.residual * x + rightward + leftward, None


class SeparateBlock(Block):
    """Read both ways with weights of their own: x + mixer(norm(x)) + reversed other(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.reverse_mixer = MlstmLayer(config)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        cu_seqlens: Tensor | None = None,
        state: LayerState | None = None,
        with_state: bool = False,
    ) -> tuple[Tensor, None]:
        """Take and give (B, T, D); there is no state to continue from."""
        normed = self.norm(x)
        rightward, _ = self.mixer(normed, cu_seqlens, with_state=False)
        leftward, _ = self.reverse_mixer(normed, cu_seqlens, reverse=True, with_state=False)
        return x + rightward + leftward, None


def block_at(index: int, config: ModelConfig) -> nn.Module:
    """Make the block at one depth; alternating stacks start with a reversed block."""
    kinds: dict[str, type[Block]] = {"causal": Block, "shared": SharedBlock, "separate": SeparateBlock}
    if config.direction == "alternating":
        return (Block if index % 2 else ReversedBlock)(config)
    return kinds[config.direction](config)
