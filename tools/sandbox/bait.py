"""Prepares the targets of the sandbox probe's attacks on this machine, and finds the damage afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ledger.children import PIPE, Child, start
from ledger.places import Places
from tools.sandbox import attacks
from tools.sandbox.calls import number
from tools.sandbox.limits import MIB, limits
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import HOME, SYSTEM, base_environment, configuration
from tools.sandbox.types import Mount, Wall

REPORT = "OURO_REPORT"
SECRET = "a secret of the daemon"
VICTIM_MODE = 0o600
SET_BY_THE_SYSTEM = ("PWD", "LC_CTYPE")  # by the monitor and by the interpreter
UNMOUNTED = ("/etc/shadow", "/etc/fstab", "/etc/machine-id", "/etc/hostname", "/var/lib", "/var/log", "/boot")
KERNEL_FILES = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/vm/drop_caches",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
)
HARMLESS_DEVICES = frozenset({"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"})
VICTIM_PROGRAM = """
import ctypes, os
libc = ctypes.CDLL(None)
for capability in range(64):
    libc.prctl(24, capability)
libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
os.write(1, b"x")
os.read(0, 1)
"""
SYSTEM_CALLS = ("add_key", "io_uring_setup", "userfaultfd", "ioprio_set", "fanotify_init")
MAX_TARGETS = 64
TASK_MARGIN = 1000  # tasks that may start between our count and the launcher's


class AttackTarget(TypedDict):
    """What to attack. All files and processes named here were made for the probe, except files of the system."""

    token: str  # name of every file that is made
    secret: str  # a file in the daemon's state folder
    folders: list[str]  # folders of the daemon's that must not be listed
    unseen: list[str]  # files and folders of the host that no mount contains
    victim: str  # a file outside that must not be changed
    shown: str  # a folder that is mounted for reading; holds a file "f"
    served: str  # a folder with sockets "s" and "d", mounted only for the attack on sockets in mounts
    outside: list[str]  # folders in which a file must not be made
    kernel: list[str]  # files of the kernel that must not be opened for writing
    devices: list[str]  # devices of the host that must not be opened
    home: str  # the owner's
    ports: dict[str, int]  # listeners of the host on "tcp4", "tcp6", "udp4" and "netlink"; 0: there is none
    socket_folder: str  # holds a listening unix socket named "s", and "d" for datagrams
    abstract: str  # name of a listening abstract unix socket; with "d" appended, one for datagrams
    terminal: str  # a terminal of the host
    pid: int  # a process of the host that waits, with the token in its environment
    started: str  # when it started, in the kernel's ticks
    variables: list[str]  # the only ones that may be set
    limits: dict[str, list[int]]  # option of prlimit(1): number and value
    most_processes: int
    scratch: int  # bytes that a private folder may hold
    calls: dict[str, int]  # numbers of system calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Bait:
    """The prepared targets. ``victim_process``: the attacked process of the host; ``listeners``: attacked sockets."""

    workspace: Path
    shown: Path
    served: Path
    target: AttackTarget
    victim_process: Child
    listeners: Mapping[str, socket.socket]
    terminal: int

    @property
    def created_files(self) -> tuple[Path, ...]:
        """Files that exist only if a wall is broken."""
        places = (*self.target["outside"], "/tmp", "/dev/shm")
        return tuple(p for folder in places if (p := Path(folder, self.target["token"])).exists())

    def damage(self) -> dict[Wall, str]:
        """Damage on the host (files, processes, received data) by broken wall."""
        found: dict[Wall, str] = {}
        elsewhere = [str(p.parent) for p in self.created_files if str(p.parent) not in ("/tmp", "/dev/shm")]
        if elsewhere:
            found[Wall.WRITE_OUTSIDE] = f"Files were made in {', '.join(elsewhere)}."
        elif not self._is_victim_unchanged():
            found[Wall.WRITE_OUTSIDE] = "A file outside was changed."
        reached = [way for way, listener in self.listeners.items() if _receive(listener, way)]
        if reached:
            found[Wall.NETWORK] = f"A listener of the host was reached by {', '.join(reached)}."
        if self._is_lock_held():
            found[Wall.KILLED_AS_ONE] = "A process that was started inside outlived its run."
        if self.victim_process.poll() is not None:
            found[Wall.SIGNALS] = "A process of the host was killed."
        if _has_input(self.terminal):
            found[Wall.TERMINAL] = "A process inside wrote to a terminal of the host."
        return found

    def visible_files(self, created_files: Mapping[str, str]) -> dict[Wall, str]:
        """Files that the attacks report and that exist on the host, by wall."""
        return {
            Wall(wall): f"{path} exists on the host." for wall, path in created_files.items() if Path(path).exists()
        }

    def _is_victim_unchanged(self) -> bool:
        victim = Path(self.target["victim"])
        if not victim.is_file():
            return False
        return victim.read_text(encoding="utf-8") == SECRET and victim.stat().st_mode & 0o777 == VICTIM_MODE

    def _is_lock_held(self) -> bool:
        """Whether a process that outlived its run still holds the lock."""
        try:
            with (self.workspace / self.target["token"]).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


@contextlib.contextmanager
def prepare_bait(
    settings: SandboxSettings, places: Places, program: Path, mounts: Sequence[Mount] = ()
) -> Iterator[Bait]:
    """Prepare all targets; they are removed when the block ends. ``program``: the Python that runs the victim process.

    ``mounts`` are visible inside, so they are no targets: an interpreter may be in the owner's home.
    """
    token = f".ouro-probe-{os.urandom(6).hex()}"
    with contextlib.ExitStack() as stack:
        top = _folder(stack, places.cache / token)
        workspace, shown, served = (_folder(stack, top / name) for name in ("work", "shown", "served"))
        (shown / "f").touch()
        outside = _folder(stack, places.state / token)
        sockets = _folder(stack, places.runtime / token)
        victim = outside / "victim"
        victim.write_text(SECRET, encoding="utf-8")
        victim.chmod(VICTIM_MODE)
        listeners = _listen(stack, (sockets, served), token)
        victim_process = stack.enter_context(_victim_process(program, token))
        master, terminal = _terminal(stack)
        bounds = limits(settings)
        bait = Bait(
            workspace=workspace,
            shown=shown,
            served=served,
            victim_process=victim_process,
            listeners=listeners,
            terminal=master,
            target=AttackTarget(
                token=token,
                secret=str(victim),
                folders=[str(places.state), str(places.runtime)],
                unseen=_unmounted_paths(places, [workspace, shown, served, *(mount.target for mount in mounts)]),
                victim=str(victim),
                shown=str(shown),
                served=str(served),
                outside=[str(outside), str(places.home), str(places.common_dir), "/usr", "/etc", "/var/tmp", "/"],
                kernel=[path for path in KERNEL_FILES if Path(path).exists()],
                devices=_devices(),
                home=str(places.home),
                ports={way: listener.getsockname()[way != "netlink"] for way, listener in listeners.items()},
                socket_folder=str(sockets),
                abstract=token,
                terminal=terminal,
                pid=victim_process.pid,
                started=Path(f"/proc/{victim_process.pid}/stat")
                .read_text(encoding="utf-8")
                .rpartition(")")[2]
                .split()[19],
                variables=[*base_environment(home=HOME, tmp=Path("/tmp")), REPORT, *SET_BY_THE_SYSTEM],
                limits={x.option: [x.kind, x.value] for x in bounds},
                most_processes=next(x.value for x in bounds if x.option == "nproc") + _task_count() + TASK_MARGIN,
                scratch=settings.scratch_mb * MIB,
                calls={call: number(call, os.uname().machine) or -1 for call in SYSTEM_CALLS},
            ),
        )
        stack.callback(_remove_created, bait)
        yield bait


def _remove_created(bait: Bait) -> None:
    for path in bait.created_files:
        path.unlink()


def _folder(stack: contextlib.ExitStack, path: Path) -> Path:
    """A new folder, locked while in use so that cleaning up skips it."""
    path.mkdir(parents=True, mode=0o700)
    stack.callback(shutil.rmtree, path, ignore_errors=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return path


def _unmounted_paths(places: Places, mounted: Sequence[Path]) -> list[str]:
    """Files and folders of the host that are in no mount of the system or of the probe, nor above one."""
    shown = (*(Path(name) for name in SYSTEM), *configuration(), *mounted)
    in_home = sorted(places.home.iterdir())[:MAX_TARGETS] if places.home.is_dir() else []
    wanted = (*(Path(name) for name in UNMOUNTED), *in_home)
    return [
        str(path)
        for path in wanted
        if path.exists() and not any(path == one or path in one.parents or one in path.parents for one in shown)
    ]


def _devices() -> list[str]:
    """Devices of the host, without the harmless ones that every sandbox has."""
    nodes = [path for path in sorted(Path("/dev").iterdir()) if path.name not in HARMLESS_DEVICES]
    kinds = (path for path in nodes if not path.is_symlink() and _is_device(path))
    return [str(path) for path in kinds][:MAX_TARGETS]


def _is_device(path: Path) -> bool:
    mode = path.stat().st_mode
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _task_count() -> int:
    """Number of tasks on this machine: without a process namespace, tasks inside are counted with them."""
    return int(Path("/proc/loadavg").read_text(encoding="ascii").split()[3].split("/")[1])


@contextlib.contextmanager
def _victim_process(program: Path, token: str) -> Iterator[Child]:
    """Start a waiting process of the host, which the attacks try to kill.

    It gives up root's privileges first: the kernel protects a process with more privileges than the attackers anyway.
    """
    argv = [str(program), "-I", "-S", "-c", VICTIM_PROGRAM]
    with start(argv, cwd=Path("/"), env={"OURO_TOKEN": token}, stdin=PIPE, stdout=PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.read(1)
            yield process
        finally:
            process.kill()


def _terminal(stack: contextlib.ExitStack) -> tuple[int, str]:
    """A new terminal of the host: descriptor of the controlling side, and path."""
    master, slave = os.openpty()
    stack.callback(os.close, master)
    stack.callback(os.close, slave)
    os.set_blocking(master, False)
    return master, os.ttyname(slave)


def _has_input(fd: int) -> bool:
    try:
        return bool(os.read(fd, 1))
    except BlockingIOError:
        return False


def _listen(stack: contextlib.ExitStack, folders: Sequence[Path], abstract: str) -> dict[str, socket.socket]:
    """Listeners of the host by protocol, as far as it supports them; also unix sockets, which are not returned."""
    found: dict[str, socket.socket] = {}
    for way, family, kind, address in (
        ("tcp4", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        ("udp4", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        ("netlink", socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
    ):
        protocol = attacks.NETLINK_USERSOCK if family == socket.AF_NETLINK else 0
        with contextlib.suppress(OSError):  # e.g. a host without IPv6
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setblocking(False)
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen(1)
            found[way] = listener
    for folder in folders:
        _bind(stack, folder, "s", "d")
    _bind(stack, None, "\0" + abstract, "\0" + abstract + "d")
    return found


def _bind(stack: contextlib.ExitStack, folder: Path | None, stream: str, datagrams: str) -> None:
    """Bind a stream and a datagram unix socket. The folder is named by a descriptor: its path may be too long."""
    place = ""
    if folder is not None:
        fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        place = f"/proc/self/fd/{fd}/"
    for name, kind in ((stream, socket.SOCK_STREAM), (datagrams, socket.SOCK_DGRAM)):
        server = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
        server.bind(place + name)
        if kind == socket.SOCK_STREAM:
            server.listen(1)


def _receive(listener: socket.socket, way: str) -> bool:
    try:
        if way.startswith("tcp"):
            listener.accept()[0].close()
        else:
            listener.recv(64)
    except BlockingIOError:
        return False
    return True
