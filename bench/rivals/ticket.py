"""What a rival is told of a task: the red tests, what they say, and where our localisation thinks the mistake is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from daemon.evaluation.judge import Tools
from daemon.evaluation.tasks import Task
from governance.repair.comparison import first_line, functions
from governance.repair.failure_context import FailureContext, read_context
from ledger.vocabulary import RunStatus
from tools.testing.selection.names import includes_test

OUTPUT_CHARS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """``path`` and ``lines`` are of the most suspicious function (counted from 1, the last one included), if any."""

    tests: tuple[str, ...]
    output: str
    sources: str
    path: str = ""
    lines: tuple[int, int] = (0, 0)


async def ticket(task: Task, tools: Tools) -> Ticket | None:
    """Run the suite on ``HEAD`` and look; None when nothing is red that should not be."""
    workspace = await tools.workspaces.acquire("ticket", "HEAD")
    try:
        run = await tools.runner.run(workspace, coverage=True)
        red = tuple(r for r in run.red if not any(includes_test(known, r.id) for known in task.about.known_red))
        if run.status is not RunStatus.RED or not red:
            return None
        scene = await asyncio.to_thread(read_context, workspace, run, red, {})
    finally:
        await tools.workspaces.release(workspace)
    path, lines = suspicious(scene)
    return Ticket(
        tests=tuple(r.id for r in red),
        output="\n\n".join(f"{r.id}\n{r.detail or r.message}" for r in red)[:OUTPUT_CHARS],
        sources="\n\n".join(e.source for e in scene.examples if e.source)[:OUTPUT_CHARS],
        path=path,
        lines=lines,
    )


def suspicious(scene: FailureContext) -> tuple[str, tuple[int, int]]:
    """The function of the most suspicious line that stands in one; without such a line the file of the first."""
    for place in scene.places:
        known = functions(scene.sources[place.path].text).values()
        around = [f for f in known if first_line(f) <= place.line <= (f.end_lineno or f.lineno)]
        if around:
            inner = max(around, key=lambda f: f.lineno)
            return place.path, (first_line(inner), inner.end_lineno or inner.lineno)
    return (scene.places[0].path if scene.places else ""), (0, 0)


def goal(of: Ticket) -> str:
    """The task in words."""
    return (
        f"These tests fail:\n\n{chr(10).join(of.tests)}\n\nThis is what they say:\n\n{of.output}\n\n"
        "Find the mistake in the code and repair it, so that all tests pass. Do not change the tests."
    )
