"""Every backend reproduces the original implementation's numbers for one mLSTM cell."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bio_xlstm.kernels.mlstm import MlstmState, mlstm

GOLDEN = Path(__file__).parents[1] / "golden" / "mlstm_cell"


def swap(x: Tensor) -> Tensor:
    """Exchange the head and the time axis."""
    return x.transpose(1, 2)


def initial(golden: dict[str, Tensor], with_m: bool, dtype: torch.dtype) -> MlstmState:
    """Return the initial state of a case; the original recurrence starts from zeros, m included."""
    c, n = torch.zeros_like(golden["exp.C_last"]), torch.zeros_like(golden["exp.n_last"])
    c, n = golden.get("C_initial", c), golden.get("n_initial", n)
    m = golden.get("m_initial", torch.zeros_like(golden["exp.m_last"])).squeeze(-1)
    parts = c, n, m if with_m else torch.zeros_like(m)
    return MlstmState(*(x.to(dtype).clone().requires_grad_() for x in parts))


@pytest.mark.parametrize("name", ["s17_init", "s61_nonmultiple", "s64_std"])
@pytest.mark.parametrize("case", ["exp", "exp_with_state_grad", "sig", "sig_nonorm"])
@pytest.mark.parametrize("backend", ["reference", "torch", "numba", "triton"])
def test_reproduces_the_original_cell(name: str, case: str, backend: str, agree: Any) -> None:
    """Agree in outputs, final states and all gradients."""
    golden = load_file(GOLDEN / f"{name}.safetensors")
    # the compiled ones compute in float32, and refuse float64
    exact = backend in ("reference", "torch")
    dtype = torch.float64 if exact else torch.float32
    outputs = "exp" if case.startswith("exp") else case
    leaves = {key: swap(golden[key]).to(dtype).clone().requires_grad_() for key in "qkvif"}
    state = initial(golden, outputs == "exp", dtype)
    gate = "exp" if outputs == "exp" else "sigmoid"
    h, last = mlstm(
        *leaves.values(),
        state=state,
        input_gate=gate,
        normalize=case != "sig_nonorm",
        chunk_size=16,
        backend=backend,
    )
    loss = (swap(h) * golden["dh"]).sum()
    if case == "exp_with_state_grad":
        loss = loss + (last.c * golden["exp.gC_last"]).sum() + (last.n * golden["exp.gn_last"]).sum()
    loss.backward()

    triples = [("h", swap(h), golden[f"{outputs}.h"])]
    triples += [
        (f"{part}_last", x, golden[f"{outputs}.{part}_last"]) for part, x in (("C", last.c), ("n", last.n))
    ]
    if outputs == "exp":
        triples.append(("m_last", last.m, golden["exp.m_last"].squeeze(-1)))
    triples += [(f"d{key}", swap(leaf.grad), golden[f"{case}.d{key}"]) for key, leaf in leaves.items()]
    for key, leaf in (("dC_initial", state.c), ("dn_initial", state.n), ("dm_initial", state.m)):
        if f"{case}.{key}" in golden:
            triples.append((key, leaf.grad, golden[f"{case}.{key}"].view(leaf.shape)))
    agree(triples, 1e-10 if exact else 1e-5)
