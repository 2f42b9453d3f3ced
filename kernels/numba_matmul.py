"""A matrix product small enough to stay in the cache, for use inside compiled loops.

Numba vectorises plain loops, but leaves every partial sum in memory. Here 64 numbers of the result are held in
registers, four rows by sixteen columns where there are rows enough, written as vector instructions of LLVM, which fit
any CPU: sixteen columns are two registers of AVX2, one of AVX-512, four of NEON.
"""

from functools import partial
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

ROWS = 4
COLUMNS = 16
NARROW = 8  # columns of a product that is narrower than a tile


def tile_of(rows: int, columns: int) -> Any:
    """Return a function for compiled loops that adds to a (rows, columns) tile of a product."""

    @intrinsic
    def add_tile(
        _: Any, out: Any, out_at: Any, out_row: Any, a: Any, a_at: Any, a_row: Any, a_column: Any, b: Any, b_at: Any,
        b_row: Any, depth: Any,
    ) -> Any:  # fmt: skip
        """Add a (rows, depth) times b (depth, columns) to out; places and strides count elements from the start.

        Where b is uint16 it holds the bits of bfloat16.
        """
        step = types.intp
        signature = types.void(out, step, step, a, step, step, step, b, step, step, step)
        return signature, partial(_write_tile, rows, columns)

    return add_tile


def _write_tile(rows: int, columns: int, context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Write the loop over the depth, with the tile of the result in registers."""
    out, out_at, out_row, a, a_at, a_row, a_column, b, b_at, b_row, depth = values
    vector = ir.VectorType(ir.FloatType(), columns)
    count = [ir.Constant(depth.type, row) for row in range(rows)]

    def begin(position: int, value: Any, at: Any) -> Any:
        """Return the address of an element of an argument."""
        return builder.gep(context.make_array(signature.args[position])(context, builder, value).data, [at])

    def line(pointer: Any, offset: Any) -> Any:
        """Return the address of neighbours."""
        return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

    pointers = begin(0, out, out_at), begin(3, a, a_at), begin(7, b, b_at)
    targets = [line(pointers[0], builder.mul(out_row, row)) for row in count]
    offsets = [builder.mul(a_row, row) for row in count]
    before = [builder.load(target, align=4) for target in targets]
    entry, loop, end = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", depth, count[0]), loop, end)

    builder.position_at_end(loop)
    k, sums = builder.phi(depth.type), [builder.phi(vector) for _ in count]
    column, place = builder.mul(k, a_column), builder.gep(pointers[2], [builder.mul(k, b_row)])
    numbers = _load_line(builder, place, signature.args[7].dtype, columns)
    factors = [builder.load(builder.gep(pointers[1], [builder.add(column, offset)])) for offset in offsets]
    after = [_add_product(builder, *parts, numbers) for parts in zip(sums, factors, strict=True)]
    following = builder.add(k, ir.Constant(depth.type, 1))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)
    for name, first, then in ((k, count[0], following), *zip(sums, before, after, strict=True)):
        name.add_incoming(first, entry)
        name.add_incoming(then, loop)

    builder.position_at_end(end)
    results = [builder.phi(vector) for _ in count]
    for target, first, then, result in zip(targets, before, after, results, strict=True):
        result.add_incoming(first, entry)
        result.add_incoming(then, loop)
        builder.store(result, target, align=4)
    return context.get_dummy_value()


def _load_line(builder: Any, place: Any, dtype: Any, columns: int) -> Any:
    """Return neighbours in float32."""
    numbers = ir.VectorType(ir.FloatType(), columns)
    if dtype == types.float32:
        return builder.load(builder.bitcast(place, numbers.as_pointer()), align=4)
    # bfloat16 is the upper half of a float32
    halves, bits = (ir.VectorType(ir.IntType(width), columns) for width in (16, 32))
    upper = builder.zext(builder.load(builder.bitcast(place, halves.as_pointer()), align=2), bits)
    return builder.bitcast(builder.shl(upper, ir.Constant(bits, [16] * columns)), numbers)


def _add_product(builder: Any, total: Any, factor: Any, numbers: Any) -> Any:
    """Add a number times a vector."""
    blank, first = ir.Constant(numbers.type, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), numbers.type.count), [0] * numbers.type.count)
    spread = builder.shuffle_vector(builder.insert_element(blank, factor, first), blank, lanes)
    # the multiplication and the addition may become one instruction
    fused = ("contract",)
    return builder.fadd(total, builder.fmul(spread, numbers, flags=fused), flags=fused)


_add_tile, _add_narrow, _add_rest = tile_of(ROWS, COLUMNS), tile_of(2 * ROWS, NARROW), tile_of(ROWS, NARROW)


@njit(cache=True, error_model="numpy", nogil=True, forceinline=True)
def add_matmul(
    out: Any, out_at: int, out_row: int, a: Any, a_at: int, a_row: int, a_column: int, b: Any, b_at: int, b_row: int,
    rows: int, depth: int, columns: int,
) -> None:  # fmt: skip
    """Add a (rows, depth) times b (depth, columns) to out (rows, columns), all float32 and anywhere in their arrays.

    b may also hold the bits of bfloat16, as uint16.

    An array is named by where it begins and by the distance between its rows (and for a between its columns), in
    elements. Rows must be a multiple of 4, columns 8 or a multiple of 16; a may be transposed, out and b have adjacent
    columns.
    """
    if columns == NARROW:
        whole = rows // (2 * ROWS) * (2 * ROWS)
        for row in range(0, whole, 2 * ROWS):
            _add_narrow(
                out,
                out_at + row * out_row,
                out_row,
                a,
                a_at + row * a_row,
                a_row,
                a_column,
                b,
                b_at,
                b_row,
                depth,
            )
        if whole < rows:
            _add_rest(
                out,
                out_at + whole * out_row,
                out_row,
                a,
                a_at + whole * a_row,
                a_row,
                a_column,
                b,
                b_at,
                b_row,
                depth,
            )
        return
    for column in range(0, columns, COLUMNS):
        for row in range(0, rows, ROWS):
            _add_tile(
                out, out_at + row * out_row + column, out_row,
                a, a_at + row * a_row, a_row, a_column,
                b, b_at + column, b_row, depth,
            )  # fmt: skip
