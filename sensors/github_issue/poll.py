"""Polls issues with GitHub's command line, where no webhook is set up.

New issues are recorded like a webhook's and judged by the same rules. A list does not contain who labelled an issue or
wrote in it, so that is queried for each new issue of a listed author.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from ledger.clock import Clock
from ledger.errors import ChildFailed
from ledger.events.sensing import IssuePolled
from ledger.ids import sha256_hex
from sensors.bus import fingerprint
from sensors.github_issue import GitHubIssueSettings
from sensors.ports import GhAnswer, GhPort, Redact
from sensors.requests.deliveries import Deliveries
from sensors.requests.news import BODY_CHARS, IssueNews, Login, name_of, normalise_login

T = TypeVar("T", bound=BaseModel)
Of = TypeVar("Of")
LIMIT = 100  # issues of one list; where there are more, one that is missing may just be beyond it
AT_ONCE = 20  # new issues that one look takes; the others are there at the next one
NOT_LOGGED_IN = 4  # exit code of gh
SOMEBODY = "?"  # no login name: somebody whom nobody can name has had a hand in it
FIELDS = "number,title,body,author,labels,state"
QUERY = """query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) {
issue(number: $number) {
userContentEdits(last: 100) { pageInfo { hasPreviousPage } nodes { editor { login } } }
timelineItems(last: 100, itemTypes: [LABELED_EVENT, RENAMED_TITLE_EVENT]) { pageInfo { hasPreviousPage } nodes {
__typename ... on LabeledEvent { actor { login } label { name } }
... on RenamedTitleEvent { actor { login } } } } } } }"""


class GhUnavailable(Exception):
    """Why gh gives no answer, in words for status."""


class _GhModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


Few = Annotated[tuple[Of, ...], Field(max_length=200, fail_fast=True)]
"""What is wrong with a list is said once: a sentence for each of a million entries takes all memory."""


class _GhAccount(_GhModel):
    login: Login


class _GhLabel(_GhModel):
    name: str = Field(max_length=255)


class _Listed(_GhModel):
    number: int = Field(gt=0, lt=2**53)
    title: str = Field(max_length=1_024)
    body: str | None = Field(None, max_length=262_144)
    state: str = Field(max_length=20)
    author: _GhAccount
    labels: Few[_GhLabel] = ()


class _Edit(_GhModel):
    editor: _GhAccount | None = None


class _GhPage(_GhModel):
    more: bool = Field(alias="hasPreviousPage")


class _Edits(_GhModel):
    page: _GhPage = Field(alias="pageInfo")
    nodes: Few[_Edit | None] | None = ()


class _GhEvent(_GhModel):
    kind: str = Field(alias="__typename", max_length=100)
    actor: _GhAccount | None = None
    label: _GhLabel | None = None


class _Events(_GhModel):
    page: _GhPage = Field(alias="pageInfo")
    nodes: Few[_GhEvent | None] | None = ()


class _Past(_GhModel):
    edits: _Edits | None = Field(None, alias="userContentEdits")
    events: _Events = Field(alias="timelineItems")


class _GhRepository(_GhModel):
    issue: _Past


class _Data(_GhModel):
    repository: _GhRepository


class _Reply(_GhModel):
    data: _Data


class _List(RootModel[Annotated[tuple[_Listed, ...], Field(max_length=LIMIT, fail_fast=True)]]):
    model_config = ConfigDict(frozen=True, defer_build=True)


def hands_in(past: _Past, label: str) -> Iterator[str]:
    """Who gave an issue the label that it has, and who wrote in its title and text. Pure."""
    edits, events = past.edits, past.events
    edited, happened = (edits.nodes if edits else None) or (), events.nodes or ()
    if events.page.more or (edits is not None and edits.page.more):
        yield SOMEBODY
    for edit in edited:
        yield edit.editor.login if edit and edit.editor else SOMEBODY
    labelled = SOMEBODY
    for event in happened:
        who = event.actor.login if event and event.actor else SOMEBODY
        if event is None or event.kind == "RenamedTitleEvent":
            yield who
        elif event.label is not None and event.label.name == label:
            labelled = who
    yield labelled


class IssuePoll:
    """Polls once per call; :class:`sensors.github_issue.sensor.GitHubIssue` decides when."""

    def __init__(
        self, *, gh: GhPort, deliveries: Deliveries, clock: Clock, redact: Redact, settings: GitHubIssueSettings
    ) -> None:
        self._gh = gh
        self._deliveries = deliveries
        self._clock = clock
        self._redact = redact
        self._settings = settings
        self._listed = {normalise_login(name) for name in settings.authors}

    async def look(self, known: Mapping[str, tuple[int, bool]]) -> None:
        """Take what is new. ``known``: of issues, by name, how often they have ended, and whether they ask for work.

        Raises :class:`GhUnavailable`.
        """
        if not self._settings.repositories:
            raise GhUnavailable("github_issue.repositories names none to be polled")
        for repository in self._settings.repositories:
            found = await self._list(repository)
            fresh = 0
            for news in found:
                fresh += await self._take_asking(news, known.get(name_of(news), (0, False))[0])
                if fresh >= AT_ONCE:
                    break
            if len(found) < LIMIT:
                await self._take_ended(repository, {name_of(news) for news in found}, known)

    async def _list(self, repository: str) -> list[IssueNews]:
        args = ("--repo", repository, "--label", self._settings.label, "--state", "open", "--limit", str(LIMIT))
        answer = await self._call("issue", "list", *args, "--json", FIELDS)
        listed = (await self._read(_List, answer)).root
        return [self._news(repository, one) for one in listed]

    def _news(self, repository: str, one: _Listed) -> IssueNews:
        return IssueNews(
            action="opened",
            repository=repository,
            number=one.number,
            title=self._redact(one.title),
            body=self._redact(one.body or "")[:BODY_CHARS],
            is_open=one.state.casefold() == "open",
            author=one.author.login,
            sender=one.author.login,
            labels=tuple(label.name for label in one.labels),
        )

    async def _take_asking(self, news: IssueNews, ends: int) -> bool:
        """Whether it was new: its words, or after it had ended, or by whom it has its label."""
        key = fingerprint("gh", name_of(news), sha256_hex(f"{news.title}\0{news.body}"), str(ends))
        if await self._deliveries.seen((key,)):
            return False
        if normalise_login(news.author) in self._listed:
            stranger = await self._stranger(news)
            if stranger:  # asked for again at each look: the label may be given anew by somebody who counts
                news = news.model_copy(update={"sender": stranger})
                key = fingerprint(key, stranger)
                if await self._deliveries.seen((key,)):
                    return False
        await self._take(news, key)
        return True

    async def _stranger(self, news: IssueNews) -> str:
        """A login that is not on the list and had a hand in it; empty when there is none."""
        owner, _, name = news.repository.partition("/")
        fields = ("-f", f"owner={owner}", "-f", f"name={name}", "-F", f"number={news.number}")
        answer = await self._call("api", "graphql", "-f", f"query={QUERY}", *fields)
        past = (await self._read(_Reply, answer)).data.repository.issue
        hands = hands_in(past, self._settings.label)
        return next((who for who in hands if normalise_login(who) not in self._listed), "")

    async def _take_ended(self, repository: str, there: set[str], known: Mapping[str, tuple[int, bool]]) -> None:
        """What asked for work and is not listed any more is closed, or has lost its label."""
        for name, (ends, asks) in known.items():
            where, _, number = name.rpartition("#")
            if where != repository or not asks or name in there:
                continue
            gone = IssueNews(
                action="closed",
                repository=repository,
                number=int(number),
                title="",
                body="",
                is_open=False,
                author="",
                sender="",
                labels=(),
            )
            key = fingerprint("gh", name, "ended", str(ends))
            if not await self._deliveries.seen((key,)):
                await self._take(gone, key)

    async def _take(self, news: IssueNews, key: str) -> None:
        polled = IssuePolled(issue=name_of(news), action=news.action)
        now_s = int(self._clock.now().timestamp())
        await self._deliveries.take(polled, keys=(key,), now_s=now_s, until_s=None, news=news)

    async def _call(self, *args: str) -> bytes:
        try:
            answer = await self._gh.call(*args)
        except ChildFailed as error:
            raise GhUnavailable(error.message) from error
        if answer.code != 0:
            raise GhUnavailable(self._redact(_why(answer)))
        return answer.out

    async def _read(self, shape: type[T], data: bytes) -> T:
        try:
            return await asyncio.to_thread(shape.model_validate_json, data)
        except ValidationError as error:
            first: Any = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "JSON"
            raise GhUnavailable(f"gh answered something else than issues: {where}: {first['msg']}") from error


def _why(answer: GhAnswer) -> str:
    if answer.code is None:
        return "gh did not answer in its time (github_issue.gh_timeout_s)"
    if answer.code == NOT_LOGGED_IN:
        return "gh is not logged in: `gh auth login`"
    first = next((line.strip() for line in answer.err.splitlines() if line.strip()), "nothing")
    return f"gh ended with {answer.code} and said: {first[:200]}"
