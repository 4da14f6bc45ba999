"""The test bench of a search: a few workspaces in which variants are tried, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from governance.crew import Crew
from governance.repair.ranking import Variant
from governance.repair.scene import Scene
from ledger.vocabulary import RunStatus, TestRun
from tools.testing.report import TIME_LIMIT
from tools.testing.runner import WarmTests
from tools.workspace import Workspace

FIRST_IDS = 4
SLOWER = 5
"""A test that takes this many times as long as at the op's tree (and longer than the floor) will not end."""

Place = tuple[Workspace, WarmTests]
"""A copy, and the process that runs its tests."""


class Bench:
    """Runs tests on variants. The caller holds the heavy slot for all of it."""

    def __init__(self, *, crew: Crew, scene: Scene, places: Sequence[Place]) -> None:
        self._scene = scene
        self._crew = crew
        self._places = list(places)
        self._ids = tuple(r.id for r in scene.failing)
        settings = crew.shop.settings.repair
        base = scene.base.duration_ms / 1000  # start-up of the runner included: it is most of a short run
        self._limit_s = min(settings.test_limit_s, settings.test_floor_s + SLOWER * base)
        # A test that was stopped at its limit says nothing of how long it takes when it ends.
        known = {r.id: SLOWER * r.duration_ms / 1000 for r in scene.base.results if r.exception != TIME_LIMIT}
        self._limits = {test: limit for test, limit in known.items() if limit > settings.test_floor_s}

    async def green(self, variants: Sequence[Variant]) -> list[Variant]:
        """Those variants under which every failing test passes, in the order given."""
        free: asyncio.Queue[Place] = asyncio.Queue()
        for place in self._places:
            free.put_nowait(place)

        async def turns_green(variant: Variant) -> bool:
            place = await free.get()
            try:
                first = await self._try(variant, place, self._ids[:FIRST_IDS])
                if first.status is not RunStatus.GREEN or len(self._ids) <= FIRST_IDS:
                    return first.status is RunStatus.GREEN
                return (await self._try(variant, place, self._ids)).status is RunStatus.GREEN
            finally:
                free.put_nowait(place)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(turns_green(v)) for v in variants]
        return [v for v, task in zip(variants, tasks, strict=True) if task.result()]

    async def wider(self, variant: Variant) -> tuple[int, int, int]:
        """The whole base scope on one variant: tests passed, tests newly red, tests red before and after."""
        run = await self._try(variant, self._places[0], None)
        if run.status not in (RunStatus.GREEN, RunStatus.RED):
            ids = [r.id for r in self._scene.base.results]
            return 0, max(1, len(ids)), 0
        red_before = {r.id for r in self._scene.base.red}
        newly = sum(r.id not in red_before or r.id in self._ids for r in run.red)
        return run.passed, newly, len(run.red) - newly

    async def _try(self, variant: Variant, place: Place, ids: Sequence[str] | None) -> TestRun:
        workspace, tests = place
        await tests.reset()
        await workspace.apply([self._scene.edit(variant.path, variant.source, "")])
        limit = self._limit_s if ids is not None else self._wide_limit()
        if ids is None and len(self._scene.base.results) == len(self._ids):
            ids = self._ids
        floor = self._crew.shop.settings.repair.test_floor_s
        return await tests.run(ids, limit_s=limit, test_s=floor, limits=self._limits, to_the_end=ids is None)

    def _wide_limit(self) -> float:
        base = self._scene.base.duration_ms / 1000
        return min(
            self._crew.shop.settings.pipeline.suite_budget_s, 3 * base + self._crew.shop.settings.repair.test_floor_s
        )
