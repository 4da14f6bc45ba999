"""``renameat2``: exchange two names, or rename without replacing, atomically.

Some file systems lack it (network and FUSE mounts). Hard links then do the same in several steps, each of which
recovery can recognise. That is as safe in a crash, but a file that another process renames over the old one in the
microseconds between our last check and our rename is lost.
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
