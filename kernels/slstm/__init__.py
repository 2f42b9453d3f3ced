"""The sLSTM: a scalar memory per unit whose gates read the previous output of their head."""

from bio_xlstm.kernels.slstm.dispatch import slstm, slstm_step
from bio_xlstm.kernels.slstm.state import SlstmState

__all__ = ["SlstmState", "slstm", "slstm_step"]
