"""Base class of sensors of committed files: one look at start-up, then one whenever HEAD has moved.

Uncommitted files are the owner's work in progress. A look reads the files that changed since the last one, and those
that were deferred. It emits a few findings at most, each once; the rest waits for the next look, so an old repository
does not flood the queue.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from ledger.clock import stamp
from ledger.errors import RepositoryError
from ledger.vocabulary import Closure, Evidence, Frozen, Signal, Source
from sensors.bus import Bus, Topic, fingerprint
from sensors.memory import Rescan
from sensors.ports import RepositoryPort
from sensors.sensor import FileSensorSettings, Sensor

F = TypeVar("F", bound=FileSensorSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedFiles:
    """A ``TreeFilesPort`` on one commit."""

    repository: RepositoryPort
    commit: str

    async def sizes(self) -> Mapping[str, int]:
        return await self.repository.sizes(self.commit)

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        return await self.repository.read_many(self.commit, paths)


def evidence_for(
    source: Source, claim: str, text: str, done: str, *, confidence_bp: int = 10_000
) -> tuple[Evidence, ...]:
    """What was seen in a file, and when the work on it is done."""
    return (
        Evidence(claim=claim, evidence=text, confidence_bp=confidence_bp, source=source.value),
        Evidence(claim="Done when", evidence=done, confidence_bp=10_000, source=source.value),
    )


class FileFinding(Frozen):
    """A condition that was seen in a file. ``what`` distinguishes it from others in the same file, also later.

    ``via``: the changed file that has brought it about, where that is another one.
    """

    path: str
    via: str = ""
    what: str
    goal: str
    closure: Closure
    targets: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()
    confidence_bp: int = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Input of a look: the files at ``commit``, and their earlier contents (also those of removed names).

    ``before`` has no entry for a file that was not there, or that there is nothing to compare with; ``compared`` are
    the files whose new parts are known.
    """

    commit: str
    now: Mapping[str, bytes]
    before: Mapping[str, bytes]
    compared: frozenset[str]


@dataclass(slots=True, kw_only=True)
class LookResult:
    """What a look came to. ``later``: files to look at again, and when; ``problem``: what the owner should mend."""

    findings: list[FileFinding] = field(default_factory=list)
    later: dict[str, datetime] = field(default_factory=dict)
    problem: str = ""


class ChangedFiles(Sensor[F]):
    """A subclass names which paths it ``wants``, and what it can ``find``. With an empty ``first_line``, status shows
    nothing while none of its files exists."""

    @property
    def looks_back(self) -> bool:
        """Whether it also looks at what was there before its first look."""
        return True

    @abstractmethod
    def wants(self, path: str) -> bool:
        """Is this a file that the sensor looks at?"""

    @abstractmethod
    async def find(self, look: Look) -> LookResult:
        """The conditions that exist, emitted before or not, the most important first."""

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Look once, then whenever HEAD has moved, until cancelled."""
        limits = self._settings
        await self._look_after(bus, Topic.REFS_MOVED, quiet_s=limits.debounce_s, most_s=limits.debounce_most_s)

    # --- a look ---

    async def _scan(self) -> tuple[Signal, ...]:
        """At HEAD. Raises ``RepositoryError`` where nothing can be looked at."""
        head = await self._repository.check()
        why = self._ports.unavailable()
        if why:
            return self._say(f"unavailable: {why}" if await self._concerned(head) else "", problem=why)
        asked = await self._files_to_scan(head)
        if asked:
            look = await self._read(head, asked)
            found = await self.find(look)
            signals, left = await self._tell(head, found)
        else:
            found, signals, left = LookResult(), (), ()
        await self._put_off(head, asked, found, left)
        line = _sentence(head, signals, left, found.problem) if await self._concerned(head) else ""
        self._say(line, problem=found.problem)
        return signals

    async def _concerned(self, head: str) -> bool:
        return self.first_line != "" or any(map(self.wants, await self._repository.files(head)))

    async def _files_to_scan(self, head: str) -> dict[str, str | None]:
        """The files to look at, each with the commit to compare it with (None: there is none)."""
        last, changed = await self._since_last(head)
        asked = {path: last for path in changed if path.isprintable() and self.wants(path)}
        there: dict[str | None, bool] = {None: False}
        for again in await self._memory.due():
            if again.since not in there:
                there[again.since] = again.since is not None and await self._repository.has(again.since)
            asked[again.path] = again.since if there[again.since] else None
        return asked

    async def _since_last(self, head: str) -> tuple[str | None, Sequence[str]]:
        """The commit of the last look, where it is still there, and what has changed since then."""
        last = await self._memory.last_commit()
        if last == head:
            return last, ()
        if last is not None:
            try:
                return last, await self._repository.changed_between(last, head)
            except RepositoryError:
                if await self._repository.has(last):
                    raise
        return None, await self._repository.files(head) if self.looks_back else ()

    async def _read(self, head: str, asked: Mapping[str, str | None]) -> Look:
        """The files and what they were. Those beyond the bounds are left out here, and put off later."""
        read = list(asked)[: self._settings.most_files]
        then: dict[str, list[str]] = {}
        for path in read:
            if since := asked[path]:
                then.setdefault(since, []).append(path)
        now, *parts = await asyncio.gather(*map(self._repository.read_many, (head, *then), (read, *then.values())))
        return Look(
            commit=head,
            now={path: data for path, data in now.items() if len(data) <= self._settings.largest_bytes},
            before={path: data for part in parts for path, data in part.items()},
            compared=frozenset(path for path, since in asked.items() if since),
        )

    async def _tell(self, head: str, found: LookResult) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
        """Emit what was not emitted before, within the bounds; also the files of the rest."""
        keys = await asyncio.to_thread(lambda: {self._key(finding): finding for finding in found.findings})
        said = await self._memory.filter_emitted(keys)
        fresh = [key for key in keys if key not in said]
        room = min(self._settings.per_look, self._settings.per_day - await self._memory.count_recent())
        signals = []
        for key in fresh[: max(0, room)]:
            signal = await self._signal(key, keys[key], head)
            await self._send(signal)
            signals.append(signal)
        return tuple(signals), tuple(keys[key].via or keys[key].path for key in fresh[max(0, room) :])

    async def _put_off(
        self, head: str, asked: Mapping[str, str | None], found: LookResult, left: Collection[str]
    ) -> None:
        """Remember the look, and what it left for another one."""
        now, read = stamp(self._clock.now()), list(asked)[: self._settings.most_files]
        again = {path: Rescan(path=path, since=head, due=stamp(due)) for path, due in found.later.items()}
        beyond = set(asked).difference(read, (again.path for again in await self._memory.due()))
        for path in (*left, *sorted(beyond)):
            again[path] = Rescan(path=path, since=asked.get(path), due=now)
        if asked or await self._memory.last_commit() != head:
            await self._memory.record_look(head, looked=read, again=again)

    def _key(self, finding: FileFinding) -> str:
        return fingerprint(self.source.value, finding.path, finding.what)

    async def _signal(self, key: str, finding: FileFinding, head: str) -> Signal:
        return self._new_signal(
            goal=finding.goal,
            key=key,
            closure=finding.closure,
            base=head,
            targets=finding.targets,
            confidence_bp=finding.confidence_bp,
            evidence=finding.evidence,
            depth=await self._depth_at(head, finding.via or finding.path),
        )


def _sentence(head: str, signals: Sequence[Signal], left: Collection[str], problem: str) -> str:
    if problem:
        return problem
    waits = f"; {len(left)} more wait for the next look" if left else ""
    return f"{len(signals) or 'Nothing'} new at {head[:12]}{waits}."
