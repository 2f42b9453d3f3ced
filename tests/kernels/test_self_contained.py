"""Compiled functions call no compiled functions: a call would be bound to whichever copy was loaded first.

Copies are optimised with their callers, so that a process that compiled its kernels could round differently from one
that found them compiled, or loaded others before.
"""

import importlib
import pkgutil
from itertools import chain
from typing import Any

import pytest

import bio_xlstm.kernels

pytest.importorskip("numba")


def compiled_functions() -> list[Any]:
    """Return all compiled functions of the kernels."""
    from numba.core.dispatcher import Dispatcher

    found = pkgutil.walk_packages(bio_xlstm.kernels.__path__, "bio_xlstm.kernels.")
    modules = [importlib.import_module(one.name) for one in found if "numba" in one.name]
    values = chain.from_iterable(vars(module).values() for module in modules)
    return list({id(value): value for value in values if isinstance(value, Dispatcher)}.values())


def test_what_compiled_functions_call_is_inlined() -> None:
    calls, functions = 0, compiled_functions()
    for function in functions:
        body = function.py_func
        for name in body.__code__.co_names:
            callee = body.__globals__.get(name)
            if callee in functions:
                calls += 1
                assert callee.targetoptions.get("forceinline"), f"{body.__name__} calls {name}"
    assert calls > 50
