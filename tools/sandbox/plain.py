"""No walls at all: own process group, clean environment, bounded time and output. Only where the owner allowed it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.process import REPORT_FD, Command, Finished, run
from tools.sandbox.limits import MIB
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import base_environment
from tools.sandbox.types import Job, Wall


@dataclass(frozen=True, kw_only=True)
class Plain:
    """``scratch`` serves as HOME and TMPDIR of every run."""

    scratch: Path
    settings: SandboxSettings
    name: str = "none"
    walls: frozenset[Wall] = frozenset()
    maps_paths: bool = False

    @property
    def missing(self) -> frozenset[Wall]:
        return frozenset(Wall)

    async def run(self, job: Job) -> Finished:
        """Run ``job`` on the host's own paths; ``Job.mounts`` is not honoured."""
        self.scratch.mkdir(parents=True, mode=0o700, exist_ok=True)
        env = {**base_environment(home=self.scratch, tmp=self.scratch), **job.env}
        if job.report_env is not None:
            env[job.report_env] = REPORT_FD
        command = Command(
            argv=job.argv,
            cwd=job.cwd,
            env=env,
            timeout_s=job.timeout_s,
            grace_s=self.settings.grace_s,
            stdin=job.stdin,
            cap_bytes=self.settings.output_kb * 1024,
            flood_bytes=self.settings.flood_mb * MIB,
            report=job.report_env is not None,
            report_cap_bytes=self.settings.report_mb * MIB,
        )
        return await run(command)
