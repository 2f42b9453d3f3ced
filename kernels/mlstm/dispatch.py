"""The public doors of the mLSTM: check shapes once, choose the backend.

Limits of all backends that compute many tokens together rather than one by one:

- Inputs must be finite. Infinities and NaN never reach another sequence, but inside their own also tokens before them,
  up to a chunk back. A gate is switched off by -100, not by -inf.
- Where n.q all but vanishes, the true gradients of the gates and of the initial m are small differences of large terms.
  Their error is 1e-6 of those terms (of the gradients of q, k, c and n, times what they belong to), not of themselves.
- Without normaliser h has the scale exp(m): gates that sum to more than 88 overflow float32.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from bio_xlstm.kernels.autograd import primitive
from bio_xlstm.kernels.choice import choose_backend
from bio_xlstm.kernels.mlstm.reference import mlstm_reference, step
from bio_xlstm.kernels.mlstm.state import MlstmState, check_state
from bio_xlstm.kernels.mlstm.torch_chunkwise import mlstm_torch
from bio_xlstm.kernels.packing import check_cu_seqlens


def _numba(*inputs: Tensor, **form: Any) -> tuple[Tensor, MlstmState]:
    """Compile only what is used."""
    from bio_xlstm.kernels.mlstm.numba_mlstm import mlstm_numba

    return mlstm_numba(*inputs, **form)


def _triton(*inputs: Tensor, **form: Any) -> tuple[Tensor, MlstmState]:
    """Compile only what is used."""
    from bio_xlstm.kernels.mlstm.triton_mlstm import mlstm_triton

    return mlstm_triton(*inputs, **form)


BACKENDS: dict[str, Callable[..., tuple[Tensor, MlstmState]]] = {
    "reference": mlstm_reference,
    "torch": mlstm_torch,
    "numba": _numba,
    "triton": _triton,
}
INPUT_GATES = ("exp", "sigmoid")
LONGEST_CHUNK = 1024


@primitive
def mlstm(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    *,
    state: MlstmState | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    input_gate: str = "exp",
    normalize: bool = True,
    chunk_size: int | None = None,
    backend: str = "auto",
) -> tuple[Tensor, MlstmState]:
    """Read sequences with the mLSTM and return every output and the final state.

    Args:
        q, k: queries and keys (B, T, H, K), v: values (B, T, H, V); any float dtype. q is scaled by K**-0.5 inside.
        i, f: pre-activations of the input and forget gate (B, T, H).
        state: memory of each sequence before its first token, zeros when None.
        cu_seqlens: boundaries (N + 1,) int32 of N sequences packed end to end, only with B == 1.
        reverse: read every sequence right to left; h stays in input order.
        input_gate: "exp" (xLSTM) or "sigmoid".
        normalize: divide by max(|n.q|, exp(-m)) + 1e-6; without it h is the memory read in its true scale.
        chunk_size: tokens handled at once, at most 1,024, chosen from the lengths when None; results do not depend
            on it.
        backend: "auto", "triton" (GPU), "numba" (CPU), "torch" (any device) or "reference" (token by token).

    Returns:
        h (B, T, H, V) in the dtype of v, and the state (N sequences) in float32 (float64 for float64 inputs).

    Raises:
        ValueError: a shape, an option or the backend does not fit; the message names it. Limits: see the module.

    Example:
        >>> import torch
        >>> q = k = v = torch.randn(1, 5, 2, 8)
        >>> h, state = mlstm(q, k, v, torch.zeros(1, 5, 2), torch.ones(1, 5, 2))
        >>> h.shape, state.c.shape
        (torch.Size([1, 5, 2, 8]), torch.Size([1, 2, 8, 8]))
    """
    _check_tokens(q, k, v, i, f, rank=4)
    sequences = q.shape[0] if cu_seqlens is None else check_cu_seqlens(cu_seqlens, q.shape[0], q.shape[1])
    check_state(state, sequences, q.shape[2], q.shape[3], v.shape[3])
    _check_gate(input_gate)
    _check_chunk(chunk_size)
    run = choose_backend("mlstm", backend, BACKENDS, q.device, v.dtype)
    return run(
        *(q, k, v, i, f),
        state=state,
        cu_seqlens=cu_seqlens,
        reverse=reverse,
        input_gate=input_gate,
        normalize=normalize,
        chunk_size=None if chunk_size is None else min(chunk_size, _longest(q, cu_seqlens), LONGEST_CHUNK),
    )


@primitive
def mlstm_step(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    f: Tensor,
    state: MlstmState,
    *,
    input_gate: str = "exp",
    normalize: bool = True,
) -> tuple[Tensor, MlstmState]:
    """Read one token per sequence: q, k (N, H, K), v (N, H, V), i, f (N, H) -> h (N, H, V) and the new state.

    The given state is left as it was, so it can be continued in several ways.

    Raises:
        ValueError: a shape or an option does not fit; the message names it.
    """
    _check_tokens(q, k, v, i, f, rank=3)
    check_state(state, len(q), q.shape[1], q.shape[2], v.shape[2])
    _check_gate(input_gate)
    return step(q, k, v, i, f, state, input_gate=input_gate, normalize=normalize)


def _check_tokens(q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor, rank: int) -> None:
    """Refuse inputs whose shapes do not belong together."""
    axes = "(B, T, H, K)" if rank == 4 else "(N, H, K)"
    if q.dim() != rank or 0 in q.shape:
        raise ValueError(f"q must be {axes} with at least one token, got {tuple(q.shape)}")
    if k.shape != q.shape:
        raise ValueError(f"k must have the shape of q {tuple(q.shape)}, got {tuple(k.shape)}")
    if v.dim() != rank or v.shape[:-1] != q.shape[:-1] or v.shape[-1] == 0:
        raise ValueError(
            f"v must agree with q {tuple(q.shape)} in all but the last axis, got {tuple(v.shape)}"
        )
    for name, gate in (("i", i), ("f", f)):
        if gate.shape != q.shape[:-1]:
            raise ValueError(f"{name} must have shape {tuple(q.shape[:-1])}, got {tuple(gate.shape)}")
    for name, x in (("q", q), ("k", k), ("v", v), ("i", i), ("f", f)):
        if not x.is_floating_point():
            raise ValueError(f"{name} must be a floating-point tensor, got {x.dtype}")


def _longest(q: Tensor, cu_seqlens: Tensor | None) -> int:
    """Return the length of the longest sequence."""
    return q.shape[1] if cu_seqlens is None else int(cu_seqlens.diff().max())


def _check_chunk(size: int | None) -> None:
    """Refuse what is not a positive whole number."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"chunk_size must be a whole number of at least 1, got {size!r}")


def _check_gate(input_gate: str) -> None:
    """Refuse an unknown input gate."""
    if input_gate not in INPUT_GATES:
        raise ValueError(f"input_gate must be one of {', '.join(INPUT_GATES)}, got {input_gate!r}")
