"""Dense maps, in a precision that the processor has arithmetic for."""

from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.kernels.arithmetic import computing_dtype


class Projection(nn.Linear):
    """Map the last axis: y = x W^T + b, in the dtype of x."""

    def forward(self, x: Tensor) -> Tensor:
        """Take (..., D) and give (..., E); half precision is computed in float32 where it would be emulated."""
        dtype = computing_dtype(x.dtype, x.device)
        if dtype == x.dtype:
            return super().forward(x)
        bias = None if self.bias is None else self.bias.to(dtype)
        return F.linear(x.to(dtype), self.weight.to(dtype), bias).to(x.dtype)
