"""What the suite says about a tree before anything is changed: the measure for *newly red*."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from ledger.vocabulary import RunStatus, TestRun
from tools.testing.runner import TestRunner
from tools.workspace import Workspaces

KEPT = 4


VERDICTS = frozenset({RunStatus.GREEN, RunStatus.RED})


@dataclass(frozen=True, slots=True)
class Kept:
    """A base run that is remembered, and how it was made."""

    run: TestRun
    coverage: bool
    limit_s: float

    def answers(self, *, coverage: bool, limit_s: float) -> bool:
        """Whether another run would say no more: what did not end takes no less under coverage, or with less time."""
        if self.run.status in VERDICTS:
            return self.coverage or not coverage
        return limit_s <= self.limit_s and (coverage or not self.coverage)


class Baselines:
    """Remembers the last few base runs by commit, also that one did not end: each try costs the whole limit. Other runs
    without a verdict say nothing of the tree and are not kept."""

    def __init__(self, *, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._runs: OrderedDict[tuple[str, bool], Kept] = OrderedDict()
        self._under_way = asyncio.Lock()  # ops of one commit ask at the same time: one run is enough

    async def get(self, runner: TestRunner, commit: str, *, owner: str, coverage: bool, limit_s: float) -> TestRun:
        """The run of the whole suite at ``commit`` (with per-test coverage when asked)."""
        async with self._under_way:
            return await self._get(runner, commit, owner=owner, coverage=coverage, limit_s=limit_s)

    async def _get(self, runner: TestRunner, commit: str, *, owner: str, coverage: bool, limit_s: float) -> TestRun:
        for known in ((commit, True), (commit, False)):
            kept = self._runs.get(known)
            if kept is not None and kept.answers(coverage=coverage, limit_s=limit_s):
                self._runs.move_to_end(known)
                return kept.run
        workspace = await self._workspaces.acquire(f"{owner}-base", commit)
        try:
            run = await runner.run(workspace, coverage=coverage, limit_s=limit_s)
        finally:
            await self._workspaces.release(workspace)
        if run.status not in VERDICTS and run.status is not RunStatus.TIMEOUT:
            return run
        self._runs[commit, coverage] = Kept(run, coverage, limit_s)
        self._runs.move_to_end((commit, coverage))
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return run
