"""Tests variants of a search in parallel, in a few workspaces."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from governance.pipeline.context import OpContext
from governance.repair.failure_context import FailureContext
from governance.repair.ranking import PassingVariant, Variant
from governance.repair.settings import RepairSettings
from ledger.vocabulary import Outcome, ProbeAnswer, RunStatus, TestResult, TestRun
from tools.testing.report.verdict import IMPORT_TIME, TIME_LIMIT
from tools.testing.runner import Changes, Functions, WarmTests
from tools.testing.selection.names import includes_test
from tools.workspace import Workspace

FIRST_IDS, FIRST_MS = 4, 500
"""Failing tests that run first: at least so many, or as many as fit into so many milliseconds."""
AT_ONCE, SCREENED = 16, 256
"""Variants that are tested, and that are screened, between two checks of the time limit."""
SLOWER = 5
"""A test is stopped after this many times its duration at the op's tree, or after the floor if that is longer."""

Place = tuple[Workspace, WarmTests]
"""A workspace, and the process that runs its tests."""
Item = TypeVar("Item")
T = TypeVar("T")


def first_of(scene: FailureContext) -> tuple[str, ...]:
    """Failing tests that rule out most variants, the quickest first. Pure."""
    quick = sorted(scene.failing, key=lambda r: r.duration_ms)
    spent = 0
    first: list[str] = []
    for result in quick:
        spent += result.duration_ms
        if len(first) >= FIRST_IDS and spent > FIRST_MS:
            break
        first.append(result.id)
    return tuple(first)


def passes(test: str, run: TestRun) -> bool:
    """Whether a test passed. A file's id (it was not collected) passes with all of its tests, at least one. Pure."""
    if "::" in test:
        return any(r.id == test and r.outcome is Outcome.PASSED for r in run.results)
    own = [r for r in run.results if includes_test(test, r.id)]
    return bool(own) and not any(r.outcome.red for r in own) and any(r.outcome is Outcome.PASSED for r in own)


def at_once(settings: RepairSettings) -> int:
    """Number of candidates that are tested in parallel: by the settings, at most the number of cores."""
    return min(settings.parallel_tests, len(os.sched_getaffinity(0)))


