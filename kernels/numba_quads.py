"""A block-diagonal map with blocks of four channels inside compiled loops, sixteen channels at a time in registers."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

QUAD = 4
COLUMNS = 16


def make_quads(panels: np.ndarray) -> np.ndarray:
    """Take the (4, 4) blocks out of panels (P, 16, 16), inputs by outputs: (P, 4, 16), where [p, u] meets input u."""
    blocks = panels.reshape(-1, QUAD, QUAD, QUAD, QUAD)  # (P, group in, input, group out, output)
    own = np.einsum("pgugo->pugo", blocks)  # (P, input, group, output)
    return np.ascontiguousarray(own.reshape(-1, QUAD, COLUMNS))


@intrinsic
def _map_panel(
    _: Any, out: Any, out_at: Any, out_row: Any, x: Any, x_at: Any, x_row: Any, quads: Any, quads_at: Any, bias: Any,
    bias_at: Any, rows: Any,
) -> Any:  # fmt: skip
    """Set out (rows, 16) to the map of x (rows, 16); places and strides count elements from the array's start."""
    step = types.intp
    return types.void(out, step, step, x, step, step, quads, step, bias, step, step), _write_loop


def _write_loop(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Write the loop over rows, with weights and bias in registers."""
    out, out_at, out_row, x, x_at, x_row, quads, quads_at, bias, bias_at, rows = values
    vector = ir.VectorType(ir.FloatType(), COLUMNS)
    number = ir.IntType(32)

    def line(position: int, value: Any, at: Any) -> Any:
        """Return the address of sixteen neighbours."""
        data = context.make_array(signature.args[position])(context, builder, value).data
        return builder.bitcast(builder.gep(data, [at]), vector.as_pointer())

    def constant(value: int) -> Any:
        return ir.Constant(rows.type, value)

    weights = [
        builder.load(line(6, quads, builder.add(quads_at, constant(COLUMNS * u))), align=4)
        for u in range(QUAD)
    ]
    shift = builder.load(line(8, bias, bias_at), align=4)
    entry, loop, end = builder.block, builder.append_basic_block(), builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">", rows, constant(0)), loop, end)

    builder.position_at_end(loop)
    row = builder.phi(rows.type)
    given = builder.load(line(3, x, builder.add(x_at, builder.mul(row, x_row))), align=4)
    total = shift
    for u, weight in enumerate(weights):
        lanes = ir.Constant(
            ir.VectorType(number, COLUMNS), [lane // QUAD * QUAD + u for lane in range(COLUMNS)]
        )
        spread = builder.shuffle_vector(given, ir.Constant(vector, ir.Undefined), lanes)
        # the multiplication and the addition may become one instruction
        product = builder.fmul(spread, weight, flags=("contract",))
        total = builder.fadd(total, product, flags=("contract",))
    builder.store(total, line(0, out, builder.add(out_at, builder.mul(row, out_row))), align=4)
    following = builder.add(row, constant(1))
    row.add_incoming(constant(0), entry)
    row.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, rows), loop, end)

    builder.position_at_end(end)
    return context.get_dummy_value()


@njit(cache=True, error_model="numpy", nogil=True, forceinline=True)
def map_quads(
    out: Any, out_at: int, x: Any, x_at: int, quads: Any, panel: int, panels: int, bias: Any, rows: int
) -> None:
    """Set 16 columns of out per panel to the map of 16 columns of x, from columns out_at and x_at on."""
    for number in range(panels):
        _map_panel(  # type: ignore[call-arg]
            out, out_at + number * COLUMNS, out.shape[1],
            x, x_at + number * COLUMNS, x.shape[1],
            quads, (panel + number) * QUAD * COLUMNS, bias, (panel + number) * COLUMNS, rows,
        )  # fmt: skip
