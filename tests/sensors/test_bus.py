from __future__ import annotations

import asyncio

import pytest

from ledger.clock import ManualClock
from sensors.bus import Bus, BusSettings, Delivery, Event, Subscription, Topic, fingerprint
from tests.sensors.signals import START


def bus(clock: ManualClock | None = None, **settings: float) -> Bus:
    return Bus(clock=clock or ManualClock(START), settings=BusSettings.model_validate(settings))


async def held(subscription: Subscription) -> list[Delivery]:
    """What stands in the queue, after unsubscribing."""
    subscription.unsubscribe()
    return [delivery async for delivery in subscription]


def changed(*paths: str, mark: str = "") -> Event:
    return Event(topic=Topic.FILES_CHANGED, paths=paths, fingerprint=mark)


async def test_events_go_to_those_who_asked_for_the_topic() -> None:
    spine = bus()
    files, refs = spine.subscribe(Topic.FILES_CHANGED), spine.subscribe(Topic.REFS_MOVED, Topic.FILES_CHANGED)
    spine.publish(changed("a.py"))
    spine.publish(Event(topic=Topic.REFS_MOVED))
    assert [d.event.topic for d in await held(files)] == [Topic.FILES_CHANGED]
    assert [d.event.topic for d in await held(refs)] == [Topic.FILES_CHANGED, Topic.REFS_MOVED]


async def test_a_waiting_consumer_is_woken_and_leaving_unsubscribes() -> None:
    spine = bus()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:

        async def consume() -> Event:
            async with spine.subscribe(Topic.FILES_CHANGED) as events:
                async for delivery in events:
                    return delivery.event
            raise AssertionError

        task = group.create_task(consume())
        await asyncio.sleep(0)
        spine.publish(changed("a.py"))
    assert task.result().paths == ("a.py",)
    spine.publish(changed("b.py"))
    assert spine.published == 2


async def test_a_slow_consumer_loses_the_oldest_and_is_told_how_many() -> None:
    spine = bus(queue_limit=3)
    slow = spine.subscribe(Topic.FILES_CHANGED)
    for number in range(10):
        spine.publish(changed(str(number)))
    deliveries = await held(slow)
    assert [d.event.paths[0] for d in deliveries] == ["7", "8", "9"]
    assert [d.missed for d in deliveries] == [7, 0, 0]
    assert spine.missed == 7


async def test_one_fingerprint_is_published_once_in_the_window() -> None:
    clock = ManualClock(START)
    spine = bus(clock)
    events = spine.subscribe(Topic.FILES_CHANGED)
    assert spine.publish(changed("a", mark="x"))
    clock.advance(59)
    assert not spine.publish(changed("a", mark="x"))
    assert spine.publish(changed("a", mark="y"))
    clock.advance(2)
    assert spine.publish(changed("a", mark="x"))
    assert len(await held(events)) == 3
    assert spine.repeated == 1


async def test_states_without_a_fingerprint_are_never_taken_for_repeats() -> None:
    spine = bus()
    events = spine.subscribe(Topic.FILES_CHANGED)
    for _ in range(3):
        spine.publish(changed("a"))
    assert len(await held(events)) == 3


async def test_the_memory_for_fingerprints_is_bounded() -> None:
    spine = bus(dedup_limit=10)
    for number in range(1000):
        spine.publish(changed("a", mark=str(number)))
    assert spine.publish(changed("a", mark="0"))
    assert not spine.publish(changed("a", mark="999"))


async def test_a_storm_ends_in_a_bounded_queue() -> None:
    spine = bus(queue_limit=256)
    slow = spine.subscribe(Topic.FILES_CHANGED)
    for number in range(50_000):
        spine.publish(changed(str(number)))
    deliveries = await held(slow)
    assert len(deliveries) == 256
    assert len(deliveries) + sum(d.missed for d in deliveries) == 50_000


@pytest.mark.parametrize(("one", "other"), [(("ab", "c"), ("a", "bc")), (("a",), ("a", "")), (("1:a",), ("a",))])
def test_fingerprints_do_not_run_into_one_another(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert fingerprint(*one) != fingerprint(*other)
