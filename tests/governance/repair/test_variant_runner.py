"""Variants are tested side by side, as many as there are copies; no more copies than cores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import pytest

from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.repair.ranking import Variant
from governance.repair.settings import RepairSettings
from governance.repair.spans import ParsedFile, replace_line
from governance.repair.variant_runner import VariantRunner, at_once
from ledger.clock import ManualClock
from ledger.vocabulary import Edit, Outcome, RunStatus, TestResult, TestRun
from tests.governance.repair.test_cloze import PATH, RED, TEXT, scene
from tests.governance.shopfloor import bare_shop
from tools.testing.runner import WarmTests
from tools.workspace import Workspace


class Copy(Workspace):
    """Knows what was last written into it."""

    def __init__(self) -> None:
        self.text = ""

    async def apply(self, edits: Sequence[Edit]) -> None:
        self.text = b"".join(edit.after or b"" for edit in edits).decode()


class Meeting(WarmTests):
    """Runs that begin wait until ``count`` are under way; green where the copy has the right line in it."""

    def __init__(self, copy: Copy, meets: asyncio.Barrier) -> None:
        self._copy, self._meets = copy, meets
        self.under_way = 0

    async def reset(self) -> None:
        self._copy.text = ""

    async def run(self, ids: Sequence[str] | None = None, **_: Any) -> TestRun:
        self.under_way += 1
        assert self.under_way == 1, "one run at a time in one copy"
        text = self._copy.text
        await asyncio.wait_for(self._meets.wait(), 5)
        assert text == self._copy.text, "nobody else has written to it"
        self.under_way -= 1
        good = "subtotal - 2" in text
        results = tuple(TestResult(id=i, outcome=Outcome.PASSED if good else Outcome.FAILED) for i in ids or ())
        return TestRun(status=RunStatus.GREEN if good else RunStatus.RED, results=results)


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_as_many_at_once_as_there_are_copies(clock: ManualClock, count: int) -> None:
    ctx = OpContext(
        services=bare_shop(clock), record=None, client=None, clock=OpClock(loop_time=0, limit_s=60),  # type: ignore[arg-type]  # neither is used
        resources=OpResources(),
    )  # fmt: skip
    meets, copies = asyncio.Barrier(count), [Copy() for _ in range(count)]
    bench = VariantRunner(ctx=ctx, places=[(copy, Meeting(copy, meets)) for copy in copies])
    span = replace_line(ParsedFile(TEXT), 3)
    variants = [Variant(path=PATH, base=TEXT, span=span, text=f"return subtotal - {n}") for n in range(6)]
    turned = await bench.turned(scene(), variants, lambda: False)
    assert turned == [frozenset({RED.id} if n == 2 else ()) for n in range(6)]


def test_no_more_than_there_are_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert at_once(RepairSettings(parallel_tests=16)) == min(16, cores)
    assert at_once(RepairSettings(parallel_tests=1)) == 1