class VariantRunner:
    """Runs tests on variants of a failure. The caller holds the heavy slot throughout."""

    def __init__(self, *, ctx: OpContext, places: Sequence[Place]) -> None:
        self._repair = ctx.services.settings.repair
        self._suite_s = ctx.services.settings.pipeline.suite_budget_s
        self._places = list(places)

    async def turned(
        self, scene: FailureContext, variants: Sequence[Variant], is_late: Callable[[], bool]
    ) -> list[frozenset[str]]:
        """For each variant the failing tests that pass with it; fewer results than variants when the time is up."""
        found: list[frozenset[str]] = []
        while len(found) < len(variants) and not (found and is_late()):
            found += await self._turned(scene, variants[len(found) : len(found) + SCREENED], is_late)
        return found

    async def _turned(
        self, scene: FailureContext, variants: Sequence[Variant], is_late: Callable[[], bool]
    ) -> list[frozenset[str]]:
        """:meth:`turned` for as many variants as are screened at once; those that seem to pass are tested."""
        first, ids = first_of(scene), tuple(r.id for r in scene.failing)

        async def one(place: Place, variant: Variant) -> frozenset[str]:
            passed = await self._passed(scene, variant, place, first)
            if not passed or len(first) == len(ids):
                return passed
            return await self._passed(scene, variant, place, ids)

        found: list[frozenset[str]] = [frozenset() for _ in variants]
        hopeless = await self._hopeless(scene, variants, first)
        left = [at for at in range(len(variants)) if at not in hopeless]
        for start in range(0, len(left), AT_ONCE):
            part = left[start : start + AT_ONCE]
            if start and is_late():
                return found[: part[0]]
            for at, passed in zip(part, await self._on_places([variants[at] for at in part], one), strict=True):
                found[at] = passed
        return found

    async def _hopeless(self, scene: FailureContext, variants: Sequence[Variant], ids: Sequence[str]) -> frozenset[int]:
        """Positions of variants with which none of ``ids`` passed in the screening run."""
        if not can_be_screened([r for r in scene.failing if r.id in ids]):
            return frozenset()
        at = await asyncio.to_thread(fit, scene, variants)
        if len(at) < FEWEST:
            return frozenset()
        shares = [at[number :: len(self._places)] for number in range(len(self._places))]

        async def one(place: Place, share: Sequence[int]) -> list[int]:
            await self._put_base(scene, place)
            changes = changes_of(scene, [variants[number] for number in share])
            screened = await place[1].screen(ids, changes, limit_s=self._repair.test_limit_s)
            return [share[number] for number, passed in screened.items() if number < len(share) and not passed]

        return frozenset(number for part in await self._on_places(shares, one) for number in part)

    async def wider(self, scene: FailureContext, variant: Variant) -> tuple[int, int, int]:
        """The base scope on one variant: tests passed, tests newly red, tests red before and after.

        Only tests of the scope that can reach the change are run; VALIDATE runs all of them later.
        """
        ids = await asyncio.to_thread(reached, scene, variant)
        run = await self._try(scene, variant, self._places[0], ids or scene.scope, wide=True)
        if run.status not in (RunStatus.GREEN, RunStatus.RED):
            return 0, max(1, len(scene.base.results)), 0
        failing = {r.id for r in scene.failing}
        red_before = {r.id for r in scene.base.red}
        newly = sum(r.id not in red_before or r.id in failing for r in run.red)
        ran = {r.id for r in run.results}
        left = [] if ids is None else [r for r in scene.base.results if r.id not in ran]
        red = len(run.red) - newly + sum(r.outcome.red for r in left)
        return run.passed + sum(not r.outcome.red for r in left), newly, red

    async def looked_at(
        self, scene: FailureContext, variant: Variant, look: Callable[[Workspace, TestRun], Awaitable[T]]
    ) -> T:
        """Run the base scope on one variant, under coverage if the base was, and return what ``look`` makes of it."""
        workspace, tests = self._places[0]
        await self._put(scene, variant, self._places[0])
        run = await tests.run(
            scene.scope,
            coverage=bool(scene.base.coverage),
            limit_s=self._suite_s,
            test_s=self._repair.test_floor_s,
            limits=self._limits(scene),
            to_the_end=False,
        )
        return await look(workspace, run)

    async def answers(
        self, asked: Sequence[tuple[PassingVariant, Functions]], tests: Sequence[str]
    ) -> list[tuple[ProbeAnswer, ...]]:
        """Results of the functions of each passing variant for inputs that the tests do not use."""
        limit = self._repair.test_limit_s

        async def one(place: Place, row: tuple[PassingVariant, Functions]) -> tuple[ProbeAnswer, ...]:
            survivor, functions = row
            await self._put(survivor.scene, survivor.variant, place)
            run = await place[1].run(tests, limit_s=limit, test_s=limit / 2, to_the_end=False, probe=functions)
            return run.answers

        return await self._on_places(asked, one)

    async def _on_places(self, items: Sequence[Item], work: Callable[[Place, Item], Awaitable[T]]) -> list[T]:
        """``work`` on every item, as many at once as there are places; results in the order of the items."""
        free: asyncio.Queue[Place] = asyncio.Queue()
        for place in self._places:
            free.put_nowait(place)

        async def placed(item: Item) -> T:
            place = await free.get()
            try:
                return await work(place, item)
            finally:
                free.put_nowait(place)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(placed(item)) for item in items]
        return [task.result() for task in tasks]

    async def _passed(
        self, scene: FailureContext, variant: Variant, place: Place, ids: Sequence[str]
    ) -> frozenset[str]:
        run = await self._try(scene, variant, place, ids)
        if run.status not in (RunStatus.GREEN, RunStatus.RED):
            return frozenset()
        return frozenset(test for test in ids if passes(test, run))

    async def _put_base(self, scene: FailureContext, place: Place) -> None:
        workspace, tests = place
        await tests.reset()
        await workspace.apply(scene.base_edits())

    async def _put(self, scene: FailureContext, variant: Variant, place: Place) -> None:
        workspace, tests = place
        await tests.reset()
        await workspace.apply(scene.edits(variant.path, variant.source, ""))

    async def _try(
        self, scene: FailureContext, variant: Variant, place: Place, ids: Sequence[str] | None, *, wide: bool = False
    ) -> TestRun:
        await self._put(scene, variant, place)
        floor, base_s = self._repair.test_floor_s, scene.base.duration_ms / 1000  # start-up of the runner included
        if wide:
            limit = min(self._suite_s, floor + 3 * base_s)
        else:
            limit = min(self._repair.test_limit_s, floor + SLOWER * base_s)
        # A new hang is reason enough to stop; the tests after it are run only where one hung before.
        hanging = wide and any(r.exception == TIME_LIMIT for r in scene.base.results)
        return await place[1].run(ids, limit_s=limit, test_s=floor, limits=self._limits(scene), to_the_end=hanging)

    def _limits(self, scene: FailureContext) -> dict[str, float]:
        """Time limits of tests that may take longer than the floor; the duration of a stopped test is unknown."""
        known = {r.id: SLOWER * r.duration_ms / 1000 for r in scene.base.results if r.exception != TIME_LIMIT}
        return {test: limit_s for test, limit_s in known.items() if limit_s > self._repair.test_floor_s}


