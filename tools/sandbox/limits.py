"""Resource limits of code in the sandbox, never above the daemon's own."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from tools.sandbox.settings import SandboxSettings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: the kernel's number, the name of prlimit(1)'s option, and the value."""

    kind: int
    option: str
    value: int


def limits(settings: SandboxSettings) -> tuple[Limit, ...]:
    """The limits, to be set as soft and as hard limits. A lower hard limit of the daemon takes precedence."""
    wanted = (
        Limit(resource.RLIMIT_CPU, "cpu", settings.cpu_s),
        Limit(resource.RLIMIT_DATA, "data", settings.memory_mb * MIB),
        Limit(resource.RLIMIT_NPROC, "nproc", settings.processes),
        Limit(resource.RLIMIT_FSIZE, "fsize", settings.file_mb * MIB),
        Limit(resource.RLIMIT_NOFILE, "nofile", settings.open_files),
        Limit(resource.RLIMIT_CORE, "core", 0),
        # Counted for all processes of the user together: pending signals and timers, and bytes in message queues.
        Limit(resource.RLIMIT_SIGPENDING, "sigpending", 4096),
        Limit(resource.RLIMIT_MSGQUEUE, "msgqueue", 256 * 1024),
        Limit(resource.RLIMIT_RTPRIO, "rtprio", 0),  # some machines allow real-time priority to users
        Limit(resource.RLIMIT_NICE, "nice", 0),
    )
    return tuple(Limit(w.kind, w.option, _at_most(w.value, resource.getrlimit(w.kind)[1])) for w in wanted)


def _at_most(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
