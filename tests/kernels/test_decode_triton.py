"""The GPU kernel of decoding, compiled where there is a GPU and through Triton's interpreter elsewhere."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

pytest.importorskip("triton")

from bio_xlstm.kernels.choice import find_obstacle  # noqa: E402 - the interpreter is chosen before triton is imported
from bio_xlstm.kernels.decode import Windows, allocate, decode_step, prepare  # noqa: E402
from bio_xlstm.kernels.mixer.weights import MixerWeights  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(
    bool(find_obstacle("triton", DEVICE)), reason="triton runs on a CUDA GPU only"
)

CASES = (
    # I, H, P, W, biases, windows, tokens, dtype of the window
    (64, 4, 4, 4, False, Windows(3, 2), 6, torch.float32),
    (96, 2, 16, 3, True, Windows(1, 1), 4, torch.float32),
    (32, 1, 16, 1, True, Windows(17, 16), 18, torch.float32),
    (32, 2, 2, 4, False, Windows(4, 4), 6, torch.bfloat16),
)


def draw(inner: int, heads: int, block: int, width: int, biases: bool) -> MixerWeights:
    """Draw a layer."""

    def some(*size: int) -> torch.Tensor:
        return 0.5 * torch.randn(*size, device=DEVICE)

    maps = [some(inner // block, block, block) for _ in range(3)]
    shifts = [some(inner) if biases else None for _ in range(3)]
    gates = (some(heads, 3 * inner), 10 * some(heads), some(heads, 3 * inner), 10 * some(heads))
    return MixerWeights(some(inner, width), some(inner), *maps, *shifts, *gates, some(inner), some(inner))


@pytest.mark.parametrize("turned", (False, True))
@pytest.mark.parametrize("case", CASES)
def test_equals_torch(agree, case, turned):
    inner, heads, block, width, biases, windows, tokens, window_dtype = case
    weights = draw(inner, heads, block, width, biases)
    double = prepare(MixerWeights(*(None if part is None else part.double() for part in weights)))
    room = {"windows": windows, "device": DEVICE}
    wanted = allocate(3, heads, inner, width, dtype=torch.float64, window_dtype=None, **room)
    found = allocate(3, heads, inner, width, window_dtype=window_dtype, **room)
    # the norm over a head magnifies the rounding of a head that hardly varies
    tolerance = 3e-5 if window_dtype == torch.float32 else 2**-4
    for token in range(tokens):
        slots = torch.tensor([2, 0] if token % 3 else [1, 2, 0], device=DEVICE)
        up = torch.randn(len(slots), 2 * inner, device=DEVICE)
        turn = torch.randn(len(slots), 2, inner // heads // 2, device=DEVICE) if turned else None
        wide = None if turn is None else turn.double()
        expected = decode_step(up.double(), double, wanted, slots, backend="torch", turn=wide)
        y = decode_step(up, prepare(weights), found, slots, backend="triton", turn=turn)
        agree([("y", y.cpu(), expected.cpu())], tolerance)
    everyone = torch.arange(3, device=DEVICE)
    (memory, conv), (expected, window) = found.read(everyone), wanted.read(everyone)
    for name, part, other in zip(("c", "n", "m"), memory, expected, strict=True):
        agree([(name, part.cpu(), other.cpu())], tolerance)
    agree([("conv", conv.cpu(), window.cpu())], 1e-6)


def test_negative_slots_are_passed_over():
    weights = prepare(draw(32, 1, 4, 2, False))
    cache = allocate(2, 1, 32, 2, device=DEVICE)
    up = torch.randn(2, 64, device=DEVICE)
    from bio_xlstm.kernels.decode.triton_decode import decode_triton

    decode_triton(up, weights, cache, torch.tensor([-1, 1], device=DEVICE), 1e-5)
    assert cache.count[:, 0].tolist() == [0, 1]
