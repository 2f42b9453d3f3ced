"""The inside of an mLSTM layer, between its two projections, as one primitive."""

from bio_xlstm.kernels.mixer.dispatch import mlstm_mixer
from bio_xlstm.kernels.mixer.weights import MixerWeights

__all__ = ["MixerWeights", "mlstm_mixer"]
