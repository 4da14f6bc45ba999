"""GitHub issues with the configured label, by listed authors.

Issues come from a webhook or from polling, and wait in the ledger until processed. Their text is data: it can neither
approve nor choose anything. Closed when the failing tests that the issue names pass; without such tests, by the owner.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from ledger.clock import stamp
from ledger.errors import ControlError, OuroError, RepositoryError
from ledger.events.sensing import IssueJudged
from ledger.store import Statement
from ledger.vocabulary import Evidence, Frozen, OwnerConfirms, Signal, TestResult, TestsPass
from sensors.bus import Bus, Topic, fingerprint
from sensors.failing_tests import by_cause, list_test_ids, needs_network
from sensors.github_issue import SPEC, GitHubIssueSettings
from sensors.github_issue.poll import GhUnavailable, IssuePoll
from sensors.ports import SensorPorts
from sensors.requests.deliveries import Deliveries, WaitingNews
from sensors.requests.named_check import files_of, find_defined, named_tests
from sensors.requests.news import IssueNews, digest_of, goal_of, name_of, normalise_login, text_of
from sensors.sensor import Sensor

ASKING = frozenset({"opened", "reopened", "edited", "labeled"})
ENDING = frozenset({"closed", "deleted", "transferred"})


class IssueRuling(Frozen):
    """The decision about issue news: ``rule`` is its name in the ledger; ``asks`` for work, ``ends`` it, or neither."""

    rule: str
    reason: str
    asks: bool = False
    ends: bool = False


def judge(news: IssueNews, settings: GitHubIssueSettings) -> IssueRuling:
    """Decide about ``news``.

    Both the author and the person who acted have to be listed: others can edit an issue, and anyone with the right can
    set a label.
    """
    listed = {normalise_login(name) for name in settings.authors}
    places = {name.casefold() for name in settings.repositories}
    if places and news.repository.casefold() not in places:
        return IssueRuling(rule="issue.repository", reason="Its repository is not on the list.")
    if news.action in ENDING or (news.action == "unlabeled" and news.label == settings.label):
        return IssueRuling(rule="issue.ended", reason=f"The issue was {news.action}.", ends=True)
    if news.action not in ASKING:
        return IssueRuling(rule="issue.action", reason="Nothing follows from this.")
    if normalise_login(news.author) not in listed:
        return IssueRuling(rule="issue.author", reason="Its author is not on the list.")
    if normalise_login(news.sender) not in listed:
        return IssueRuling(rule="issue.sender", reason="Who did this is not on the list.")
    if settings.label not in news.labels:
        return IssueRuling(rule="issue.label", reason=f"It does not have the label {settings.label}.")
    if not news.is_open:
        return IssueRuling(rule="issue.closed", reason="It is closed.")
    return IssueRuling(rule="issue.asked", reason="It asks for work.", asks=True)


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
NO_CHECK = IssueRuling(
    rule="issue.no_check", reason="It names no test that fails here, and the kernel takes no goal in words."
)


class KnownIssue(Frozen):
    """The last signal of an issue. ``round`` counts how often it ended; after an end it may be emitted again."""

    issue: str
    digest: str = ""
    signal: str = ""
    round: int = 0


class GitHubIssue(Sensor[GitHubIssueSettings]):
    """Emits issues."""

    spec = SPEC
    tables = (SCHEMA,)

    def __init__(self, *, ports: SensorPorts, settings: GitHubIssueSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._deliveries = Deliveries(ledger=ports.ledger)
        self._poll: IssuePoll | None = None
        if settings.poll_s and not ports.has_issue_webhook:
            self._poll = IssuePoll(
                gh=ports.gh(settings.gh_timeout_s),
                deliveries=self._deliveries,
                clock=ports.clock,
                redact=ports.redact,
                settings=settings,
            )
        self._say("No issue was told." if settings.authors else "unavailable: github_issue.authors names nobody")

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Process what waits, then new and polled issues, until cancelled."""
        async with bus.subscribe(Topic.ISSUE_TOLD) as events, asyncio.TaskGroup() as group:
            if self._poll is not None and self._settings.authors:
                group.create_task(self._ask_on())
            async with self._turn:
                await self._deal()
            async for _ in events:
                async with self._turn:
                    await self._deal()

    async def _scan(self) -> tuple[Signal, ...]:
        """Poll, where issues are polled, and process everything that waits."""
        if self._poll is not None:
            await self._ask(self._poll)
        return await self._deal()

    async def _ask_on(self) -> None:
        """The fallback where there is no webhook: poll at intervals."""
        over = asyncio.Event()
        while True:
            await self.scan_once()
            over.clear()
            with self._ports.alarm(self._clock.now() + timedelta(seconds=self._settings.poll_s), over.set):
                await over.wait()

    async def _ask(self, poll: IssuePoll) -> None:
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT issue, round, signal FROM github_issues")
        known = {str(issue): (int(str(ends)), bool(signal)) for issue, ends, signal in rows}
        try:
            await poll.look(known)
        except GhUnavailable as error:
            self._say(f"unavailable: {error}", problem=str(error))
        else:
            self._say(f"asked at {stamp(self._clock.now())}" if self._state.problem else self._state.line)

    async def _deal(self) -> tuple[Signal, ...]:
        """Everything that waits. What cannot be dealt with now is tried again at the next call."""
        signals: list[Signal] = []
        after = 0
        while (waiting := await self._deliveries.waiting(after=after)) is not None:
            after = waiting.number
            try:
                signals += await self._deal_with(waiting)
            except OuroError as error:
                self._say(f"{name_of(waiting.news)} waits: {error}", problem=self._state.problem)
        return tuple(signals)

    # --- one piece of news ---

    async def _deal_with(self, waiting: WaitingNews) -> tuple[Signal, ...]:
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
        if isinstance(signal.closure, OwnerConfirms) and self._ports.unavailable():
            await self._done(waiting, NO_CHECK)
            return ()
        if known.digest != digest_of(news):
            await self._take_back(known, "The issue was edited.")
        receipt = await self._ports.emit(signal)
        row = (known.issue, digest_of(news), receipt.of or signal.id, known.round)
        keep: Statement = (
            "INSERT OR REPLACE INTO github_issues (issue, digest, signal, round) VALUES (?, ?, ?, ?)",
            row,
        )
        await self._done(waiting, judged, keep, signal=signal.id, became=receipt.status)
        return (signal,)

    async def _known(self, news: IssueNews) -> KnownIssue:
        await self._ledger.ensure(SCHEMA)
        sql = "SELECT digest, signal, round FROM github_issues WHERE issue = ?"
        for digest, signal, number in await self._ledger.query(sql, (name_of(news),)):
            return KnownIssue(issue=name_of(news), digest=str(digest), signal=str(signal), round=int(str(number)))
        return KnownIssue(issue=name_of(news))

    async def _take_back(self, known: KnownIssue, reason: str) -> None:
        """Take an earlier signal of this issue out of the queue; one that an op works on stays with it."""
        if not known.signal:
            return
        try:
            await self._ports.withdraw(known.signal, reason)
        except ControlError:
            return  # done already, or an op is at it: the owner sees that op

    async def _done(
        self, waiting: WaitingNews, judged: IssueRuling, *project: Statement, signal: str = "", became: str = ""
    ) -> None:
        name = name_of(waiting.news)
        event = IssueJudged(
            issue=name, action=waiting.news.action, rule=judged.rule, reason=judged.reason, signal=signal, became=became
        )
        await self._deliveries.dealt_with(waiting, event, *project)
        self._say(f"{name} ({waiting.news.action}): {judged.reason}", problem=self._state.problem)

    # --- from news to a signal ---

    async def _signal(self, news: IssueNews, number: int) -> Signal:
        head = (await self._repository.head()).commit
        if head is None:
            raise RepositoryError("There is no commit yet.")
        red = await self._reproduced(news, head)
        ids, targets = list_test_ids(red), tuple(cause.file for cause in by_cause(red))
        closure = TestsPass(ids=ids) if ids else OwnerConfirms(question=f"Is issue {name_of(news)} resolved?")
        said = Evidence(
            claim=f"Issue {name_of(news)}, written by {news.author}, says.",
            evidence=text_of(news),
            confidence_bp=GUESS_BP,
            source="github issue",
        )
        return self._new_signal(
            goal=goal_of(news),
            targets=tuple(path for path in targets if not path.startswith("/") and ".." not in path.split("/"))[
                :MOST_TARGETS
            ],
            confidence_bp=SURE_BP if ids else GUESS_BP,
            evidence=(said,),
            key=fingerprint(self.source.value, name_of(news), digest_of(news), str(number)),
            closure=closure,
            base=head,
        )

    async def _reproduced(self, news: IssueNews, head: str) -> tuple[TestResult, ...]:
        """The tests that the issue names, as far as they are committed and red twice in a row."""
        tests = named_tests(text_of(news))
        real = find_defined(tests, await self._repository.read_many(head, files_of(tests))) if tests else ()
        if not real:
            return ()
        once = {r.id for r in (await self._ports.tests.run(head, real)).red if not needs_network(r)}
        if not once:
            return ()
        again = await self._ports.tests.run(head, sorted(once))
        return tuple(result for result in again.red if result.id in once)
