"""Candidates tested in a second: our warm process, and a fresh pytest for each, which is what anybody would write.

Run from the top of the repository: ``python -m bench.testing [--rounds 3]``. The sample project with its own
environment; each candidate is one changed file, all of them are told apart by the same failing tests. The fresh pytest
runs without a sandbox and is told the same test ids. *Screened* are changes of one function in a program that is loaded
once for all of them. Rounds take turns; prints a Markdown table.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import time

from bench.common import World, machine, world
from daemon.evaluation.judge import Tools, tools_for
from daemon.settings.config import load
from governance.repair.spans import ParsedFile, insert_before
from ledger.vocabulary import RunStatus
from sample.build import bugs
from tools.testing.runner import Changes, WarmTests
from tools.workspace import Workspace

CANDIDATES, SCREENED = 12, 120


def variants(text: str) -> list[str]:
    """Files that differ, all of them still broken in the same way."""
    return [f"{text}\n\nCANDIDATE = {number}\n" for number in range(CANDIDATES)]


async def warm(ws: Workspace, tests: WarmTests, name: str, texts: list[str], ids: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        await tests.reset()
        (ws.root / name).write_text(text)
        assert (await tests.run(ids)).status is RunStatus.RED
    return time.perf_counter() - began


async def screened(tests: WarmTests, name: str, text: str, ids: list[str]) -> float:
    source = ParsedFile(text)
    function = source.outermost[0]
    at = insert_before(source, function.body[-1].lineno)
    edits = [(name, at.start, at.end, f"{at.lead}candidate = {number}{at.tail}") for number in range(SCREENED)]
    began = time.perf_counter()
    await tests.reset()
    told = await tests.screen(ids, Changes(edits=edits, lengths={name: len(text)}), limit_s=60)
    assert [told[number] for number in range(SCREENED)] == [frozenset()] * SCREENED
    return (time.perf_counter() - began) * CANDIDATES / SCREENED


async def sandboxed(tools: Tools, ws: Workspace, name: str, texts: list[str], ids: list[str]) -> float:
    """A process of its own for each, behind the same walls."""
    began = time.perf_counter()
    for text in texts:
        await ws.reset()
        (ws.root / name).write_text(text)
        assert (await tools.runner.run(ws, ids)).status is RunStatus.RED
    return time.perf_counter() - began


def fresh(at: World, name: str, texts: list[str], ids: list[str]) -> float:
    argv = [str(at.repo / ".venv/bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *ids]
    before = (at.repo / name).read_text()
    began = time.perf_counter()
    for text in texts:
        (at.repo / name).write_text(text)
        done = subprocess.run(argv, cwd=at.repo, env=at.environ, capture_output=True, check=False)
        assert done.returncode == 1, done.stdout
    seconds = time.perf_counter() - began
    (at.repo / name).write_text(before)
    return seconds


async def measure(at: World, rounds: int) -> dict[str, list[float]]:
    (bug,) = [b for b in bugs() if b["number"] == 1]
    at.break_it(1)
    tools = await tools_for(load(at.repo, at.environ))
    names = ("ours, screened", "ours, warm", "ours, a process each", "pytest, a process each")
    found: dict[str, list[float]] = {name: [] for name in names}
    workspace = await tools.workspaces.acquire("bench", "HEAD")
    other = await tools.workspaces.acquire("bench", "HEAD")
    try:
        red = [r.id for r in (await tools.runner.run(workspace)).red]
        await workspace.reset()
        text = (at.repo / bug["file"]).read_text()
        texts = variants(text)
        async with tools.runner.warm(workspace) as tests:
            await tests.run(red)
            for _ in range(rounds):
                found["ours, screened"].append(await screened(tests, bug["file"], text, red))
                found["ours, warm"].append(await warm(workspace, tests, bug["file"], texts, red))
                found["ours, a process each"].append(await sandboxed(tools, other, bug["file"], texts, red))
                found["pytest, a process each"].append(await asyncio.to_thread(fresh, at, bug["file"], texts, red))
    finally:
        await tools.workspaces.release(workspace)
        await tools.workspaces.release(other)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with world() as at:
        found = asyncio.run(measure(at, rounds))
    print(f"{machine()}\n\n| how | candidates a second | ms each |\n|---|---:|---:|")
    for name, seconds in found.items():
        each = statistics.median(seconds) / CANDIDATES
        print(f"| {name} | {1 / each:.1f} | {1000 * each:.0f} |")


if __name__ == "__main__":
    main()
