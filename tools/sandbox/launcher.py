"""Confines one command with Landlock, a system-call filter and resource limits, and ends all that it started.

Run as ``python -I -S launcher.py PLAN [NAME NUMBER]``: PLAN is a :class:`tools.sandbox.plan.Plan`, and the variable
NAME is set to NUMBER, the descriptor of the report pipe. Standard library only: it is a program of its own, not a
module of the daemon. It forks: the child confines itself and becomes the command; the parent adopts every orphan of
the command (child subreaper), and when the command ends, or at a signal to end, kills them all.
"""

# This program runs once per command: pathlib, json and typing would double the time that its start takes.
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH106, PTH108, PTH112, PTH114, PTH116, PTH118, PTH123, PTH208
from __future__ import annotations

import ctypes
import errno
import marshal
import os
import resource
import signal
import struct
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing alone would take longer to import than all else here
    from typing import NoReturn

    from tools.sandbox.plan import RunPlan

READ, EXECUTE, WRITE = "read", "execute", "write"
NOT_CONFINED = 125
LOOK_S = 0.5  # between two looks at what the private folders hold
LONGEST_LOOK_S = 2.0  # who has to end the run does not wait for longer
SUCCESSOR_TRIES = 20
MOST_ENTRIES = 200_000  # are counted at one look
LOCK_EX, LOCK_NB = 2, 4
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 36, 38
SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3 = 0x20080522

_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_REFER, _FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FS_ALL_ABI3 = (1 << 15) - 1
_FS_OF_A_FILE = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Libc:
    """System calls that Python has no name for; each raises ``OSError``."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def prctl(self, option: int, first: int = 0, second: ctypes.Array[ctypes.c_char] | int = 0) -> None:
        self._checked(self._libc.prctl(option, ctypes.c_ulong(first), second, 0, 0))

    def prctl_filter(self, code: bytes) -> None:
        buffer = ctypes.create_string_buffer(code, len(code))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
        self.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)

    def flock(self, fd: int, operation: int) -> None:
        self._checked(self._libc.flock(fd, operation))

    def syscall(self, number: int, *arguments: int | bytes | None) -> int:
        return self._checked(self._libc.syscall(number, *arguments))

    def _checked(self, result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result


def landlock_abi(libc: Libc) -> int:
    """The version of Landlock in this kernel; 0 without one."""
    try:
        return libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def main(text: str, *report: str) -> NoReturn:
    """Confine, run, clean up; the exit code is the command's, or 128 and the signal that ended it."""
    plan: RunPlan = marshal.loads(bytes.fromhex(text))
    plan["env"].update((name, os.environ[name]) for name in plan["inherit"])
    if report:
        plan["env"][report[0]] = report[1]
    libc = Libc()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != plan["parent"]:
        os._exit(NOT_CONFINED)  # the daemon died before the line above
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    alone = plan["scoped"] and _apart(libc, plan["parent"])
    watched = {signal.SIGCHLD, *ENDING}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    own = _made(plan["own"], libc)
    for name in plan["folders"]:
        os.mkdir(os.path.join(plan["own"], name), 0o700)
    me, free = os.getpid(), free_bytes(own)
    if alone:
        _leave_successor(plan["own"], own)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
        _become(plan, libc, me)
    os.close(plan["status_fd"])
    try:
        code = _wait(child, watched, plan["most_bytes"], own, free)
    finally:
        _end_all(alone)
        remove(plan["own"])
    os._exit(code)


def _made(path: str, libc: Libc) -> int:
    """Create and open the folder of this run; locked while the run lasts, so that cleaning up skips it."""
    while True:
        os.makedirs(path, 0o700)
        folder = os.open(path, FOLDER)
        libc.flock(folder, LOCK_EX)
        if os.fstat(folder).st_nlink:
            return folder
        os.close(folder)  # it was cleaned up before it was locked


