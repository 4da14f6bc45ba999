"""The host's devices, which bubblewrap shows inside: root inside could change their mode for everybody.

Root owns them, so the kernel asks for no capability. Read-only mounts of them keep their mode and can still be written
to; bubblewrap makes none itself (its own also forbid to open a device), and takes over those that it finds.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from ledger.children import PIPE, start
from ledger.errors import ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program

PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
KEEP = (
    "for name in null zero full random urandom tty; do mount --bind -o ro /dev/$name /dev/$name || exit; done; "
    "echo kept; read -r end"
)


def over_kept_devices() -> tuple[str, ...]:
    """How root's command line begins so that the devices can be used, but not changed.

    Empty for ordinary users, who own no device, and for root that may not mount (in a container). Blocks at the first
    call.
    """
    kept = _namespace() if os.geteuid() == 0 else None
    if kept is None:
        return ()
    nsenter, *fds = kept
    mount, root = (f"/proc/{os.getpid()}/fd/{fd}" for fd in fds)
    return (nsenter, f"--mount={mount}", f"--root={root}")  # without a root it would leave a chroot


@cache
def _namespace() -> tuple[str, int, int] | None:
    """The program that enters a mount namespace like our own with such mounts, its descriptor and that of its root.

    The descriptors keep the namespace alive.
    """
    try:
        argv = (_program("unshare"), "--mount", "--propagation", "slave", "/bin/sh", "-c", KEEP)
        nsenter = _program("nsenter")
        child = start(argv, cwd=Path("/"), env={"PATH": PATH}, stdin=PIPE, stdout=PIPE)
    except (ProgramMissing, OSError):
        return None
    with child:
        assert child.stdout is not None
        if not child.stdout.readline():
            return None
        flags = os.O_RDONLY | os.O_CLOEXEC
        return nsenter, os.open(f"/proc/{child.pid}/ns/mnt", flags), os.open(f"/proc/{child.pid}/root", flags)


def _program(name: str) -> str:
    return str(find_program(name, HostEnv(variables={}, path=PATH)))
