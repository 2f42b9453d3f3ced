"""Residual blocks, one way and both ways."""

from functools import partial

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.mixer import PreparedWeights
from bio_xlstm.layers.mlstm import LayerState, MlstmLayer
from bio_xlstm.layers.pieces import Given, read_long

# what is read at once on a CPU without gradients: so many tokens, or so many numbers of the up-projection (4 MB)
PIECE_TOKENS, PIECE_NUMBERS = 1024, 1 << 20


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
        read, tokens = partial(self._read, self.mixer.prepare(), reverse), piece_tokens(self.mixer)
        return read_long(read, x, cu_seqlens, state, with_state, reverse=reverse, tokens=tokens)

    def _read(
        self, prepared: PreparedWeights, reverse: bool, given: Given
    ) -> tuple[Tensor, LayerState | None]:
        """Read all at once."""
        x, cu_seqlens, state, with_state, out = given
        mixed, after = self.mixer(
            self.norm(x), cu_seqlens, state, with_state, reverse=reverse, prepared=prepared
        )
        return torch.add(x, mixed, out=out), after


def piece_tokens(mixer: MlstmLayer) -> int:
    """Return how many tokens are read at once."""
    return max(PIECE_TOKENS, PIECE_NUMBERS // mixer.up.out_features)


def mix_one_way(mixer: MlstmLayer, x: Tensor, cu_seqlens: Tensor | None, reverse: bool) -> Tensor:
    """Return what a mixer makes of (B, T, D) in one direction, without a state."""
    prepared = mixer.prepare()

    def read(given: Given) -> tuple[Tensor, LayerState | None]:
        """Read all at once."""
        *tokens, out = given
        mixed, after = mixer(*tokens, reverse=reverse, prepared=prepared)
        return mixed if out is None else out.copy_(mixed), after

    return read_long(read, x, cu_seqlens, None, False, reverse=reverse, tokens=piece_tokens(mixer))[0]


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
        rightward, leftward = (
            mix_one_way(self.mixer, normed, cu_seqlens, reverse) for reverse in (False, True)
        )
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
        rightward = mix_one_way(self.mixer, normed, cu_seqlens, reverse=False)
        leftward = mix_one_way(self.reverse_mixer, normed, cu_seqlens, reverse=True)
        return x + rightward + leftward, None


def block_at(index: int, config: ModelConfig) -> nn.Module:
    """Make the block at one depth; alternating stacks start with a reversed block."""
    kinds: dict[str, type[Block]] = {"causal": Block, "shared": SharedBlock, "separate": SeparateBlock}
    if config.direction == "alternating":
        return (Block if index % 2 else ReversedBlock)(config)
    return kinds[config.direction](config)
