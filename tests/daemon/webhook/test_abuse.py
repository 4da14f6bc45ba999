"""Strangers at a real socket: what they send is refused by a rule that the ledger names, and costs little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from daemon.record.replay import replay
from daemon.webhook.delivery_intake import admit
from daemon.webhook.endpoint import NO_SECRET, WebhookEndpoint
from daemon.webhook.http import HttpRequest, Refusal
from daemon.webhook.server import WebhookServer
from daemon.webhook.settings import WebhookSettings
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Entry
from sensors.bus import Bus, Event, Subscription, Topic
from sensors.requests.deliveries import Deliveries
from tests.daemon.webhook.knocking import (
    SECTION,
    VARIABLES,
    free_port,
    github,
    issue,
    knock,
    posted,
    standard,
    status_of,
    workflow_run,
)
from tests.sensors.signals import START, open_ledger

NOW = int(START.timestamp())
BUILD = {"type": "ci.failed", "timestamp": "2026-01-05T12:00:00Z", "data": {"commit": "a" * 40, "name": "Build"}}


class Open:
    """An endpoint that listens, and what came of it."""

    def __init__(self, ledger: Ledger, bus: Bus, endpoint: WebhookEndpoint, events: Subscription, port: int) -> None:
        self.ledger, self.bus, self.endpoint, self.events, self.port = ledger, bus, endpoint, events, port
        self.deliveries = Deliveries(ledger=ledger)

    async def knock(self, data: bytes) -> int:
        return await asyncio.wait_for(knock(self.port, data), 20)

    async def entries(self, event: str = "webhook.refused") -> list[Entry]:
        return [e for e in await self.ledger.entries() if e.payload.get("event") == event]

    async def rules(self) -> list[str]:
        return [e.payload["rule"] for e in await self.entries()]

    def told(self) -> list[Event]:
        """What is held for a subscriber just now."""
        self.events.unsubscribe()
        found = list(self.events._held)
        self.events = self.bus.subscribe(*Topic)
        return found


@asynccontextmanager
async def opened(path: Path, clock: ManualClock | None = None, **section: Any) -> AsyncIterator[Open]:
    """An endpoint on a free port, with its own ledger at ``path``."""
    clock = clock or ManualClock(START)
    port = free_port()
    settings = WebhookSettings.model_validate({"port": port, **SECTION, **section})
    async with open_ledger(path, clock) as ledger:
        bus = Bus(clock=clock)
        endpoint = WebhookEndpoint(
            ledger=ledger, clock=clock, bus=bus, deliveries=Deliveries(ledger=ledger), lookup=VARIABLES.get,
            settings=settings,
        )  # fmt: skip
        await endpoint.start()
        assert endpoint.note == ""
        try:
            yield Open(ledger, bus, endpoint, bus.subscribe(*Topic), port)
        finally:
            await endpoint.close()


async def test_what_is_signed_is_taken_and_told_as_data(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        assert await place.knock(github(issue())) == 202
        assert await place.knock(github(workflow_run("b" * 40), event="workflow_run")) == 202
        assert await place.knock(standard(BUILD, sent=NOW)) == 202
        assert await place.knock(github({"zen": "Keep it simple.", "hook_id": 7}, event="ping")) == 202
        assert await place.knock(github({"anything": 1}, event="star")) == 202
        told = place.told()
        assert [e.topic for e in told] == [Topic.ISSUE_TOLD, Topic.BUILD_FAILED, Topic.BUILD_FAILED]
        assert [e.text for e in told[1:]] == ["b" * 40, "a" * 40] and "Look at it." in told[0].text
        waiting = await place.deliveries.waiting()
        assert waiting is not None and waiting.news.number == 12 and waiting.news.author == "octocat"
        assert await place.deliveries.waiting(after=waiting.number) is None
        taken = await place.entries("webhook.taken")
        assert [e.payload["rule"] for e in taken] == ["gate10.signed"] * 5
        assert "Look at it." not in "".join(e.model_dump_json() for e in taken)
        assert await place.rules() == []


async def test_a_secret_in_an_issue_is_taken_out_before_anything_is_kept(tmp_path: Path) -> None:
    key = "AKIA" + "IOSFODNN7" + "QQWWEER"
    async with opened(tmp_path / "l.sqlite3") as place:
        assert await place.knock(github(issue(title=f"{key} leaked", body=f"key = {key} and more"))) == 202
        waiting = await place.deliveries.waiting()
        assert waiting is not None and "leaked" in waiting.news.title and "and more" in waiting.news.body
        assert key not in waiting.model_dump_json() and key not in place.told()[0].text
        assert key.encode() not in (tmp_path / "l.sqlite3").read_bytes()
        assert key.encode() not in (tmp_path / "l.sqlite3-wal").read_bytes()


WRONG = {
    "gate10.signature_wrong": [
        github(issue(), secret="another secret, as long"), standard(BUILD, sent=NOW, secret="whsec_" + "A" * 32),
        github(issue(), **{"X-Hub-Signature-256": "sha256=" + "0" * 64}),
    ],
    "gate10.signature_missing": [github(issue(), **{"X-Hub-Signature-256": ""})],
    "gate10.signature_malformed": [github(issue(), **{"X-Hub-Signature-256": "sha1=" + "0" * 40})],
    "gate10.no_delivery": [github(issue(), **{"X-GitHub-Delivery": ""})],
    "gate10.window": [standard(BUILD, sent=NOW - 301), standard(BUILD, sent=NOW + 301)],
}  # fmt: skip


@pytest.mark.parametrize("rule", WRONG)
async def test_what_is_not_signed_fresh_and_whole_is_refused(tmp_path: Path, rule: str) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        assert [await place.knock(data) for data in WRONG[rule]] == [401] * len(WRONG[rule])
        assert await place.rules() == [rule] * len(WRONG[rule])
        assert place.told() == [] and await place.deliveries.waiting() is None
        report = await replay(place.ledger, op_id=None)
        assert report.decisions == len(WRONG[rule]) and report.differences == ()


async def test_a_replay_is_refused_also_by_the_next_boot(tmp_path: Path) -> None:
    path, clock = tmp_path / "l.sqlite3", ManualClock(START)
    mine, build = github(issue(), delivery="one"), standard(BUILD, sent=NOW)
    async with opened(path, clock) as place:
        assert [await place.knock(data) for data in (mine, build)] == [202, 202]
        assert [await place.knock(data) for data in (mine, build)] == [409, 409]
        assert await place.knock(github(issue(), delivery="two")) == 409  # GitHub does not sign the id
    clock.advance(250)
    async with opened(path, clock) as place:
        assert [await place.knock(data) for data in (mine, build)] == [409, 409]
        assert (await place.rules()) == ["gate10.replay"] * 5
        assert place.told() == []
    clock.advance(86_400)
    async with opened(path, clock) as place:
        assert [await place.knock(data) for data in (mine, build)] == [409, 401]
        assert (await place.rules())[-1] == "gate10.window"


async def test_the_same_delivery_many_times_at_once_is_taken_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        mine = github(issue())
        statuses = await asyncio.gather(*(place.knock(mine) for _ in range(16)))
        assert sorted(statuses) == [202] + [409] * 15
        assert len(await place.entries("webhook.taken")) == 1


SHAPES = [
    b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"action": "opened"}', b'{"action": {"$ne": 1}, "issue": [], "repository": 1, "sender": null}',
]  # fmt: skip


async def test_a_signed_body_that_is_not_what_its_sender_documents(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        bodies: list[Any] = [
            *SHAPES,
            issue(number=-1),
            issue(repository="../../etc"),
            issue(number="x" * 50),
            issue(title="half a \ud83d"),
        ]
        for body in bodies:
            assert await place.knock(github(body)) == 400, body
        assert await place.knock(github(workflow_run("--upload-pack=x"), event="workflow_run")) == 400
        assert set(await place.rules()) == {"webhook.shape"}
        assert place.told() == [] and await place.deliveries.waiting() is None


MALFORMED: dict[bytes, int] = {
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n": 400,  # TLS
    b"POST /webhooks/github\r\n\r\n": 400,
    b"GET /webhooks/github HTTP/1.1\r\nHost: a\r\n\r\n": 405,
    b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n": 404,
    b"POST /webhooks/github/../../x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n": 404,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx": 415,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n": 411,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + b"1\r\nx\r\n" * 50_000: 411,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 411,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}": 400,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n{}": 400,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n": 431,
    b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nX: a\r\n b\0c\r\nContent-Length: 0\r\n\r\n": 400,
}


async def test_what_is_no_webhook_is_turned_away_before_its_body_is_read(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        assert [await place.knock(data) for data in MALFORMED] == list(MALFORMED.values())
        assert {rule.split(".")[0] for rule in await place.rules()} == {"http"}
        assert await place.knock(github(issue())) == 202


async def test_ten_megabytes_are_refused_by_their_length_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        body = b"x" * 10_000_000
        assert await place.knock(posted("/webhooks/github", body, {})) == 413
        assert await place.knock(posted("/webhooks/github", b"", {"Content-Length": "9" * 30})) in (400, 413)
        head = posted("/webhooks/github", b"", {"Content-Length": str(10_000_000), "Expect": "100-continue"})
        assert await place.knock(head) == 413  # and nobody is told to go on
        assert (await place.rules()).count("http.body") >= 2


async def test_who_waits_to_be_told_to_go_on_is(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3") as place:
        head, _, body = github(issue(), Expect="100-continue").partition(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(head + b"\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(body)
        assert status_of(await reader.read()) == 202
        writer.transport.abort()


async def test_two_hundred_who_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3", connections=8, request_s=60.0) as place:
        idle = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(200)]
        try:
            for _, writer in idle[::2]:
                writer.write(b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\n")
            assert await place.knock(github(issue())) == 202
            assert len(place.endpoint._server._waiting) <= 8
        finally:
            for _, writer in idle:
                writer.transport.abort()
        assert "http.crowded" in await place.rules()
    # what a stranger can do often is an entry a few times, then a number
    async with open_ledger(tmp_path / "l.sqlite3") as ledger:
        found = [e.payload for e in await ledger.entries() if e.payload.get("rule") == "http.crowded"]
    assert sum(p["event"] == "webhook.refused" for p in found) == 5
    assert sum(p.get("count", 0) for p in found) >= 180


async def test_who_was_refused_and_does_not_go_keeps_nobody_out_either(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3", connections=4) as place:
        refused = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(40)]
        try:
            for _, writer in refused:
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await place.knock(github(issue())) == 202
            assert len(place.endpoint._server._waiting) <= 4
        finally:
            for _, writer in refused:
                writer.transport.abort()


async def test_a_request_that_is_being_judged_keeps_its_place(tmp_path: Path) -> None:
    judging, go_on = asyncio.Event(), asyncio.Event()
    refused: list[str] = []

    async def take(request: HttpRequest) -> HTTPStatus:
        judging.set()
        await go_on.wait()
        return HTTPStatus.ACCEPTED

    async def note(refusal: Refusal) -> None:
        refused.append(refusal.rule)

    settings = WebhookSettings(port=free_port(), connections=1)
    server = WebhookServer(admit=admit, take=take, note=note, settings=settings)
    await server.start()
    first = asyncio.create_task(knock(settings.port, github(issue())))
    await judging.wait()
    assert await knock(settings.port, github(issue())) == 503 and refused == ["http.busy"]
    go_on.set()
    assert await first == 202
    await server.close()


async def test_who_dribbles_is_ended_by_the_clock(tmp_path: Path) -> None:
    async with opened(tmp_path / "l.sqlite3", request_s=0.3) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        answered = asyncio.create_task(reader.read())
        try:
            for byte in github(issue()):
                if answered.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
            assert status_of(await asyncio.wait_for(answered, 10)) == 408
        finally:
            answered.cancel()
            writer.transport.abort()
        assert await place.rules() == ["http.slow"]


async def test_one_rule_that_is_broken_often_leaves_room_for_another(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with opened(tmp_path / "l.sqlite3", clock) as place:
        for _ in range(30):
            await place.knock(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await place.knock(github(issue(), secret="another secret, as long"))
        assert await place.rules() == ["http.path"] * 5 + ["gate10.signature_wrong"]
        clock.advance(61)
        await place.knock(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        (counted,) = await place.entries("webhook.refused_more")
        assert (counted.payload["rule"], counted.payload["count"]) == ("http.path", 25)


async def test_it_is_off_unless_it_can_tell_who_speaks(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with open_ledger(tmp_path / "l.sqlite3", clock) as ledger:

        def endpoint(**section: Any) -> WebhookEndpoint:
            return WebhookEndpoint(
                ledger=ledger, clock=clock, bus=Bus(clock=clock), deliveries=Deliveries(ledger=ledger),
                lookup=VARIABLES.get, settings=WebhookSettings.model_validate(section),
            )  # fmt: skip

        silent, bare = endpoint(**SECTION), endpoint(port=free_port(), github_secrets=("NOT_SET",))
        for each in (silent, bare):
            await each.start()
        assert (silent.note, bare.note) == ("", NO_SECRET)
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port := free_port())
        late = endpoint(port=port, **SECTION)
        await late.start()
        assert f"port {port}" in late.note
        taken.close()
        await taken.wait_closed()
        for each in (silent, bare, late):
            await each.close()
