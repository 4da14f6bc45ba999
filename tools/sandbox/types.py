"""Types of the sandbox: walls, mounts, jobs, proofs, and the interface of every back end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tools.process import Finished
from tools.streams import Talk


class Wall(StrEnum):
    """What a sandbox keeps from the code inside it. Each is proven by an attack (``attacks.py``)."""

    NETWORK = "network"  # no connection to anything outside: IPv4, IPv6, netlink
    SOCKET_FAMILIES = "socket_families"  # no kind of socket that no namespace covers: vsock, crypto, packets, netlink
    UNIX_SOCKETS = "unix_sockets"  # no socket of the host can be reached by its path
    ABSTRACT_SOCKETS = "abstract_sockets"  # nor by an abstract name
    WRITE_OUTSIDE = "write_outside"  # nothing but writable mounts can be changed
    FILE_MARKS = "file_marks"  # files that may only be read get no flags, leases or watches
    READ_OUTSIDE = "read_outside"  # of the host only programs, libraries and mounts can be read
    DAEMON_STATE = "daemon_state"  # ledger, keys and socket folder cannot be read
    PRIVATE_TMP = "private_tmp"  # what is written to /tmp is not seen outside
    PRIVATE_HOME = "private_home"  # HOME is thrown away
    PRIVATE_DEVICES = "private_devices"  # no device and no shared memory of the host
    TERMINAL = "terminal"  # no terminal of the host can be written, nor typed into
    ENVIRONMENT = "environment"  # no variable from outside is seen, hence no token
    PROCESS_NAMESPACE = "process_namespace"  # processes outside are not seen
    TRACING = "tracing"  # processes outside cannot be traced, and their memory not read or written
    SCHEDULING = "scheduling"  # scheduler, priority and CPUs of processes outside cannot be changed
    MONITOR = "monitor"  # the process that watches the run cannot be taken over
    SIGNALS = "signals"  # processes outside cannot be signalled
    KILLED_AS_ONE = "killed_as_one"  # nothing that was started inside outlives its run
    NEW_PRIVILEGES = "new_privileges"  # no capability, and no program that could give one
    NESTED_NAMESPACES = "nested_namespaces"  # no new user namespace, hence no new privileges in one
    KEY_RINGS = "key_rings"  # the user's keys in the kernel cannot be used
    SYSTEM_CALLS = "system_calls"  # calls that no namespace covers and no test needs are refused
    CPU_LIMIT = "cpu_limit"  # CPU seconds of a process are bounded
    MEMORY_LIMIT = "memory_limit"  # private memory of a process is bounded
    FILE_SIZE_LIMIT = "file_size_limit"  # the size of a file is bounded
    OPEN_FILES_LIMIT = "open_files_limit"  # open files of a process are bounded
    SCRATCH_LIMIT = "scratch_limit"  # private folders are bounded in size
    PROCESS_LIMIT = "process_limit"  # the number of processes is bounded (the kernel does not bound root's)


REQUIRED = frozenset(Wall) - {
    Wall.PROCESS_NAMESPACE,
    Wall.SIGNALS,
    Wall.KEY_RINGS,
    Wall.SYSTEM_CALLS,
    Wall.SOCKET_FAMILIES,
    Wall.SCHEDULING,
    Wall.MONITOR,
    Wall.FILE_MARKS,
    Wall.SCRATCH_LIMIT,
    Wall.PROCESS_LIMIT,
}
"""A back end that does not hold these is not used."""


PRIVATE_ENV = "OURO_PRIVATE"
"""Variable with the private folders of a job that talks, separated by colons, for it to empty between tasks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """``source`` on the host is seen at ``target`` inside; read-only unless ``writable``.

    ``ours``: the daemon made it for this job. Nothing else of what lies in the daemon's own folders is ever shown.
    ``closed``: no program of the host has unix sockets in it: it was made for this job, or is an installation of
    programs, which is searched for one. A job with any other mount gets no unix sockets (``sockets.py``).
    """

    source: Path
    target: Path
    writable: bool = False
    ours: bool = False
    closed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to run inside.

    ``cwd`` is the path as seen inside. ``env`` is added to the sandbox's own minimal environment, ``secrets`` too, but
    not on a command line, where every user of the machine could read them. When ``report_env`` is set a pipe is opened,
    its number is given to the child in that variable, and its data becomes ``Finished.report``, or goes to ``talk`` as
    it arrives; all output goes to the descriptor ``spool`` (see :class:`tools.process.Command`). With ``speaks`` that
    pipe is standard output. With ``network`` the job shares the host's network: internet sockets, no other ones.
    """

    argv: tuple[str, ...]
    cwd: Path
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None
    stdin: bytes = b""
    report_env: str | None = None
    talk: Talk | None = None
    speaks: bool = False
    network: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)
    spool: int | None = None


def describe_backend(name: str, missing: Iterable[Wall]) -> str:
    """A back end's name with the walls that it lacks, for commits; the name alone without any walls."""
    lacking = frozenset(missing)
    return f"{name} (missing: {', '.join(sorted(lacking))})" if lacking and lacking != frozenset(Wall) else name


class Sandbox(Protocol):
    """A back end. ``walls`` are those proven on this machine; ``missing`` are the others.

    ``maps_paths``: whether ``Mount.target`` is honoured. Where it is not, files are seen at their source paths and
    ``Job.cwd`` must be one. With a monitor, a child that a signal ended has the exit code 128 + signal.
    """

    @property
    def name(self) -> str: ...

    @property
    def walls(self) -> frozenset[Wall]: ...

    @property
    def missing(self) -> frozenset[Wall]: ...

    @property
    def maps_paths(self) -> bool: ...

    async def run(self, job: Job) -> Finished:
        """Run ``job``; its whole process tree is dead when this returns. Raises ``SandboxError``."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """Result of the attack on one wall."""

    wall: Wall
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which back end is used and why. ``sandbox`` is None when untrusted code may not be run at all.

    ``tried``: name and reason of the back ends that were not used; ``remedy``: how to get better walls.
    """

    sandbox: Sandbox | None
    proofs: tuple[Proof, ...] = ()
    tried: tuple[tuple[str, str], ...] = ()
    remedy: str = ""
