"""What this machine offers: versions, devices, backends, and how fast the bundled models run on it."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

    from bio_xlstm.kernels.mixer import MixerWeights
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
MEASURE_SECONDS = 0.7


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

    from bio_xlstm.kernels.choice import find_obstacle, resolve
    from bio_xlstm.kernels.problems import PROBLEMS
    from bio_xlstm.kernels.trust import memory_file

    place, facts = torch.device(device), []
    for name, make in PROBLEMS.items():
        found = make().backends
        chosen, reason = resolve(name, "auto", found, place, torch.float32)
        others = [other for other in found if other not in (chosen, "reference")]
        rest = [
            f"{other} ({obstacle})" if (obstacle := find_obstacle(other, place.type)) else other
            for other in others
        ]
        facts.append(Fact(name, f"{chosen}: {reason}; else {', '.join(rest)}"))
    if place.type == "cuda":
        facts.append(
            Fact("tests of GPU kernels", f"remembered in {memory_file()}; delete it to have them repeated")
        )
    return facts


def speeds(models: list["SequenceModel"], device: "str | torch.device" = "cpu") -> list[Fact]:
    """Measure tokens per second of each primitive, forward and with gradients, and of each model as `embed` runs it."""
    facts = [Fact(f"{name}, {size.words}", _speed_of(size, device)) for name, size in SIZES.items()]
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
    make: Callable[["list[torch.Tensor]"], Callable[[], "torch.Tensor"]]  # from the tensors to the call
    shapes: list[tuple[int, ...]]
    tokens: int
    trained: bool = True  # there are gradients


def _mlstm(inputs: "list[torch.Tensor]") -> Callable[[], "torch.Tensor"]:
    """Read with the mLSTM."""
    from bio_xlstm.kernels.mlstm import mlstm

    return lambda: mlstm(*inputs)[0]


def _conv(inputs: "list[torch.Tensor]") -> Callable[[], "torch.Tensor"]:
    """Convolve."""
    from bio_xlstm.kernels.conv import causal_conv

    return lambda: causal_conv(*inputs, activation="silu")[0]


def _slstm(inputs: "list[torch.Tensor]") -> Callable[[], "torch.Tensor"]:
    """Read with the sLSTM."""
    from bio_xlstm.kernels.slstm import slstm

    return lambda: slstm(*inputs)[0]


def _weights(inputs: "list[torch.Tensor]") -> "MixerWeights":
    """Make the weights of a layer without the biases of its diagonal blocks."""
    from bio_xlstm.kernels.mixer import MixerWeights

    conv, line, block, gate, bias = inputs
    return MixerWeights(conv, line, block, block, block, None, None, None, gate, bias, gate, bias, line, line)


def _mixer(inputs: "list[torch.Tensor]") -> Callable[[], "torch.Tensor"]:
    """Run the inside of an mLSTM layer."""
    from bio_xlstm.kernels.mixer import mlstm_mixer

    up, *weights = inputs
    return lambda: mlstm_mixer(up, _weights(weights), with_state=False)[0]


def _decode(inputs: "list[torch.Tensor]") -> Callable[[], "torch.Tensor"]:
    """Read one token of every sequence with the inside of an mLSTM layer."""
    import torch

    from bio_xlstm.kernels.decode import allocate, decode_step, prepare

    up, *parts = inputs
    weights, slots = prepare(_weights(parts)), torch.arange(len(up), device=up.device)
    cache = allocate(len(up), len(parts[-1]), len(parts[1]), parts[0].shape[1], device=up.device)
    return lambda: decode_step(up, weights, cache, slots)


_LAYER: list[tuple[int, ...]] = [(256, 4), (256,), (64, 4, 4), (4, 768), (4,)]
SIZES = {
    "mlstm": Size("4 heads of 64", _mlstm, [(1, 4096, 4, 64)] * 3 + [(1, 4096, 4)] * 2, 4096),
    "causal_conv": Size("512 channels", _conv, [(1, 4096, 512), (512, 4)], 4096),
    "slstm": Size("4 heads of 64", _slstm, [(8, 256, 4, 4, 64), (4, 64, 4, 64), (4, 4, 64)], 2048),
    "mlstm_mixer": Size("4 heads of 64", _mixer, [(1, 4096, 512), *_LAYER], 4096),
    "decode_step": Size("4 heads of 64", _decode, [(64, 512), *_LAYER], 64, trained=False),
}


def _speed_of(size: Size, device: "str | torch.device") -> str:
    """Say how fast a primitive is without and, where there are any, with gradients."""
    import torch

    inputs = [0.1 * torch.randn(shape, device=device) for shape in size.shapes]
    run = size.make(inputs)

    @torch.inference_mode()
    def forward() -> object:
        return run().sum().item()

    speed = _per_second(forward, size.tokens)
    if not size.trained:
        return speed
    leaves = [x.clone().requires_grad_() for x in inputs]
    learn = size.make(leaves)

    def backward() -> object:
        return torch.autograd.grad(learn().sum(), leaves)[0].sum().item()

    return f"{speed} forward, {_per_second(backward, size.tokens)} with gradients"


def _model_call(model: "SequenceModel") -> Callable[[], object]:
    """Return a call that embeds sixteen sequences, 4,096 tokens in all."""
    import numpy as np

    from bio_xlstm.embedding import embed_batch

    ids = np.resize(np.flatnonzero(model.tokenizer.targets), 256).astype(model.tokenizer.dtype)
    return lambda: embed_batch(model, [ids] * 16)
