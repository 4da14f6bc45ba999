"""One rival on one task, judged as ours is."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.rivals.programs import PROGRAMS, TOP, Scene
from bench.rivals.server import Server
from bench.rivals.ticket import Ticket, ticket
from daemon.evaluation.judge import HiddenVerdict, Tools, Verdict, judge, tools_for
from daemon.evaluation.tasks import Task
from daemon.evaluation.trial import OWNER, TrialOutcome, TrialResult, git, laid_out
from daemon.settings.config import load
from governance.repair.variant_runner import passes
from ledger.errors import OuroError
from ledger.programs import find_program
from tools.process import Command, Finished, run
from tools.sandbox.limits import MIB

PYTHON = (Path(sys.base_prefix), Path(sys.prefix))
"""An interpreter may lie in a home, which is not shown as a whole."""


async def attempt(
    task: Task, rival: str, server: Server, *, model: str, homes: Path, cap_s: float, environ: Mapping[str, str]
) -> TrialResult:
    """Let ``rival`` work for ``cap_s`` seconds at most, commit what it left, judge that."""
    blank = TrialResult(
        task=task.name, kind=task.about.kind, label=f"{rival} {model}", outcome=TrialOutcome.INVALID, seconds=0
    )
    with tempfile.TemporaryDirectory(prefix="ouro-rival-") as name:
        base = Path(name).resolve()
        repo, own = await laid_out(task, base, environ)
        config = load(repo, own)
        tools = await tools_for(config)
        told = await ticket(task, tools)
        if told is None:
            return blank.model_copy(update={"why": "nothing is red"})
        (base / "ticket.json").write_text(json.dumps(asdict(told)))
        scene = Scene(ticket=told, file=base / "ticket.json", address=server.address, model=model, homes=homes)
        argv, more = PROGRAMS[rival](scene)
        first = (await git(repo, own, "rev-parse", "HEAD")).strip()
        await asyncio.to_thread(shutil.copytree, repo / ".git", base / "kept.git")
        prefix, bwrap = tools.runner.environment.prefix, find_program("bwrap", config.env)
        before, began = await asyncio.to_thread(server.tokens), time.monotonic()
        finished = await run(
            Command(
                argv=(*walls(bwrap, base, shown=(*PYTHON, prefix, homes, TOP)), *argv),
                cwd=repo,
                timeout_s=cap_s,
                env=surroundings(own, base, prefix) | more,
                cap_bytes=8 * MIB,
                flood_bytes=256 * MIB,
            )
        )
        seconds = time.monotonic() - began
        after = await asyncio.to_thread(server.tokens)
        try:
            await commit(repo, own, base / "kept.git", first)
        except OuroError as error:
            return blank.model_copy(
                update={
                    "outcome": TrialOutcome.UNRESOLVED,
                    "seconds": round(seconds, 2),
                    "why": f"left in a bad state: {error}",
                }
            )
        judged = await judge(task, config, start=first)
        outcome, why = await settled(finished, judged, tools, told)
        return blank.model_copy(
            update={
                "outcome": outcome,
                "seconds": round(seconds, 2),
                "why": why,
                "tokens_in": max(0, after[0] - before[0]),
                "tokens_out": max(0, after[1] - before[1]),
                "diff": await git(repo, own, "diff", "--no-color", first, "HEAD"),
            }
        )


def walls(bwrap: Path, base: Path, *, shown: Sequence[Path]) -> tuple[str, ...]:
    """It may write below ``base`` and nowhere else, and sees no other home, task or answer; the network stays."""
    there = [path for path in shown if path != Path("/usr")]
    return (
        str(bwrap),
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-pid",
        "--die-with-parent",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/home",
        "--tmpfs",
        "/root",
        *(word for path in there for word in ("--ro-bind", str(path), str(path))),
        "--bind",
        str(base),
        str(base),
        "--chdir",
        str(base / "repo"),
        "--",
    )


def surroundings(own: Mapping[str, str], base: Path, prefix: Path) -> dict[str, str]:
    """The tests' interpreter comes first, as in an activated environment."""
    home = base / "home"
    home.mkdir()
    return {
        "PATH": f"{prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "VIRTUAL_ENV": str(prefix),
        "TERM": "dumb",
        "LANG": own.get("LANG", "C.UTF-8"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "Rival",
        "GIT_AUTHOR_EMAIL": "rival@localhost",
        "GIT_COMMITTER_NAME": "Rival",
        "GIT_COMMITTER_EMAIL": "rival@localhost",
    }


async def commit(repo: Path, own: Mapping[str, str], kept: Path, first: str) -> None:
    """One commit of what it changed of the files that were there, whatever it did to git meanwhile."""
    await asyncio.to_thread(shutil.rmtree, repo / ".git", ignore_errors=True)
    await asyncio.to_thread(shutil.copytree, kept, repo / ".git")
    await git(repo, own, "reset", "-q", "--mixed", first)
    await git(repo, own, "add", "-u")
    if await git(repo, own, "diff", "--cached", "--name-only"):
        await git(repo, own, *OWNER, "commit", "-q", "--no-verify", "-m", "What was left")


async def settled(finished: Finished, judged: HiddenVerdict, tools: Tools, told: Ticket) -> tuple[TrialOutcome, str]:
    """What it comes to. A rival that leaves the shown tests red has offered no repair."""
    if judged.verdict is Verdict.RIGHT:
        return TrialOutcome.RESOLVED, ""
    if judged.verdict is not Verdict.NOTHING and await shown_pass(tools, told):
        return TrialOutcome.WRONG, judged.why
    said = finished.output.decode("utf-8", errors="replace").strip()
    return TrialOutcome.TIMEOUT if finished.timed_out else TrialOutcome.UNRESOLVED, said[-400:]


async def shown_pass(tools: Tools, told: Ticket) -> bool:
    workspace = await tools.workspaces.acquire("shown", "HEAD")
    try:
        done = await tools.runner.run(workspace, told.tests)
    finally:
        await tools.workspaces.release(workspace)
    return all(passes(test, done) for test in told.tests)
