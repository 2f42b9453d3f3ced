"""The inside of an mLSTM layer, between its two projections, as one primitive."""

from bio_xlstm.kernels.mixer.dispatch import mlstm_mixer
from bio_xlstm.kernels.mixer.variant import Rotation, Variant
from bio_xlstm.kernels.mixer.weights import MixerWeights, PreparedWeights

__all__ = ["MixerWeights", "PreparedWeights", "Rotation", "Variant", "mlstm_mixer"]
