"""Dense maps, in a precision that the processor has arithmetic for."""

from torch import Tensor, nn
from torch.nn import functional as F

from bio_xlstm.kernels.arithmetic import computing_dtype


def project(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map the last axis of x (..., D) by weight (E, D); half precision is computed in float32 where it is emulated."""
    dtype = computing_dtype(x.dtype, x.device)
    if dtype == x.dtype:
        return F.linear(x, weight, bias)
    shift = None if bias is None else bias.to(dtype)
    return F.linear(x.to(dtype), weight.to(dtype), shift).to(x.dtype)


class Projection(nn.Linear):
    """Map the last axis: y = x W^T + b, in the dtype of x."""

    def forward(self, x: Tensor) -> Tensor:
        """Take (..., D) and give (..., E)."""
        return project(x, self.weight, self.bias)
