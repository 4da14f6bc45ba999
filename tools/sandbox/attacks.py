"""What the probe runs inside a sandbox: one attack on each wall.

Run as ``python -I -S -c <this text> TARGET`` with TARGET in JSON (see :class:`Target`). Standard library only. Writes
``{wall: [broken, what happened]}`` to the report pipe. An attack that fails in a way that was not foreseen ends the
program, and then no wall counts as proven. Some results are only judged outside, where the damage would be.
"""

# The attacks are system calls on plain text.
# ruff: noqa: PTH101, PTH109, PTH118, PTH123, PTH208
from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import TypedDict

CLONE_NEWUSER = 0x10000000
PROCESS_KEYRING = -2
LONGEST_WAIT_S = 1.0


class Target(TypedDict):
    """What to attack. Everything named here was made for the probe, but for the daemon's own process."""

    secret: str  # a file in the daemon's state folder
    folders: list[str]  # folders of the daemon's that must not be listed
    victim: str  # a file outside that must not be changed
    outside: list[str]  # folders in which a file must not be made
    token: str  # name of that file, and of the one in /tmp
    port: int  # a listener on the host's loopback
    socket_folder: str  # holds a listening unix socket named "s"
    abstract: str  # name of a listening abstract unix socket
    pid: int  # the daemon
    started: str  # when it started, in the kernel's ticks
    variables: list[str]  # the only ones that may be set
    limits: list[tuple[int, int]]
    file_limit: int
    add_key: int  # number of that system call


Answer = tuple[bool, str]


def network(target: Target) -> Answer:
    """Connect to a listener of the host."""
    try:
        with socket.create_connection(("127.0.0.1", target["port"]), LONGEST_WAIT_S):
            return True, "A listener on the host's loopback was reached."
    except OSError as error:
        return False, f"A listener on the host's loopback cannot be reached ({error.strerror or error})."


def write_outside(target: Target) -> Answer:
    """Make files outside, and change one: contents, length, mode, name."""
    made = []
    for folder in target["outside"]:
        try:
            os.close(os.open(os.path.join(folder, target["token"]), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            made.append(folder)
        except OSError:
            continue
    victim = target["victim"]
    for change in (_append, _truncate, _open_to_all, os.unlink):
        try:
            change(victim)
        except OSError:
            continue
    return bool(made), f"Files were made in {', '.join(made)}." if made else "No file could be made or changed outside."


def _append(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"changed")
    os.close(fd)


def _truncate(path: str) -> None:
    os.truncate(path, 0)


def _open_to_all(path: str) -> None:
    os.chmod(path, 0o777)


def daemon_state(target: Target) -> Answer:
    """Read the daemon's folders."""
    try:
        with open(target["secret"], encoding="utf-8") as file:
            file.read()
        return True, "A file of the daemon's state was read."
    except OSError as error:
        why = error.strerror
    for folder in target["folders"]:
        try:
            if os.listdir(folder):
                return True, f"{folder!r} was listed."
        except OSError:
            continue
    return False, f"The daemon's folders cannot be read ({why})."


def unix_sockets(target: Target) -> Answer:
    """Connect to unix sockets of the host: by path (relative, so that its length does not matter), and abstract."""
    here = os.getcwd()
    reached: list[str] = []
    why: str | None = None
    for folder, name in ((target["socket_folder"], "s"), (here, "\0" + target["abstract"])):
        try:
            os.chdir(folder)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(name)
            reached.append("an abstract name" if name.startswith("\0") else "its path")
        except OSError as error:
            why = error.strerror
    os.chdir(here)
    if reached:
        return True, f"A unix socket of the host was reached by {' and '.join(reached)}."
    return False, f"A unix socket of the host cannot be reached ({why})."


def nested_namespaces(target: Target) -> Answer:
    """Become root in a user namespace of one's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(CLONE_NEWUSER) == 0 else min(ctypes.get_errno(), 255))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return True, "A new user namespace was made."
    return False, f"A new user namespace is refused ({os.strerror(abs(code))})."


def environment(target: Target) -> Answer:
    """Find a variable of the daemon's: in one's own environment, in that of process 1, in the daemon's."""
    leaked = set(os.environ) - set(target["variables"])
    if leaked:
        return True, f"Variables are inherited: {', '.join(sorted(leaked))}."
    if _start_of(target["pid"]) == target["started"] and _read(f"/proc/{target['pid']}/environ") is not None:
        return True, "The daemon's own environment was read."
    first = _read("/proc/1/environ") or b""
    leaked = {pair.split(b"=")[0].decode(errors="replace") for pair in first.split(b"\0") if pair}
    leaked -= set(target["variables"])
    if leaked:
        return True, f"Process 1 shows variables: {', '.join(sorted(leaked))}."
    return False, "Only the sandbox's own variables are seen."


def private_tmp(target: Target) -> Answer:
    """Write into /tmp; whether it is the host's is judged outside."""
    try:
        os.close(os.open(os.path.join("/tmp", target["token"]), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        return False, "What is written to /tmp is not seen outside."
    except OSError as error:
        return False, f"/tmp cannot be written ({error.strerror})."


def resource_limits(target: Target) -> Answer:
    """Look for a limit above what was asked, and make too large a file."""
    above = [kind for kind, value in target["limits"] if not 0 <= resource.getrlimit(kind)[1] <= value]
    if above:
        return True, f"{len(above)} of {len(target['limits'])} limits are not set."
    fd = os.open("large", os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(fd, target["file_limit"] + 1)
        return True, "A file above the limit was made."
    except OSError as error:
        return False, f"The limits are set, and a file above its limit is refused ({error.strerror})."
    finally:
        os.close(fd)


def process_namespace(target: Target) -> Answer:
    """See the daemon's process, or signal it."""
    pid = target["pid"]
    seen = _start_of(pid)
    if seen == target["started"]:
        return True, "The daemon's process is seen in /proc."
    if seen is None:
        try:
            os.kill(pid, 0)
            return True, "The daemon's process can be signalled."
        except OSError:
            pass
    return False, "Processes of the host are not seen."


def system_calls(target: Target) -> Answer:
    """Use the kernel's key rings, which belong to the user and not to any namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(target["add_key"], b"user", b"ouro-probe", b"x", ctypes.c_size_t(1), PROCESS_KEYRING) >= 0:
        return True, "A key was added to a key ring."
    return False, f"Key rings are refused ({os.strerror(ctypes.get_errno())})."


def process_limit(target: Target) -> Answer:
    """Start a process above one's own limit."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
        try:
            if os.fork() == 0:
                os._exit(0)
            os.wait()
            os._exit(1)
        except OSError:
            os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        return True, "The kernel does not bound the number of processes here (it never does for root)."
    return False, "A process above the limit is refused."


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _start_of(pid: int) -> str | None:
    stat = _read(f"/proc/{pid}/stat")
    return stat.decode(errors="replace").rpartition(")")[2].split()[19] if stat else None


ATTACKS: tuple[Callable[[Target], Answer], ...] = (
    network,
    write_outside,
    daemon_state,
    unix_sockets,
    nested_namespaces,
    environment,
    private_tmp,
    resource_limits,
    process_namespace,
    system_calls,
    process_limit,
)


def main(text: str, report_fd: int) -> None:
    """Attack every wall, write the answers."""
    target: Target = json.loads(text)
    answers = {attack.__name__: attack(target) for attack in ATTACKS}
    os.write(report_fd, json.dumps(answers).encode())


if __name__ == "__main__":
    main(sys.argv[1], int(os.environ["OURO_REPORT"]))
