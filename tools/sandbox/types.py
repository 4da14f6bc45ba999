"""The words of the sandbox: walls, mounts, jobs, proofs, and what every back end offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tools.process import Finished
from tools.streams import Talk


class Wall(StrEnum):
    """What a sandbox keeps from the code inside it. Each is proven by an attack (``attacks.py``)."""

    NETWORK = "network"  # no connection to anything outside
    WRITE_OUTSIDE = "write_outside"  # nothing but writable mounts can be changed
    DAEMON_STATE = "daemon_state"  # ledger, keys and socket folder cannot be read
    UNIX_SOCKETS = "unix_sockets"  # no socket of the host can be reached, by path or by abstract name
    NESTED_NAMESPACES = "nested_namespaces"  # no new user namespace, hence no new privileges in one
    ENVIRONMENT = "environment"  # no variable of the daemon's is seen
    PRIVATE_TMP = "private_tmp"  # what is written to /tmp is not seen outside
    RESOURCE_LIMITS = "resource_limits"  # CPU, memory, file size, open files
    PROCESS_NAMESPACE = "process_namespace"  # processes outside are not seen and cannot be signalled
    SYSTEM_CALLS = "system_calls"  # keyrings and other calls that no namespace covers are refused
    PROCESS_LIMIT = "process_limit"  # the number of processes is bounded (the kernel does not bound root's)


REQUIRED = frozenset(
    {
        Wall.NETWORK,
        Wall.WRITE_OUTSIDE,
        Wall.DAEMON_STATE,
        Wall.UNIX_SOCKETS,
        Wall.NESTED_NAMESPACES,
        Wall.ENVIRONMENT,
        Wall.PRIVATE_TMP,
        Wall.RESOURCE_LIMITS,
    }
)
"""A back end that does not hold these is not used."""


PRIVATE_ENV = "OURO_PRIVATE"
"""Tells a job that talks which folders are its alone (separated by colons), so that it can empty them between tasks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """``source`` on the host is seen at ``target`` inside; read-only unless ``writable``."""

    source: Path
    target: Path
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to run inside.

    ``cwd`` is the path as seen inside. ``env`` comes on top of the sandbox's own minimal environment, ``secrets`` too,
    but these never stand on a command line, where every user of the machine could read them. When ``report_env`` is
    set a pipe is opened, its number is given to the child in that variable, and what was written comes back as
    ``Finished.report``, or goes to ``talk`` as it comes, as does all output to the descriptor ``spool`` (see
    :class:`tools.process.Command`). With ``speaks`` that pipe is standard output. With ``network`` the job shares the
    host's network: internet sockets, no other ones.
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


class Sandbox(Protocol):
    """A back end. ``walls`` are those proven on this machine; ``missing`` are the others.

    ``maps_paths``: whether ``Mount.target`` is honoured. Where it is not, files are seen at their source paths and
    ``Job.cwd`` must be one. A child that a signal ended shows as code 128 + signal where a monitor stands between.
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
    """What the attack on one wall showed."""

    wall: Wall
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which back end is used and why. ``sandbox`` is None when untrusted code may not be run at all.

    ``tried`` holds (name, why not) of the back ends that were passed over; ``remedy`` says how to get better walls.
    """

    sandbox: Sandbox | None
    proofs: tuple[Proof, ...] = ()
    tried: tuple[tuple[str, str], ...] = ()
    remedy: str = ""
