"""Credentials of the peer of a unix socket, from the kernel: its user, and the namespaces of its process.

The process is named by a descriptor that the kernel made when the connection was opened (Linux 6.5), so that no other
process that got the same number later can take its place. Older kernels give the number alone.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from dataclasses import dataclass

from ledger.errors import ConfigError

KINDS = ("pid", "user", "mnt")
NAMES = {"pid": "process", "user": "user", "mnt": "mount"}
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED
_CAPABILITY_VERSION = 0x20080522  # the third, which has 64 bits
_PEER_PIDFD = 77  # SO_PEERPIDFD, which Python has no name for

Namespace = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Those of one process that decide what it can see of the machine."""

    pid: Namespace
    user: Namespace
    mnt: Namespace

    def differing(self, other: Namespaces) -> tuple[str, ...]:
        """Names of those in which the two are not the same."""
        return tuple(NAMES[kind] for kind in KINDS if getattr(self, kind) != getattr(other, kind))


@dataclass(frozen=True, slots=True)
class PeerRefusal:
    """Why a peer gets no answer, in two sentences."""

    why: str
    remedy: str = ""


def user_of(channel: socket.socket) -> int:
    """The user at the other end."""
    return _credentials(channel)[1]


def own_namespaces() -> Namespaces:
    """Those of this process. Raises ``ConfigError`` where they cannot be read."""
    try:
        return _namespaces_below("/proc/self")
    except OSError as error:
        raise ConfigError(
            f"The namespaces of this process cannot be read: {error.strerror} (/proc/self/ns).",
            remedy="/proc has to be mounted where the daemon runs.",
        ) from error


def namespaces_of(channel: socket.socket) -> Namespaces | None:
    """Those of the peer; None where they cannot be read: it has ended, is out of sight or may not be looked at."""
    pid = _credentials(channel)[0]
    if pid <= 0:
        return None
    try:
        process = _pidfd(channel, pid)
    except OSError:
        return None
    try:
        folder = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _has_ended(process):  # after its folder was opened: the number was its own until then
                return None
            return _namespaces_below(".", folder)
        finally:
            os.close(folder)
    except OSError:
        return None
    finally:
        os.close(process)


def judge(peer: Namespaces | None, home: Namespaces) -> PeerRefusal | None:
    """Pure: a peer has to live in the daemon's own process, user and mount namespaces."""
    if peer is None:
        return PeerRefusal(
            "The kernel does not tell from which namespaces you ask (your process has ended, lies in another "
            "container, or has more rights than the daemon), so the daemon does not answer.",
            "Ask from where the daemon runs; docs/operations.md, 'Who may ask', says more.",
        )
    differing = peer.differing(home)
    if not differing:
        return None
    plural = "s" if len(differing) > 1 else ""
    named = " and ".join((", ".join(differing[:-1]), differing[-1]) if plural else differing)
    return PeerRefusal(
        f"You ask from another {named} namespace{plural} than the daemon's (a container, a sandbox "
        "or a service with folders of its own), so the daemon does not answer.",
        "Ask from where the daemon runs; docs/operations.md, 'Who may ask', says more.",
    )


def give_up_capabilities() -> None:
    """For a client: let go of the capabilities of an ordinary user's process.

    The kernel hides the namespaces of a process from one that has fewer capabilities, and a login at the machine itself
    may give some (``CAP_WAKE_ALARM``) that a service of the same user lacks. Nothing that a client does needs them.
    """
    if os.geteuid() == 0 or not _has_capabilities():
        return
    import ctypes  # a while to import, and seldom needed

    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())  # where that is refused, the daemon's answer says what is wrong


def _has_capabilities() -> bool:
    """Whether this thread holds any."""
    try:
        with open("/proc/thread-self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
            return any(line.startswith("CapPrm:") and int(line[7:], 16) for line in status)
    except OSError:
        return False


def _credentials(channel: socket.socket) -> tuple[int, int, int]:
    pid, uid, gid = _CREDENTIALS.unpack(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid, gid


def _pidfd(channel: socket.socket, pid: int) -> int:
    """A descriptor of the very process that connected."""
    try:
        descriptor: int = struct.unpack("i", channel.getsockopt(socket.SOL_SOCKET, _PEER_PIDFD, 4))[0]
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
        return os.pidfd_open(pid)
    return descriptor


def _has_ended(process: int) -> bool:
    waiting = select.poll()
    waiting.register(process, select.POLLIN)
    return bool(waiting.poll(0))


def _namespaces_below(path: str, folder: int | None = None) -> Namespaces:
    found = (os.stat(f"{path}/ns/{kind}", dir_fd=folder) for kind in KINDS)
    return Namespaces(*((one.st_dev, one.st_ino) for one in found))
