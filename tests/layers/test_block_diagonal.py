"""The tiled block-diagonal map equals the dense one."""

import pytest
import torch

from bio_xlstm.layers.block_diagonal import BlockDiagonal


@pytest.mark.parametrize(("dim", "block"), ((64, 4), (36, 4), (28, 7), (96, 1), (40, 40), (384, 4)))
@pytest.mark.parametrize("bias", (False, True))
def test_equals_a_dense_block_diagonal_matrix(dim, block, bias):
    layer = BlockDiagonal(dim, block, bias).double()
    torch.nn.init.normal_(layer.weight)
    if bias:
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 5, dim, dtype=torch.float64)
    wanted = x @ torch.block_diag(*layer.weight).T + (layer.bias if bias else 0)
    assert torch.allclose(layer(x), wanted, rtol=0, atol=1e-12)
