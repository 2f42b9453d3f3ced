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


def backends() -> list[Fact]:
    """List the backends of each primitive and the one that `auto` takes, with the reason."""
    from bio_xlstm.kernels.conv import dispatch as conv
    from bio_xlstm.kernels.mlstm import dispatch as mlstm

    reasons = {
        "reference": "nothing faster is built in",
        "torch": "runs on every device that torch knows",
    }
    facts = []
    for name, found in (("mlstm", mlstm), ("causal_conv", conv)):
        reason = reasons.get(found.AUTO, "the fastest here")
        facts.append(Fact(name, f"{', '.join(found.BACKENDS)}; auto = {found.AUTO}: {reason}"))
    return facts


def speeds(models: list["SequenceModel"], device: "str | torch.device" = "cpu") -> list[Fact]:
    """Measure tokens per second of each primitive and of each model, packed as `embed` packs them."""
    facts = [
        Fact("mlstm, 4 heads of 64", _per_second(_mlstm_call(device), 2048)),
        Fact("causal_conv, 512 channels", _per_second(_conv_call(device), 2048)),
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


def _mlstm_call(device: "str | torch.device") -> Callable[[], object]:
    """Return a call that reads one sequence with the mLSTM and waits for the result."""
    import torch

    from bio_xlstm.kernels.mlstm import mlstm

    q, k, v = torch.randn(3, 1, 2048, 4, 64, device=device)
    i, f = torch.randn(2, 1, 2048, 4, device=device)

    @torch.inference_mode()
    def call() -> object:
        return mlstm(q, k, v, i, f)[0].sum().item()

    return call


def _conv_call(device: "str | torch.device") -> Callable[[], object]:
    """Return a call that convolves one sequence and waits for the result."""
    import torch

    from bio_xlstm.kernels.conv import causal_conv

    x, weight = torch.randn(1, 2048, 512, device=device), torch.randn(512, 4, device=device)

    @torch.inference_mode()
    def call() -> object:
        return causal_conv(x, weight, activation="silu")[0].sum().item()

    return call


def _model_call(model: "SequenceModel") -> Callable[[], object]:
    """Return a call that embeds sixteen sequences, 4,096 tokens in all."""
    import numpy as np

    from bio_xlstm.embedding import embed_batch

    ids = np.resize(np.flatnonzero(model.tokenizer.targets), 256).astype(model.tokenizer.dtype)
    return lambda: embed_batch(model, [ids] * 16)
