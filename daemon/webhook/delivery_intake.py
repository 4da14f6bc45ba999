"""Judges deliveries: gate 10 first, then the shape; what passes is in the ledger before the sender hears of it.

Nothing here acts on the content. News of an issue wait for their sensor, a failed build wakes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus

from pydantic import ValidationError

from daemon.webhook.http import HttpRequest, Refusal, RequestHead
from daemon.webhook.settings import WebhookSettings
from governance.irongate.op.g10_signatures import Scheme, SignatureFacts, check, gather
from governance.irongate.secrets.redaction import redact
from governance.record import Recorder
from ledger.clock import Clock
from ledger.errors import LedgerError
from ledger.events.sensing import WebhookRefusalsCounted, WebhookRefused, WebhookTaken
from ledger.store import Ledger
from ledger.vocabulary import Decision, Verdict
from sensors.bus import Bus, Event, Topic
from sensors.requests.deliveries import Deliveries
from sensors.requests.news import BuildNews, IssueNews, News, parse_github, parse_standard

PATHS: Mapping[str, Scheme] = {"/webhooks/github": Scheme.GITHUB, "/webhooks/standard": Scheme.STANDARD}
JSON = "application/json"
Secrets = Mapping[Scheme, Sequence[str]]


def admit(head: RequestHead) -> Refusal | None:
    """Is this a webhook at all? Judged before the body is read. Pure."""
    if head.path not in PATHS:
        return Refusal(status=HTTPStatus.NOT_FOUND, rule="http.path", reason="No webhook has this path.")
    if head.method != "POST":
        return Refusal(status=HTTPStatus.METHOD_NOT_ALLOWED, rule="http.method", reason="Webhooks are posted.")
    if head.header("content-type").partition(";")[0].strip().lower() != JSON:
        why = f"The content type is not {JSON}."
        return Refusal(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, rule="http.media", reason=why)
    return None


class DeliveryIntake:
    """Takes requests whose head was admitted. ``secrets`` hold the owner's, by scheme."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        bus: Bus,
        deliveries: Deliveries,
        secrets: Secrets,
        settings: WebhookSettings,
    ) -> None:
        self.taken = 0
        self.refused = 0
        self._ledger = ledger
        self._record = Recorder(ledger)
        self._clock = clock
        self._bus = bus
        self._deliveries = deliveries
        self._secrets = secrets
        self._settings = settings
        self._ration = Ration()
        self._arriving: set[str] = set()  # keys of deliveries that are on their way into the ledger

    async def take(self, request: HttpRequest) -> HTTPStatus:
        """The HTTP status for the sender. 2xx: the delivery is durable."""
        scheme = PATHS[request.head.path]
        facts = gather(
            scheme,
            request.head.headers,
            request.body,
            secrets=self._secrets.get(scheme, ()),
            now_s=int(self._clock.now().timestamp()),
            known=self._arriving.__contains__,
            window_s=self._settings.window_s,
        )
        mine = set(facts.keys) - self._arriving
        self._arriving |= mine
        try:
            return await self._judge(scheme, request, facts)
        except LedgerError:
            return HTTPStatus.SERVICE_UNAVAILABLE  # the sender may try again; status says why nothing can be recorded
        finally:
            self._arriving -= mine

    async def _judge(self, scheme: Scheme, request: HttpRequest, facts: SignatureFacts) -> HTTPStatus:
        if facts.keys and not facts.seen:
            facts = facts.model_copy(update={"seen": await self._deliveries.seen(facts.keys)})
        verdict = check(facts)
        if verdict.decision is not Decision.ALLOW:
            await self._say_no(verdict.rule, verdict=verdict, facts=facts)
            return HTTPStatus.CONFLICT if verdict.rule == "gate10.replay" else HTTPStatus.UNAUTHORIZED
        try:
            news = await asyncio.to_thread(_read, scheme, request)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            reason = f"The body is not what its sender documents: {where or 'JSON'}: {first['msg']}."
            await self.note(Refusal(status=HTTPStatus.BAD_REQUEST, rule="webhook.shape", reason=reason))
            return HTTPStatus.BAD_REQUEST
        await self._keep(facts, verdict, news)
        self._tell(facts, news)
        return HTTPStatus.ACCEPTED

    async def _keep(self, facts: SignatureFacts, verdict: Verdict, news: News) -> None:
        until = facts.now_s + 2 * facts.window_s if facts.scheme is Scheme.STANDARD else None
        taken = WebhookTaken(**verdict.model_dump(), facts=facts.model_dump(mode="json"), news=describe_news(news))
        kept = news if isinstance(news, IssueNews) else None
        await self._deliveries.take(taken, keys=facts.keys, now_s=facts.now_s, until_s=until, news=kept)
        self.taken += 1

    def _tell(self, facts: SignatureFacts, news: News) -> None:
        mark = ":".join((facts.scheme.value, *facts.keys))
        if isinstance(news, IssueNews):
            self._bus.publish(Event(topic=Topic.ISSUE_TOLD, text=news.model_dump_json(), fingerprint=mark))
        elif isinstance(news, BuildNews):
            self._bus.publish(Event(topic=Topic.BUILD_FAILED, text=news.commit, fingerprint=mark))

    # --- refusals ---

    async def note(self, refusal: Refusal) -> None:
        """Record why a request was refused; many of them as a number."""
        try:
            await self._say_no(refusal.rule, reason=refusal.reason)
        except LedgerError:
            return

    async def _say_no(
        self, rule: str, *, reason: str = "", verdict: Verdict | None = None, facts: SignatureFacts | None = None
    ) -> None:
        self.refused += 1
        now = self._clock.monotonic()
        if self._ration.due(now):
            await self.settle()
        if not self._ration.allows(rule, now):
            return
        if verdict is None or facts is None:
            await self._record.note(WebhookRefused(rule=rule, reason=reason))
            return
        said = verdict.model_dump(mode="json")
        await self._record.note(WebhookRefused(facts=facts.model_dump(mode="json"), **said))

    async def settle(self) -> None:
        """Record what was only counted so far."""
        for rule, count in self._ration.take_counts():
            await self._record.note(WebhookRefusalsCounted(rule=rule, count=count))


