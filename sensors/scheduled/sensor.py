"""Entries of the owner's schedule: one signal per due time, also across restarts.

Sleeps on a wall-clock alarm until the next due time. The ledger keeps up to when an entry was processed, so times that
passed while no daemon ran are noticed; only the last of them counts, if recent enough. An entry whose last signal is
still open is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ledger.clock import stamp, unstamp
from ledger.events.sensing import ScheduleSettled
from ledger.vocabulary import Evidence, Signal
from sensors.bus import Bus, Subscription, Topic, fingerprint
from sensors.ports import SensorPorts
from sensors.scheduled import SPEC
from sensors.scheduled.schedule import Due, ScheduledSettings, ScheduleEntry, after, last_due, zone
from sensors.sensor import Sensor

SCHEMA = """
CREATE TABLE IF NOT EXISTS schedule_seen (
    name TEXT PRIMARY KEY, form TEXT NOT NULL, until TEXT NOT NULL, signal TEXT NOT NULL
);
"""


class EntryState(NamedTuple):
    """Until when an entry was looked at, and the id of its last signal."""

    until: datetime
    signal: str


class ScheduledTrigger(Sensor[ScheduledSettings]):
    """Emits due entries."""

    spec = SPEC
    tables = (SCHEMA,)
    first_line = ""

    @classmethod
    def reason_to_rest(cls, settings: ScheduledSettings) -> str:
        return "" if settings.entries else "on; nothing is scheduled (sensors.scheduled.entries)"

    def __init__(self, *, ports: SensorPorts, settings: ScheduledSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._wake = asyncio.Event()

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Do what is due, sleep until the next due time, and so on until cancelled."""
        async with bus.subscribe(Topic.REFS_MOVED) as events, asyncio.TaskGroup() as group:
            group.create_task(self._listen(events))
            while True:
                self._wake.clear()
                await self._look()  # while the repository is busy, what is due waits for it, or for the next alarm
                await self._sleep()

    async def _scan(self) -> tuple[Signal, ...]:
        """Send what is due by now. Raises ``RepositoryError`` where nothing can be worked on; it stays due."""
        await self._ledger.ensure(SCHEMA)
        signals = [await self._send_if_due(name, entry) for name, entry in self._settings.entries.items()]
        self._say(self._next_in_words())
        return tuple(signal for signal in signals if signal is not None)

    # --- time ---

    async def _listen(self, events: Subscription) -> None:
        async for _ in events:
            if self._state.problem:
                self._wake.set()

    async def _sleep(self) -> None:
        times = [moment for _, moment in self._coming()]
        if not times:
            await self._wake.wait()
            return
        with self._ports.alarm(min(times), self._wake.set):
            await self._wake.wait()

    def _coming(self) -> Iterable[tuple[str, datetime]]:
        now = self._clock.now()
        for name, entry in self._settings.entries.items():
            moment = next(after(entry, now), None)
            if moment is not None:
                yield name, moment

    def _next_in_words(self) -> str:
        lacks = self._ports.unavailable()
        if lacks and self._settings.entries and all(entry.in_words for entry in self._settings.entries.values()):
            return f"unavailable: {lacks}"
        coming = sorted(self._coming(), key=lambda pair: pair[1])
        if not coming:
            return "Nothing is due any more."
        name, moment = coming[0]
        return f"Next is {name}, {_local(self._settings.entries[name], moment)}."

    # --- one entry ---

    async def _send_if_due(self, name: str, entry: ScheduleEntry) -> Signal | None:
        now = self._clock.now()
        seen = await self._seen(name, entry)
        if seen is None:
            await self._settle(name, entry, now, "begun")
            return None
        if seen.until > now:  # else nothing would be due before the clock is there again
            await self._settle(name, entry, now, "the clock was set back", signal=seen.signal)
            return None
        catch_up = timedelta(seconds=self._settings.catch_up_s)
        due = await asyncio.to_thread(last_due, entry, seen.until, now, catch_up=catch_up)
        if due is None:
            return None
        why = await self._why_not(entry, seen, due)
        if why:
            await self._settle(name, entry, now, why, due=due, signal=seen.signal)
            return None
        return await self._send_due(name, entry, seen, due)

    async def _why_not(self, entry: ScheduleEntry, seen: EntryState, due: Due) -> str:
        """Why nothing follows; empty when something does."""
        if due.missed:
            return "missed: that is longer ago than sensors.scheduled.catch_up_s"
        if entry.in_words and self._ports.unavailable():
            return f"unavailable: {self._ports.unavailable()}"
        if seen.signal and await self._ports.is_open(seen.signal):
            return "passed over: its last signal is not done with"
        return ""

    async def _send_due(self, name: str, entry: ScheduleEntry, seen: EntryState, due: Due) -> Signal | None:
        key = fingerprint(self.source.value, name, stamp(due.at))
        if await self._ports.is_known(
            key
        ):  # sent, but the daemon was killed before it could note so; or the clock went back
            await self._settle(name, entry, self._clock.now(), "sent before", due=due, signal=seen.signal)
            return None
        head = await self._repository.check()
        signal = self._signal(name, entry, due, key, head)
        receipt = await self._ports.emit(signal)
        await self._settle(name, entry, self._clock.now(), receipt.status, due=due, signal=signal.id)
        return signal

    def _signal(self, name: str, entry: ScheduleEntry, due: Due, key: str, head: str) -> Signal:
        said = Evidence(
            claim="The owner's schedule asks for it",
            evidence=f"{name}, {entry.cron}: due {_local(entry, due.at)}",
            confidence_bp=10_000,
            source="schedule",
        )
        return self._new_signal(
            goal=" ".join(entry.goal.split()),
            targets=entry.files,
            urgency=entry.rank,
            evidence=(said,),
            key=key,
            closure=entry.closure,
            base=head,
        )

    # --- what is remembered ---

    async def _seen(self, name: str, entry: ScheduleEntry) -> EntryState | None:
        """None for an entry that is new, or that is due at other times than it was."""
        sql = "SELECT until, signal FROM schedule_seen WHERE name = ? AND form = ?"
        for until, signal in await self._ledger.query(sql, (name, entry.form)):
            return EntryState(until=unstamp(str(until)), signal=str(signal))
        return None

    async def _settle(
        self, name: str, entry: ScheduleEntry, until: datetime, what: str, *, due: Due | None = None, signal: str = ""
    ) -> None:
        event = ScheduleSettled(
            name=name,
            cron=entry.cron,
            tz=entry.tz,
            until=stamp(until),
            due=stamp(due.at) if due else "",
            what=what,
            signal=signal,
        )
        row = (name, entry.form, stamp(until), signal)
        keep = ("INSERT OR REPLACE INTO schedule_seen (name, form, until, signal) VALUES (?, ?, ?, ?)", row)
        await self._ledger.append(event.draft(), project=(keep,))


def _local(entry: ScheduleEntry, moment: datetime) -> str:
    """In the entry's own time zone."""
    there = moment.astimezone(UTC).astimezone(zone(entry.tz))
    return f"{there:%Y-%m-%d %H:%M} {entry.tz}"
