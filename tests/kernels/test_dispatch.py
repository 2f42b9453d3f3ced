"""The doors of the kernels refuse what does not fit, naming the argument."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bio_xlstm.kernels.conv import causal_conv, causal_conv_step
from bio_xlstm.kernels.mixer import MixerWeights, mlstm_mixer
from bio_xlstm.kernels.mlstm import MlstmState, mlstm, mlstm_step


def given(**changes: Any) -> dict[str, Any]:
    """Return fitting arguments of the mLSTM (B 1, T 6, H 2, K 3, V 4) with some replaced."""
    q, k, v = torch.randn(1, 6, 2, 3), torch.randn(1, 6, 2, 3), torch.randn(1, 6, 2, 4)
    return {"q": q, "k": k, "v": v, "i": torch.randn(1, 6, 2), "f": torch.randn(1, 6, 2), **changes}


def state(sequences: int = 1, key: int = 3) -> MlstmState:
    """Return a state of two heads."""
    return MlstmState(
        torch.zeros(sequences, 2, key, 4), torch.zeros(sequences, 2, key), torch.zeros(sequences, 2)
    )


def lengths(*bounds: int) -> torch.Tensor:
    """Return cu_seqlens."""
    return torch.tensor(bounds, dtype=torch.int32)


MLSTM = [
    ({"q": torch.randn(6, 2, 3)}, r"q must be \(B, T, H, K\) .*\(6, 2, 3\)"),
    ({"q": torch.randn(1, 0, 2, 3)}, "q must be .* at least one token"),
    ({"k": torch.randn(1, 6, 2, 4)}, r"k must have the shape of q \(1, 6, 2, 3\), got \(1, 6, 2, 4\)"),
    ({"v": torch.randn(1, 5, 2, 4)}, r"v must agree with q .*\(1, 5, 2, 4\)"),
    ({"i": torch.randn(1, 6, 1)}, r"i must have shape \(1, 6, 2\), got \(1, 6, 1\)"),
    ({"f": torch.randn(1, 6)}, r"f must have shape \(1, 6, 2\), got \(1, 6\)"),
    ({"v": torch.ones(1, 6, 2, 4, dtype=torch.int64)}, "v must be a floating-point tensor"),
    ({"state": state(2)}, r"state.c must have shape \(1, 2, 3, 4\), got \(2, 2, 3, 4\)"),
    ({"state": state()._replace(n=torch.zeros(1, 2, 9))}, r"state.n must have shape \(1, 2, 3\)"),
    ({"state": state()._replace(m=torch.zeros(1, 2, 1))}, r"state.m must have shape \(1, 2\)"),
    ({"cu_seqlens": lengths(0, 3, 3, 6)}, "cu_seqlens: sequence 1 must hold at least one token"),
    ({"cu_seqlens": lengths(0, 5)}, "cu_seqlens must run from 0 to T = 6, got 0 to 5"),
    ({"cu_seqlens": lengths(0)}, r"cu_seqlens must be \(N \+ 1,\) int32"),
    ({"cu_seqlens": torch.tensor([0.0, 6.0])}, r"cu_seqlens must be \(N \+ 1,\) int32"),
    ({"input_gate": "tanh"}, "input_gate must be one of exp, sigmoid, got 'tanh'"),
    ({"chunk_size": 0}, "chunk_size must be a whole number of at least 1, got 0"),
    ({"chunk_size": 16.0}, "chunk_size must be a whole number of at least 1, got 16.0"),
    ({"chunk_size": True}, "chunk_size must be a whole number of at least 1, got True"),
    ({"cu_seqlens": [0, 6]}, r"cu_seqlens must be a tensor \(N \+ 1,\) int32, got list"),
    ({"state": (1, 2, 3)}, "state must be an MlstmState, got tuple"),
    ({"backend": "cuda"}, "mlstm: no backend 'cuda'; available: auto, .*reference, torch"),
]


@pytest.mark.parametrize(("changes", "message"), MLSTM)
def test_mlstm_refuses(changes: dict[str, Any], message: str) -> None:
    """Raise ValueError naming the argument and the shapes."""
    with pytest.raises(ValueError, match=message):
        mlstm(**given(**changes))


def test_mlstm_refuses_a_packed_batch() -> None:
    """Raise ValueError for cu_seqlens with several rows."""
    q, gate = torch.randn(2, 6, 2, 3), torch.randn(2, 6, 2)
    with pytest.raises(ValueError, match="cu_seqlens needs a batch of one packed row, got B = 2"):
        mlstm(q, q, q, gate, gate, cu_seqlens=lengths(0, 6))


def test_mlstm_step_refuses() -> None:
    """Raise ValueError for a wrong token or state."""
    parts = [x[:, 0] for x in given().values()]
    with pytest.raises(ValueError, match=r"state.c must have shape \(1, 2, 3, 4\)"):
        mlstm_step(*parts, state(key=5))
    with pytest.raises(ValueError, match=r"q must be \(N, H, K\)"):
        mlstm_step(*given().values(), state())


X, WEIGHT = torch.randn(1, 6, 5), torch.randn(5, 4)
CONV: list[tuple[Callable[[], Any], str]] = [
    (lambda: causal_conv(X[0], WEIGHT), r"x must be \(B, T, C\)"),
    (lambda: causal_conv(X, WEIGHT.T), r"weight must be \(C, W\) with C = 5, got \(4, 5\)"),
    (lambda: causal_conv(X, WEIGHT, torch.randn(4)), r"bias must have shape \(5,\), got \(4,\)"),
    (lambda: causal_conv(X, WEIGHT, state=torch.randn(1, 4, 5)), r"state must have shape \(1, 3, 5\)"),
    (lambda: causal_conv(X, WEIGHT, activation="gelu"), "activation must be one of none, silu, got 'gelu'"),
    (lambda: causal_conv(X, WEIGHT, backend="cuda"), "causal_conv: no backend 'cuda'; available: auto, "),
    (lambda: causal_conv(X.int(), WEIGHT), "x must be a floating-point tensor, got torch.int32"),
    (lambda: causal_conv(X, WEIGHT.int()), "weight must be a floating-point tensor, got torch.int32"),
    (lambda: causal_conv(X, WEIGHT, cu_seqlens=lengths(1, 6)), "cu_seqlens must run from 0 to T = 6"),
    (lambda: causal_conv_step(X, WEIGHT, None, torch.randn(1, 3, 5)), r"x must be \(N, C\)"),
]


@pytest.mark.parametrize(("call", "message"), CONV)
def test_conv_refuses(call: Callable[[], Any], message: str) -> None:
    """Raise ValueError naming the argument and the shapes."""
    with pytest.raises(ValueError, match=message):
        call()


def mixer_weights(**changes: Any) -> MixerWeights:
    """Make the weights of a layer of 32 channels in two heads."""
    line, block, gate = torch.randn(32), torch.randn(8, 4, 4), torch.randn(2, 96)
    parts = torch.randn(32, 4), line, block, block, block, None, None, None
    weights = MixerWeights(*parts, gate, torch.randn(2), gate, torch.randn(2), line, line)
    return weights._replace(**changes)


def mixer_state(sequences: int = 1, width: int = 16, window: tuple[int, ...] = (1, 3, 32)) -> Any:
    """Make the state of a layer."""
    shape = (sequences, 2, width)
    return MlstmState(torch.zeros(*shape, width), torch.zeros(shape), torch.zeros(shape[:2])), torch.zeros(
        window
    )


UP = torch.randn(1, 6, 64)
MIXER: list[tuple[dict[str, Any], str]] = [
    ({"up": UP[0]}, r"up must be \(B, T, 64\) with at least one token, got \(6, 64\)"),
    ({"up": UP[:, :, :63]}, r"up must be \(B, T, 64\)"),
    ({"up": UP.int()}, "up must be a floating-point tensor, got torch.int32"),
    ({"conv": torch.randn(31, 4)}, r"conv must have shape \(32, 4\), got \(31, 4\)"),
    ({"conv": torch.randn(32, 0)}, r"conv must have shape \(32, 1\), got \(32, 0\)"),
    ({"conv_bias": torch.randn(4)}, r"conv_bias must have shape \(32,\), got \(4,\)"),
    ({"query": torch.randn(5, 4, 4)}, r"query must be \(I / P, P, P\) with I = 32, got \(5, 4, 4\)"),
    ({"query": torch.randn(8, 4, 3)}, r"query must have shape \(8, 4, 4\), got \(8, 4, 3\)"),
    ({"value": torch.randn(8, 4, 2)}, r"value must have shape \(8, 4, 4\), got \(8, 4, 2\)"),
    ({"key_bias": torch.randn(31)}, r"key_bias must have shape \(32,\), got \(31,\)"),
    ({"input_gate": torch.randn(2, 95)}, r"input_gate must have shape \(2, 96\), got \(2, 95\)"),
    ({"forget_bias": torch.randn(3)}, r"forget_bias must have shape \(2,\), got \(3,\)"),
    ({"input_bias": torch.randn(3)}, "the 32 channels of norm cannot be shared by the 3 heads of input_bias"),
    ({"skip": None}, r"skip must have shape \(32,\), got None"),
    ({"skip": torch.randn(31)}, r"skip must have shape \(32,\), got \(31,\)"),
    ({"skip": torch.ones(32).int()}, "skip must be a floating-point tensor, got torch.int32"),
    ({"skip": torch.ones(32, device="meta")}, "skip is on meta, the tokens are on cpu"),
    ({"cu_seqlens": lengths(0, 5)}, "cu_seqlens must run from 0 to T = 6"),
    ({"state": mixer_state()[0]}, "state must be a pair of an MlstmState and a window"),
    ({"state": mixer_state(2)}, r"state.c must have shape \(1, 2, 16, 16\), got \(2, 2, 16, 16\)"),
    ({"state": mixer_state(width=8)}, r"state.c must have shape \(1, 2, 16, 16\), got \(1, 2, 8, 8\)"),
    ({"state": mixer_state(window=(1, 2, 32))}, r"window of the state must have shape \(1, 3, 32\)"),
    ({"backend": "cuda"}, "mlstm_mixer: no backend 'cuda'"),
]


@pytest.mark.parametrize(("changes", "message"), MIXER)
def test_mixer_refuses(changes: dict[str, Any], message: str) -> None:
    """Raise ValueError naming the argument and the shapes, before compiled loops see them."""
    weights = mixer_weights(**{name: part for name, part in changes.items() if name in MixerWeights._fields})
    rest = {name: part for name, part in changes.items() if name not in MixerWeights._fields}
    with pytest.raises(ValueError, match=message):
        mlstm_mixer(**({"up": UP, "weights": weights} | rest))


def test_training_after_inference_at_the_same_lengths() -> None:
    cu_seqlens = torch.tensor([0, 3, 45], dtype=torch.int32)
    tokens = [torch.randn(1, 45, 2, 8, requires_grad=True) for _ in range(3)]
    gates = [torch.randn(1, 45, 2, requires_grad=True) for _ in range(2)]
    x, weight = torch.randn(1, 45, 6, requires_grad=True), torch.randn(6, 4, requires_grad=True)
    with torch.inference_mode():
        mlstm(*tokens, *gates, cu_seqlens=cu_seqlens)
        causal_conv(x, weight, None, cu_seqlens=cu_seqlens)
    mlstm(*tokens, *gates, cu_seqlens=cu_seqlens)[0].sum().backward()
    causal_conv(x, weight, None, cu_seqlens=cu_seqlens)[0].sum().backward()
    assert x.grad is not None and tokens[0].grad is not None
