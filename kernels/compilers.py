"""Whether the compilers of the fused backends, numba and Triton, can be used here, and if not, why."""

import warnings
from functools import cache


@cache
def find_fault(compiler: str) -> str:
    """Say why a compiler cannot be used by this Python; an empty string where it can.

    It is imported, for that takes about a second but is the only proof: an installed compiler may not fit the numpy
    or the LLVM beside it. Whether it was missing or broken is found out once per process.
    """
    try:
        _start(compiler)
    except ModuleNotFoundError as error:
        return f"{compiler} is not installed" if error.name == compiler else _broken(compiler, error)
    except Exception as error:  # what does not fit together may break in any way
        return _broken(compiler, error)
    return ""


def _start(compiler: str) -> None:
    """Import a compiler and make it ready."""
    if compiler == "numba":
        from bio_xlstm.kernels.numba_start import start as start_numba

        start_numba()
    else:
        from bio_xlstm.kernels.triton_start import start as start_triton

        start_triton()


def _broken(compiler: str, error: Exception) -> str:
    """Describe an error in one line, and warn: who has a compiler expects its speed."""
    fault = f"{compiler} is installed but cannot be used: {one_line(error)}"
    warnings.warn(f"{fault}; without it, torch computes", stacklevel=4)
    return fault


def one_line(error: Exception) -> str:
    """Return the type and the first line of an error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
