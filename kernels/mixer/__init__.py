"""The inside of an mLSTM layer, between its two projections, as one primitive."""

from bio_xlstm.kernels.mixer.dispatch import mlstm_mixer
from bio_xlstm.kernels.mixer.weights import MixerWeights, PackedWeights, can_pack, pack

__all__ = ["MixerWeights", "PackedWeights", "can_pack", "mlstm_mixer", "pack"]
