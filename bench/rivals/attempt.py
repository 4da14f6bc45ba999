"""One rival on one task, judged as ours is."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from bench.rivals.programs import PROGRAMS, Scene
from bench.rivals.server import Server
from bench.rivals.ticket import Ticket, ticket
from daemon.evaluation.judge import Judged, Tools, Verdict, judge, tools_for
from daemon.evaluation.tasks import Task
from daemon.evaluation.trial import OWNER, Outcome, Result, git, laid_out
from daemon.settings import load
from ledger.vocabulary import Outcome as Of
from tools.process import Command, Finished, run
from tools.sandbox.limits import MIB


async def attempt(
    task: Task, rival: str, server: Server, *, model: str, homes: Path, cap_s: float, environ: Mapping[str, str]
) -> Result:
    """Let ``rival`` work for ``cap_s`` seconds at most, commit what it left, judge that."""
    with tempfile.TemporaryDirectory(prefix="ouro-rival-") as name:
        base = Path(name).resolve()
        repo, own = await laid_out(task, base, environ)
        config = load(repo, own)
        tools = await tools_for(config)
        told = await ticket(tools)
        blank = Result(
            task=task.name, kind=task.about.kind, label=f"{rival} {model}", outcome=Outcome.INVALID, seconds=0
        )
        if told is None:
            return blank.model_copy(update={"why": "nothing is red"})
        (base / "ticket.json").write_text(json.dumps(asdict(told)))
        scene = Scene(ticket=told, file=base / "ticket.json", address=server.address, model=model, homes=homes)
        argv, more = PROGRAMS[rival](scene)
        before, began = await asyncio.to_thread(server.tokens), time.monotonic()
        finished = await run(
            Command(
                argv=(*walls(base), *argv), cwd=repo, env=surroundings(own, base, task) | more, timeout_s=cap_s,
                cap_bytes=8 * MIB, flood_bytes=256 * MIB,
            )
        )  # fmt: skip
        seconds = time.monotonic() - began
        after = await asyncio.to_thread(server.tokens)
        await commit(repo, own)
        judged = await judge(task, config)
        outcome, why = await settled(finished, judged, tools, told)
        first = (await git(repo, own, "rev-list", "--max-parents=0", "HEAD")).strip()
        return blank.model_copy(
            update={
                "outcome": outcome, "seconds": round(seconds, 2), "why": why, "tokens_in": after[0] - before[0],
                "tokens_out": after[1] - before[1], "diff": await git(repo, own, "diff", "--no-color", first, "HEAD"),
            }
        )  # fmt: skip


def walls(base: Path) -> tuple[str, ...]:
    """It may write below ``base`` and nowhere else; the network stays, its model is there."""
    return (
        "bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--die-with-parent",
        "--bind", str(base), str(base), "--",
    )  # fmt: skip


def surroundings(own: Mapping[str, str], base: Path, task: Task) -> dict[str, str]:
    """The task's interpreter comes first, as in an activated environment."""
    home = base / "home"
    home.mkdir()
    prefix = (task.folder / task.about.python).resolve() if task.about.python else Path("/usr")
    prefix = prefix if prefix.is_dir() else prefix.parent.parent
    return {
        "PATH": f"{prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home),
        "VIRTUAL_ENV": str(prefix), "TERM": "dumb", "LANG": own.get("LANG", "C.UTF-8"), "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "Rival", "GIT_AUTHOR_EMAIL": "rival@localhost",
        "GIT_COMMITTER_NAME": "Rival", "GIT_COMMITTER_EMAIL": "rival@localhost",
    }  # fmt: skip


async def commit(repo: Path, own: Mapping[str, str]) -> None:
    """What it changed of the files that were there; it may have made a commit itself."""
    await git(repo, own, "add", "-u")
    if await git(repo, own, "diff", "--cached", "--name-only"):
        await git(repo, own, *OWNER, "commit", "-q", "--no-verify", "-m", "What was left")


async def settled(finished: Finished, judged: Judged, tools: Tools, told: Ticket) -> tuple[Outcome, str]:
    """What it comes to. A rival that leaves the shown tests red has offered no repair."""
    match judged.verdict:
        case Verdict.RIGHT:
            return Outcome.RESOLVED, ""
        case Verdict.UNCLEAR:
            return Outcome.UNRESOLVED, judged.why  # it broke what the tests need
        case Verdict.WRONG if await shown_pass(tools, told):
            return Outcome.WRONG, judged.why
    said = finished.output.decode("utf-8", errors="replace").strip()
    return Outcome.TIMEOUT if finished.timed_out else Outcome.UNRESOLVED, said[-400:]


async def shown_pass(tools: Tools, told: Ticket) -> bool:
    workspace = await tools.workspaces.acquire("shown", "HEAD")
    try:
        run_ = await tools.runner.run(workspace, told.tests)
    finally:
        await tools.workspaces.release(workspace)
    passed = {r.id for r in run_.results if r.outcome is Of.PASSED}
    return passed.issuperset(told.tests)