FEWEST = 4
"""Least number of variants that are screened: a screening run has a start-up cost of its own."""


def can_be_screened(failing: Collection[TestResult]) -> bool:
    """Whether these tests were collected and terminate."""
    return all("::" in result.id and result.exception != TIME_LIMIT for result in failing)


def fit(scene: FailureContext, variants: Sequence[Variant]) -> tuple[int, ...]:
    """Positions of variants that change a function of which no line ran at import: it can be replaced in memory."""
    paths = {variant.path for variant in variants}
    imported = {path: _imported(scene, path) for path in paths}
    return tuple(at for at, variant in enumerate(variants) if _later(scene, variant, imported[variant.path]))


def reached(scene: FailureContext, variant: Variant) -> tuple[str, ...] | None:
    """The failing tests and those that ran, or may have run, the function that a variant changes. None: any test may
    be affected."""
    path = variant.path
    whole = scene.sources[path].whole_function(variant.span)
    if whole is None or not _later(scene, variant, _imported(scene, path)):
        return None
    inside = range(whole[0], whole[1] + 1)
    ran = {test for test, files in scene.base.coverage.items() if any(line in inside for line in files.get(path, ()))}
    ran |= {*scene.base.cut, *(result.id for result in scene.failing)}
    asked = tuple(test for test in scene.base.collected if test in ran)
    return asked if len(asked) == len(ran - {IMPORT_TIME}) else None  # a file that could not be collected, for one


def _imported(scene: FailureContext, path: str) -> frozenset[int] | None:
    """The lines of a file that ran at import; None without coverage, or if it was not imported then."""
    lines = scene.base.coverage.get(IMPORT_TIME, {}).get(path)
    return None if lines is None else frozenset(lines)


def _later(scene: FailureContext, variant: Variant, imported: frozenset[int] | None) -> bool:
    source = scene.sources[variant.path]
    whole = source.whole_function(variant.span)
    if imported is None or whole is None:
        return False
    touched = range(source.line_at(variant.span.start), source.line_at(variant.span.end) + 1)
    return imported.isdisjoint(touched) and variant.span.start > source.line_start(whole[0])


def changes_of(scene: FailureContext, variants: Sequence[Variant]) -> Changes:
    edits = [(v.path, v.span.start, v.span.end, f"{v.span.lead}{v.text}{v.span.tail}") for v in variants]
    return Changes(edits=edits, lengths={v.path: len(scene.sources[v.path].text) for v in variants})
