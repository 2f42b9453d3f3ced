"""The mLSTM: a matrix memory with scalar forget and input gates per head."""

from bio_xlstm.kernels.mlstm.dispatch import mlstm, mlstm_step
from bio_xlstm.kernels.mlstm.state import MlstmState

__all__ = ["MlstmState", "mlstm", "mlstm_step"]
