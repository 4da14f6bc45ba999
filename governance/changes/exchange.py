"""``renameat2``: exchange two names, or rename without replacing, in one atomic step.

Not every file system has it (some network and FUSE mounts do not). Then hard links do the same in several steps, each
of which recovery can tell apart: it is as safe against a crash, but a new file that is renamed over the old one in the
few microseconds between the last look and our own rename is lost.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})

Rename2 = Callable[[int, str, str, int], None]


def rename2(folder: int, source: str, target: str, flags: int) -> None:
    """``renameat2`` inside one open folder. Raises ``OSError`` with the kernel's errno; ENOSYS where libc lacks it."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), target)
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if function(folder, os.fsencode(source), folder, os.fsencode(target), flags):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)
