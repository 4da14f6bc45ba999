"""What a rival is told of a task: the red tests, what they say, and where our localisation thinks the mistake is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from daemon.evaluation.judge import Tools
from governance.repair.disagreement import functions
from governance.repair.scene import look
from ledger.vocabulary import RunStatus

OUTPUT_CHARS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """``path`` and ``lines`` are of the most suspicious function; lines are counted from 1, the last one included."""

    tests: tuple[str, ...]
    output: str
    sources: str
    path: str
    lines: tuple[int, int]


async def ticket(tools: Tools) -> Ticket | None:
    """Run the suite on ``HEAD`` and look; None when nothing is red, or no line is suspicious."""
    workspace = await tools.workspaces.acquire("ticket", "HEAD")
    try:
        run = await tools.runner.run(workspace, coverage=True)
        if run.status is not RunStatus.RED:
            return None
        scene = await asyncio.to_thread(look, workspace, run, run.red, {})
    finally:
        await tools.workspaces.release(workspace)
    for place in scene.places:
        known = functions(scene.sources[place.path].text).values()
        around = [f for f in known if f.lineno <= place.line <= (f.end_lineno or f.lineno)]
        if around:
            inner = max(around, key=lambda f: f.lineno)
            first = min([inner.lineno, *(d.lineno for d in inner.decorator_list)])
            return Ticket(
                tests=tuple(r.id for r in run.red),
                output="\n\n".join(f"{r.id}\n{r.detail or r.message}" for r in run.red)[:OUTPUT_CHARS],
                sources="\n\n".join(e.source for e in scene.examples if e.source)[:OUTPUT_CHARS],
                path=place.path,
                lines=(first, inner.end_lineno or inner.lineno),
            )
    return None


def goal(of: Ticket) -> str:
    """The task in words."""
    return (
        f"These tests fail:\n\n{chr(10).join(of.tests)}\n\nThis is what they say:\n\n{of.output}\n\n"
        "Find the mistake in the code and repair it, so that all tests pass. Do not change the tests."
    )
