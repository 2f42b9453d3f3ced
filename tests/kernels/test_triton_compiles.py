"""Every GPU kernel compiles for real GPUs: the interpreter takes what the compiler refuses, compiling needs no GPU.

Run as a program, this file calls the doors of the kernels on a driver that compiles and launches nothing, so kernels
are compiled for the very arguments they are launched with. That program runs without Triton's interpreter.
"""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

# older compilers know none of the newest GPUs
pytest.importorskip("triton", minversion="3.4")

TARGETS = (80, 90, 100, 120)  # compute capabilities
# 8.6 and 8.9 have less shared memory than 8.0 and are compiled alike
NARROW, SHARED = (80, 120), 99 * 1024  # bytes that a program may take there

HALF = {"dtype": torch.bfloat16}
# Every kernel for every target, in all forms together; an autotuned kernel with the smallest blocks it may choose.
# Left out for the sake of time: most pairs of form and target, float16, and larger blocks, which the tuner passes over
# where they fail.
CASES: list[tuple[int, str, dict[str, Any]]] = [
    (80, "mlstm", {"width": 128, **HALF}),
    (80, "step", {"width": 128}),
    (80, "slstm", {"width": 64, **HALF}),
    (80, "conv", {"width": 2, "activation": "none", **HALF}),
    (80, "decode", {"width": 128}),
    (90, "mlstm", {"width": 64, **HALF}),
    # counts of one are constants of the compiler
    (
        90,
        "mlstm",
        {"width": 128, "heads": 1, "time": 5, "reverse": True, "input_gate": "sigmoid", "normalize": False},
    ),
    (90, "step", {"width": 64, **HALF, "input_gate": "sigmoid", "normalize": False}),
    (90, "slstm", {"width": 128}),
    (90, "conv", {"width": 2, "reverse": True, "bias": False, "activation": "none"}),
    (90, "decode", {"width": 48, "window": torch.bfloat16, **HALF}),
    (100, "mlstm", {"width": 64, **HALF}),
    (100, "step", {"width": 64, **HALF}),
    # the widest heads whose weights stay on the chip on the way back
    (100, "slstm", {"width": 32, "heads": 1, "reverse": True, **HALF}),
    (100, "conv", HALF),
    (100, "decode", {"width": 64, **HALF}),
    (120, "mlstm", {"width": 64}),
    (120, "step", {"width": 64}),
    (120, "slstm", {"width": 64}),
    (120, "conv", {}),
    (120, "decode", {"width": 64}),
    (90, "decode", {"width": 48, "turned": True}),
]


class Build(NamedTuple):
    """Say how a kernel compiled."""

    target: int
    case: str
    kernel: str
    shared: int  # bytes of shared memory of a program
    error: str


def call_mlstm(
    width: int, heads: int = 2, time: int = 300, dtype: torch.dtype = torch.float32, **form: Any
) -> None:
    """Run the mLSTM and its gradients, from a given state and through the last one."""
    from bio_xlstm.kernels.mlstm import MlstmState
    from bio_xlstm.kernels.mlstm.triton_mlstm import mlstm_triton

    tokens = [torch.zeros(1, time, heads, width, dtype=dtype, requires_grad=True) for _ in range(3)]
    gates = [torch.zeros(1, time, heads) for _ in range(2)]
    state = MlstmState(
        torch.zeros(1, heads, width, width), torch.zeros(1, heads, width), torch.zeros(1, heads)
    )
    h, last = mlstm_triton(*tokens, *gates, state=state, **form)
    (h.sum() + last.c.sum()).backward()


def call_step(width: int, dtype: torch.dtype = torch.float32, **form: Any) -> None:
    """Run one step of the mLSTM."""
    from bio_xlstm.kernels.mlstm import MlstmState
    from bio_xlstm.kernels.mlstm.triton_step import mlstm_step_triton

    x, gate = torch.zeros(3, 2, width, dtype=dtype), torch.zeros(3, 2)
    state = MlstmState(torch.zeros(3, 2, width, width), torch.zeros(3, 2, width), torch.zeros(3, 2))
    mlstm_step_triton(x, x, x, gate, gate, state, **form)


def call_slstm(width: int, heads: int = 2, dtype: torch.dtype = torch.float32, reverse: bool = False) -> None:
    """Run the sLSTM and its gradients."""
    from bio_xlstm.kernels.slstm.triton_slstm import slstm_triton

    x = torch.zeros(1, 7, heads, 4, width, dtype=dtype, requires_grad=True)
    r, b = torch.zeros(heads, width, 4, width), torch.zeros(heads, 4, width)
    y, _ = slstm_triton(x, r, b, state=None, cu_seqlens=None, reverse=reverse)
    y.sum().backward()


def call_conv(
    width: int = 4,
    dtype: torch.dtype = torch.float32,
    bias: bool = True,
    activation: str = "silu",
    **form: Any,
) -> None:
    """Run the convolution and its gradients."""
    from bio_xlstm.kernels.conv.triton_conv import conv_triton

    def some(*size: int) -> Tensor:
        return torch.zeros(size, dtype=dtype, requires_grad=True)

    shift, before = some(80) if bias else None, some(1, width - 1, 80)
    y, _ = conv_triton(some(1, 70, 80), some(80, width), shift, state=before, activation=activation, **form)
    y.sum().backward()


