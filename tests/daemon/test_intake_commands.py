"""The intake over the facade of a real service: what a person sees, asks and decides."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.control.intake_messages import DropRequest, PostureRequest, SignalRef, SignalsRequest
from daemon.control.intake_views import find_signal
from daemon.control.messages import SubmitRequest
from daemon.control.offline import read_record
from daemon.control.service_api import ServiceApi
from daemon.record.replay import replay
from daemon.settings.config import Config
from daemon.views.render import status_block
from daemon.views.render_intake import posture_block, sensors_block, signals_block
from daemon.views.text import show
from ledger.errors import ControlError
from ledger.ids import new_signal_id
from ledger.vocabulary import EntryKind, OpOutcome, RootCause, Source, Urgency
from sensors.intake.posture import Posture
from tests.e2e.serving import Serving
from tests.e2e.world import SHOP, Infilling, config_for, repo_with
from tests.sensors.signals import signal

CAPS = {"governor": {"reflex_per_hour": 1}, "router": {"max_attempts": 1}}


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[tuple[Serving, ServiceApi]]:
    """A service whose socket answers; nothing works yet, so what is queued stays where it is."""
    service = Serving(config, Infilling("unused"))
    try:
        await service.open()
        await service.core.router.recover()
        yield service, ServiceApi(service)
    finally:
        await service.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_for(tmp_path, repo_with(tmp_path / "shop", SHOP), **CAPS)


async def fill(service: Serving) -> dict[str, str]:
    """One signal in each state that a person may have to do with."""
    router, ids = service.core.router, {}
    for name, state in (("dead", OpOutcome.POSTMORTEM), ("lost", None)):
        sent = signal(name)
        await router.submit(sent, asked=True)
        op = await router.next()
        await router.started(op.id)
        if state is not None:
            await router.finish(op.id, state, cause=RootCause.TESTS_FAILED, retry=True)
        else:
            await router.quarantine(op.id)
        ids[name] = sent.id
    for name, depth in (("held", 0), ("deep", 3)):
        sent = signal(name, depth=depth)
        await router.submit(sent)
        ids[name] = sent.id
    return ids


async def test_every_signal_is_shown_with_its_state_and_why_it_waits(config: Config) -> None:
    async with opened(config) as (service, api):
        ids = await fill(service)
        view = await api.signals(SignalsRequest())
        found = {signal.id: signal for signal in view.signals}
        assert {name: found[ids[name]].state for name in ids} == {
            "dead": "dead", "lost": "quarantined", "held": "queued", "deep": "parked",
        }  # fmt: skip
        assert found[ids["held"]].waits.startswith("held back: 2 of 2 ops of test_failure")
        assert found[ids["dead"]].history[0].endswith("POSTMORTEM tests_failed")
        assert view.counts["dead"] == view.counts["quarantined"] == 1
        text = show(signals_block(view), colour=False)
        assert "1 queued" in text and f"ouro retry {found[ids['dead']].short}" in text
        assert "held back: 2 of 2 ops" in text and "may have acted" in text
        assert (await api.signals(SignalsRequest(limit=1))).more
        status = await api.status()
        assert (status.queue.held_back, status.queue.dead, status.queue.quarantined) == (1, 1, 1)
        assert "1 queued, 0 in work, 1 held back, 1 parked, 1 dead, 1 in quarantine" in show(
            status_block(status), colour=False
        )
    async with read_record(config) as record:
        alone = {signal.id: signal.state for signal in (await record.signals(SignalsRequest())).signals}
        assert alone == {each.id: each.state for each in view.signals}


async def test_a_record_without_a_queue_is_empty(config: Config) -> None:
    service = Serving(config, Infilling("unused"))
    await service.open()
    await service.close()
    async with read_record(config) as record:
        assert (await record.signals(SignalsRequest())).signals == ()


async def test_retry_and_drop_are_recorded_before_they_are_done(config: Config) -> None:
    async with opened(config) as (service, api):
        ids = await fill(service)
        for name in ("held", "dead", "lost", "deep"):
            await api.retry(SignalRef(signal=ids[name][-6:].upper()))
        states = {
            line.signal_id: (line.state, line.attempts, line.waits) for line in service.core.router.snapshot().lines
        }
        assert {states[ids[name]] for name in ids} == {("queued", 0, "")}  # not even held back: the owner wants it
        await api.drop(DropRequest(signal=ids["dead"], why="obsolete"))
        with pytest.raises(ControlError, match="No signal matches"):
            await api.drop(DropRequest(signal=ids["dead"], why="again"))
        taken = await service.core.router.next()
        with pytest.raises(ControlError, match="works on this signal"):
            await api.retry(SignalRef(signal=taken.signals[0].id))
        asked = [e.payload for e in await service.core.ledger.entries(kinds=(EntryKind.CONTROL,))]
        assert [p["event"] for p in asked] == ["control.retry"] * 4 + ["control.drop", "control.retry"]
        assert asked[4]["asked"] == {"signal": ids["dead"], "why": "obsolete"}
        dropped = await service.core.ledger.query("SELECT row FROM intake_items WHERE id = ?", (ids["dead"],))
        assert json.loads(str(dropped[0][0]))["reason"] == "dropped by the owner: obsolete"


async def test_a_repair_on_a_review_branch_is_not_tried_again(config: Config) -> None:
    async with opened(config) as (service, api):
        router, sent = service.core.router, signal("waits")
        await router.submit(sent)
        op = await router.next()
        await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE, branch="ouro/review/x")
        with pytest.raises(ControlError, match="waits on branch ouro/review/x"):
            await api.retry(SignalRef(signal=sent.id))
        await api.drop(DropRequest(signal=sent.id, why="forget it"))


async def test_sensors_say_what_they_sent_and_why_they_are_held_back(config: Config) -> None:
    async with opened(config) as (service, api):
        ids = await fill(service)
        await service.core.router.submit(signal("held"))
        view = await api.sensors()
        (tests,) = [s for s in view.sensors if s.source == "test_failure"]
        assert tests.states == {"dead": 1, "quarantined": 1, "queued": 1, "parked": 1}
        assert tests.turned_away == {"duplicate": 1}
        assert tests.turned_away_why == "The same condition is already queued."
        assert (tests.ops_hour, tests.cap_hour) == (2, 2) and "governor.source" in tests.suppressed
        (manual,) = [s for s in view.sensors if s.source == "manual"]
        assert (manual.line, manual.suppressed) == ("no signal yet", "")
        text = show(sensors_block(view), colour=False)
        assert "1 duplicate" in text and "away      The same condition is already queued." in text
        assert "2 of 2 ops an hour" in text and "MAINTAIN" in text
        await api.drop(DropRequest(signal=ids["held"], why="never mind"))
        (tests,) = [s for s in (await api.sensors()).sensors if s.source == "test_failure"]
        assert "1 ended" in tests.line and "done" not in tests.line


async def test_the_owner_sets_the_posture_for_a_while(config: Config) -> None:
    async with opened(config) as (service, api):
        with pytest.raises(ControlError, match="name and a reason"):
            await api.posture(PostureRequest(action="set", name=Posture.HARDEN))
        view = await api.posture(PostureRequest(action="set", name=Posture.HARDEN, hours=24, why="release day"))
        assert (view.posture, view.by, view.why) == (Posture.HARDEN, "owner", "release day")
        assert "HARDEN · set by the owner until" in show(posture_block(view), colour=False)
        assert "posture   HARDEN, set by the owner" in show(status_block(await api.status()), colour=False)
        view = await api.posture(PostureRequest(action="clear"))
        assert (view.posture, view.by) == (Posture.MAINTAIN, "inferred")
        asked = [e.payload for e in await service.core.ledger.entries(kinds=(EntryKind.CONTROL,))]
        assert [p["asked"]["name"] for p in asked] == ["HARDEN", None]
        assert asked[0]["asked"] == {"name": "HARDEN", "hours": "24", "why": "release day"}


async def test_what_was_ruled_and_inferred_can_be_derived_again(config: Config) -> None:
    async with opened(config) as (service, api):
        await fill(service)
        await api.posture(PostureRequest(action="set", name=Posture.EXPLORE, why="so that it changes"))
        await api.posture(PostureRequest(action="clear"))
        await service.core.router.submit(signal("mine", source=Source.MANUAL, urgency=Urgency.LOW))
        report = await replay(service.core.ledger, op_id=None)
        decided = [e.payload.get("decision") for e in await service.core.ledger.entries(kinds=(EntryKind.DECISION,))]
        assert {"priority", "governor", "posture"} <= set(decided)
        assert report.decisions >= len(decided) and report.differences == ()


async def test_a_goal_of_the_owner_is_taken_although_the_caps_are_used_up(config: Config) -> None:
    async with opened(config) as (service, api):
        await fill(service)
        done = await api.submit(SubmitRequest(goal="Mine", closed_when=("tests/test_cart.py::test_x",)))
        assert (await service.core.router.next()).signals[0].id == done.signal


def test_a_signal_is_named_by_any_end_of_its_id() -> None:
    ids = tuple(new_signal_id() for _ in range(50))
    assert find_signal(ids[7], ids) == find_signal(ids[7][4:], ids) == find_signal(f"sig-{ids[7][-12:]}", ids) == ids[7]
    with pytest.raises(ControlError, match="names 50 signals"):
        find_signal("f", tuple(each[:-1] + "f" for each in ids))
    for nothing in ("", "sig-", "zz"):
        with pytest.raises(ControlError, match="No signal matches"):
            find_signal(nothing, ids)
