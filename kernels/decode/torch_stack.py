"""One token per sequence through a whole stack of layers, in torch; the layers between their projections as chosen."""

from torch import Tensor
from torch.nn import functional as F

from bio_xlstm.kernels.decode.cache import DecodeCache
from bio_xlstm.kernels.decode.dispatch import decode_step
from bio_xlstm.kernels.decode.weights import StackWeights


class TorchStack:
    """Read one token per slot, on any device and in the dtype of the weights."""

    def __init__(self, weights: StackWeights, caches: list[DecodeCache], backend: str) -> None:
        self.weights, self.caches, self.backend = weights, caches, backend

    def __call__(self, tokens: Tensor, slots: Tensor, turn: Tensor | None = None) -> Tensor:
        """Take tokens (n,) and their slots (n,), give logits (n, vocabulary) in float32."""
        weights = self.weights
        width, eps = weights.norm.shape, weights.eps
        x = F.embedding(tokens, weights.embedding)  # (n, D)
        for layer, cache in zip(weights.layers, self.caches, strict=True):
            up = F.linear(F.layer_norm(x, width, layer.norm, eps=eps), layer.up, layer.up_bias)  # (n, 2 I)
            y = decode_step(up, layer.mixer, cache, slots, eps, self.backend, turn)  # (n, I)
            x = x + F.linear(y, layer.down, layer.down_bias)
        logits = F.linear(F.layer_norm(x, width, weights.norm, eps=eps), weights.head)
        # float64 is kept
        return logits if logits.dtype.itemsize > 4 else logits.float()
