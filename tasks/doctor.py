"""What this machine offers: versions, devices, backends, and how fast the bundled models run on it."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

    from bio_xlstm.models.model import SequenceModel

LIBRARIES = (
    "torch",
    "triton",
    "numba",
    "numpy",
    "biopython",
    "rdkit",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "pytorch-lightning",
    "h5py",
    "huggingface_hub",
)
MEASURE_SECONDS = 1.0


class Fact(NamedTuple):
    """Hold one line of the report."""

    name: str
    value: str


def versions() -> list[Fact]:
    """List the versions of Python, of this library and of those it builds on."""
    from bio_xlstm import __version__

    facts = [
        Fact("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Fact("bio-xlstm", __version__),
    ]
    for name in LIBRARIES:
        try:
            facts.append(Fact(name, version(name)))
        except PackageNotFoundError:
            facts.append(Fact(name, "not installed"))
    return facts


def devices() -> list[Fact]:
    """List what torch can compute on."""
    import torch

    facts = [Fact("cpu", f"{torch.get_num_threads()} threads")]
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        memory = gpu.total_memory / 2**30
        facts.append(
            Fact(f"cuda:{index}", f"{gpu.name}, {memory:.0f} GiB, compute capability {gpu.major}.{gpu.minor}")
        )
    if not torch.cuda.is_available():
        facts.append(
            Fact("cuda", "none found" if torch.version.cuda else "none: this build of torch is for CPUs only")
        )
    if torch.backends.mps.is_available():
        facts.append(Fact("mps", "Apple GPU"))
    return facts


def backends(device: "str | torch.device" = "cpu") -> list[Fact]:
    """Name the backend that `auto` takes for each primitive on a device, with the reason, and the others."""
    import torch

    from bio_xlstm.kernels.choice import automatic, find_obstacle
    from bio_xlstm.kernels.selftest import PROBLEMS

    place, facts = torch.device(device), []
    for name, make in PROBLEMS.items():
        found = make().backends
        chosen, reason = automatic(found, place.type)
        if chosen == "triton":
            chosen, reason = _judged(name, place, reason)
        others = [other for other in found if other not in (chosen, "reference")]
        rest = [
            f"{other} ({obstacle})" if (obstacle := find_obstacle(other, place.type)) else other
            for other in others
        ]
        facts.append(Fact(name, f"{chosen}: {reason}; else {', '.join(rest)}"))
    return facts


def _judged(name: str, place: "torch.device", reason: str) -> tuple[str, str]:
    """Return the backend of a primitive on a GPU after its self-test."""
    from bio_xlstm.kernels.trust import judge

    verdict = judge(name, place.index or 0)
    return (
        ("triton", f"{reason}, {verdict.detail}")
        if verdict.passed
        else ("torch", f"triton fails: {verdict.detail}")
    )


def speeds(models: list["SequenceModel"], device: "str | torch.device" = "cpu") -> list[Fact]:
    """Measure tokens per second of each primitive, forward and with gradients, and of each model as `embed` runs it."""
    from bio_xlstm.kernels.selftest import PROBLEMS

    facts = [
        Fact(f"{name}, {SIZES[name].words}", _speed_of(name, device)) for name in PROBLEMS if name in SIZES
    ]
    return [*facts, *(Fact(model.name, _per_second(_model_call(model), 4096)) for model in models)]


def tokens_per_second(call: Callable[[], object], tokens: int, seconds: float = MEASURE_SECONDS) -> float:
    """Repeat a call for some seconds after one warm-up; return tokens per second of the median call."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return tokens / max(sorted(times)[len(times) // 2], 1e-9)


def _per_second(call: Callable[[], object], tokens: int) -> str:
    """Say how fast a call is."""
    return f"{tokens_per_second(call, tokens):,.0f} tokens/s"


class Size(NamedTuple):
    """Describe the call that measures a primitive."""

    words: str
    run: Callable[..., tuple["torch.Tensor", object]]
    shapes: list[tuple[int, ...]]
    tokens: int


def _mlstm(*inputs: "torch.Tensor") -> tuple["torch.Tensor", object]:
    """Read with the mLSTM."""
    from bio_xlstm.kernels.mlstm import mlstm

    return mlstm(*inputs)


def _conv(*inputs: "torch.Tensor") -> tuple["torch.Tensor", object]:
    """Convolve."""
    from bio_xlstm.kernels.conv import causal_conv

    return causal_conv(*inputs, activation="silu")


def _slstm(*inputs: "torch.Tensor") -> tuple["torch.Tensor", object]:
    """Read with the sLSTM."""
    from bio_xlstm.kernels.slstm import slstm

    return slstm(*inputs)


SIZES = {
    "mlstm": Size("4 heads of 64", _mlstm, [(1, 4096, 4, 64)] * 3 + [(1, 4096, 4)] * 2, 4096),
    "causal_conv": Size("512 channels", _conv, [(1, 4096, 512), (512, 4)], 4096),
    "slstm": Size("4 heads of 64", _slstm, [(8, 256, 4, 4, 64), (4, 64, 4, 64), (4, 4, 64)], 2048),
}


def _speed_of(name: str, device: "str | torch.device") -> str:
    """Say how fast a primitive is without and with gradients."""
    import torch

    size = SIZES[name]
    inputs = [0.1 * torch.randn(shape, device=device) for shape in size.shapes]

    @torch.inference_mode()
    def forward() -> object:
        return size.run(*inputs)[0].sum().item()

    leaves = [x.clone().requires_grad_() for x in inputs]

    def backward() -> object:
        return torch.autograd.grad(size.run(*leaves)[0].sum(), leaves)[0].sum().item()

    return f"{_per_second(forward, size.tokens)} forward, {_per_second(backward, size.tokens)} with gradients"


def _model_call(model: "SequenceModel") -> Callable[[], object]:
    """Return a call that embeds sixteen sequences, 4,096 tokens in all."""
    import numpy as np

    from bio_xlstm.embedding import embed_batch

    ids = np.resize(np.flatnonzero(model.tokenizer.targets), 256).astype(model.tokenizer.dtype)
    return lambda: embed_batch(model, [ids] * 16)
