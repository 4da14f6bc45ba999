"""System-call filters, assembled by hand: classic BPF for seccomp, x86_64 and aarch64.

Two programs. ``NAMESPACED`` goes with bubblewrap and closes what namespaces leave open. ``SHARED`` goes with Landlock,
where the process shares everything with the host: it also refuses sockets, other processes, shared memory, and those
changes of metadata (mode, owner, times, attributes) that Landlock does not govern.

Sockets, and with Landlock the commands of ``ioctl`` and ``fcntl``, are lists of what is allowed. A call that is newer
than these lists (:data:`tools.sandbox.calls.NEWEST`) does not exist inside.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tools.sandbox.calls import ARCHITECTURES, NEWEST, number

WHOLE = 0xFFFFFFFF
CLONE_NEW_NAMESPACE = 0x7E020000  # every CLONE_NEW* flag that clone(2) knows
PRIO_PROCESS, IOPRIO_WHO_PROCESS = 0, 1
FIRST_PROCESS = 1  # in a process namespace: the monitor of the run, which is no part of it


@dataclass(frozen=True, slots=True)
class Is:
    """Whether argument number ``argument`` is one of ``among``: the lower 32 bits, as the kernel reads a number.

    Of these only the bits of ``mask`` count. ``wanted`` False asks for the opposite.
    """

    argument: int
    among: tuple[int, ...]
    mask: int = WHOLE
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Has:
    """Whether an argument has any of ``bits``."""

    argument: int
    bits: int


Test = Is | Has


@dataclass(frozen=True, slots=True)
class Rule:
    """Calls that return ``error`` without being made; 0 pretends that they were.

    ``when`` and ``unless`` hold alternatives, each of tests that have to be true together. With neither of them every
    call is refused. What a rule does not refuse is looked at by the rules after it.
    """

    error: int
    calls: tuple[str, ...]
    when: tuple[tuple[Test, ...], ...] = ()
    unless: tuple[tuple[Test, ...], ...] = ()


_KIND = 0xF  # of a socket's type: the rest are flags
_PIPES = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
_UNIX = (Is(0, (socket.AF_UNIX,)),)
_INTERNET = (
    (
        Is(0, (socket.AF_INET, socket.AF_INET6)),
        Is(1, (socket.SOCK_STREAM, socket.SOCK_DGRAM), _KIND),
        Is(2, (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)),
    ),
    (Is(0, (socket.AF_NETLINK,)), Is(2, (0,))),  # NETLINK_ROUTE: it tells which interfaces and addresses there are
)
_SOCKETS = Rule(errno.EAFNOSUPPORT, ("socket",), unless=(_UNIX, *_INTERNET))
_NO_SOCKETS = Rule(errno.EAFNOSUPPORT, ("socket",))  # pairs are another call: event loops keep working
_INTERNET_ONLY = Rule(errno.EAFNOSUPPORT, ("socket",), unless=_INTERNET)
_PAIRS = Rule(errno.EAFNOSUPPORT, ("socketpair",), unless=(_UNIX,))
# One of a pair of datagram sockets can be connected again, to any unix socket: where those of others are within reach
# there are none. A raw one is a datagram socket, too.
_CONNECTED_PAIRS = Rule(errno.EAFNOSUPPORT, ("socketpair",), unless=((*_UNIX, Is(1, _PIPES, _KIND)),))

# Flags, generation and seal of a file (chattr(1), fs-verity) are set through a descriptor that may only read.
_FILE_MARKS = (0x40086602, 0x40046602, 0x401C5820, 0x40087602, 0x40047602, 0x40806685)
_TYPING = (0x5412, 0x541C, 0x541D, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD
# Landlock governs no ioctl on files and folders, and file systems bring their own (btrfs makes folders by one):
# what programs ask of files, pipes and sockets, and nothing else.
_QUESTIONS = (
    *(0x5401, 0x5405, 0x540F, 0x5411, 0x5413, 0x5429, 0x802C542A),  # is this a terminal, and how large
    *(0x541B, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460),  # how much can be read; blocking, close-on-exec; size
    *(0x80086601, 0x80046601, 0x801C581F, 0x80087601, 0x80047601, 0xC020660B, 0x2),  # flags read; extents, block size
    *(0x40049409, 0x4020940D),  # FICLONE, FICLONERANGE: into a file that may be written
    0x80045200,  # how much entropy there is
    *(0x8905, 0x8906, 0x8910, 0x8912, 0x8913, 0x8915, 0x8919, 0x891B, 0x8921, 0x8927, 0x8933),  # of interfaces
)
# fcntl: all but leases (they hold up who writes the file elsewhere), F_NOTIFY (it watches folders) and write hints.
_FCNTL = (*range(12), 15, 16, 36, 37, 38, 1025, *range(1027, 1036), 1037)

_OWN_BY_ZERO = ("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "prlimit64")
_OWN_PAGES = ("move_pages", "migrate_pages")

COMMON = (
    Rule(
        errno.EPERM,
        (
            *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "mount_setattr"),
            *("move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick"),
            *("keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd"),
            *("name_to_handle_at", "open_by_handle_at", "lookup_dcookie", "fanotify_init", "fanotify_mark"),
            *("kcmp", "pidfd_getfd", "process_madvise", "process_mrelease"),
            *("acct", "quotactl", "quotactl_fd", "swapon", "swapoff", "reboot", "kexec_load", "kexec_file_load"),
            *("init_module", "finit_module", "delete_module", "syslog", "vhangup", "uselib", "iopl", "ioperm"),
            *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname"),
        ),
    ),
    Rule(errno.ENOSYS, ("io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret")),
    # The machine has one number of requests for all its users, and one process can take them all.
    Rule(errno.ENOSYS, ("io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents")),
    Rule(errno.ENOSYS, ("clone3",)),  # its flags lie in memory that a filter cannot read; the C library then uses clone
    Rule(errno.EPERM, ("clone",), when=((Has(0, CLONE_NEW_NAMESPACE),),)),
    # Of other programs' ways only what sanitizers and emulators ask for, and the question what it is.
    Rule(errno.EPERM, ("personality",), unless=((Is(0, (0, 0x8, 0x20000, 0x20008, 0x40000, WHOLE)),),)),
    Rule(errno.EINVAL, ("fcntl",), unless=((Is(1, _FCNTL),),)),
)

NAMESPACED = (
    *COMMON,
    _SOCKETS,
    _PAIRS,
    # Processes outside have no number inside, but for the monitor: process 1 of the namespace.
    Rule(errno.EPERM, (*_OWN_BY_ZERO, *_OWN_PAGES), when=((Is(0, (FIRST_PROCESS,)),),)),
    Rule(errno.EPERM, ("process_vm_readv", "process_vm_writev"), when=((Is(0, (FIRST_PROCESS,)),),)),
    Rule(errno.EPERM, ("ptrace",), when=((Is(1, (FIRST_PROCESS,)),),)),
    Rule(
        errno.EPERM,
        ("setpriority",),
        unless=((Is(0, (PRIO_PROCESS,)), Is(1, (FIRST_PROCESS,), wanted=False)),),
    ),
    Rule(
        errno.EPERM,
        ("ioprio_set",),
        unless=((Is(0, (IOPRIO_WHO_PROCESS,)), Is(1, (FIRST_PROCESS,), wanted=False)),),
    ),
    Rule(errno.EPERM, ("ioctl",), when=((Is(1, (*_FILE_MARKS, *_TYPING)),),)),
    Rule(errno.EPERM, ("file_setattr",)),
)

SHARED = (
    *COMMON,
    _NO_SOCKETS,
    _CONNECTED_PAIRS,
    Rule(
        errno.EPERM,
        (
            *("ptrace", "process_vm_readv", "process_vm_writev"),
            # Whole families: an object has a number or a name that others can use without having been given it.
            *("shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semtimedop", "semctl"),
            *("msgget", "msgsnd", "msgrcv", "msgctl"),
            *("mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr"),
        ),
    ),
    # A filter compares with numbers that are known beforehand. The caller itself is 0; any other number, its own too,
    # may be that of a process outside. For priorities there are also all processes of the user, whose number is 0.
    Rule(errno.EPERM, (*_OWN_BY_ZERO, *_OWN_PAGES), unless=((Is(0, (0,)),),)),
    Rule(errno.EPERM, ("setpriority",), unless=((Is(0, (PRIO_PROCESS,)), Is(1, (0,))),)),
    Rule(errno.EPERM, ("ioprio_set",), unless=((Is(0, (IOPRIO_WHO_PROCESS,)), Is(1, (0,))),)),
    Rule(errno.ENOTTY, ("ioctl",), unless=((Is(1, _QUESTIONS),),)),
    # Landlock does not restrict watching a readable folder, which reveals the names of changed files.
    Rule(errno.ENOSYS, ("inotify_init", "inotify_init1", "inotify_add_watch")),
    # Landlock governs contents and names, not metadata. A refusal would break every copy of a file, so that these
    # seem to succeed; what they would have changed stays as it is.
    Rule(0, ("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat")),
    # To touch a path is not a copy: who is refused here makes the file, who believed that he had would not.
    Rule(errno.EPERM, ("utimensat",), when=((Is(2, (0,)),),)),  # no times are given: "now" is meant
    Rule(0, ("utime", "utimes", "futimesat", "utimensat")),
    Rule(
        errno.EOPNOTSUPP,
        (
            *("setxattr", "lsetxattr", "fsetxattr", "setxattrat", "file_setattr"),
            *("removexattr", "lremovexattr", "fremovexattr", "removexattrat"),
            # They hold contents, and Landlock lets everybody read them.
            *("getxattr", "lgetxattr", "fgetxattr", "getxattrat"),
            *("listxattr", "llistxattr", "flistxattr", "listxattrat"),
        ),
    ),
)


def allow_network(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """``rules`` for a job that shares the host's network: abstract unix sockets belong to it, so there are none."""
    instead = {"socket": _INTERNET_ONLY, "socketpair": _CONNECTED_PAIRS}
    return tuple(instead.get(rule.calls[0], rule) for rule in rules)


