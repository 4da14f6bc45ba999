"""Landlock, a system-call filter and resource limits, through ``launcher.py``: for machines without bubblewrap.

It shares the host's namespaces: paths are the host's, processes of the host can be seen, there is no loopback network,
and changes of mode, owner and times have no effect inside.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.errors import SandboxError
from tools.process import Command, Finished
from tools.sandbox.launch import launch, launch_command
from tools.sandbox.launcher import EXECUTE, READ, WRITE
from tools.sandbox.limits import MIB, limits
from tools.sandbox.plan import RunPlan
from tools.sandbox.room import within_room
from tools.sandbox.seccomp import SHARED, SHARED_NETWORKED, program
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import SYSTEM, base_environment, configuration, extra_mounts, find_exposed, refuse_hidden
from tools.sandbox.types import PRIVATE_ENV, Job, Wall

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
OWNERSHIP = 1 << 1  # CAP_DAC_OVERRIDE: root may then write a workspace that belongs to somebody else


@dataclass(frozen=True, kw_only=True)
class Landlock:
    """``runs`` is how the path of each run's HOME and TMPDIR begins; the launcher makes and removes them."""

    python: Path
    runs: Path
    settings: SandboxSettings
    hidden: tuple[Path, ...]
    walls: frozenset[Wall] = frozenset()
    name: str = "landlock"
    maps_paths: bool = False

    @property
    def missing(self) -> frozenset[Wall]:
        return frozenset(Wall) - self.walls

    def proven(self, walls: frozenset[Wall]) -> Landlock:
        """The same back end, with the walls that its probe found to hold."""
        return replace(self, walls=walls)

    async def run(self, job: Job) -> Finished:
        """Run ``job``; see :class:`tools.sandbox.types.Sandbox`. ``Mount.target`` is not honoured."""
        work = launch(lambda status_fd: self.command(job, status_fd=status_fd), self.runs)
        return await within_room(work, job, self.settings)

    def command(self, job: Job, *, status_fd: int) -> Command:
        """The exact command line; the probe attacks the same one."""
        own = self.runs.with_name(f"{self.runs.name}-{os.urandom(8).hex()}")
        env = {**base_environment(home=own / "home", tmp=own / "tmp"), **job.env}
        if job.talk is not None:
            env[PRIVATE_ENV] = f"{own / 'home'}:{own / 'tmp'}"
        plan = self.plan(job, own=own, env=env, status_fd=status_fd)
        return launch_command(job, plan, python=self.python, settings=self.settings)

    def plan(self, job: Job, *, own: Path, env: dict[str, str], status_fd: int) -> RunPlan:
        """The launcher's instructions."""
        code = program(SHARED_NETWORKED if job.network else SHARED)
        if code is None:
            raise SandboxError(f"There is no system-call table for {platform.machine()}.", remedy="Install bubblewrap.")
        return RunPlan(
            argv=list(job.argv),
            cwd=str(job.cwd),
            env=env,
            inherit=list(job.secrets),
            walls=True,
            grants=self.grants(job, own),
            limits=[(limit.kind, limit.value) for limit in limits(self.settings)],
            filter=code.hex(),
            scoped=True,
            keep_capabilities=OWNERSHIP,
            machine=platform.machine(),
            parent=os.getpid(),
            status_fd=status_fd,
            own=str(own),
            most_bytes=self.settings.scratch_mb * MIB,
            folders=["home", "tmp"],
        )

    def grants(self, job: Job, own: Path) -> list[tuple[str, str]]:
        """Allow-list of paths. Raises ``SandboxError`` when a mount would show a folder of the daemon's."""
        mounts = (*extra_mounts(self.settings.read_only), *job.mounts)
        refuse_hidden(mounts, self.hidden)
        shown = find_exposed((mount.source for mount in mounts), self.hidden)
        if shown:
            raise SandboxError(
                f"A mount would show {str(shown[0])!r} to untrusted code, and Landlock cannot hide part of a folder.",
                remedy="Install bubblewrap, or move the folder.",
            )
        readable = [*SYSTEM, *(str(m.source) for m in mounts if not m.writable)]
        return [
            *((path, EXECUTE) for path in readable if Path(path).exists()),
            *((str(path), READ) for path in (*configuration(), Path("/proc"))),
            *((path, WRITE) for path in (*DEVICES, *(str(m.source) for m in job.mounts if m.writable), str(own))),
        ]
