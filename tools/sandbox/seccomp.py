"""System-call filters, assembled by hand: classic BPF for seccomp, x86_64 and aarch64.

Two programs. ``NAMESPACED`` goes with bubblewrap and closes what namespaces leave open. ``SHARED`` goes with Landlock,
where the process shares everything with the host: it also refuses sockets, other processes, shared memory, and those
changes of metadata (mode, owner, times, attributes) that Landlock does not govern.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct
from dataclasses import dataclass
from enum import Enum

# syscall: (x86_64, aarch64); None where the architecture has no such call
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futimesat": (261, None),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "keyctl": (250, 219),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "sched_setaffinity": (203, 122),
    "semget": (64, 190),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}

CLONE_NEW_NAMESPACE = 0x7E020000  # every CLONE_NEW* flag that clone(2) knows


class When(Enum):
    """On what arguments a rule refuses. One that wants a condition looks at one 32-bit argument."""

    ALWAYS = "always"
    NEW_NAMESPACE = "new namespace"  # argument 0 has a CLONE_NEW* flag
    FIRST_NOT_ZERO = "first not zero"  # argument 0 names another process
    SECOND_NOT_ZERO = "second not zero"  # argument 1 names another process
    THIRD_ZERO = "third zero"  # argument 2 of utimensat: no times given, "now" is meant
    FIRST_NO_INTERNET = "first no internet"  # argument 0 of socket is neither IPv4, IPv6 nor netlink


@dataclass(frozen=True, slots=True)
class Rule:
    """Calls that return ``error`` without being made; 0 pretends that they were."""

    error: int
    calls: tuple[str, ...]
    when: When = When.ALWAYS


NAMESPACED = (
    Rule(
        errno.EPERM,
        (
            *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "mount_setattr"),
            *("move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick"),
            *("keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd"),
            *("name_to_handle_at", "open_by_handle_at"),
        ),
    ),
    Rule(errno.ENOSYS, ("io_uring_setup", "io_uring_enter", "io_uring_register")),
    Rule(errno.ENOSYS, ("clone3",)),  # its flags lie in memory that a filter cannot read; the C library then uses clone
    Rule(errno.EPERM, ("clone",), When.NEW_NAMESPACE),
)

SHARED = (
    *NAMESPACED,
    Rule(errno.EAFNOSUPPORT, ("socket",)),  # socketpair is another call: event loops keep working
    Rule(
        errno.EPERM,
        (
            *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
            *("shmget", "shmat", "semget", "msgget", "mq_open"),
        ),
    ),
    Rule(errno.EPERM, ("prlimit64", "sched_setaffinity"), When.FIRST_NOT_ZERO),
    Rule(errno.EPERM, ("setpriority",), When.SECOND_NOT_ZERO),
    # Landlock governs contents and names, not metadata. A refusal would break every copy of a file, so that these
    # seem to succeed; what they would have changed stays as it is.
    Rule(0, ("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat")),
    # To touch a path is not a copy: who is refused here makes the file, who believed that he had would not.
    Rule(errno.EPERM, ("utimensat",), When.THIRD_ZERO),
    Rule(0, ("utime", "utimes", "futimesat", "utimensat")),
    Rule(
        errno.EOPNOTSUPP,
        (
            *("setxattr", "lsetxattr", "fsetxattr", "setxattrat", "file_setattr"),
            *("removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
        ),
    ),
)

_INTERNET_ONLY = Rule(errno.EAFNOSUPPORT, ("socket",), When.FIRST_NO_INTERNET)
NETWORKED = (*NAMESPACED, _INTERNET_ONLY)
SHARED_NETWORKED = tuple(_INTERNET_ONLY if "socket" in rule.calls else rule for rule in SHARED)
"""Both for a job that shares the host's network: abstract unix sockets belong to it and must stay out of reach."""

# struct seccomp_data: nr, arch, instruction_pointer, args[6]
_NR, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32_BIT = 0x40000000
_INTERNET = (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)  # the last tells which addresses there are
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def number(call: str, machine: str) -> int | None:
    """The number of ``call`` on ``machine``, or None."""
    known = _ARCHITECTURES.get(machine)
    return NUMBERS[call][known[0]] if known else None


def program(rules: tuple[Rule, ...], machine: str | None = None) -> bytes | None:
    """The filter as an array of ``struct sock_filter``; None for an architecture without a table."""
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        return None
    code = [
        _op(_LOAD, _ARCH),
        _op(_EQUAL, _ARCHITECTURES[machine][1], 1, 0),
        _op(_RETURN, _KILL),  # a foreign system-call table would make every number below mean something else
        _op(_LOAD, _NR),
        _op(_AT_LEAST, _X32_BIT, 0, 1),
        _op(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for rule in rules:
        for call in rule.calls:
            nr = number(call, machine)
            if nr is not None:
                code += _refuse(nr, rule)
    return b"".join([*code, _op(_RETURN, _ALLOW)])


def _refuse(nr: int, rule: Rule) -> list[bytes]:
    answer = _op(_RETURN, _ERRNO | rule.error)
    if rule.when is When.ALWAYS:
        return [_op(_EQUAL, nr, 0, 1), answer]
    if rule.when is When.FIRST_NO_INTERNET:
        test = [_op(_LOAD, _ARG0), *(_op(_EQUAL, family, len(_INTERNET) - at) for at, family in enumerate(_INTERNET))]
    elif rule.when is When.THIRD_ZERO:
        test = [_op(_LOAD, _ARG2), _op(_EQUAL, 0, 0, 1)]
    elif rule.when is When.NEW_NAMESPACE:
        test = [_op(_LOAD, _ARG0), _op(_ANY_BIT, CLONE_NEW_NAMESPACE, 0, 1)]
    else:
        argument = _ARG0 if rule.when is When.FIRST_NOT_ZERO else _ARG1
        test = [_op(_LOAD, argument), _op(_EQUAL, 0, 1, 0)]
    return [_op(_EQUAL, nr, 0, len(test) + 2), *test, answer, _op(_LOAD, _NR)]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
