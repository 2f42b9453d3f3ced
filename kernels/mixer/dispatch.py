"""The public door of the mixer: check shapes once, choose the backend."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from bio_xlstm.kernels.autograd import primitive
from bio_xlstm.kernels.choice import choose_backend
from bio_xlstm.kernels.mixer.compose import compose
from bio_xlstm.kernels.mixer.variant import PLAIN, Variant
from bio_xlstm.kernels.mixer.weights import MixerWeights, PreparedWeights, can_pack
from bio_xlstm.kernels.mlstm import MlstmState
from bio_xlstm.kernels.mlstm.state import check_state
from bio_xlstm.kernels.packing import check_cu_seqlens

Mixed = tuple[Tensor, tuple[MlstmState, Tensor] | None]


def _numba(up: Tensor, weights: PreparedWeights, *, variant: Variant, **form: Any) -> Mixed:
    """Fuse where the shapes fit the compiled loops."""
    from bio_xlstm.kernels.mixer.numba_mixer import LONGEST_WINDOW, mix_numba

    fits = can_pack(weights.plain) and weights.plain.conv.shape[1] <= LONGEST_WINDOW
    if fits and variant.gates_first and not variant.looks_ahead:
        return mix_numba(up, weights, rotation=variant.rotation, **form)
    return compose(up, weights.plain, backend="numba", conv_backend="torch", variant=variant, **form)


def _composed(backend: str) -> Callable[..., Mixed]:
    """Return a mixer put together from the primitives of a backend."""

    def run(up: Tensor, weights: PreparedWeights, **form: Any) -> Mixed:
        return compose(up, weights.plain, backend=backend, **form)

    return run


BACKENDS: dict[str, Callable[..., Mixed]] = {
    "reference": _composed("reference"),
    "torch": _composed("torch"),
    "numba": _numba,
    "triton": _composed("triton"),
}
# every primitive of the layer then chooses for itself
_AUTO = _composed("auto")


@primitive
def mlstm_mixer(
    up: Tensor,
    weights: MixerWeights | PreparedWeights,
    *,
    eps: float = 1e-5,
    state: tuple[MlstmState, Tensor] | None = None,
    cu_seqlens: Tensor | None = None,
    reverse: bool = False,
    with_state: bool = True,
    variant: Variant = PLAIN,
    backend: str = "auto",
) -> Mixed:
    """Compute what an mLSTM layer does between its two projections.

    The branch is convolved and goes through SiLU; queries and keys read the convolved branch, values the plain one,
    gates all three; the memory's output is normalised per head, joined by the convolved branch, and gated.

    Args:
        up: (B, T, 2 I), the branch first, then what gates the result; any float dtype.
        weights: the weights of the layer, cast to the dtype of up where theirs is another; `PreparedWeights` where
            many calls share them.
        eps: epsilon of the head norm.
        state: mLSTM state and convolution window (N, W - 1, I) of each sequence before its first token.
        cu_seqlens: boundaries (N + 1,) int32 of N sequences packed end to end, only with B == 1.
        reverse: read every sequence right to left; y stays in input order.
        with_state: return the state after the last token; without it None comes back, and time is saved.
        variant: rotary positions, a convolution or a memory that look ahead; the latter two have no state.
        backend: "auto", "numba" (fused, CPU), "triton", "torch" or "reference".

    Returns:
        y (B, T, I) in the dtype of up, and the state.

    Raises:
        ValueError: a shape or the backend does not fit; the message names it.
    """
    prepared = weights if isinstance(weights, PreparedWeights) else PreparedWeights(weights)
    plain = prepared.plain
    if up.dim() != 3 or 0 in up.shape or up.shape[2] != 2 * plain.inner:
        raise ValueError(
            f"up must be (B, T, {2 * plain.inner}) with at least one token, got {tuple(up.shape)}"
        )
    if not up.is_floating_point():
        raise ValueError(f"up must be a floating-point tensor, got {up.dtype}")
    prepared.check(up.device)
    batch, time, _ = up.shape
    _check_state(state, batch if cu_seqlens is None else check_cu_seqlens(cu_seqlens, batch, time), plain)
    _check_variant(variant, up, plain, state is not None or with_state)
    if backend == "auto" and up.device.type != "cpu":
        run: Callable[..., Mixed] = _AUTO
    else:
        run = choose_backend("mlstm_mixer", backend, BACKENDS, up.device, up.dtype)
    return run(
        up,
        prepared,
        eps=eps,
        state=state,
        cu_seqlens=cu_seqlens,
        reverse=reverse,
        with_state=with_state,
        variant=variant,
    )


def _check_state(state: tuple[MlstmState, Tensor] | None, sequences: int, weights: MixerWeights) -> None:
    """Refuse a state of other sequences or of another layer."""
    if state is None:
        return
    if not isinstance(state, tuple) or len(state) != 2:
        raise ValueError(f"state must be a pair of an MlstmState and a window, got {type(state).__name__}")
    memory, window = state
    width = weights.inner // weights.heads
    check_state(memory, sequences, weights.heads, width, width)
    shape = (sequences, weights.conv.shape[1] - 1, weights.inner)
    if tuple(window.shape) != shape:
        raise ValueError(f"the window of the state must have shape {shape}, got {tuple(window.shape)}")


def _check_variant(variant: Variant, up: Tensor, weights: MixerWeights, stateful: bool) -> None:
    """Refuse a state where tokens look ahead, and rotations of other tokens or another width."""
    if stateful and variant.looks_ahead:
        raise ValueError("a mixer that looks ahead has no state: call it with with_state=False")
    turn = variant.rotation
    if turn is None:
        return
    pairs = weights.inner // (1 if turn.before_gates else weights.heads) // 2
    tables = (len(turn.cos), pairs)
    if tuple(turn.cos.shape) != tables or tuple(turn.sin.shape) != tables:
        raise ValueError(
            f"the rotation must have tables of {pairs} columns, "
            f"got {tuple(turn.cos.shape)} and {tuple(turn.sin.shape)}"
        )
    if turn.rows.shape != up.shape[:2]:
        raise ValueError(
            f"the rows of the rotation must be {tuple(up.shape[:2])}, got {tuple(turn.rows.shape)}"
        )
