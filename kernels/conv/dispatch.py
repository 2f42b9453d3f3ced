"""The public doors of the causal convolution: check shapes once, choose the backend."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from bio_xlstm.kernels.autograd import primitive
from bio_xlstm.kernels.choice import choose_backend
from bio_xlstm.kernels.conv.reference import conv_reference, step
from bio_xlstm.kernels.conv.torch_conv import conv_torch
from bio_xlstm.kernels.packing import check_cu_seqlens


def _numba(*inputs: Tensor | None, **form: Any) -> tuple[Tensor, Tensor]:
    """Compile only what is used."""
    from bio_xlstm.kernels.conv.numba_conv import conv_numba

    return conv_numba(*inputs, **form)  # type: ignore[arg-type]


def _triton(*inputs: Tensor | None, **form: Any) -> tuple[Tensor, Tensor]:
    """Import Triton only where it is used."""
    from bio_xlstm.kernels.conv.triton_conv import conv_triton

    return conv_triton(*inputs, **form)  # type: ignore[arg-type]


BACKENDS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "reference": conv_reference,
    "torch": conv_torch,
    "numba": _numba,
    "triton": _triton,
}
ACTIVATIONS = ("none", "silu")


@primitive
def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    state: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    activation: str = "none",
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Convolve each channel over time with its last W tokens and return the outputs and the final state.

    Args:
        x: (B, T, C), any float dtype.
        weight: (C, W); ``weight[:, W - 1]`` multiplies the current token.
        bias: (C,) or None.
        state: the last W - 1 inputs of each sequence before its first token (N, W - 1, C), oldest read first;
            zeros when None.
        cu_seqlens: boundaries (N + 1,) int32 of N sequences packed end to end, only with B == 1.
        reverse: read every sequence right to left; y stays in input order.
        activation: "none" or "silu", applied to the result.
        backend: "auto", "triton" (GPU), "numba" (CPU), "torch" (any device) or "reference".

    Returns:
        y (B, T, C) and the state after the last token read, both in the dtype of x.

    Raises:
        ValueError: a shape, an option or the backend does not fit; the message names it.

    Example:
        >>> import torch
        >>> y, state = causal_conv(torch.randn(2, 7, 6), torch.randn(6, 4), activation="silu")
        >>> y.shape, state.shape
        (torch.Size([2, 7, 6]), torch.Size([2, 3, 6]))
    """
    if x.dim() != 3 or 0 in x.shape:
        raise ValueError(f"x must be (B, T, C) with at least one token, got {tuple(x.shape)}")
    sequences = x.shape[0] if cu_seqlens is None else check_cu_seqlens(cu_seqlens, x.shape[0], x.shape[1])
    _check(x, weight, bias, state, sequences, activation)
    run = choose_backend("causal_conv", backend, BACKENDS, x.device, x.dtype)
    return run(x, weight, bias, state=state, cu_seqlens=cu_seqlens, reverse=reverse, activation=activation)


@primitive
def causal_conv_step(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor, *, activation: str = "none"
) -> tuple[Tensor, Tensor]:
    """Read one token per sequence: x (N, C), state (N, W - 1, C) -> y (N, C) and the new state.

    Raises:
        ValueError: a shape or the activation does not fit; the message names it.
    """
    if x.dim() != 2 or 0 in x.shape:
        raise ValueError(f"x must be (N, C), got {tuple(x.shape)}")
    _check(x, weight, bias, state, x.shape[0], activation)
    return step(x, weight, bias, state, activation=activation)


def _check(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, sequences: int, activation: str
) -> None:
    """Refuse weights, a state or an activation that do not fit the input."""
    channels = x.shape[-1]
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] < 1:
        raise ValueError(f"weight must be (C, W) with C = {channels}, got {tuple(weight.shape)}")
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(f"bias must have shape ({channels},), got {tuple(bias.shape)}")
    expected = (sequences, weight.shape[1] - 1, channels)
    if state is not None and tuple(state.shape) != expected:
        raise ValueError(f"state must have shape {expected}, got {tuple(state.shape)}")
    for name, part in (("x", x), ("weight", weight), ("bias", bias), ("state", state)):
        if part is not None and not part.is_floating_point():
            raise ValueError(f"{name} must be a floating-point tensor, got {part.dtype}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
