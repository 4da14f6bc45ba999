"""A sandbox without walls for tests of the runner: the job as it is, in the copy itself."""

from __future__ import annotations

from pathlib import Path

from tools.process import REPORT_FD, Command, Finished, run
from tools.sandbox.types import Job, Wall


class PlainSandbox:
    """Runs a job as a child of this process; maps no paths."""

    name = "none"
    walls: frozenset[Wall] = frozenset()
    missing: frozenset[Wall] = frozenset(Wall)
    maps_paths = False

    def __init__(self, tmp: Path) -> None:
        self.jobs: list[Job] = []
        self._tmp = tmp

    async def run(self, job: Job) -> Finished:
        self.jobs.append(job)
        env = {"LANG": "C.UTF-8", "TMPDIR": str(self._tmp), **job.env}
        if job.report_env is not None:
            env[job.report_env] = REPORT_FD
        return await run(
            Command(
                argv=job.argv,
                cwd=job.cwd,
                env=env,
                timeout_s=job.timeout_s,
                stdin=job.stdin,
                talk=job.talk,
                report=job.report_env is not None,
            )
        )
