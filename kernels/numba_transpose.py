"""A transposition inside compiled loops, eight by eight numbers at a time in registers."""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

SIDE = 8


@intrinsic
def _transpose_tile(_: Any, out: Any, out_at: Any, out_row: Any, a: Any, a_at: Any, a_row: Any) -> Any:
    """Write the transpose of a (8, 8) to out (8, 8); places and strides count elements from the array's start."""
    step = types.intp
    return types.void(out, step, step, a, step, step), _write_tile


def _write_tile(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Write the exchange of halves, quarters and neighbours between eight vectors."""
    out, out_at, out_row, a, a_at, a_row = values
    vector = ir.VectorType(ir.FloatType(), SIDE)

    def line(position: int, value: Any, at: Any, row: Any, number: int) -> Any:
        """Return the address of one row of a tile."""
        data = context.make_array(signature.args[position])(context, builder, value).data
        place = builder.add(at, builder.mul(row, ir.Constant(row.type, number)))
        return builder.bitcast(builder.gep(data, [place]), vector.as_pointer())

    rows = [builder.load(line(3, a, a_at, a_row, number), align=4) for number in range(SIDE)]
    for distance in (4, 2, 1):
        for top in [number for number in range(SIDE) if not number & distance]:
            one, two = rows[top], rows[top + distance]
            rows[top] = builder.shuffle_vector(one, two, _lanes(distance, 0))
            rows[top + distance] = builder.shuffle_vector(one, two, _lanes(distance, distance))
    for number, row in enumerate(rows):
        builder.store(row, line(0, out, out_at, out_row, number), align=4)
    return context.get_dummy_value()


def _lanes(distance: int, half: int) -> Any:
    """Choose lanes of two rows so that the blocks off the diagonal change places."""
    chosen = [lane + half if not lane & distance else lane - distance + half + SIDE for lane in range(SIDE)]
    return ir.Constant(ir.VectorType(ir.IntType(32), SIDE), chosen)


@njit(cache=True, error_model="numpy", nogil=True, forceinline=True)
def transpose(target: Any, source: Any, rows: int, columns: int) -> None:
    """Write the transpose of source[:rows, :columns]; also writes and reads up to the next multiples of 8."""
    for top in range(0, rows, SIDE):
        for left in range(0, columns, SIDE):
            _transpose_tile(  # type: ignore[call-arg]
                target, left * target.shape[1] + top, target.shape[1],
                source, top * source.shape[1] + left, source.shape[1],
            )  # fmt: skip
