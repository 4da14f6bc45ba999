"""The governor at work in the router: what it holds back is queued, shown, and comes to its turn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ledger.clock import ManualClock
from ledger.errors import ControlError
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, OpOutcome, RootCause, Source, Urgency
from sensors.intake.governor import GovernorSettings
from sensors.intake.posture import Posture
from sensors.intake.pressure import Level, Pressure
from sensors.intake.records import ItemState
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings
from tests.sensors.intake.test_router import complete, fail, nothing, take
from tests.sensors.signals import make_router, open_ledger, signal

TWO = GovernorSettings(reflex_per_hour=1)  # high and critical: two an hour
CRITICAL = Urgency.CRITICAL


async def opened(ledger: Ledger, clock: ManualClock, caps: GovernorSettings = TWO, **more: Any) -> IntakeRouter:
    router = make_router(ledger, clock, caps=caps, **more)
    await router.recover()
    return router


async def decisions(ledger: Ledger, name: str) -> list[dict[str, Any]]:
    found = await ledger.entries(kinds=(EntryKind.DECISION,))
    return [entry.payload for entry in found if entry.payload.get("decision") == name]


async def looked_in_vain(router: IntakeRouter) -> None:
    """A worker has looked, and all that waits is held back."""
    worker = asyncio.create_task(router.next())
    router.held_back.clear()
    async with asyncio.timeout(20):
        await router.held_back.wait()
    worker.cancel()
    await asyncio.wait({worker})


async def spend_the_cap(router: IntakeRouter) -> None:
    for name in ("one", "two"):
        await router.submit(signal(name))
        await complete(router, await take(router))


async def test_what_is_held_back_stays_queued_and_says_why_and_its_time_comes(
    ledger: Ledger, clock: ManualClock
) -> None:
    router = await opened(ledger, clock)
    await spend_the_cap(router)
    late = signal("late")
    await router.submit(late)
    await looked_in_vain(router)
    snapshot = router.snapshot()
    (line,) = snapshot.lines
    assert (line.signal_id, line.state, snapshot.ready) == (late.id, ItemState.QUEUED, ())
    assert line.waits == (
        "held back: 2 of 2 ops of test_failure (high, MAINTAIN) in an hour (governor.source); "
        "looked at again at 2026-01-05T13:00:00.000Z"
    )
    assert [d["result"] for d in await decisions(ledger, "governor")] == ["governor.source"]
    await looked_in_vain(router)
    assert len(await decisions(ledger, "governor")) == 1
    told = [e for e in await ledger.entries(kinds=(EntryKind.SIGNAL,)) if e.payload["queue"] == "governed"]
    assert len(told) == 1  # not at every look
    clock.advance(3_600)
    assert [s.id for s in (await take(router)).signals] == [late.id]
    assert not router.held_back.is_set()
    assert [d["result"] for d in await decisions(ledger, "governor")] == ["governor.source", ""]


async def test_a_worker_that_waits_wakes_by_itself_when_the_hour_is_over(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock)
    await spend_the_cap(router)
    clock.advance(3_599.95)
    await router.submit(signal("late"))
    waiting = asyncio.create_task(router.next())
    await router.held_back.wait()
    clock.advance(0.05)  # nobody tells the worker
    async with asyncio.timeout(10):
        assert (await waiting).goal == "Make late pass."


async def test_others_do_not_wait_behind_what_is_held_back(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock, settings=RouterSettings(coalesce_s=0))
    await spend_the_cap(router)
    for number in range(20):
        await router.submit(signal(f"held-{number}"))
    clock.advance(1_000)  # old and many
    await router.submit(signal("mine", source=Source.MANUAL, urgency=Urgency.LOW, targets=tuple("abcdefg")))
    assert (await take(router)).goal == "Make mine pass."
    assert await nothing(router)


async def test_what_the_owner_asks_for_is_not_held_back(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock)
    await spend_the_cap(router)
    await router.submit(signal("late"))
    await router.submit(signal("other"))
    assert await nothing(router)
    again = await router.submit(signal("late"), asked=True)
    assert again.status == "duplicate"
    assert (await take(router)).goal == "Make late pass."
    assert await nothing(router)
    other = next(line.signal_id for line in router.snapshot().lines if line.goal == "Make other pass.")
    await router.release(other)
    assert (await take(router)).goal == "Make other pass."


async def test_the_count_and_the_wish_outlive_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with open_ledger(path, clock) as ledger:
        router = await opened(ledger, clock)
        await spend_the_cap(router)
        await router.submit(signal("late"))
        await router.submit(signal("wanted"))
        await router.submit(signal("wanted"), asked=True)
        await router.governor.set_posture(Posture.MAINTAIN, hours=1, why="so that nothing moves")
    async with open_ledger(path, clock) as ledger:
        router = await opened(ledger, clock)
        assert (await take(router)).goal == "Make wanted pass."
        assert await nothing(router)
        assert router.governor.current.by == "owner"


async def test_an_op_that_never_acted_does_not_count(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock, GovernorSettings(reflex_per_hour=1), settings=RouterSettings(lease_s=10))
    await router.submit(signal("one"))
    for _ in range(5):
        await take(router)  # claimed by a worker that dies
        clock.advance(11)
    assert router.governor.situation().tally.ops == 1


async def test_stuck_signals_do_not_starve_new_ones(ledger: Ledger, clock: ManualClock) -> None:
    caps = GovernorSettings(reflex_per_hour=10, brake_failed_percent=100)  # high: twelve, six of them second tries
    router = await opened(ledger, clock, caps, settings=RouterSettings(max_attempts=1_000))
    await router.governor.set_posture(Posture.MAINTAIN, hours=24, why="so many failures would be HARDEN")
    for number in range(6):
        await router.submit(signal(f"stuck-{number}"))
    for pause_s in (3_601, 1):
        for _ in range(6):
            op = await take(router)
            clock.advance(1)
            await fail(router, op)
        clock.advance(pause_s)
    assert await nothing(router)  # all that is left was tried before
    for number in range(6):
        await router.submit(signal(f"new-{number}"))
    assert {(await take(router)).goal for _ in range(6)} == {f"Make new-{n} pass." for n in range(6)}
    assert await nothing(router)


async def test_what_loses_its_ready_slot_is_recorded_and_stays_queued(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock, GovernorSettings(), settings=RouterSettings(ready_slots=2))
    first = [signal(name) for name in "abc"]
    for each in first:
        await router.submit(each)
        clock.advance(1)
    await complete(router, await take(router))
    for name in "de":
        await router.submit(signal(name, urgency=CRITICAL))
    await complete(router, await take(router))
    assert [d["evicted"] for d in await decisions(ledger, "priority")] == [[], [first[1].id]]
    assert {(await take(router)).goal for _ in range(3)} == {f"Make {name} pass." for name in "ebc"}


class Machine:
    """What presses it is set by the test."""

    def __init__(self) -> None:
        self.now = Pressure()

    async def look(self) -> Pressure:
        return self.now


async def test_memory_lets_one_op_run_at_a_time_until_it_is_better(ledger: Ledger, clock: ManualClock) -> None:
    machine = Machine()
    machine.now = Pressure(memory=Level.HIGH)
    router = await opened(ledger, clock, GovernorSettings(), look=machine.look)
    for name in "abc":
        await router.submit(signal(name))
    op = await take(router)
    assert await nothing(router)
    assert not router.held_back.is_set()  # an op runs: it is not the end
    await router.park(op.id)  # what waits for a person takes no memory
    await take(router)
    assert await nothing(router)
    machine.now = Pressure()
    clock.advance(30)
    await take(router)


async def test_the_posture_follows_the_ledger_and_the_owner(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock, GovernorSettings(), settings=RouterSettings(max_attempts=1))
    governor = router.governor
    await governor.look()
    assert (governor.current.posture, governor.current.by) == (Posture.MAINTAIN, "inferred")
    for name in "ab":
        await router.submit(signal(name, urgency=CRITICAL))
    await governor.look()
    assert governor.current.posture is Posture.MAINTAIN  # looked at every five minutes
    clock.advance(300)
    await governor.look()
    assert governor.current.posture is Posture.HARDEN  # sure: no need to wait for a quarter of an hour
    (said,) = [d for d in await decisions(ledger, "posture") if d["result"] == "HARDEN"]
    assert said["inputs"]["critical_waiting"] == 2
    await governor.set_posture(Posture.EXPLORE, hours=1, why="look around")
    clock.advance(3_000)
    await governor.look()
    assert (governor.current.posture, governor.current.by) == (Posture.EXPLORE, "owner")
    clock.advance(600)
    await governor.look()
    assert (governor.current.posture, governor.current.by) == (Posture.HARDEN, "inferred")
    with pytest.raises(ControlError, match="at most 24"):
        await governor.set_posture(Posture.EXPLORE, hours=25, why="too long")
    await governor.set_posture(Posture.EXPLORE, hours=1, why="again")
    assert (await governor.clear_posture()).by == "inferred"
    stored = [e.payload["standing"] for e in await ledger.entries(kinds=(EntryKind.SIGNAL,)) if "standing" in e.payload]
    assert [(s["posture"], s["by"], s["why"]) for s in stored if s["by"] == "owner"] == [
        ("EXPLORE", "owner", "look around"),
        ("EXPLORE", "owner", "again"),
    ]


async def test_the_signs_are_what_the_queue_holds(ledger: Ledger, clock: ManualClock) -> None:
    router = await opened(ledger, clock, GovernorSettings(), settings=RouterSettings(max_attempts=1))
    for name in "abcd":
        await router.submit(signal(name))
    await fail(router, await take(router))
    await complete(router, await take(router))
    op = await take(router)
    await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE, branch="ouro/review/c")
    await router.submit(signal("deep", depth=3))
    await router.submit(signal("mine", source=Source.MANUAL, urgency=CRITICAL))
    clock.advance(90)
    signs = router.governor.signs()
    assert (signs.dead, signs.unmerged, signs.parked, signs.reflex_waiting) == (1, 1, 1, 1)
    assert (signs.other_waiting, signs.critical_waiting, signs.idle_s) == (1, 0, 90)
    assert (signs.completed_day, signs.failed_day) == (2, 1)