def call_decode(
    width: int, dtype: torch.dtype = torch.float32, window: torch.dtype = torch.float32, turned: bool = False
) -> None:
    """Decode one token."""
    from bio_xlstm.kernels.decode import allocate, prepare
    from bio_xlstm.kernels.decode.triton_decode import decode_triton
    from bio_xlstm.kernels.mixer.weights import MixerWeights

    heads, block, taps = 4, 4, 4
    inner = heads * width
    shapes = [(inner, taps), (inner,), *[(inner // block, block, block)] * 3, *[(inner,)] * 3]
    shapes += [(heads, 3 * inner), (heads,)] * 2 + [(inner,)] * 2
    plain = MixerWeights(*map(torch.zeros, shapes))
    cache = allocate(3, heads, inner, taps, window_dtype=window)
    turn = torch.zeros(2, 2, width // 2) if turned else None
    up = torch.zeros(2, 2 * inner, dtype=dtype)
    decode_triton(up, prepare(plain), cache, torch.tensor([2, 0]), 1e-5, turn)


CALLS: dict[str, Callable[..., None]] = {
    "mlstm": call_mlstm,
    "step": call_step,
    "slstm": call_slstm,
    "conv": call_conv,
    "decode": call_decode,
}


class Compiler:
    """Stand in for the driver of a GPU."""

    def __init__(self) -> None:
        """Begin with nothing built."""
        self.target, self.case = 0, ""
        self.builds: list[Build] = []

    def get_current_device(self) -> int:
        """Name the device: compiled kernels are kept by device."""
        return self.target

    def get_current_stream(self, device: int) -> int:
        """Name the stream."""
        return 0

    def get_current_target(self) -> Any:
        """Say what is compiled for."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.target, 32)

    def install(self) -> None:
        """Compile wherever a kernel would be launched, with the smallest blocks where there is a choice."""
        import triton
        from triton.runtime.autotuner import Autotuner
        from triton.runtime.jit import JITFunction

        run = JITFunction.run

        def build(kernel: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
            shared, error = 0, ""
            try:
                shared = run(kernel, *args, grid=grid, warmup=True, **kwargs).metadata.shared
            # any of the errors of a compiler; the caller never sees what a kernel computes
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
            self.builds.append(Build(self.target, self.case, name(kernel), shared, error))

        def choose(tuner: Any, *args: Any, **kwargs: Any) -> None:
            tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
            smallest = min(tuner.prune_configs(kwargs), key=size)
            tuner.fn.run(*args, **kwargs, **smallest.all_kwargs())

        triton.runtime.driver.set_active(self)
        JITFunction.run, Autotuner.run = build, choose


def size(config: Any) -> int:
    """Return the numbers that a configuration holds at once."""
    return config.kwargs["BLOCK_K"] * config.kwargs["BLOCK_V"] * config.num_stages


def name(kernel: Any) -> str:
    """Name a function for the GPU by its module and itself."""
    return f"{kernel.fn.__module__}.{kernel.fn.__name__}"


def find_kernels() -> list[str]:
    """Name the kernels of the package: the functions for the GPU that no other one calls."""
    from triton.runtime.jit import JITFunction

    from bio_xlstm import kernels

    functions = {}
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        if module.name.rpartition(".")[2].startswith("triton_"):
            for member in vars(importlib.import_module(module.name)).values():
                while not isinstance(member, JITFunction) and hasattr(member, "configs"):
                    member = member.fn
                if isinstance(member, JITFunction):
                    functions[name(member)] = member.fn
    read = [
        function.__globals__.get(word)
        for function in functions.values()
        for word in function.__code__.co_names
    ]
    return sorted(functions.keys() - {name(member) for member in read if isinstance(member, JITFunction)})


def main(path: Path) -> None:
    """Build all cases and write down what came of them."""
    compiler = Compiler()
    compiler.install()
    for target, door, form in CASES:
        compiler.target, compiler.case = target, f"{door} {form}"
        CALLS[door](**form)
    path.write_text(json.dumps({"kernels": find_kernels(), "builds": compiler.builds}))


class Report(NamedTuple):
    """Hold what the program found."""

    kernels: list[str]
    builds: list[Build]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Run the program once."""
    folder = tmp_path_factory.mktemp("compiled")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("TRITON_INTERPRET", None)
    command = [sys.executable, __file__, str(folder / "report.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    # a compiler may also end the whole program
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "report.json").read_text())
    return Report(found["kernels"], [Build(*build) for build in found["builds"]])


def test_every_build_succeeds(report: Report) -> None:
    """Compile every case."""
    failed = [
        f"{build.kernel} for {build.target} in {build.case}: {build.error}"
        for build in report.builds
        if build.error
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("target", TARGETS)
def test_every_kernel_is_built(report: Report, target: int) -> None:
    """Miss no kernel: a new one needs a case above."""
    assert report.kernels
    assert set(report.kernels) == {build.kernel for build in report.builds if build.target == target}


def test_shared_memory_suffices(report: Report) -> None:
    """Fit the smallest blocks into the shared memory of the GPUs that have the least."""
    builds = [build for build in report.builds if build.target in NARROW]
    assert max(build.shared for build in builds) > 0
    assert not [build for build in builds if build.shared > SHARED]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