def _apart(libc: Libc, parent: int) -> bool:
    """Enter a domain out of which no signal leads; what is started from here on lives in it or below it.

    True when a signal to all processes then reaches the run only: tested on ``parent``, which could be signalled before
    and cannot be any more. False also where the kernel has no such domains (before Linux 6.12).
    """
    if landlock_abi(libc) < 6:
        return False
    try:
        os.kill(parent, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1)
        # A layer that handles nothing of files would still forbid to move them between folders.
        ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, struct.pack("=QQQ", _FS_REFER, 0, _SCOPE_SIGNALS), 24, 0)
        _allow(libc, ruleset, "/", _FS_REFER)
        libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)
    except OSError:
        return False
    try:
        os.kill(parent, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def _leave_successor(path: str, own: int) -> None:
    """Fork a process that ends the run and removes its folder where this one is killed before it has.

    It is no member of this one's group. The code inside cannot signal it: it lives in a domain below. ``own`` is the
    open folder, whose lock it holds as well. :func:`_end_all` ends it with the run.
    """
    until, _ = os.pipe()  # a program that is started does not inherit the other end: it closes with this process
    if os.fork():
        os.close(until)
        return
    _keep_only(until, own)
    os.read(until, 1)
    for _ in range(SUCCESSOR_TRIES):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(-1, signal.SIGKILL)
        remove(path)
        if not os.path.lexists(path):
            break
        time.sleep(LOOK_S)  # who was killed just now may still have written
    os._exit(0)


def _keep_only(*kept: int) -> None:
    """Leave the process group, and close every descriptor but those."""
    os.setsid()
    below = -1
    for fd in (*sorted(kept), os.sysconf("SC_OPEN_MAX")):
        os.closerange(below + 1, fd)
        below = fd


def _wait(child: int, watched: set[signal.Signals], most: int, own: int, free: int) -> int:
    """Until the command ends, or has to. ``free``: the room in its folder's file system when it began."""
    while True:
        got = signal.sigtimedwait(watched, LOOK_S) if most else signal.sigwaitinfo(watched)
        if got is None:
            if free - free_bytes(own) > most and held(own, most) > most:
                os.write(2, f"launcher: the private folders hold more than {most >> 20} MiB\n".encode())
                return 128 + signal.SIGXFSZ
            continue
        if got.si_signo != signal.SIGCHLD:
            return 128 + got.si_signo
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if pid == 0:
                break


def free_bytes(folder: int) -> int:
    """The room in the file system that an open folder lies on."""
    space = os.fstatvfs(folder)
    return space.f_bfree * space.f_frsize


def held(folder: int, most: int, since: float = 0.0) -> int:
    """Bytes on the disk or in the memory of what lies below and was changed ``since`` then (seconds, as of a file).

    More than ``most`` where it cannot be counted: too many entries, a folder that does not open or was moved. The code
    that fills the folders runs meanwhile: no link is followed, and one folder is open at a time however deep they lie.
    """
    counted, until = True, time.monotonic() + LONGEST_LOOK_S
    here = os.open(".", FOLDER, dir_fd=folder)
    size, seen, inner = _looked(here, MOST_ENTRIES, since)
    way: list[tuple[tuple[int, int], list[str]]] = []  # of each folder above: which it is, and what is left to look at
    while (inner or way) and counted:
        if inner:
            try:
                below = os.open(inner.pop(), FOLDER, dir_fd=here)
            except OSError:
                counted = False
                continue
            way.append((_identity(here), inner))
            os.close(here)
            here = below
            more, entries, inner = _looked(here, MOST_ENTRIES - seen, since)
            size, seen = size + more, seen + entries
        else:
            above, inner = way.pop()
            parent = os.open("..", FOLDER, dir_fd=here)
            os.close(here)
            here = parent
            counted = _identity(here) == above
        counted = counted and seen < MOST_ENTRIES and time.monotonic() < until
    os.close(here)
    return size if counted and seen < MOST_ENTRIES else most + 1


def _looked(folder: int, most: int, since: float) -> tuple[int, int, list[str]]:
    """What the entries of an open folder hold, how many there are (at most ``most``), and which are folders."""
    size, seen, inner = 0, 0, []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            seen += 1
            if seen >= most:
                break
            with suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                size += found.st_blocks * 512 if found.st_ctime >= since else 0
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
    return size, seen, inner


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _end_all(alone: bool) -> None:
    """Kill whatever is left, and reap it.

    ``alone``: one signal reaches all at once, also a process that starts others faster than they can be listed. Else
    the children of each dead process become ours, so that the loop ends when none is left.
    """
    if alone:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(-1, signal.SIGKILL)
    me = os.getpid()
    while True:
        try:
            pid, _ = os.waitpid(-1, 0 if alone else os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        for orphan in _children(me):
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                stat = _text(f"/proc/{name}/stat")
                if int(stat.rpartition(")")[2].split()[1]) == parent:
                    found.append(int(name))
    return found


def remove(folder: str) -> None:
    """:func:`remove_all`; what cannot be removed stays."""
    with suppress(OSError):
        remove_all(folder)


def remove_all(folder: str) -> None:
    """Remove ``folder`` with everything below; nothing else may change it meanwhile. Raises ``OSError``.

    Folders are moved to the top before they are emptied, so that every path stays short however deep they lie.
    """
    if os.path.islink(folder):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    moved, name = 0, os.path.join(folder, os.urandom(8).hex())
    os.chmod(folder, 0o700)
    while folders := _without_files(folder):
        for one in folders:
            os.chmod(one, 0o700)
            for inner in _without_files(one):
                os.chmod(inner, 0o700)  # moving a folder takes permission to write to it
                os.rename(inner, f"{name}-{moved}")
                moved += 1
            os.rmdir(one)
    os.rmdir(folder)


def remove_unless_in_use(folder: str) -> None:
    """:func:`remove` the folder of a run whose launcher is dead."""
    try:
        fd = os.open(folder, FOLDER)
    except OSError:
        return
    with suppress(BlockingIOError):
        Libc().flock(fd, LOCK_EX | LOCK_NB)
        remove(folder)
    os.close(fd)


def _without_files(folder: str) -> list[str]:
    """Remove what is no folder; gives the paths of the folders."""
    inner = []
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            inner.append(entry.path)
        else:
            os.unlink(entry.path)
    return inner


def _become(plan: RunPlan, libc: Libc, launcher: int) -> NoReturn:
    """In the forked child: raise the walls, from the widest to the one that forbids raising more; then exec."""
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:
            os._exit(NOT_CONFINED)
        os.chdir(plan["cwd"])
        _go_first()
        if plan["walls"]:
            _raise_walls(plan, libc)
        os.write(plan["status_fd"], b"ready\n")
        os.close(plan["status_fd"])
    except (OSError, ValueError) as error:
        os.write(2, f"launcher: the walls cannot be raised: {error}\n".encode())
        os._exit(NOT_CONFINED)
    _exec(plan["argv"], plan["env"])


def _go_first() -> None:
    """Where the memory of the machine is all taken the kernel ends this process before any other one's."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _raise_walls(plan: RunPlan, libc: Libc) -> None:
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1)
    tasks = _tasks_of_user()
    kept = plan["keep_capabilities"] & _permitted()
    _landlock(plan, libc)
    for kind, value in plan["limits"]:
        most = value + (tasks if kind == resource.RLIMIT_NPROC else 0)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # an ordinary user cannot raise his own
        resource.setrlimit(kind, (most, most))
    _drop_capabilities(kept, CAPSET[plan["machine"]], libc)
    if plan["filter"]:
        libc.prctl_filter(bytes.fromhex(plan["filter"]))


def _exec(argv: list[str], env: dict[str, str]) -> NoReturn:
    """``os.execvpe``, but for its imports: from in here the interpreter's own library may be out of reach."""
    program = argv[0]
    folders = [""] if "/" in program else [f"{folder}/" for folder in env.get("PATH", "").split(":") if folder]
    code, why = 127, os.strerror(errno.ENOENT)
    for folder in folders:
        try:
            os.execve(folder + program, argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            code, why = 126, str(error.strerror)
    os.write(2, f"launcher: {program!r} cannot be started: {why}\n".encode())
    os._exit(code)


def _landlock(plan: RunPlan, libc: Libc) -> None:
    abi = landlock_abi(libc)
    if abi < 3:
        raise ValueError(f"Landlock ABI {abi} cannot forbid truncation; 3 is needed")
    handled = _FS_ALL_ABI3 | (_FS_IOCTL_DEV if abi >= 5 else 0)
    scope = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if plan["scoped"] and abi >= 6 else 0
    attributes = struct.pack("=QQQ", handled, 0, scope)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, size, 0)
    read = _FS_READ_FILE | _FS_READ_DIR
    rights = {READ: read, EXECUTE: read | _FS_EXECUTE, WRITE: handled & ~_FS_IOCTL_DEV}
    for path, grant in plan["grants"]:
        _allow(libc, ruleset, path, rights[grant])
    libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(libc: Libc, ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not os.path.isdir(f"/proc/self/fd/{fd}"):
        rights &= _FS_OF_A_FILE
    libc.syscall(LANDLOCK_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)


def _tasks_of_user() -> int:
    """How many tasks the user has already: without a user namespace the kernel counts them all together."""
    user, count = os.getuid(), 0
    for name in os.listdir("/proc") if user else ():  # the limit does not bind root
        with suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _permitted() -> int:
    lines = _text("/proc/self/status").splitlines()
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)


def _drop_capabilities(kept: int, capset: int, libc: Libc) -> None:
    for capability in range(64):
        if not kept >> capability & 1:
            with suppress(OSError):  # not root, or the kernel knows fewer
                libc.prctl(PR_CAPBSET_DROP, capability)
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    low, high = kept & 0xFFFFFFFF, kept >> 32
    libc.syscall(capset, header, struct.pack("=IIIIII", low, low, 0, high, high, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
