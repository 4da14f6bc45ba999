"""An issue with the owner's label, by somebody whom the owner has named, is a reason to work.

Told by webhook, or asked for where there is none; what was told waits in the ledger until it is dealt with. The
words are data: a model reads them as such, and they can neither approve nor choose anything. Done when the tests that
the issue names pass, where they exist and fail; else when the owner says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from ledger.clock import Clock, stamp
from ledger.errors import ControlError, OuroError, RepositoryError
from ledger.events.sensing import IssueJudged
from ledger.ids import new_signal_id
from ledger.store import Ledger, Statement
from ledger.vocabulary import (
    Evidence,
    Frozen,
    OwnerConfirms,
    Signal,
    Source,
    TestResult,
    TestsPass,
    Urgency,
)
from sensors.alarm import Alarm, wall_alarm
from sensors.bus import Bus, Topic, fingerprint
from sensors.causes import by_cause, named, needs_network
from sensors.deliveries import Deliveries, Waiting
from sensors.doors import Emit, FileDoor, Redact, RepositoryDoor, TestDoor, Withdraw
from sensors.issue_poll import GhUnavailable, IssuePoll
from sensors.issue_rules import Judged, judge
from sensors.issue_text import defined, digest_of, files_of, goal_of, name_of, named_tests, text_of
from sensors.news import IssueNews
from sensors.sensor import SensorState
from sensors.settings import GitHubIssueSettings

SCHEMA = """
CREATE TABLE IF NOT EXISTS github_issues (
    issue TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    signal TEXT NOT NULL,
    round INTEGER NOT NULL
);
"""
SURE_BP, GUESS_BP = 9_500, 5_000
MOST_TARGETS = 4
NO_CHECK = Judged(
    rule="issue.no_check", reason="It names no test that fails here, and the kernel takes no goal in words."
)


class Known(Frozen):
    """The last signal of an issue. ``round`` counts its ends: what is asked again after one is asked anew."""

    issue: str
    digest: str = ""
    signal: str = ""
    round: int = 0


class GitHubIssue:
    """See the module. ``takes_words`` says whether the kernel can work on a goal that no test checks."""

    source = Source.GITHUB_ISSUE

    def __init__(
        self,
        *,
        repository: RepositoryDoor,
        files: FileDoor,
        tests: TestDoor,
        deliveries: Deliveries,
        emit: Emit,
        withdraw: Withdraw,
        takes_words: Callable[[], bool],
        ledger: Ledger,
        clock: Clock,
        redact: Redact = str,
        settings: GitHubIssueSettings | None = None,
        poll: IssuePoll | None = None,
        alarm: Alarm = wall_alarm,
    ) -> None:
        self._repository = repository
        self._files = files
        self._tests = tests
        self._deliveries = deliveries
        self._emit = emit
        self._withdraw = withdraw
        self._takes_words = takes_words
        self._ledger = ledger
        self._clock = clock
        self._redact = redact
        self._settings = settings or GitHubIssueSettings()
        self._poll = poll
        self._alarm = alarm
        self._turn = asyncio.Lock()
        line = "No issue was told." if self._settings.authors else "unavailable: github_issue.authors names nobody"
        self._state = SensorState(source=self.source, line=line)

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Deal with what waits, then with what comes or is asked for, until cancelled."""
        async with bus.subscribe(Topic.ISSUE_TOLD) as events, asyncio.TaskGroup() as group:
            if self._poll is not None and self._settings.authors:
                group.create_task(self._ask_on())
            await self._deal()
            async for _ in events:
                await self._deal()

    async def scan_once(self) -> tuple[Signal, ...]:
        """Ask where issues are asked for, and deal with everything that waits."""
        if self._poll is not None:
            await self._ask(self._poll)
        return await self._deal()

    async def _ask_on(self) -> None:
        """The named fallback of webhooks: nobody tells, so GitHub is asked now and then."""
        over = asyncio.Event()
        while True:
            await self.scan_once()
            over.clear()
            with self._alarm(self._clock.now() + timedelta(seconds=self._settings.poll_s), over.set):
                await over.wait()

    async def _ask(self, poll: IssuePoll) -> None:
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT issue, round, signal FROM github_issues")
        known = {str(issue): (int(str(ends)), bool(signal)) for issue, ends, signal in rows}
        try:
            await poll.look(known)
        except GhUnavailable as error:
            self._state = self._state.model_copy(update={"line": f"unavailable: {error}", "problem": str(error)})
        else:
            line = f"asked at {stamp(self._clock.now())}" if self._state.problem else self._state.line
            self._state = self._state.model_copy(update={"line": line, "problem": ""})

    async def _deal(self) -> tuple[Signal, ...]:
        """Everything that waits. What cannot be dealt with now is tried again at the next call."""
        signals: list[Signal] = []
        after = 0
        async with self._turn:
            while (waiting := await self._deliveries.waiting(after=after)) is not None:
                after = waiting.number
                try:
                    signals += await self._deal_with(waiting)
                except OuroError as error:
                    self._say(f"{name_of(waiting.news)} waits: {error}")
        return tuple(signals)

    def state(self) -> SensorState:
        return self._state

    # --- one piece of news ---

    async def _deal_with(self, waiting: Waiting) -> tuple[Signal, ...]:
        news, judged = waiting.news, judge(waiting.news, self._settings)
        known = await self._known(news)
        if judged.ends:
            await self._take_back(known, judged.reason)
            again: Statement = (
                "UPDATE github_issues SET round = round + 1, signal = '' WHERE issue = ?",
                (known.issue,),
            )
            await self._done(waiting, judged, again)
            return ()
        if not judged.asks:
            await self._done(waiting, judged)
            return ()
        signal = await self._signal(news, known.round)
        if isinstance(signal.closure, OwnerConfirms) and not self._takes_words():
            await self._done(waiting, NO_CHECK)
            return ()
        if known.digest != digest_of(news):
            await self._take_back(known, "The issue was edited.")
        receipt = await self._emit(signal)
        row = (known.issue, digest_of(news), receipt.of or signal.id, known.round)
        keep: Statement = (
            "INSERT OR REPLACE INTO github_issues (issue, digest, signal, round) VALUES (?, ?, ?, ?)",
            row,
        )
        await self._done(waiting, judged, keep, signal=signal.id, became=receipt.status)
        return (signal,)

    async def _known(self, news: IssueNews) -> Known:
        await self._ledger.ensure(SCHEMA)
        sql = "SELECT digest, signal, round FROM github_issues WHERE issue = ?"
        for digest, signal, number in await self._ledger.query(sql, (name_of(news),)):
            return Known(issue=name_of(news), digest=str(digest), signal=str(signal), round=int(str(number)))
        return Known(issue=name_of(news))

    async def _take_back(self, known: Known, reason: str) -> None:
        """Take an earlier signal of this issue out of the queue; one that an op works on stays with it."""
        if not known.signal:
            return
        try:
            await self._withdraw(known.signal, reason)
        except ControlError:
            return  # done already, or an op is at it: the owner sees that op

    async def _done(
        self, waiting: Waiting, judged: Judged, *project: Statement, signal: str = "", became: str = ""
    ) -> None:
        name = name_of(waiting.news)
        event = IssueJudged(
            issue=name, action=waiting.news.action, rule=judged.rule, reason=judged.reason, signal=signal, became=became
        )
        await self._deliveries.dealt_with(waiting, event, *project)
        self._say(f"{name} ({waiting.news.action}): {judged.reason}")

    # --- from news to a signal ---

    async def _signal(self, news: IssueNews, number: int) -> Signal:
        head = (await self._repository.head()).commit
        if head is None:
            raise RepositoryError("There is no commit yet.")
        red = await self._reproduced(news, head)
        ids, targets = named(red), tuple(cause.file for cause in by_cause(red))
        closure = TestsPass(ids=ids) if ids else OwnerConfirms(question=f"Is issue {name_of(news)} resolved?")
        said = Evidence(
            claim=f"Issue {name_of(news)}, written by {news.author}, says.",
            evidence=self._redact(text_of(news)),
            confidence_bp=GUESS_BP,
            source="github issue",
        )
        return Signal(
            id=new_signal_id(),
            source=self.source,
            goal=self._redact(goal_of(news)),
            targets=tuple(path for path in targets if not path.startswith("/") and ".." not in path.split("/"))[
                :MOST_TARGETS
            ],
            urgency=Urgency.NORMAL,
            confidence_bp=SURE_BP if ids else GUESS_BP,
            evidence=(said,),
            key=fingerprint(self.source.value, name_of(news), digest_of(news), str(number)),
            closure=closure,
            base=head,
            seen_at=stamp(self._clock.now()),
        )

    async def _reproduced(self, news: IssueNews, head: str) -> tuple[TestResult, ...]:
        """The tests that the issue names, as far as they are committed and red twice in a row."""
        tests = named_tests(text_of(news))
        real = defined(tests, await self._files.read_many(head, files_of(tests))) if tests else ()
        if not real:
            return ()
        once = {r.id for r in (await self._tests.run(head, real)).red if not needs_network(r)}
        if not once:
            return ()
        again = await self._tests.run(head, sorted(once))
        return tuple(result for result in again.red if result.id in once)

    def _say(self, line: str) -> None:
        self._state = self._state.model_copy(update={"line": line})
