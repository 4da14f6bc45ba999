"""Cached test runs of unmodified commits: the baseline for what counts as newly red."""

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
class CachedBaseline:
    """A cached baseline run and the options it ran with."""

    run: TestRun
    coverage: bool
    limit_s: float

    def answers(self, *, coverage: bool, limit_s: float) -> bool:
        """Whether this run can be reused.

        A verdict can if it has the coverage that is wanted; a time-out unless a new run gets more time or less work.
        """
        if self.run.status in VERDICTS:
            return self.coverage or not coverage
        return limit_s <= self.limit_s and (coverage or not self.coverage)


class Baselines:
    """Cache of the last few baseline runs by commit and coverage.

    Time-outs are cached too, because each retry costs the whole limit. Other runs without a verdict are not.
    """

    def __init__(self, *, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._runs: OrderedDict[tuple[str, bool], CachedBaseline] = OrderedDict()
        self._under_way = asyncio.Lock()  # concurrent ops at one commit share a single run

    async def get(self, runner: TestRunner, commit: str, *, owner: str, coverage: bool, limit_s: float) -> TestRun:
        """The whole suite's run at ``commit``, with per-test coverage if wanted."""
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
        self._runs[commit, coverage] = CachedBaseline(run, coverage, limit_s)
        self._runs.move_to_end((commit, coverage))
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return run
