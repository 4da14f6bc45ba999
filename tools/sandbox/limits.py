"""Resource limits of code inside, never above what the daemon itself may have."""

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
    """Soft and hard limits alike. The hard ones of the daemon are kept where they are lower."""
    wanted = (
        Limit(resource.RLIMIT_CPU, "cpu", settings.cpu_s),
        Limit(resource.RLIMIT_DATA, "data", settings.memory_mb * MIB),
        Limit(resource.RLIMIT_NPROC, "nproc", settings.processes),
        Limit(resource.RLIMIT_FSIZE, "fsize", settings.file_mb * MIB),
        Limit(resource.RLIMIT_NOFILE, "nofile", settings.open_files),
        Limit(resource.RLIMIT_CORE, "core", 0),
        # Counted for all programs of the user together: timers and signals that wait, and message queues (bytes).
        Limit(resource.RLIMIT_SIGPENDING, "sigpending", 4096),
        Limit(resource.RLIMIT_MSGQUEUE, "msgqueue", 256 * 1024),
        Limit(resource.RLIMIT_RTPRIO, "rtprio", 0),  # some machines let their users run before everybody else
        Limit(resource.RLIMIT_NICE, "nice", 0),
    )
    return tuple(Limit(w.kind, w.option, _at_most(w.value, resource.getrlimit(w.kind)[1])) for w in wanted)


def _at_most(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
