"""What the suite says about a tree before anything is changed: the measure for *newly red*."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from ledger.vocabulary import RunStatus, TestRun
from tools.testing.runner import TestRunner
from tools.workspace import Workspaces

KEPT = 4


class Baselines:
    """Remembers the last few base runs by commit. A run without a verdict says nothing of the tree and is not kept."""

    def __init__(self, *, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._runs: OrderedDict[tuple[str, bool], TestRun] = OrderedDict()
        self._under_way = asyncio.Lock()  # ops of one commit ask at the same time: one run is enough

    async def get(self, runner: TestRunner, commit: str, *, owner: str, coverage: bool, limit_s: float) -> TestRun:
        """The run of the whole suite at ``commit`` (with per-test coverage when asked)."""
        async with self._under_way:
            return await self._get(runner, commit, owner=owner, coverage=coverage, limit_s=limit_s)

    async def _get(self, runner: TestRunner, commit: str, *, owner: str, coverage: bool, limit_s: float) -> TestRun:
        for wanted in ((commit, True), (commit, coverage)):
            if wanted in self._runs:
                self._runs.move_to_end(wanted)
                return self._runs[wanted]
        workspace = await self._workspaces.acquire(f"{owner}-base", commit)
        try:
            run = await runner.run(workspace, coverage=coverage, limit_s=limit_s)
        finally:
            await self._workspaces.release(workspace)
        if run.status not in (RunStatus.GREEN, RunStatus.RED):
            return run
        self._runs[commit, coverage] = run
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return run
