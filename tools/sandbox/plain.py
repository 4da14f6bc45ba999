"""No walls at all: own process group, clean environment, bounded time and output. Only where the owner allowed it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from tools.contained import remove_tree
from tools.process import REPORT_FD, Command, Finished, run
from tools.sandbox.limits import MIB
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import base_environment
from tools.sandbox.types import PRIVATE_ENV, Job, Wall


@dataclass(frozen=True, kw_only=True)
class Plain:
    """``scratch`` is a folder of ours in which each run gets its own HOME and TMPDIR."""

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
        own = self.scratch / f"run-{os.urandom(8).hex()}"
        own.mkdir(parents=True, mode=0o700)
        env = {**base_environment(home=own, tmp=own), **job.env}
        if job.report_env is not None:
            env[job.report_env] = REPORT_FD
        if job.talk is not None:
            env[PRIVATE_ENV] = str(own)
        command = Command(
            argv=job.argv,
            cwd=job.cwd,
            env=env,
            timeout_s=job.timeout_s,
            grace_s=self.settings.grace_s,
            stdin=job.stdin,
            talk=job.talk,
            cap_bytes=self.settings.output_kb * 1024,
            flood_bytes=self.settings.flood_mb * MIB,
            report=job.report_env is not None,
            report_cap_bytes=self.settings.report_mb * MIB,
        )
        try:
            return await run(command)
        finally:
            await asyncio.shield(asyncio.to_thread(remove_tree, own))
