"""A tree that a check is asked on, with files as they are to be for one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governance.verification.closure_checks import CopiedTree
from ledger.clock import ManualClock
from ledger.errors import StaleBase
from ledger.store import Ledger
from ledger.vocabulary import RunStatus, TestRun
from tests.governance.crewed import crew_in
from tests.governance.shopfloor import Priced
from tests.repos import make_repo
from tools.testing.runner import TestRunner
from tools.workspace import Workspace

BEFORE, AFTER = b"x = 1\n", b"x = 2\n"


class Reading(TestRunner):
    """Red when the file is changed; may write to it as a test would."""

    def __init__(self, *, writes: bytes | None = None) -> None:
        self.asked: list[tuple[object, float | None]] = []
        self._writes = writes

    async def run(self, ws: Workspace, ids: Sequence[str] | None = None, **more: Any) -> TestRun:
        self.asked.append((ids, more.get("limit_s")))
        changed = ws.read("a.py") != BEFORE
        if self._writes is not None:
            (ws.root / "a.py").write_bytes(self._writes)
        return TestRun(status=RunStatus.RED if changed else RunStatus.GREEN)


async def test_a_file_is_another_for_one_run_only(tmp_path: Path, ledger: Ledger, clock: ManualClock) -> None:
    repo = make_repo(tmp_path / "shop", {"a.py": BEFORE.decode()})
    async with crew_in(repo, ledger, clock, Priced()) as (ctx, context):
        runner = Reading()
        tree = CopiedTree(replace(ctx, services=replace(ctx.services, tests=runner)), context.workspace)
        assert (await tree.run(["t.py"], instead={"a.py": AFTER})).status is RunStatus.RED
        assert await tree.read("a.py") == BEFORE
        assert (await tree.run(None)).status is RunStatus.GREEN
        settings = ctx.services.settings
        assert runner.asked == [
            (["t.py"], settings.repair.test_limit_s), (None, settings.pipeline.suite_budget_s),
        ]  # fmt: skip
        with pytest.raises(StaleBase):
            await tree.run(None, instead={"none.py": AFTER})


async def test_tests_that_write_to_the_code_say_nothing_of_it(
    tmp_path: Path, ledger: Ledger, clock: ManualClock
) -> None:
    repo = make_repo(tmp_path / "shop", {"a.py": BEFORE.decode()})
    async with crew_in(repo, ledger, clock, Priced()) as (ctx, context):
        services = replace(ctx.services, tests=Reading(writes=b"x = 3\n"))
        tree = CopiedTree(replace(ctx, services=services), context.workspace)
        run = await tree.run(["t.py"], instead={"a.py": AFTER})
        assert (run.status, run.reason) == (RunStatus.INCONCLUSIVE, "The tests wrote to a.py.")
