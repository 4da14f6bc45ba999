"""What the process needs before a model computes: torch's libraries, threads and memory.

How threads wait for one another is read from the environment when torch is first imported, so the process owner sets
it. Two threads that spin at a barrier drop to a fraction of their speed when another process takes one of the cores,
which is normal here, since tests run while the kernel computes: with five other processes on two cores an answer took
nine times as long with spinning threads as with passive ones.
"""

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


# In dependency order. The symbols of the first are global, as when torch loads it.
LIBRARIES = ("libtorch_global_deps.so", "libc10.so", "libtorch_cpu.so", "libtorch.so", "libtorch_python.so")
_MEMINFO = Path("/proc/meminfo")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGEST = 32 << 20  # bytes; glibc's maximum
_KEPT = 64 << 20


def load_torch_libraries() -> None:
    """Maps torch's shared libraries without holding the interpreter lock.

    An import statement holds it while the system maps and links a library, some tenths of a second for torch;
    ``ctypes`` releases it. The later import finds the libraries loaded. Libraries that a build lacks are skipped.
    """
    found = find_spec("torch")
    if found is None or found.origin is None:
        return
    for name in LIBRARIES:
        with suppress(OSError):
            mode = ctypes.RTLD_GLOBAL if name == LIBRARIES[0] else ctypes.RTLD_LOCAL
            ctypes.CDLL(str(Path(found.origin).parent / "lib" / name), mode=mode)


def thread_count(configured: int) -> int:
    """``configured``, or with 0 the number of cores that this process may use."""
    return configured or len(os.sched_getaffinity(0))


def parse_available_mb(meminfo: str) -> int | None:
    """``MemAvailable`` in megabytes (1 MB = 1024 * 1024 bytes), or None when it is missing."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return None


def available_mb() -> int | None:
    """Memory available without swapping, in megabytes; None on systems that do not report it."""
    try:
        return parse_available_mb(_MEMINFO.read_text(encoding="ascii"))
    except OSError:
        return None


def memory_shortage(needed_mb: int, *, ceiling_mb: int, available: int | None) -> str | None:
    """Why ``needed_mb`` are not available, as a sentence; None when they are. A ceiling of 0 means no ceiling."""
    if ceiling_mb and needed_mb > ceiling_mb:
        return f"The model needs {needed_mb} MB of memory and the ceiling is {ceiling_mb} MB."
    if available is not None and needed_mb > available:
        return f"The model needs {needed_mb} MB of memory and {available} MB are free."
    return None


def reuse_freed_memory() -> None:
    """Makes malloc serve large blocks from freed memory instead of fresh pages, which the system clears one by one.

    The states of a prompt take some ten megabytes per product; clearing them took a quarter of the time. Up to
    ``_KEPT`` bytes stay with the process. Only glibc has this switch.
    """
    try:
        switch = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    switch(_MMAP_THRESHOLD, _LARGEST)
    switch(_TRIM_THRESHOLD, _KEPT)


def release_pages(mapped: Tensor) -> None:
    """Drops the pages of a tensor mapped from a file whose numbers have been copied; they are read again on access.

    Only for memory mapped from a file: any other would be zeroed.
    """
    first = -(-mapped.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (mapped.data_ptr() + mapped.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)
