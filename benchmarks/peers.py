"""What other people's packages offer for the same work, each in a small class; none of them is needed.

    pip install mlstm_kernels xlstm transformers flash-linear-attention

A peer that is not installed, cannot run on the device or fails says so in the table.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from setting import Setting, module_runner, runner
from timing import Contender, explain, fastest, make_clock
from torch import Tensor, nn
from torch.nn import functional as F

MEMORY_LIMIT = 4e9  # bytes that a peer may hold on the CPU; half of the memory on a GPU
ATTENTION_LIMIT = 8192  # tokens read by quadratic attention on the CPU
_HERE = Path(__file__).resolve().parent


@contextmanager
def _installed_packages_only() -> Iterator[None]:
    """Hide this folder and the checkout: a peer that imports `tokenizers` or `kernels` means the packages on PyPI."""
    before = list(sys.path)
    sys.path[:] = [entry for entry in before if Path(entry).resolve() not in (_HERE, _HERE.parent)]
    try:
        yield
    finally:
        sys.path[:] = before


class Peer:
    """Prepare one peer for a setting."""

    name: str
    package: str = "torch"
    devices: tuple[str, ...] = ("cpu", "cuda")
    note: str = ""

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Return what is timed."""
        raise NotImplementedError

    def obstacle(self, setting: Setting) -> str:
        """Say why the peer is not run in this setting; an empty string where it is."""
        return ""

    def contender(self, setting: Setting) -> Contender:
        """Return the peer as a contender, or the reason why it is none."""
        with _installed_packages_only():
            reason = self._reason(setting)
            if reason:
                return Contender(self.name, note=reason)
            try:
                return Contender(self.name, self.prepare(setting), note=self.note)
            except Exception as error:  # noqa: BLE001 - other people's code, which may fail in any way
                return Contender(self.name, note=explain(error))

    def _reason(self, setting: Setting) -> str:
        """Say why the peer cannot run."""
        if find_spec(self.package) is None:
            return "not installed"
        return self.obstacle(setting)


def too_much_memory(setting: Setting, tiles: int) -> str:
    """Refuse forms that hold several T x T tiles of every head where they do not fit."""
    shape = setting.shape
    held = tiles * shape.batch * shape.heads * shape.time**2 * 4
    limit = MEMORY_LIMIT if setting.device == "cpu" else torch.cuda.mem_get_info()[1] / 2
    return f"would hold {held / 1e9:,.0f} GB: quadratic in T" if held > limit else ""


def too_long(setting: Setting) -> str:
    """Refuse quadratic attention over very long sequences on a CPU."""
    if setting.device == "cpu" and setting.shape.time > ATTENTION_LIMIT:
        return f"quadratic in T: not run beyond {ATTENTION_LIMIT:,} tokens on the CPU"
    return ""


def whole_chunk(number: int, limit: int) -> int:
    """Return the largest divisor within a limit: the original kernels need whole chunks."""
    return max(size for size in range(1, limit + 1) if number % size == 0)


def _cell_inputs(setting: Setting) -> list[Tensor]:
    """Draw q, k, v (B, H, T, K) and gates i, f (B, H, T) as a fresh model has them."""
    batch, time, heads, dim = setting.shape
    tokens = [setting.random(batch, heads, time, dim) for _ in range(3)]
    gates = [(setting.random(batch, heads, time).detach() + bias) for bias in (0.0, 4.5)]
    return tokens + [gate.requires_grad_(setting.backward) for gate in gates]


class OriginalCell(Peer):
    """One of the original kernels, at the better of two chunk sizes."""

    package = "mlstm_kernels"

    def __init__(self, kernel: str, devices: tuple[str, ...], note: str = "") -> None:
        self.kernel = kernel
        self.name = f"mlstm_kernels {kernel}"
        self.devices, self.note = devices, note

    def obstacle(self, setting: Setting) -> str:
        """Refuse what the parallel form cannot hold."""
        return too_much_memory(setting, 8) if self.kernel.startswith("parallel") else ""

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Call the kernel on its own layout (B, H, T, K)."""
        kernel = import_module("mlstm_kernels.torch").get_mlstm_kernel(self.kernel)
        inputs = _cell_inputs(setting)
        if self.kernel.startswith("parallel"):
            return runner(lambda: kernel(*inputs), inputs, setting.backward)
        sizes = sorted({whole_chunk(setting.shape.time, limit) for limit in (64, 128)})
        runs = [runner(partial(kernel, *inputs, chunk_size=size), inputs, setting.backward) for size in sizes]
        return fastest(runs, make_clock(setting.device))


class Attention(Peer):
    """torch's scaled dot-product attention, causal, with as many heads of the same width."""

    name = "torch attention"
    note = "softmax attention, another function"

    def obstacle(self, setting: Setting) -> str:
        """Refuse very long sequences on a CPU."""
        return too_long(setting)

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Attend over (B, H, T, K)."""
        q, k, v = _cell_inputs(setting)[:3]
        return runner(
            lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), [q, k, v], setting.backward
        )


class LinearAttention(Peer):
    """A gated linear attention of flash-linear-attention: one decay per head (simple_gla) or per key channel (gla)."""

    package = "fla"
    devices = ("cuda",)
    note = "no input gate, no normaliser"

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = f"flash-linear-attention {kind}"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Call the chunked kernel on (B, T, H, K)."""
        attend = getattr(import_module(f"fla.ops.{self.kind}"), f"chunk_{self.kind}")
        batch, time, heads, dim = setting.shape
        q, k, v = (setting.random(batch, time, heads, dim) for _ in range(3))
        gate = setting.random(batch, time, heads, *([dim] if self.kind == "gla" else []))
        decay = F.logsigmoid(gate.detach() + 4.5).requires_grad_(setting.backward)
        return runner(lambda: attend(q, k, v, g=decay)[0], [q, k, v, decay], setting.backward)


