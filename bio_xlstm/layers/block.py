"""Residual blocks, one way and both ways.

A block adds to the residual stream what its mixers make of the normalised tokens, and what a feed-forward layer makes
of the result where it has one. Its passes say which mixer reads in which direction.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bio_xlstm.config import ModelConfig
from bio_xlstm.kernels.mixer import PreparedWeights
from bio_xlstm.layers.feed_forward import FeedForward
from bio_xlstm.layers.mlstm import MlstmLayer
from bio_xlstm.layers.norm import norm_of
from bio_xlstm.layers.pieces import read_long
from bio_xlstm.layers.post_up_mlstm import PostUpMlstmLayer
from bio_xlstm.layers.slstm import SlstmLayer
from bio_xlstm.layers.state import PLAIN, LayerState, Reading

Mixer = MlstmLayer | PostUpMlstmLayer | SlstmLayer

# what is read at once on a CPU without gradients: so many tokens, or so many numbers of the widest step (4 MB)
PIECE_TOKENS, PIECE_NUMBERS = 1024, 1 << 20


class Pass(NamedTuple):
    """Name a mixer of the block, and say whether it reads right to left."""

    mixer: str
    reverse: bool


_RIGHTWARD, _LEFTWARD = Pass("mixer", False), Pass("mixer", True)


class Block(nn.Module):
    """Read one way: y = x + mixer(norm(x)), then y + ffn(norm(y)) where there is a feed-forward layer."""

    passes: tuple[Pass, ...] = (_RIGHTWARD,)

    def __init__(self, config: ModelConfig, index: int = 0) -> None:
        super().__init__()
        self.config = config
        self.norm = norm_of(config)
        for name in dict.fromkeys(one.mixer for one in self.passes):
            self.add_module(name, _mixer(config, index))
        self.ffn_norm, self.ffn = None, None
        if config.block == "post_up" or index in config.slstm_at:
            self.ffn_norm, self.ffn = norm_of(config), FeedForward(config)

    def forward(self, x: Tensor, reading: Reading = PLAIN) -> tuple[Tensor, LayerState | None]:
        """Take and give (B, T, D), and the state after the last token if it is wanted."""
        only = self.passes[0]
        mixer, order = self._mixer_of(only), _turned(reading, only)
        prepared = mixer.prepare()

        def read(x: Tensor, order: Reading, out: Tensor | None) -> tuple[Tensor, LayerState | None]:
            """Read all at once."""
            mixed, after = mixer(self.norm(x), order, prepared)
            return self._through_ffn(torch.add(x, mixed, out=out)), after

        return read_long(read, x, order, piece_tokens(mixer))

    def _mixer_of(self, one: Pass) -> Mixer:
        """Return the mixer of a pass."""
        mixer = getattr(self, one.mixer)
        assert isinstance(mixer, Mixer)
        return mixer

    def _through_ffn(self, x: Tensor) -> Tensor:
        """Add what the feed-forward layer makes of tokens (B, T, D), in place where there are no gradients."""
        if self.ffn is None or self.ffn_norm is None:
            return x
        added = self.ffn(self.ffn_norm(x))
        return x + added if torch.is_grad_enabled() else x.add_(added)


class ReversedBlock(Block):
    """Read every sequence right to left."""

    passes = (_LEFTWARD,)


class SeparateBlock(Block):
    """Read both ways with weights of their own: y = x + mixer(norm(x)) + reversed other(norm(x))."""

    passes = (_RIGHTWARD, Pass("reverse_mixer", True))

    def forward(self, x: Tensor, reading: Reading = PLAIN) -> tuple[Tensor, None]:
        """Take and give (B, T, D); there is no state to continue from."""
        return self._through_ffn(x + self._mix(self.norm(x), reading)), None

    def _mix(self, x: Tensor, reading: Reading) -> Tensor:
        """Add what the mixers make of normalised tokens (B, T, D) from either end."""
        rightward, leftward = (_mix(self._mixer_of(one), x, _turned(reading, one)) for one in self.passes)
        return rightward + leftward


class SharedBlock(SeparateBlock):
    """Read both ways with one set of weights: y = x + mixer(norm(x)) + reversed mixer(norm(x))."""

    passes = (_RIGHTWARD, _LEFTWARD)

    def _mix(self, x: Tensor, reading: Reading) -> Tensor:
        """Add what the mixer makes of normalised tokens (B, T, D) from either end."""
        mixer = self._mixer_of(_RIGHTWARD)
        # training keeps all tokens anyway, so that one pair of projections serves both directions
        if isinstance(mixer, MlstmLayer) and torch.is_grad_enabled():
            return mixer.both_ways(x, reading)
        return super()._mix(x, reading)


class DoubledBlock(Block):
    """Add the whole results of both directions, as the original code does: the residual stream doubles."""

    def forward(self, x: Tensor, reading: Reading = PLAIN) -> tuple[Tensor, None]:
        """Take and give (B, T, D); there is no state to continue from."""
        rightward, leftward = (
            super(DoubledBlock, self).forward(x, _turned(reading, one))[0] for one in _BOTH
        )
        return rightward + leftward, None


_BOTH = (_RIGHTWARD, _LEFTWARD)
_KINDS: dict[str, type[Block]] = {
    "causal": Block,
    "two_sided": Block,
    "shared": SharedBlock,
    "separate": SeparateBlock,
}


def block_at(index: int, config: ModelConfig) -> Block:
    """Make the block at one depth; alternating stacks start with a reversed block."""
    if config.direction == "alternating":
        return (Block if index % 2 else ReversedBlock)(config, index)
    # an sLSTM cannot read from both ends at once
    sides = "shared" if config.direction == "two_sided" and index in config.slstm_at else config.direction
    kind = DoubledBlock if config.double_residual and sides == "shared" else _KINDS[sides]
    return kind(config, index)


def piece_tokens(mixer: Mixer) -> int:
    """Return how many tokens are read at once."""
    return max(PIECE_TOKENS, PIECE_NUMBERS // mixer.widest)


def _mixer(config: ModelConfig, index: int) -> Mixer:
    """Make the mixer at one depth."""
    if index in config.slstm_at:
        return SlstmLayer(config, index)
    return (PostUpMlstmLayer if config.block == "post_up" else MlstmLayer)(config)


def _mix(mixer: Mixer, x: Tensor, reading: Reading) -> Tensor:
    """Return what a mixer makes of (B, T, D), without a state."""
    prepared: PreparedWeights | None = mixer.prepare()

    def read(x: Tensor, reading: Reading, out: Tensor | None) -> tuple[Tensor, LayerState | None]:
        """Read all at once."""
        mixed, after = mixer(x, reading, prepared)
        return mixed if out is None else out.copy_(mixed), after

    return read_long(read, x, reading._replace(state=None, with_state=False), piece_tokens(mixer))[0]


def _turned(reading: Reading, one: Pass) -> Reading:
    """Apply the direction of a pass; the other strand is read the other way round."""
    return reading._replace(reverse=reading.reverse != one.reverse)
