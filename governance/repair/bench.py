"""The test bench of a search: a few workspaces in which variants are tried, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from governance.crew import Crew
from governance.repair.ranking import Variant
from governance.repair.scene import Scene
from ledger.vocabulary import RunStatus, TestRun
from tools.testing.runner import TestRunner
from tools.workspace import Workspace

FIRST_IDS = 4


class Bench:
    """Runs tests on variants. The caller holds the heavy slot for all of it."""

    def __init__(self, *, crew: Crew, scene: Scene, workspaces: Sequence[Workspace]) -> None:
        if crew.shop.runner is None:
            raise RuntimeError("a bench needs a test runner")
        self._runner: TestRunner = crew.shop.runner
        self._scene = scene
        self._crew = crew
        self._workspaces = list(workspaces)
        self._ids = tuple(r.id for r in scene.failing)
        settings = crew.shop.settings.repair
        base = scene.base.duration_ms / 1000  # start-up of the runner included: it is most of a short run
        self._limit_s = min(settings.test_limit_s, max(settings.test_floor_s, 3 * base))

    async def green(self, variants: Sequence[Variant]) -> list[Variant]:
        """Those variants under which every failing test passes, in the order given."""
        free: asyncio.Queue[Workspace] = asyncio.Queue()
        for workspace in self._workspaces:
            free.put_nowait(workspace)

        async def turns_green(variant: Variant) -> bool:
            workspace = await free.get()
            try:
                first = await self._try(variant, workspace, self._ids[:FIRST_IDS])
                if first.status is not RunStatus.GREEN or len(self._ids) <= FIRST_IDS:
                    return first.status is RunStatus.GREEN
                return (await self._try(variant, workspace, self._ids)).status is RunStatus.GREEN
            finally:
                free.put_nowait(workspace)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(turns_green(v)) for v in variants]
        return [v for v, task in zip(variants, tasks, strict=True) if task.result()]

    async def wider(self, variant: Variant) -> tuple[int, int, int]:
        """The whole base scope on one variant: tests passed, tests newly red, tests red before and after."""
        run = await self._try(variant, self._workspaces[0], None)
        if run.status not in (RunStatus.GREEN, RunStatus.RED):
            ids = [r.id for r in self._scene.base.results]
            return 0, max(1, len(ids)), 0
        red_before = {r.id for r in self._scene.base.red}
        newly = sum(r.id not in red_before or r.id in self._ids for r in run.red)
        return run.passed, newly, len(run.red) - newly

    async def _try(self, variant: Variant, workspace: Workspace, ids: Sequence[str] | None) -> TestRun:
        await workspace.reset()
        await workspace.apply([self._scene.edit(variant.path, variant.source, "")])
        limit = self._limit_s if ids is not None else self._wide_limit()
        if ids is None and len(self._scene.base.results) == len(self._ids):
            ids = self._ids
        return await self._runner.run(workspace, ids, limit_s=limit, use_heavy=False)

    def _wide_limit(self) -> float:
        base = self._scene.base.duration_ms / 1000
        return min(
            self._crew.shop.settings.pipeline.suite_budget_s, 3 * base + self._crew.shop.settings.repair.test_floor_s
        )
