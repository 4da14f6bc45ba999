"""From an event to a signal in the queue, through the whole daemon; on an idle machine and with one busy core.

Run from the top of the repository: ``python -m bench.reaction [--rounds 50]``. The daemon is paused, so that nothing is
worked on meanwhile. An event's moment: a ref's is the time stamp of its file, which git has written; a delivery's and a
request's that of the first byte sent. A signal's is the time stamp of the ledger entry that queues it. Beside them, in
the same run: how long the command takes with which the owner makes the event.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.common import World, machine, world
from bench.daemon import QUIET_S, answered, moment, queued, ready, until
from daemon.control.client import Client
from daemon.control.messages import EventsRequest, SubmitRequest
from daemon.settings.bounds import ControlSettings
from daemon.settings.config import load
from ledger.vocabulary import Entry
from sample.build import git
from sensors.test_failure import SPEC as TEST_FAILURE
from tests.daemon.webhook.knocking import GITHUB_SECRET, free_port, github, issue, knock

BUSY = "while True: pass"
RED = "def test_red_{number}():\n    assert {number} < 0\n"
SLOW_ROUNDS = 5  # one round of the tests takes as long as so many of the others
BUGGED = "tests/test_red_{number}.py"
Watched = AsyncIterator[Entry]


def sentence(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and longest, in milliseconds."""
    ordered = sorted(1000 * each for each in seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"{statistics.median(ordered):.0f} ms | {p99:.0f} ms | {ordered[-1]:.0f} ms | {len(ordered)}"


def commit(repo: Path, path: str, text: str) -> tuple[str, float, float]:
    """Commit one file: the commit, when its branch moved, and how long the command took."""
    (repo / path).parent.mkdir(exist_ok=True)
    (repo / path).write_text(text)
    git(repo, "add", "--", path)
    began = time.perf_counter()
    git(repo, "commit", "-q", "-m", f"Change {path}")
    took = time.perf_counter() - began
    return git(repo, "rev-parse", "HEAD"), (repo / ".git/refs/heads/main").stat().st_mtime, took


async def of(entries: Watched, source: str) -> float:
    """When the next signal of ``source`` was queued."""
    async for entry in entries:
        if any(item["signal"]["source"] == source for item in entry.payload.get("new", ())):
            return moment(entry)
    raise SystemExit("The daemon went away.")


Found = tuple[list[float], list[float]]
Measure = Callable[[World, Client, Watched, int], Awaitable[Found]]


async def wishes(at: World, _: Client, entries: Watched, rounds: int) -> Found:
    waited, by_hand, wanted = [], [], ""
    for number in range(rounds):
        wanted += f'[[item]]\ngoal = "Wish {time.time_ns()}"\nfiles = ["shop/wish_{number}.py"]\n'
        _, began, took = await asyncio.to_thread(commit, at.repo, ".ouro/backlog.toml", wanted)
        waited.append(await of(entries, "backlog") - began)
        by_hand.append(took)
    return waited, by_hand


async def issues(at: World, _: Client, entries: Watched, rounds: int) -> Found:
    waited, by_hand, port = [], [], load(at.repo, at.environ).settings.webhook.port
    for _round in range(rounds):
        began, number = time.time(), time.time_ns() % 1_000_000_000
        assert await knock(port, github(issue(number=number, title=f"Issue {number}"))) == 202
        by_hand.append(time.time() - began)
        waited.append(await of(entries, "github_issue") - began)
    return waited, by_hand


async def requests(_: World, client: Client, entries: Watched, rounds: int) -> Found:
    waited, by_hand = [], []
    for _round in range(rounds):
        began = time.time()
        await client.submit(SubmitRequest(goal=f"Goal {time.time_ns()}"))
        by_hand.append(time.time() - began)
        waited.append(await of(entries, "manual") - began)
    return waited, by_hand


async def tests(at: World, _: Client, entries: Watched, rounds: int) -> Found:
    """Beyond the debounces and the test runs, which other figures are about."""
    settings = load(at.repo, at.environ).settings
    waits = settings.watch.debounce_s + TEST_FAILURE.settings_in(settings).debounce_s
    beyond, by_hand = [], []
    for _round in range(max(2, rounds // SLOW_ROUNDS)):
        number = time.time_ns()
        text = RED.format(number=number)
        made, began, took = await asyncio.to_thread(commit, at.repo, BUGGED.format(number=number), text)
        then, running = await queued(entries, made, began)
        await until(entries, "known")
        beyond.append(then - began - running - waits)
        by_hand.append(took)
        await asyncio.to_thread(git, at.repo, "rm", "-q", BUGGED.format(number=number))
        await asyncio.to_thread(git, at.repo, "commit", "-q", "-m", "Without it")
        await until(entries, "known")
        await asyncio.sleep(QUIET_S)  # nobody commits right behind a test run
    return beyond, by_hand


MEASURES: dict[str, tuple[str, Measure]] = {
    "an item of the backlog is committed": ("`git commit`", wishes),
    "an issue is delivered": ("the delivery's answer", issues),
    "a goal is submitted": ("the request's answer", requests),
    "a red test is committed, beyond debounce and test runs": ("`git commit`", tests),
}


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """So many cores have other work."""
    children = [subprocess.Popen([sys.executable, "-I", "-c", BUSY]) for _ in range(cores)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


async def measured(at: World, rounds: int, only: str) -> None:
    await ready(at)
    async with await Client.connect(at.places.socket, ControlSettings(), token=at.places.token) as client:
        first = (event.entry async for event in client.events(EventsRequest(after=0)))
        entries = (entry async for entry in first if entry is not None)
        await until(entries, "known")  # its first look at the tests is over
        await client.pause()
        for name, (beside, measure) in [each for each in MEASURES.items() if only in each[0]]:
            for cores in (0, 1):
                with busy(cores):
                    await asyncio.sleep(1)
                    waited, by_hand = await measure(at, client, entries, rounds)
                load_ = "one busy core" if cores else "idle"
                took = f"{1000 * statistics.median(by_hand):.0f} ms: {beside}"
                print(f"| {name} | {load_} | {sentence(waited)} | {took} |", flush=True)


def main(rounds: int, only: str) -> None:
    settings = {
        "github_issue__authors": '["octocat"]',
        "webhook__port": free_port(),
        "webhook__github_secrets": '["HOOK"]',
        "sensors__backlog__per_day": 100_000,
        "test_failure__confirm_limit": 1_000,
    }
    with world(**settings) as at:
        at.environ["HOOK"] = GITHUB_SECRET
        (at.base / "script.toml").write_text("tools = true\n")  # a model that converses: some sensors want one
        print(
            machine() + "\n\n| event | machine | p50 | p99 | longest | n | beside it |\n|---|---|---|---|---|---|---|"
        )
        with at.daemon():
            answered(at.places.socket, time.perf_counter())
            asyncio.run(measured(at, rounds, only))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="Events of each kind (of failing tests a fifth).")
    parser.add_argument("--only", default="", help="Events whose name holds this.")
    chosen = parser.parse_args()
    main(chosen.rounds, chosen.only)
