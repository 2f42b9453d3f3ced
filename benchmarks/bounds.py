"""Lower bounds: what the arithmetic alone costs.

On the CPU the matrix products are run, and nothing else, at the same shapes and dtype, with operands that stay in the
cache and the chunk size that makes them cheapest. Tiles of the mLSTM count in full, so that a kernel which skips what
lies above their diagonal can beat this bound; so can one that computes in float32 where the processor has no bfloat16.

Where a processor has no arithmetic for bfloat16, torch emulates it, and the products take many times as long as in
float32: so for bfloat16 the same products in float32 are timed too, as the bound that a good kernel has to face.

On the GPU their floating-point operations are divided by the measured peak of a large product, the bytes that must be
read and written by the measured bandwidth of a copy, and the larger of the two counts.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from setting import Shape
from timing import Clock, Contender, make_clock
from torch import Tensor

CHUNK_SIZES = (16, 32, 64, 128)
SEGMENT_ROWS = (1024, 2048, 8192)  # tokens times heads of one batched product
NAME, FLOAT32_NAME = "lower bound", "float32 products"


class Product(NamedTuple):
    """Describe equal matrix products (rows, inner) x (inner, columns); "t" marks an operand stored transposed."""

    number: int
    rows: int
    inner: int
    columns: int
    form: str = "nn"

    @property
    def flops(self) -> int:
        """Count multiplications and additions."""
        return 2 * self.number * self.rows * self.inner * self.columns


class Work(NamedTuple):
    """Say what must at least be done, in one of the possible ways."""

    products: tuple[Product, ...]  # batched, small
    projections: tuple[Product, ...]  # single, large
    numbers: int  # read from or written to memory, in the dtype of the activations
    state_numbers: int = 0  # the same in float32


def mlstm_work(shape: Shape, backward: bool) -> list[Work]:
    """Count the products of the chunkwise mLSTM for each chunk size, tiles full.

    Forward: q k^T, s v and k^T v in every chunk, q C in every chunk but a sequence's first. Backward: five products
    inside the chunk (q k^T again, ds, dq, dk, dv) and four with the memory where one chunk follows another.
    """
    ways = []
    for chunk_size in CHUNK_SIZES:
        chunks = -(-shape.time // chunk_size)
        L, K = -(-shape.time // chunks), shape.dim
        inside = shape.batch * chunks * shape.heads
        across = shape.batch * (chunks - 1) * shape.heads
        products = [
            Product(inside, L, K, L, "nt"),
            Product(inside, L, L, K),
            Product(inside, K, L, K, "tn"),
            Product(across, L, K, K),
        ]
        if backward:
            products += [Product(inside, L, K, L, "nt")] * 2  # q k^T, dh v^T
            products += [Product(inside, L, L, K)] + [Product(inside, L, L, K, "tn")] * 2  # dq, dk, dv
            products += [Product(across, L, K, K, "nt")] * 2  # dh C^T, v dC^T
            products += [Product(across, L, K, K), Product(across, K, L, K, "tn")]  # k dC, q^T dh
        numbers = shape.tokens * shape.heads * (4 * K + 2)
        states = 2 * across * K * K
        if backward:
            numbers, states = numbers + shape.tokens * shape.heads * (7 * K + 4), 3 * states
        ways.append(Work(tuple(p for p in products if p.number), (), numbers, states))
    return ways


def slstm_work(shape: Shape, backward: bool) -> list[Work]:
    """Count the recurrent products as if all tokens were known at once, and every input and output."""
    K, rows = shape.dim, shape.tokens
    products = [Product(shape.heads, rows, K, 4 * K)]
    if backward:
        products += [Product(shape.heads, rows, 4 * K, K, "nt"), Product(shape.heads, K, rows, 4 * K, "tn")]
    return [Work(tuple(products), (), rows * shape.heads * K * (15 if backward else 5))]


def conv_bound(shape: Shape, dtype: torch.dtype, device: str, backward: bool, clock: Clock) -> Contender:
    """Count reading the input and writing the output; backward reads two tensors more and writes one."""
    size = shape.tokens * shape.heads * shape.dim
    if device == "cuda":
        return bound([Work((), (), size * (5 if backward else 2))], dtype, device, clock)
    a, b, out = (torch.zeros(size, dtype=dtype) for _ in range(3))

    def run() -> None:
        out.copy_(a)
        if backward:
            torch.add(a, b, out=out)

    return Contender(NAME, run, "bound", "reading and writing alone")


def block_work(shape: Shape, width: int, backward: bool, blocks: int = 1, vocabulary: int = 0) -> list[Work]:
    """Add the projections of a block (or of a model with its head) to the products of its mLSTM."""
    inner, rows = shape.heads * shape.dim, shape.tokens
    maps = [(blocks, width, 2 * inner), (blocks, inner, width)]
    if vocabulary:
        maps.append((1, width, vocabulary))
    projections: list[Product] = []
    for count, ins, outs in maps:
        projections.append(Product(count, rows, ins, outs, "nt"))
        if backward:
            projections += [Product(count, rows, outs, ins), Product(count, outs, rows, ins, "tn")]
    weights = sum(count * ins * outs for count, ins, outs in maps)
    numbers = blocks * rows * width * (5 if backward else 2) + weights * (3 if backward else 1)
    return [
        Work(
            tuple(p._replace(number=p.number * blocks) for p in cell.products),
            tuple(projections),
            numbers + blocks * cell.numbers,
            blocks * cell.state_numbers,
        )
        for cell in mlstm_work(shape, backward)
    ]


def bounds(ways: list[Work], dtype: torch.dtype, device: str, clock: Clock) -> list[Contender]:
    """Return the bound in a dtype and, where the CPU may lack its arithmetic, that of the products in float32."""
    found = [bound(ways, dtype, device, clock)]
    if device == "cpu" and dtype.itemsize < 4:
        found.append(
            bound(ways, torch.float32, device, clock)._replace(name=FLOAT32_NAME, role="float32 bound")
        )
    return found


def bound(ways: list[Work], dtype: torch.dtype, device: str, clock: Clock) -> Contender:
    """Return the cheapest of several ways as a contender."""
    if device == "cuda":
        return Contender(
            NAME, None, "bound", "from measured peaks", min(_gpu_seconds(w, dtype) for w in ways)
        )
    # one batch of every product tells what all of them take, and is quickly timed
    plans = [(_estimate(way, rows, dtype, clock), rows, way) for way in ways for rows in SEGMENT_ROWS]
    _, rows, way = min(plans, key=lambda plan: plan[0])
    return Contender(NAME, _run_products(way, rows, dtype), "bound", "matrix products alone")


class _Batch(NamedTuple):
    """Hold the operands of one batched product."""

    left: Tensor  # (batch, rows, inner)
    right: Tensor  # (batch, inner, columns)
    out: Tensor  # (batch, rows, columns)
    number: int  # products to do in all

    def run(self, size: int) -> None:
        """Multiply the first ``size`` matrices."""
        torch.bmm(self.left[:size], self.right[:size], out=self.out[:size])


def _prepare(product: Product, segment_rows: int, dtype: torch.dtype) -> _Batch:
    """Make operands for as many of the products as fit into a segment."""
    _, rows, inner, columns, form = product
    batch = min(product.number, max(1, segment_rows // max(rows, inner)))
    left = torch.randn(batch, inner, rows).mT if form[0] == "t" else torch.randn(batch, rows, inner)
    right = torch.randn(batch, columns, inner).mT if form[1] == "t" else torch.randn(batch, inner, columns)
    return _Batch(
        left.to(dtype), right.to(dtype), torch.empty(batch, rows, columns, dtype=dtype), product.number
    )


def _estimate(way: Work, segment_rows: int, dtype: torch.dtype, clock: Clock) -> float:
    """Estimate the seconds of the batched products from one batch of each."""
    total = 0.0
    for product in way.products:
        batch = _prepare(product, segment_rows, dtype)
        size = len(batch.out)
        batch.run(size)
        total += min(clock(partial(batch.run, size), 1) for _ in range(5)) * product.number / size
    return total


def _run_products(way: Work, segment_rows: int, dtype: torch.dtype) -> Callable[[], None]:
    """Return a function that does all products of one way."""
    batches = [_prepare(product, segment_rows, dtype) for product in way.products]
    batches += [_prepare(product, 1, dtype) for product in way.projections]

    def sizes(batch: _Batch) -> Iterator[int]:
        """Cut the products into batches."""
        size = len(batch.out)
        yield from [size] * (batch.number // size)
        if batch.number % size:
            yield batch.number % size

    def run() -> None:
        for batch in batches:
            for size in sizes(batch):
                batch.run(size)

    return run


@lru_cache
def gpu_peaks(dtype: torch.dtype) -> tuple[float, float]:
    """Measure floating-point operations per second of a large product and bytes per second of a copy."""
    clock = make_clock("cuda")
    size = 8192
    a, b = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    c = torch.empty_like(a)
    data = torch.zeros(2**30, dtype=torch.uint8, device="cuda")
    copy = torch.empty_like(data)
    seconds = []
    for run in (lambda: torch.mm(a, b, out=c), lambda: copy.copy_(data)):
        clock(run, 5)
        seconds.append(min(clock(run, 5) for _ in range(5)))
    return 2 * size**3 / seconds[0], 2 * data.numel() / seconds[1]


def _gpu_seconds(way: Work, dtype: torch.dtype) -> float:
    """Divide the work by the measured peaks."""
    flops, bandwidth = gpu_peaks(dtype)
    moved = way.numbers * dtype.itemsize + 4 * way.state_numbers
    return max(sum(p.flops for p in way.products + way.projections) / flops, moved / bandwidth)
