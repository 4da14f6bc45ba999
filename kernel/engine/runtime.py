"""How much memory this machine can still give, and how the process comes by it."""

from __future__ import annotations

import ctypes
import mmap
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


# In the order in which they need one another; the first one's names are for all (so torch loads it, too).
LIBRARIES = ("libtorch_global_deps.so", "libc10.so", "libtorch_cpu.so", "libtorch.so", "libtorch_python.so")


def load_torch_libraries() -> None:
    """Those that are there; a build of another shape is loaded by its own import as ever."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return
    for name in LIBRARIES:
        with suppress(OSError):
            everywhere = ctypes.RTLD_GLOBAL if name == LIBRARIES[0] else ctypes.RTLD_LOCAL
            ctypes.CDLL(str(Path(found.origin).parent / "lib" / name), mode=everywhere)


def thread_count(configured: int) -> int:
    """``configured``, or with 0 the cores that this process may use."""
    return configured or len(os.sched_getaffinity(0))


_MEMINFO = Path("/proc/meminfo")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGEST = 32 << 20  # bytes; the GNU library takes no more
_KEPT = 64 << 20


def parse_available_mb(meminfo: str) -> int | None:
    """``MemAvailable`` in megabytes (1 MB = 1024 * 1024 bytes), or ``None`` when it is not stated."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return None


def available_mb() -> int | None:
    """Memory that can be had without swapping; ``None`` on a system that does not tell."""
    try:
        return parse_available_mb(_MEMINFO.read_text(encoding="ascii"))
    except OSError:
        return None


def memory_shortage(needed_mb: int, *, ceiling_mb: int, available: int | None) -> str | None:
    """Why ``needed_mb`` cannot be had, as a sentence, or ``None`` when it can. A ceiling of 0 is no ceiling."""
    if ceiling_mb and needed_mb > ceiling_mb:
        return f"The model needs {needed_mb} MB of memory and the ceiling is {ceiling_mb} MB."
    if available is not None and needed_mb > available:
        return f"The model needs {needed_mb} MB of memory and {available} MB are free."
    return None


def reuse_freed_memory() -> None:
    """Large blocks come from what was freed before, not as fresh pages that the system has to clear one by one.

    The states of a prompt are some ten megabytes for every product; clearing them took a quarter of the time. Up to
    ``_KEPT`` bytes stay with the process. Only the GNU library has this switch.
    """
    try:
        switch = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    switch(_MMAP_THRESHOLD, _LARGEST)
    switch(_TRIM_THRESHOLD, _KEPT)


def release_pages(mapped: Tensor) -> None:
    """Numbers that were copied out of a mapped file: their pages go, and come again if somebody reads them.

    Must not be called with memory that is not a file's: it would be zeros afterwards.
    """
    first = -(-mapped.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (mapped.data_ptr() + mapped.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)
