"""Nothing blocks the loop: while hundreds of files are parsed, others get their turn."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from governance.phases.expand import by_script
from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.record import Recorder
from governance.repair.reproduce import localise_failure
from governance.risk.codebase import Codebases
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.governance.ops import operation
from tests.governance.shopfloor import bare_shop

BODY = "".join(f"def f{n}(a, b):\n    return a + b * {n}\n\n\n" for n in range(20))
FILES = {f"pkg/m{n}.py": f"import pkg.m{n + 1}\n\n\n{BODY}".encode() for n in range(400)}
RED = TestResult(id="tests/test_m.py::test_m", outcome=Outcome.FAILED)
COVERAGE = {RED.id: {path: tuple(range(4, 80, 4)) for path in FILES}}
RUN = TestRun(status=RunStatus.RED, results=(RED,), coverage=COVERAGE)


class Large:
    """A repository, and a workspace of it, whose files are in memory: no answer of it gives the loop a turn."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def files(self, commit: str) -> tuple[str, ...]:
        return tuple(FILES)

    async def read_many(self, commit: str, paths: Any) -> dict[str, bytes]:
        return FILES

    async def parent(self, commit: str) -> None:
        return None

    def read(self, path: str) -> bytes | None:
        return FILES.get(path)


async def longest_silence(work: Awaitable[object]) -> tuple[float, float]:
    """What the loop's own thread computed at most before another had a turn, and all that was computed; seconds.

    Processor time, not the clock's: what a busy machine takes away is no fault of the work. What stood in memory
    before is frozen: a full collection over a long test run's heap takes longer than the work does.
    """
    gc.collect()
    gc.freeze()
    try:
        began, last = time.process_time(), time.thread_time()
        longest, task = 0.0, asyncio.ensure_future(work)
        while not task.done():
            await asyncio.sleep(0.001)
            now = time.thread_time()
            longest, last = max(longest, now - last), now
        await task
    finally:
        gc.unfreeze()
    return longest, time.process_time() - began


Work = Callable[[Any, OpContext], Awaitable[object]]
WORK: dict[str, Work] = {
    "the blast radius": lambda large, ctx: ctx.services.codebases.at("HEAD"),
    "context by script": lambda large, ctx: by_script(operation(), ctx),
    "the scene of a failure": lambda large, ctx: localise_failure(operation(), ctx, large, RUN, (RED,)),
}


@pytest.mark.parametrize("name", WORK)
async def test_the_loop_goes_on_meanwhile(name: str, ledger: Ledger, clock: ManualClock, tmp_path: Path) -> None:
    large: Any = Large(tmp_path)
    (tmp_path / "pkg").mkdir()
    for path, data in FILES.items():
        (tmp_path / path).write_bytes(data)
    nothing: Any = None
    ctx = OpContext(
        services=bare_shop(clock, repository=large, codebases=Codebases(large)),
        record=Recorder(ledger, op_id="op-1"), client=nothing,
        clock=OpClock(loop_time=0, limit_s=1), resources=OpResources(),
    )  # fmt: skip
    longest, whole = await longest_silence(WORK[name](large, ctx))
    assert whole > 0.1, "too quick to tell"
    assert longest < whole / 3, f"{longest:.3f} of {whole:.3f} s in one piece"