NETWORKED, SHARED_NETWORKED = allow_network(NAMESPACED), allow_network(SHARED)


# struct seccomp_data: nr, arch, instruction_pointer, args[6]
_NR, _ARCH, _ARGUMENTS, _ARGUMENT = 0, 4, 16, 8
_LOAD, _EQUAL, _ABOVE, _AT_LEAST, _ANY_BIT, _AND, _JUMP, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x05, 0x06
A_LEAF = 3  # numbers that are compared one after the other
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


@lru_cache
def program(rules: tuple[Rule, ...], machine: str | None = None) -> bytes | None:
    """The filter as an array of ``struct sock_filter``; None for an architecture without a table."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return None
    code = [
        _op(_LOAD, _ARCH),
        _op(_EQUAL, ARCHITECTURES[machine][1], 1, 0),
        _op(_RETURN, _KILL),  # a foreign system-call table would make every number below mean something else
        _op(_LOAD, _NR),
        _op(_ABOVE, NEWEST, 0, 1),  # the table of x32 begins far above
        _op(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    blocks: dict[int, list[bytes]] = {}
    for rule in rules:
        for call in rule.calls:
            nr = number(call, machine)
            if nr is not None:
                blocks.setdefault(nr, []).extend(_refuse(rule))
    return b"".join([*code, *_search(sorted(blocks.items()))])


def without_unix_sockets(code: bytes, machine: str | None = None) -> bytes:
    """``code``, and in front of it: no unix sockets but pairs that cannot be connected to another one."""
    machine = machine or platform.machine()
    front = [_op(_LOAD, _NR)]
    for rule in (Rule(errno.EAFNOSUPPORT, ("socket",), when=(_UNIX,)), _CONNECTED_PAIRS):
        (call,) = rule.calls
        block = _refuse(rule)
        front += [_op(_EQUAL, number(call, machine) or 0, 0, len(block)), *block, _op(_LOAD, _NR)]
    return b"".join(front) + code


def _search(blocks: Sequence[tuple[int, list[bytes]]]) -> list[bytes]:
    """What is done by the number that is loaded, found in halves: the kernel tries every number when it is loaded."""
    if len(blocks) > A_LEAF:
        middle = len(blocks) // 2
        low, high = _search(blocks[:middle]), _search(blocks[middle:])
        return [_op(_AT_LEAST, blocks[middle][0], 0, 1), _op(_JUMP, len(low)), *low, *high]
    code = []
    for nr, block in blocks:
        code += [_op(_EQUAL, nr, 0, len(block) + 1), *block, _op(_RETURN, _ALLOW)]
    return [*code, _op(_RETURN, _ALLOW)]


def _refuse(rule: Rule) -> list[bytes]:
    """Code that refuses a call of ``rule``, or continues at its end."""
    answer = _op(_RETURN, _ERRNO | rule.error)
    if rule.when:
        return [*_any(rule.when, hit=1), _op(_JUMP, 1), answer]
    if rule.unless:
        return [*_any(rule.unless, hit=1), answer]
    return [answer]


def _any(alternatives: tuple[tuple[Test, ...], ...], *, hit: int) -> list[bytes]:
    """Code that continues ``hit`` instructions after its end when an alternative is true, at its end when none is."""
    code: list[bytes] = []
    for tests in reversed(alternatives):
        code = [*_all(tests), _op(_JUMP, len(code) + hit), *code]
    return code


def _all(tests: tuple[Test, ...]) -> list[bytes]:
    """Code that continues at its end when all tests are true, and one instruction after it when one is not."""
    code: list[bytes] = []
    for test in reversed(tests):
        code = [*_one(test, miss=len(code) + 1), *code]
    return code


def _one(test: Test, *, miss: int) -> list[bytes]:
    """Code that continues at its end when the test is true, and ``miss`` instructions after it when it is not."""
    load = _op(_LOAD, _ARGUMENTS + _ARGUMENT * test.argument)
    if isinstance(test, Has):
        return [load, _op(_ANY_BIT, test.bits, 0, miss)]
    begin = [load] if test.mask == WHOLE else [load, _op(_AND, test.mask)]
    behind = range(len(test.among) - 1, -1, -1)  # how many comparisons follow
    if test.wanted:
        pairs = zip(test.among, behind, strict=True)
        return [*begin, *(_op(_EQUAL, value, left, 0 if left else miss) for value, left in pairs)]
    return [*begin, *(_op(_EQUAL, value, left + miss, 0) for value, left in zip(test.among, behind, strict=True))]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
