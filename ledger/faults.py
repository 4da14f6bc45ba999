"""Operating system errors as ``MachineFault`` with a remedy: full disk, no descriptors left, unusable file. Pure."""

from __future__ import annotations

import errno
import os
from typing import Final

from ledger.errors import MachineFault

_FULL: Final = "Free space on that disk, then try again."
_MANY: Final = "Close other programs, or raise the limit (`ulimit -n`, `ulimit -u`), then try again."
_RIGHTS: Final = "Give the user who runs `ouro` the right to use it."
REMEDIES: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "Lift the limit on the size of files (`ulimit -f`).",
    errno.EMFILE: _MANY,
    errno.ENFILE: _MANY,
    errno.EAGAIN: _MANY,
    errno.ENOMEM: "Free memory, then try again.",
    errno.EROFS: "It lies on a disk that is mounted read-only.",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EIO: "Look at that disk: it reports an error.",
}
ODD: Final = "Find out what lies there, and move it away."


def machine_fault(error: OSError) -> MachineFault:
    """A ``MachineFault`` with message and remedy; it names the file where ``error`` has one."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    why = error.strerror or type(error).__name__
    message = f"{where} cannot be used: {why}." if where else f"The machine refused: {why}."
    return MachineFault(
        message, remedy=REMEDIES.get(error.errno or 0, ODD if where else "Look at its disk and limits.")
    )