class TorchConv(Peer):
    """The causal convolution as most code writes it: transpose, pad, grouped conv1d, cut, transpose, SiLU."""

    name = "torch conv1d"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Convolve (B, T, C) with four taps."""
        channels = setting.shape.inner
        conv = nn.Conv1d(channels, channels, 4, groups=channels, padding=3).to(setting.device, setting.dtype)
        x = setting.random(setting.shape.batch, setting.shape.time, channels)
        time = setting.shape.time
        return runner(lambda: F.silu(conv(x.mT)[..., :time].mT), [x, *conv.parameters()], setting.backward)


class TokenLoop(Peer):
    """The sLSTM as a loop over tokens in plain torch, all sequences at once, a few operations per token."""

    name = "torch, token by token"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Read x (B, T, H, 4, K)."""
        batch, time, heads, dim = setting.shape
        x, b = setting.random(batch, time, heads, 4, dim), setting.random(heads, 4, dim)
        r = setting.random(heads, dim, 4 * dim).detach() * dim**-0.5
        r.requires_grad_(setting.backward)
        return runner(lambda: read_tokens(x, r, b), [x, r, b], setting.backward)


def read_tokens(x: Tensor, r: Tensor, b: Tensor) -> Tensor:
    """Run the sLSTM from an empty state: x (B, T, H, 4, K), r (H, K, 4 K), b (H, 4, K) -> (B, T, H, K)."""
    inputs = x.permute(1, 2, 0, 3, 4).float() + b.float()[:, None]  # (T, H, B, 4, K)
    weight = r.float()
    h = c = n = inputs.new_zeros(*inputs.shape[1:3], inputs.shape[-1])  # (H, B, K)
    m = torch.full_like(h, -torch.inf)
    rows = []
    for given in inputs.unbind(0):
        i, f, z, o = (given + torch.bmm(h, weight).unflatten(-1, given.shape[-2:])).unbind(2)
        kept = F.logsigmoid(f) + m
        m = torch.maximum(kept, i)
        keep, write = torch.exp(kept - m), torch.exp(i - m)
        c, n = keep * c + write * torch.tanh(z), keep * n + write
        h = torch.sigmoid(o) * c / n
        rows.append(h)
    return torch.stack(rows).permute(2, 0, 1, 3).to(x.dtype)


class TorchLstm(Peer):
    """torch's LSTM of equal width, with its dense recurrence and its input projection."""

    name = "torch nn.LSTM"
    note = "dense recurrence, input projection included"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Read (B, T, H K)."""
        width = setting.shape.inner
        lstm = nn.LSTM(width, width, batch_first=True).to(setting.device, setting.dtype)
        x = setting.random(setting.shape.batch, setting.shape.time, width)
        return module_runner(lstm, x, setting.backward)


class OriginalSlstm(Peer):
    """The sLSTM cell of `xlstm` in plain torch (its CUDA extension is compiled for one batch size and not timed)."""

    name = "xlstm sLSTM, vanilla"
    package = "xlstm"

    def prepare(self, setting: Setting) -> Callable[[], object]:
        """Read pre-activations (B, T, 4 H K)."""
        cells = import_module("xlstm.blocks.slstm.cell")
        batch, time, heads, dim = setting.shape
        config = cells.sLSTMCellConfig(
            hidden_size=heads * dim,
            num_heads=heads,
            backend="vanilla",
            **{f"dtype{part}": str(setting.dtype)[6:] for part in ("", "_b", "_r", "_w", "_g", "_s", "_a")},
        )
        cell = cells.sLSTMCell(config).to(setting.device, setting.dtype)
        x = setting.random(batch, time, 4 * heads * dim)
        return module_runner(cell, x, setting.backward)


PEERS: dict[str, tuple[Peer, ...]] = {
    "mlstm": (
        OriginalCell("chunkwise--native_autograd", ("cpu",)),
        OriginalCell("chunkwise--native_custbw", ("cpu",), "leaves out the normaliser's gradient"),
        OriginalCell("parallel--native_autograd", ("cpu",)),
        OriginalCell("chunkwise--triton_limit_chunk", ("cuda",), "leaves out the normaliser's gradient"),
        OriginalCell("chunkwise--triton_xl_chunk", ("cuda",), "leaves out the normaliser's gradient"),
        LinearAttention("simple_gla"),
        LinearAttention("gla"),
        Attention(),
    ),
    "causal_conv": (TorchConv(),),
    "slstm": (TokenLoop(), OriginalSlstm(), TorchLstm()),
}


def contenders(peers: Iterable[Peer], setting: Setting) -> list[Contender]:
    """Return the peers that exist for a device."""
    return [peer.contender(setting) for peer in peers if setting.device in peer.devices]
