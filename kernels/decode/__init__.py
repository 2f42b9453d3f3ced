"""Reading one token per sequence: the mLSTM layer between its projections, with a window of recent keys and values."""

from bio_xlstm.kernels.decode.cache import DecodeCache, allocate
from bio_xlstm.kernels.decode.dispatch import decode_step
from bio_xlstm.kernels.decode.weights import DecodeWeights, prepare
from bio_xlstm.kernels.decode.window import Windows, window_costs, window_lengths

__all__ = [
    "DecodeCache",
    "DecodeWeights",
    "Windows",
    "allocate",
    "decode_step",
    "prepare",
    "window_costs",
    "window_lengths",
]
