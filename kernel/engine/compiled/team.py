"""Runs compiled functions on torch's own threads.

A second thread pool would compete for the same cores: OpenMP's threads spin for a while before they sleep, and would
delay the others. So the functions are passed to the OpenMP runtime that torch has loaded.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any


class ThreadTeam:
    """``call`` runs a function by name (``kernel.engine.compiled.functions``) with integer arguments on every
    thread.
    """

    def __init__(self, functions: Mapping[str, Any], parallel: Callable[..., None] | None) -> None:
        self._functions = functions  # keeps alive the code at the addresses
        self._address = {name: function.address for name, function in functions.items()}
        self._alone = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._parallel = parallel

    def call(self, name: str, threads: int, *numbers: int) -> None:
        """Blocks until the work is done; other Python threads run meanwhile."""
        ticket = ctypes.c_int64(0)
        arguments = (ctypes.c_int64 * (len(numbers) + 1))(ctypes.addressof(ticket), *numbers)
        if self._parallel is not None and threads > 1:
            self._parallel(self._address[name], arguments, threads, 0)
        else:
            self._alone(self._address[name])(arguments)


def set_code_cache(folder: Path) -> None:
    """Sets the folder that keeps compiled code for later starts. Call before the first ``thread_team``."""
    import numba

    with suppress(OSError):  # a read-only folder costs some seconds at every load, nothing else
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            numba.config.CACHE_DIR = str(folder)


@cache
def thread_team() -> ThreadTeam:
    """The process-wide team. The first call takes some seconds when no compiled code is cached."""
    import numba

    from kernel.engine.compiled.functions import Signature, four_bit_product, rows_by_group, rows_by_token
    from kernel.engine.compiled.layers import narrow_layers

    wanted = (rows_by_token, rows_by_group, four_bit_product, narrow_layers)

    def compiled(*, kept: bool) -> dict[str, Any]:
        return {function.__name__: numba.cfunc(Signature, cache=kept)(function) for function in wanted}

    try:
        return ThreadTeam(compiled(kept=bool(numba.config.CACHE_DIR)), find_openmp_parallel())
    except OSError:  # the disk is full: compile without a cache
        return ThreadTeam(compiled(kept=False), find_openmp_parallel())


def find_openmp_parallel() -> Callable[..., None] | None:
    """``GOMP_parallel(function, argument, threads, flags)`` of the OpenMP library that torch has loaded, if any."""
    import torch

    torch.get_num_threads()  # starts the thread pool
    try:
        found = ctypes.CDLL(None).GOMP_parallel
    except AttributeError:
        return None
    found.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    found.restype = None
    run: Callable[..., None] = found
    return run
