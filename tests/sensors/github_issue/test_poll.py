"""Issues that are asked for, with a scripted executable in the place of GitHub's command line."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.adapters.sensor_ports import Gh
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import OwnerConfirms, TestsPass
from sensors.bus import Bus
from sensors.github_issue import GitHubIssueSettings
from sensors.github_issue.poll import LIMIT
from sensors.github_issue.sensor import GitHubIssue
from tests.sensors.github_issue.scripted_gh import ScriptedGh, listed
from tests.sensors.github_issue.test_sensor import RED, World
from tests.sensors.scheduled.test_sensor import Bell
from tests.sensors.signals import START, open_ledger


class Asking(World):
    """The sensor of that world, with a poll instead of a webhook."""

    def __init__(self, path: Path, ledger: Ledger, gh: ScriptedGh, *, token: str = "", **settings: Any) -> None:
        super().__init__(path, ledger)
        told = {"authors": ("octocat",), "repositories": ("octo/shop",), "poll_s": 300, **settings}
        self.settings = GitHubIssueSettings.model_validate(told)
        self.clock, self.bell = ManualClock(START), Bell()
        lookup = {"GH_TOKEN": token}.get
        self.ports = replace(
            self.ports,
            clock=self.clock,
            alarm=self.bell,
            gh=lambda timeout_s: Gh(env=gh.env, folder=path, lookup=lookup, timeout_s=timeout_s),
        )
        self.sensor = GitHubIssue(ports=self.ports, settings=self.settings)

    @property
    def waiting(self) -> list[str]:
        return [line.goal for line in self.router.snapshot().lines]

    @property
    def line(self) -> str:
        return self.sensor.state().line


@asynccontextmanager
async def asking(path: Path, *, alone: bool = False, **settings: Any) -> AsyncIterator[tuple[Asking, ScriptedGh]]:
    gh = ScriptedGh(path / "bin")
    gh.alone = alone
    async with open_ledger(path / "ledger.sqlite3") as ledger:
        yield Asking(path, ledger, gh, **settings), gh


async def test_an_issue_is_taken_once_edited_closed_and_opened_again(tmp_path: Path) -> None:
    async with asking(tmp_path, token="t0ken") as (w, gh):
        gh.lists(listed(body=f"`{RED}` fails. hunter2"), listed(13, title="Think about it"))
        first, second = await w.sensor.scan_once()
        assert first.closure == TestsPass(ids=(RED,)) and first.targets == ("test_cart.py",)
        assert isinstance(second.closure, OwnerConfirms) and second.goal.endswith("octo/shop#13: Think about it")
        assert "hunter2" not in first.model_dump_json()
        folder, prompts, token, *words = gh.asked[0]
        assert (folder, prompts, token) == (str(tmp_path), "1", "t0ken")
        assert words[:8] == ["issue", "list", "--repo", "octo/shop", "--label", "ouroboros", "--state", "open"]
        assert await w.sensor.scan_once() == ()  # and nobody is asked about what is known
        assert [call[3] for call in gh.asked] == ["issue", "api", "api", "issue"]
        gh.lists(listed(13, title="Think about it twice"))
        (changed,) = await w.sensor.scan_once()
        assert w.waiting == [changed.goal] and await w.judged() == [
            "issue.asked", "issue.asked", "issue.asked", "issue.ended",
        ]  # fmt: skip
        gh.lists()
        assert await w.sensor.scan_once() == () and w.waiting == []
        assert await w.sensor.scan_once() == () and len(await w.judged()) == 5
        gh.lists(listed(13, title="Think about it twice"))
        assert len(await w.sensor.scan_once()) == 1


async def test_whoever_had_a_hand_in_it_must_be_on_the_list(tmp_path: Path) -> None:
    async with asking(tmp_path) as (w, gh):
        gh.lists(*map(listed, range(1, 7)))
        gh.past(1, labelled="mallory")
        gh.past(2, labelled="octocat", edited=["octocat", "mallory"])
        gh.past(3, labelled="OctoCat", renamed=["mallory"])
        gh.past(4, labelled=None)
        gh.past(5, labelled="octocat", edited=[None])
        gh.past(6, labelled="octocat", more=True)  # than could be seen
        assert await w.sensor.scan_once() == ()
        assert await w.judged() == ["issue.sender"] * 6
        assert await w.sensor.scan_once() == () and len(await w.judged()) == 6
        gh.past(1, labelled="octocat")  # the owner takes the label away and gives it again
        (signal,) = await w.sensor.scan_once()
        assert "octo/shop#1:" in signal.goal
        stranger = listed(7, author={"login": "stranger"})
        gh.lists(stranger)
        await w.sensor.scan_once()
        assert (await w.judged()).count("issue.author") == 1


async def test_of_a_list_that_is_cut_off_nothing_is_concluded(tmp_path: Path) -> None:
    async with asking(tmp_path, authors=("octocat", "other")) as (w, gh):
        gh.lists(listed(500))
        assert len(await w.sensor.scan_once()) == 1
        gh.lists(*(listed(n, author={"login": "stranger"}) for n in range(1, LIMIT + 1)))
        await w.sensor.scan_once()
        assert len(w.waiting) == 1


@pytest.mark.parametrize(
    ("code", "err", "words"),
    [
        (4, "To get started with GitHub CLI, please run:  gh auth login\n", "gh is not logged in"),
        (1, "\nGraphQL: Could not resolve hunter2 to a Repository.\n", "ended with 1 and said: GraphQL: Could not"),
    ],
)
async def test_why_gh_gives_no_answer(tmp_path: Path, code: int, err: str, words: str) -> None:
    async with asking(tmp_path) as (w, gh):
        gh.lists(listed())
        gh.fails(code, err)
        assert await w.sensor.scan_once() == ()
        assert w.line.startswith("unavailable: ") and words in w.line and "hunter2" not in w.line
        gh.fails(None)
        assert len(await w.sensor.scan_once()) == 1 and not w.sensor.state().problem


@pytest.mark.parametrize("told", ["", "{}", "[1]", '[{"number": 1}]', "[" * 5_000])
async def test_an_answer_that_is_none(tmp_path: Path, told: str) -> None:
    async with asking(tmp_path) as (w, gh):
        (gh.folder / "list.json").write_text(told)
        assert await w.sensor.scan_once() == ()
        assert w.line.startswith("unavailable: gh answered something else than issues")


async def test_of_many_wrong_issues_the_first_is_named(tmp_path: Path) -> None:
    async with asking(tmp_path) as (w, gh):
        (gh.folder / "list.json").write_text("[" + "{}," * 150_000 + "{}]")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert await w.sensor.scan_once() == ()
        assert "something else than issues: 0.number" in w.line
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 200_000  # KiB; a sentence for each thing that each lacks takes 600 MiB


async def test_no_program_no_end_and_no_repository(tmp_path: Path) -> None:
    async with asking(tmp_path / "a", gh_timeout_s=0.5) as (w, gh):
        (gh.folder / "hang").touch()
        await w.sensor.scan_once()
        assert w.line == "unavailable: gh did not answer in its time (github_issue.gh_timeout_s)"
    async with asking(tmp_path / "b", alone=True) as (w, gh):
        (gh.folder / "gh").unlink()
        await w.sensor.scan_once()
        assert w.line == "unavailable: there is no gh on the PATH"
    async with asking(tmp_path / "c", repositories=()) as (w, gh):
        await w.sensor.scan_once()
        assert w.line == "unavailable: github_issue.repositories names none to be polled" and gh.asked == []


async def test_it_asks_when_its_time_comes(tmp_path: Path) -> None:
    async with asking(tmp_path) as (w, gh):
        running = asyncio.create_task(w.sensor.start(Bus(clock=w.clock)))
        try:
            await asyncio.wait_for(w.bell.armed.wait(), 30)
            assert len(gh.asked) == 1 and (w.bell.set_for[0] - START).total_seconds() == 300
            gh.lists(listed())
            w.clock.advance(300)
            await w.bell.ring()
            assert len(w.sent) == 1
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
