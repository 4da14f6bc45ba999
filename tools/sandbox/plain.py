"""No walls: clean environment, bounded time and output, no process left. Only where the owner allowed it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from tools.process import Command, Finished
from tools.sandbox.launch import launch, launch_command
from tools.sandbox.plan import RunPlan
from tools.sandbox.probe import interpreter
from tools.sandbox.room import within_room
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import base_environment
from tools.sandbox.types import PRIVATE_ENV, Job, Wall


@dataclass(frozen=True, kw_only=True)
class Plain:
    """``runs`` is how the path of each run's HOME and TMPDIR begins."""

    runs: Path
    settings: SandboxSettings
    name: str = "none"
    walls: frozenset[Wall] = frozenset()
    maps_paths: bool = False

    @property
    def missing(self) -> frozenset[Wall]:
        return frozenset(Wall)

    async def run(self, job: Job) -> Finished:
        """Run ``job`` on the host's own paths; ``Job.mounts`` is not honoured."""
        work = launch(lambda status_fd: self.command(job, status_fd=status_fd), self.runs)
        return await within_room(work, job, self.settings)

    def command(self, job: Job, *, status_fd: int) -> Command:
        """The launcher's command line."""
        own = self.runs.with_name(f"{self.runs.name}-{os.urandom(8).hex()}")
        env = {**base_environment(home=own, tmp=own), **job.env}
        if job.talk is not None:
            env[PRIVATE_ENV] = str(own)
        plan = RunPlan(
            argv=list(job.argv),
            cwd=str(job.cwd),
            env=env,
            inherit=list(job.secrets),
            walls=False,
            grants=[],
            limits=[],
            filter="",
            scoped=False,
            keep_capabilities=0,
            machine=platform.machine(),
            parent=os.getpid(),
            status_fd=status_fd,
            own=str(own),
            most_bytes=0,
            folders=[],
        )
        return launch_command(job, plan, python=interpreter()[0], settings=self.settings)
