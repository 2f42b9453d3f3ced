"""Dense maps in half precision."""

import pytest
import torch

from bio_xlstm.layers.projection import Projection


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("able", [False, True])
def test_half_precision_agrees_at_its_rounding(
    bias: bool, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give outputs and gradients in the dtype of the input, right to its rounding, with and without arithmetic."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able}, raising=False)
    layer = Projection(24, 40, bias=bias).bfloat16()
    x = torch.randn(3, 7, 24).bfloat16().requires_grad_()
    y = layer(x)
    exact = x.double() @ layer.weight.double().T + (layer.bias.double() if bias else 0)
    assert y.dtype == torch.bfloat16
    assert (y - exact).norm() < 5e-3 * exact.norm()
    y.float().square().sum().backward()
    slope = 2 * exact @ layer.weight.double()
    assert x.grad is not None and layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.bfloat16
    assert (x.grad - slope).norm() < 1e-2 * slope.norm()


def test_float32_is_left_alone() -> None:
    """Give what torch gives."""
    layer, x = Projection(24, 40), torch.randn(5, 24)
    assert torch.equal(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
