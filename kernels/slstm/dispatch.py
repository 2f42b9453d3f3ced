"""The public doors of the sLSTM: check shapes once, choose the backend."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from bio_xlstm.kernels.autograd import primitive
from bio_xlstm.kernels.choice import choose_backend
from bio_xlstm.kernels.packing import check_cu_seqlens
from bio_xlstm.kernels.slstm.reference import slstm_reference, step
from bio_xlstm.kernels.slstm.state import SlstmState
from bio_xlstm.kernels.slstm.torch_slstm import slstm_torch


def _numba(*args: Tensor, **form: Any) -> tuple[Tensor, SlstmState]:
    """Run the compiled CPU loops."""
    # numba takes a second to import
    from bio_xlstm.kernels.slstm.numba_slstm import slstm_numba

    return slstm_numba(*args, **form)


def _triton(*args: Tensor, **form: Any) -> tuple[Tensor, SlstmState]:
    """Run the compiled GPU kernels."""
    # triton exists on Linux alone
    from bio_xlstm.kernels.slstm.triton_slstm import slstm_triton

    return slstm_triton(*args, **form)


BACKENDS: dict[str, Callable[..., tuple[Tensor, SlstmState]]] = {
    "reference": slstm_reference,
    "torch": slstm_torch,
    "numba": _numba,
    "triton": _triton,
}


@primitive
def slstm(
    x: Tensor,
    r: Tensor,
    b: Tensor,
    *,
    state: SlstmState | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, SlstmState]:
    """Read sequences with the sLSTM and return every output and the final state.

    The forget gate is a sigmoid, the input gate an exponential, and the recurrent weights mix the units of one head.
    Equations: xLSTM (arXiv 2405.04517), with the stabiliser of its appendix and nothing added to the normaliser.

    Args:
        x: pre-activations from the input (B, T, H, 4, K), any float dtype; gates in the order input, forget, cell
            input, output.
        r: recurrent weights (H, K, 4, K); ``r[h, :, g, :]`` maps the last output of head h to its gate g.
        b: bias (H, 4, K), added once.
        state: memory of each sequence before its first token, empty when None.
        cu_seqlens: boundaries (N + 1,) int32 of N sequences packed end to end, only with B == 1.
        reverse: read every sequence right to left; y stays in input order.
        backend: "auto", "numba" (compiled for the CPU), "triton" (for the GPU), "torch" or "reference".

    Returns:
        y (B, T, H, K) in the dtype of x, and the state (N sequences) in float32 (float64 for float64 inputs).

    Raises:
        ValueError: a shape or the backend does not fit; the message names it.

    Example:
        >>> import torch
        >>> x, r, b = torch.randn(1, 5, 2, 4, 8), torch.randn(2, 8, 4, 8), torch.zeros(2, 4, 8)
        >>> y, state = slstm(x, r, b)
        >>> y.shape, state.c.shape
        (torch.Size([1, 5, 2, 8]), torch.Size([1, 2, 8]))
    """
    if x.dim() != 5 or x.shape[3] != 4 or 0 in x.shape:
        raise ValueError(f"x must be (B, T, H, 4, K) with at least one token, got {tuple(x.shape)}")
    sequences = x.shape[0] if cu_seqlens is None else check_cu_seqlens(cu_seqlens, x.shape[0], x.shape[1])
    _check(x, r, b, state, sequences)
    run = choose_backend("slstm", backend, BACKENDS, x.device, x.dtype)
    return run(x, r, b, state=state, cu_seqlens=cu_seqlens, reverse=reverse)


@primitive
def slstm_step(x: Tensor, r: Tensor, b: Tensor, state: SlstmState) -> tuple[Tensor, SlstmState]:
    """Read one token per sequence: x (N, H, 4, K) -> y (N, H, K) and the new state.

    The given state is left as it was, so it can be continued in several ways.

    Raises:
        ValueError: a shape does not fit; the message names it.
    """
    if x.dim() != 4 or x.shape[2] != 4 or 0 in x.shape:
        raise ValueError(f"x must be (N, H, 4, K), got {tuple(x.shape)}")
    _check(x, r, b, state, x.shape[0])
    return step(x, r, b, state)


def _check(x: Tensor, r: Tensor, b: Tensor, state: SlstmState | None, sequences: int) -> None:
    """Refuse weights or a state that do not fit the input."""
    heads, width = x.shape[-3], x.shape[-1]
    for name, part, shape in (("r", r, (heads, width, 4, width)), ("b", b, (heads, 4, width))):
        if tuple(part.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, got {tuple(part.shape)}")
    for name, part in (("x", x), ("r", r), ("b", b)):
        if not part.is_floating_point():
            raise ValueError(f"{name} must be a floating-point tensor, got {part.dtype}")
    if state is None:
        return
    if not isinstance(state, SlstmState):
        raise ValueError(f"state must be an SlstmState, got {type(state).__name__}")
    for name, part in zip(state._fields, state, strict=True):
        if tuple(part.shape) != (sequences, heads, width):
            raise ValueError(
                f"state.{name} must have shape {(sequences, heads, width)}, got {tuple(part.shape)}"
            )
