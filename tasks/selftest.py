"""Numerical self-tests that a user can run: do the backends agree, and is a result free of its batch?"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from bio_xlstm.models.model import SequenceModel

# relative, float32 against float64 or against another batch; errors on a sound machine are below 5e-7
TOLERANCE = 1e-5

Run = Callable[..., tuple["Tensor", ...]]


class Check(NamedTuple):
    """Hold the outcome of one self-test."""

    name: str
    passed: bool
    detail: str


def run_checks(models: list["SequenceModel"], device: "str | torch.device" = "cpu") -> list[Check]:
    """Run every self-test on a device; batch invariance on `models`, a small fresh one if empty."""
    from bio_xlstm.models.build import build

    if not models:
        models = [build("protein", dim=64, blocks=2, heads=4, seed=0).to(device).eval()]
    checks = [*check_mlstm(device), *check_conv(device)]
    for model in models:
        checks += check_batch_invariance(model)
    return [*checks, check_reverse_complement()]


def check_mlstm(device: "str | torch.device") -> list[Check]:
    """Compare every backend of the mLSTM with the recurrence: outputs, final state, all gradients."""
    from bio_xlstm.kernels.mlstm import mlstm
    from bio_xlstm.kernels.mlstm.dispatch import BACKENDS

    shapes: list[tuple[int, ...]] = [(1, 67, 3, 24)] * 3 + [(1, 67, 3)] * 2  # q, k, v, i, f at an odd length

    def run(*inputs: "Tensor", backend: str) -> tuple["Tensor", ...]:
        h, state = mlstm(*inputs, backend=backend)
        return h, *state

    return [
        check
        for backend in BACKENDS
        if backend != "reference"
        for check in _compare("mlstm", run, shapes, backend, device)
    ]


def check_conv(device: "str | torch.device") -> list[Check]:
    """Compare every backend of the convolution with the reference: outputs, final state, all gradients."""
    from bio_xlstm.kernels.conv import causal_conv
    from bio_xlstm.kernels.conv.dispatch import BACKENDS

    shapes: list[tuple[int, ...]] = [(2, 67, 24), (24, 4), (24,)]  # x, weight, bias

    def run(*inputs: "Tensor", backend: str) -> tuple["Tensor", ...]:
        return causal_conv(*inputs, activation="silu", backend=backend)

    return [
        check
        for backend in BACKENDS
        if backend != "reference"
        for check in _compare("causal_conv", run, shapes, backend, device)
    ]


def check_batch_invariance(model: "SequenceModel") -> list[Check]:
    """Compare sequences embedded packed, alone and, for a causal model, in two halves through the state."""
    from bio_xlstm.embedding import embed_batch

    sequences = _random_sequences(model, lengths=(1, 2, 7, 61, 150))
    key = (model.layer_count - 1, "mean")
    together = [found[key] for found in embed_batch(model, sequences)]
    backwards = [found[key] for found in embed_batch(model, sequences[::-1])][::-1]
    alone = [embed_batch(model, [ids])[0][key] for ids in sequences]
    pairs = {"packed = alone": alone, "packed = packed in reverse order": backwards}
    if model.causal:
        # a budget below the length makes the longest sequence pass through the state
        pairs["packed = split through the state"] = [
            embed_batch(model, [ids], batch_tokens=97)[0][key] for ids in sequences
        ]
    found = {
        name: max(_relative_error(one, two) for one, two in zip(others, together, strict=True))
        for name, others in pairs.items()
    }
    return [
        Check(f"{model.name}: {name}", error < TOLERANCE, f"relative error {error:.1e}")
        for name, error in found.items()
    ]


def check_reverse_complement() -> Check:
    """Reverse-complement a DNA sequence twice: the same ids, and the text that chemistry says in between."""
    import numpy as np

    from bio_xlstm.tokenizers import TOKENIZERS

    tokenizer = TOKENIZERS["dna"]()
    text = "".join(np.random.default_rng(0).choice(list("ACGTN"), 1001))
    ids = tokenizer.encode(text)
    once = tokenizer.reverse_complement(ids)
    expected = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    passed = tokenizer.decode(once) == expected and np.array_equal(tokenizer.reverse_complement(once), ids)
    return Check("tokenizer: reverse complement", passed, "twice is the identity" if passed else "is wrong")


def _compare(
    name: str, run: Run, shapes: list[tuple[int, ...]], backend: str, device: "str | torch.device"
) -> list[Check]:
    """Compare one backend in float32 with the reference in float64."""
    import torch

    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    try:
        outputs, gradients = _forward_and_backward(run, [x.to(device) for x in inputs], backend)
    except (RuntimeError, ValueError) as error:
        return [Check(f"{name}: {backend}", False, str(error).splitlines()[0])]
    law_outputs, law_gradients = _forward_and_backward(run, [x.double() for x in inputs], "reference")
    forward = max(_relative_error(one, two) for one, two in zip(outputs, law_outputs, strict=True))
    backward = max(_relative_error(one, two) for one, two in zip(gradients, law_gradients, strict=True))
    return [
        Check(f"{name}: {backend} {what}", error < TOLERANCE, f"relative error {error:.1e}")
        for what, error in (("forward", forward), ("gradients", backward))
    ]


def _forward_and_backward(
    run: Run, inputs: list["Tensor"], backend: str
) -> tuple[tuple["Tensor", ...], tuple["Tensor", ...]]:
    """Return the outputs, and the gradients of a fixed weighting of them with respect to every input."""
    import torch

    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = run(*inputs, backend=backend)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(out.shape, generator=generator).to(out) for out in outputs]
    loss = torch.stack([(out * weight).sum() for out, weight in zip(outputs, weights, strict=True)]).sum()
    return tuple(out.detach() for out in outputs), torch.autograd.grad(loss, inputs)


def _random_sequences(model: "SequenceModel", lengths: tuple[int, ...]) -> list["np.ndarray"]:
    """Draw sequences of predictable symbols."""
    import numpy as np

    generator = np.random.default_rng(0)
    ids = np.flatnonzero(model.tokenizer.targets).astype(model.tokenizer.dtype)
    return [generator.choice(ids, length) for length in lengths]


def _relative_error(found: "Tensor | np.ndarray", expected: "Tensor | np.ndarray") -> float:
    """Return |found - expected| / |expected| in float64, infinite where a number is not finite."""
    import torch

    one = torch.as_tensor(found).detach().cpu().double()
    two = torch.as_tensor(expected).detach().cpu().double()
    error = float((one - two).norm() / two.norm().clamp_min(1e-30))
    return error if error == error else float("inf")