def _read(scheme: Scheme, request: HttpRequest) -> News:
    """The news without secrets, for the ledger."""
    if scheme is Scheme.STANDARD:
        return parse_standard(request.body)
    news = parse_github(request.head.header("x-github-event"), request.body)
    if not isinstance(news, IssueNews):
        return news
    return news.model_copy(update={"title": redact(news.title), "body": redact(news.body)})


def describe_news(news: News) -> str:
    """The payload of the entry: never the words of an issue."""
    if isinstance(news, IssueNews):
        return f"issue {news.repository}#{news.number} {news.action}"
    return f"build failed at {news.commit}" if isinstance(news, BuildNews) else news.reason


def find_secrets(settings: WebhookSettings, lookup: Callable[[str], str | None]) -> Secrets:
    """The secrets that are set, by scheme; ``lookup`` finds one by the name of its variable."""
    named = {Scheme.GITHUB: settings.github_secrets, Scheme.STANDARD: settings.standard_secrets}
    found = {scheme: tuple(filter(None, (lookup(name) for name in names))) for scheme, names in named.items()}
    return {scheme: secrets for scheme, secrets in found.items() if secrets}


EACH, ALL, WINDOW_S = 5, 20, 60.0


class Ration:
    """In each window the first refusals of a rule are recorded one by one, the rest as a number."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._recorded: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def allows(self, rule: str, now_s: float) -> bool:
        """True when this refusal is to be recorded; else it is counted. ``now_s``: monotonic seconds."""
        if now_s - self._since >= WINDOW_S:
            self._since = now_s
            self._recorded.clear()
        if self._recorded.get(rule, 0) < EACH and sum(self._recorded.values()) < ALL:
            self._recorded[rule] = self._recorded.get(rule, 0) + 1
            return True
        self._counted[rule] = self._counted.get(rule, 0) + 1
        return False

    def due(self, now_s: float) -> bool:
        """Are there counts of a window that is over?"""
        return bool(self._counted) and now_s - self._since >= WINDOW_S

    def take_counts(self) -> Iterator[tuple[str, int]]:
        """What was counted and not yet recorded, once."""
        counted, self._counted = self._counted, {}
        yield from sorted(counted.items())
