"""Ask for numbers before they are needed: rows far apart are not foreseen by the processor itself."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from bio_xlstm.kernels.numba_leaf import leaf

LINE = 16  # float32 numbers in a line of the cache


@intrinsic
def _prefetch(_: Any, array: Any, at: Any) -> Any:
    """Fetch the line of an array's element into the cache."""
    return types.void(array, types.intp), _write_call


def _write_call(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """Call LLVM's prefetch for reading, to be kept, of data."""
    number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    data = context.make_array(signature.args[0])(context, builder, values[0]).data
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    pointer = builder.bitcast(builder.gep(data, [values[1]]), byte)
    builder.call(function, [pointer, *(ir.Constant(number, choice) for choice in (0, 3, 1))])
    return context.get_dummy_value()


@leaf()
def prefetch_rows(array: Any, first: int, step: int, count: int, column: int, columns: int) -> None:
    """Fetch some columns of rows first, first + step, ... of array (T, width)."""
    for row in range(count):
        at = (first + row * step) * array.shape[1] + column
        for offset in range(0, columns, LINE):
            _prefetch(array, at + offset)  # type: ignore[call-arg]
