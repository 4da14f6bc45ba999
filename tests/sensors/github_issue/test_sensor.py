"""The GitHubIssue sensor on a real repository with a real ledger and router; tests are really run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ledger.clock import SystemClock
from ledger.events.sensing import IssueJudged, WebhookTaken
from ledger.ids import sha256_hex
from ledger.store import Ledger
from ledger.vocabulary import OwnerConfirms, Signal, Source, TestsPass, Urgency
from sensors.bus import Bus, Event, Topic
from sensors.github_issue import GitHubIssueSettings
from sensors.github_issue.sensor import GitHubIssue
from sensors.intake.records import Receipt
from sensors.intake.router import IntakeRouter
from sensors.requests.deliveries import Deliveries
from sensors.requests.news import IssueNews, parse_github
from tests.daemon.webhook.knocking import issue
from tests.repos import git, host_env, make_places, make_repo
from tests.sensors.ports import sensor_ports
from tests.sensors.pytestdoor import PlainDoor
from tests.sensors.signals import make_router, open_ledger
from tools.git import Git
from tools.repository import Repository

FILES = {
    "cart.py": "def total(prices):\n    return sum(prices) + 1\n",
    "test_cart.py": (
        "from cart import total\n\n\ndef test_total():\n    assert total([1]) == 1\n\n\n"
        "def test_type():\n    assert isinstance(total([1]), int)\n"
    ),
}
RED, GREEN = "test_cart.py::test_total", "test_cart.py::test_type"


class World:
    """A sensor on a repository, and what it sent."""

    def __init__(self, path: Path, ledger: Ledger, *, words: bool = True) -> None:
        self.repo = path / "repo" if (path / "repo").exists() else make_repo(path / "repo", FILES)
        places = make_places(path / "ours", self.repo)
        tool = Git(places, host_env())
        self.ledger = ledger
        self.router: IntakeRouter = make_router(ledger, SystemClock())
        self.deliveries = Deliveries(ledger=ledger)
        self.door = PlainDoor(tool, path / "door")
        self.sent: list[Signal] = []
        self.ports = sensor_ports(
            repository=Repository(tool),
            emit=self.emit,
            ledger=ledger,
            clock=SystemClock(),
            tests=self.door,
            withdraw=self.router.drop,
            unavailable=lambda: "" if words else "it takes no words",
            redact=lambda text: text.replace("hunter2", "<secret>"),
        )
        self.sensor = GitHubIssue(ports=self.ports, settings=GitHubIssueSettings(authors=("octocat",)))

    async def emit(self, signal: Signal) -> Receipt:
        self.sent.append(signal)
        return await self.router.submit(signal)

    async def take(self, action: str = "opened", **changed: Any) -> None:
        """A delivery, as the endpoint records it."""
        told = parse_github("issues", json.dumps(issue(action, **changed)).encode())
        assert isinstance(told, IssueNews)
        key = sha256_hex(f"{action}{changed}{len(self.sent)}")
        taken = WebhookTaken(gate=10, rule="gate10.ok")
        await self.deliveries.take(taken, keys=(key,), now_s=0, until_s=None, news=told)

    async def judged(self) -> list[str]:
        entries = await self.ledger.entries(events=(IssueJudged,))
        return [e.payload["rule"] for e in entries]


@asynccontextmanager
async def world(path: Path, **more: bool) -> AsyncIterator[World]:
    path.mkdir(exist_ok=True)
    async with open_ledger(path / "ledger.sqlite3", SystemClock()) as ledger:
        yield World(path, ledger, **more)


async def test_a_test_that_the_issue_names_and_that_fails_is_its_check(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.take(body=f"`{RED}` fails and `{GREEN}` does not. The password is hunter2.")
        (signal,) = await w.sensor.scan_once()
        assert signal.closure == TestsPass(ids=(RED,))
        assert (signal.source, signal.urgency, signal.targets) == (
            Source("github_issue"),
            Urgency.NORMAL,
            ("test_cart.py",),
        )
        assert signal.goal == "Resolve issue octo/shop#12: The total is wrong"
        assert signal.base == git(w.repo, "rev-parse", "HEAD")
        (said,) = signal.evidence
        assert "<secret>" in said.evidence and "hunter2" not in signal.model_dump_json()
        assert [ids for _, ids in w.door.asked] == [(RED, GREEN), (RED,)]  # red twice in a row
        assert await w.sensor.scan_once() == ()


async def test_without_a_test_that_fails_here_only_the_owner_can_say_that_it_is_done(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.take(body=f"{GREEN} is too weak, and test_cart.py::test_nothing does not exist")
        await w.take(number=13, body="no test at all")
        await w.take(number=14, body="/etc/test_x.py::test_y")
        signals = await w.sensor.scan_once()
        assert [s.closure for s in signals] == [
            OwnerConfirms(question=f"Is issue octo/shop#{n} resolved?") for n in (12, 13, 14)
        ]
        assert {s.targets for s in signals} == {()} and {s.confidence_bp for s in signals} == {5_000}


async def test_where_the_kernel_takes_no_words_nothing_is_begun_and_that_is_recorded(tmp_path: Path) -> None:
    async with world(tmp_path, words=False) as w:
        await w.take(body="no test")
        await w.take(number=13, body=RED)
        (signal,) = await w.sensor.scan_once()
        assert signal.closure == TestsPass(ids=(RED,))
        assert await w.judged() == ["issue.no_check", "issue.asked"]


async def test_a_stranger_is_refused_by_name_of_the_rule(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.take(author="stranger")
        await w.take("labeled", sender="stranger", label="ouroboros")
        assert await w.sensor.scan_once() == ()
        assert await w.judged() == ["issue.author", "issue.sender"]
        assert await w.deliveries.waiting() is None and w.door.asked == []


async def test_the_same_words_are_one_signal_others_replace_it_and_an_end_withdraws_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.take()
        await w.take("labeled", label="ouroboros")  # GitHub sends both for an issue that is opened with a label
        await w.sensor.scan_once()
        assert [line.signal_id for line in w.router.snapshot().lines] == [w.sent[0].id]
        await w.take("edited", title="The total is still wrong")
        await w.sensor.scan_once()
        assert [line.signal_id for line in w.router.snapshot().lines] == [w.sent[-1].id]
        await w.take("closed", state="closed", sender="anybody")
        await w.sensor.scan_once()
        assert w.router.snapshot().lines == ()
        await w.take("closed", state="closed", title="again")  # nothing is left to withdraw
        assert await w.sensor.scan_once() == () and (await w.judged())[-2:] == ["issue.ended", "issue.ended"]
        await w.take("reopened", title="The total is still wrong")  # a moment later, and the same words
        await w.sensor.scan_once()
        assert [line.signal_id for line in w.router.snapshot().lines] == [w.sent[-1].id]


async def test_what_was_taken_before_a_crash_is_dealt_with_after_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.take()
    async with world(tmp_path) as w:
        task = asyncio.create_task(w.sensor.start(bus := Bus(clock=SystemClock())))
        try:
            async with asyncio.timeout(20), w.ledger.subscribe() as entries:
                while await w.judged() != ["issue.asked"]:
                    await anext(entries)
                await w.take(number=13)
                bus.publish(Event(topic=Topic.ISSUE_TOLD))
                while len(await w.judged()) < 2:
                    await anext(entries)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(w.router.snapshot().lines) == 2


async def test_what_cannot_be_dealt_with_now_waits_and_holds_nothing_up(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.take()
        await w.take(number=13, author="stranger")
        head = git(w.repo, "rev-parse", "HEAD")
        git(w.repo, "update-ref", "-d", "HEAD")
        assert await w.sensor.scan_once() == ()
        assert await w.judged() == ["issue.author"]
        waiting = await w.deliveries.waiting()
        assert waiting is not None and waiting.news.number == 12
        git(w.repo, "update-ref", "refs/heads/main", head)
        assert len(await w.sensor.scan_once()) == 1
