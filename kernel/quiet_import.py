"""Loading torch's libraries without holding up the event loop.

An import statement keeps the interpreter while the system maps and links a library, which takes some tenths of a second
for torch; ``ctypes`` lets it go meanwhile. What is already there is then found by the import.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

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
