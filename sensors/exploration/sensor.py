"""When idle: public functions that no test names, near past failures.

Looks after a period without events while the machine has capacity. Each function is emitted once. New tests count only
if they fail for small changes of the function, which the daemon makes itself; whether the pinned behaviour is right is
for the owner to decide.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from ledger.events.op import OutcomeRecorded
from ledger.vocabulary import Evidence, Signal, SymbolPinned
from sensors.bus import Bus, Topic, fingerprint
from sensors.exploration import SPEC, ProactiveExplorationSettings
from sensors.exploration.pinning import pinned_answer
from sensors.exploration.untested import OWN, UntestedFunction, failures_in, file_for_tests, find_untested
from sensors.python_source.syntax import is_own_python, is_test
from sensors.sensor import Sensor

STIRS = (Topic.FILES_CHANGED, Topic.REFS_MOVED, Topic.TESTS_REPORTED, Topic.ISSUE_TOLD, Topic.BUILD_FAILED)
PAST = 500  # ends of ops that are looked at
AGAIN_S = 3_600.0  # between two looks while nothing happens: only a new day can bring anything


class ProactiveExploration(Sensor[ProactiveExplorationSettings]):
    """Emits untested functions."""

    spec = SPEC
    checks: ClassVar = {SymbolPinned: pinned_answer}
    _barren = ""  # commit at which there was nothing

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Look after each look at the machine that finds everything at rest for long enough, until cancelled."""
        clock = self._clock
        busy_at, again_at = clock.monotonic(), 0.0
        async with bus.subscribe(Topic.HEALTH_SAMPLED, *STIRS) as events:
            async for delivery in events:
                if delivery.event.topic is not Topic.HEALTH_SAMPLED or await self._ports.busy_with():
                    busy_at, again_at = clock.monotonic(), 0.0
                elif clock.monotonic() >= max(busy_at + self._settings.idle_s, again_at):
                    again_at = clock.monotonic() + AGAIN_S
                    await self._look()

    # --- a look ---

    async def _scan(self) -> tuple[Signal, ...]:
        """Whether anything is to be done or not. Raises ``RepositoryError``."""
        head = (await self._repository.head()).commit
        why = self._ports.unavailable()
        if why:
            return self._say(f"unavailable: {why}", problem=why)
        if head is None or head == self._barren:
            return ()
        if await self._memory.count_recent() >= self._settings.per_day:
            return self._say("Enough was said today.")
        return await self._explore(head)

    async def _explore(self, head: str) -> tuple[Signal, ...]:
        """The first place that was not visited; at most one a look, so that each can be answered for itself."""
        paths = [p for p in await self._repository.files(head) if p.isprintable() and is_own_python(p)]
        tests, own = [p for p in paths if is_test(p)], [p for p in paths if not is_test(p)]
        ends = await self._ledger.events(OutcomeRecorded, limit=PAST, newest_first=True)
        failed = failures_in(event for _, event in ends)
        if not failed or not tests:
            self._barren = head
            return self._say("Nothing has failed yet near which to look." if tests else "There are no tests yet.")
        most = self._settings.most_files
        files = await self._read(head, own[:most])
        words = await self._read(head, tests[:most])
        found = await asyncio.to_thread(find_untested, files, words, failed, least_lines=self._settings.least_lines)
        keys = {self._key(place): place for place in found if file_for_tests(place, tests) is not None}
        said = await self._memory.filter_emitted(keys)
        key = next((each for each in keys if each not in said), None)
        if key is None:
            self._barren = head
            return self._say(f"Nothing is left to visit at {head[:12]}.")
        signal = await self._signal(key, keys[key], file_for_tests(keys[key], tests) or "", head)
        await self._send(signal)
        self._say(f"Visited {keys[key].symbol} in {keys[key].path}.")
        return (signal,)

    async def _read(self, head: str, paths: list[str]) -> dict[str, bytes]:
        found = await self._repository.read_many(head, paths)
        return {path: data for path, data in found.items() if len(data) <= self._settings.largest_bytes}

    def _key(self, place: UntestedFunction) -> str:
        return fingerprint(self.source.value, place.path, place.symbol)

    async def _signal(self, key: str, place: UntestedFunction, test: str, head: str) -> Signal:
        near = "in this file" if place.near == OWN else "in a file that it is tied to by an import"
        rows = (
            (f"No test names {place.symbol}", f"{place.path}: its complexity is {place.complexity}"),
            (f"It is near past failures: {place.failures} ops ended {near}", "the ends of ops in the ledger"),
            (
                "Done when",
                f"{test} passes, {place.symbol} is as it is now, and each small change of it (a result, an operator, "
                "a comparison), made by the daemon, turns a test of that file red.",
            ),
        )
        return self._new_signal(
            goal=f"Pin what {place.symbol} in {place.path} does by tests in the new file {test}; change nothing else",
            targets=(place.path,),
            confidence_bp=5_000,
            evidence=tuple(
                Evidence(claim=claim, evidence=said, confidence_bp=10_000, source="exploration") for claim, said in rows
            ),
            key=key,
            closure=SymbolPinned(path=place.path, symbol=place.symbol, test=test, body=place.body),
            base=head,
            depth=await self._depth_at(head, place.path),
        )
