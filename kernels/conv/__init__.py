"""The causal depthwise convolution that precedes queries and keys."""

from bio_xlstm.kernels.conv.dispatch import causal_conv, causal_conv_step

__all__ = ["causal_conv", "causal_conv_step"]
