"""The file watcher: what changes in the work tree, which refs move, what a test run reports; pushed, never polled.

Events come in watchdog's thread, are filtered by name there, and reach the loop as one bounded set. When they have
been quiet for the debounce time, or were held for too long, the set is looked at: new folders are watched, ignored
files dropped, unchanged contents dropped, and the rest is published.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
from bisect import bisect
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ledger.errors import RepositoryError
from ledger.places import Places
from sensors.bus import Bus, Event, Topic, fingerprint
from sensors.ports import IgnorePort
from sensors.watch.backends import Backend, InotifyBackend, PollingBackend
from sensors.watch.named import Named, Refs, below
from sensors.watch.scope import NEVER, Checksums, WatchScope, enters, folders

log = logging.getLogger(__name__)


class WatchSettings(BaseModel):
    """How the work tree is watched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str = Field("auto", pattern="^(auto|inotify|polling)$", description="How to be told of changes.")
    debounce_s: float = Field(0.3, ge=0, description="Changes are looked at when there was none for this long.")
    hold_s: float = Field(2.0, gt=0, description="Under a steady stream of changes they are looked at this often.")
    batch_limit: int = Field(10_000, ge=1, description="More paths than this in one look count as: everything.")
    max_folders: int = Field(60_000, ge=1, description="More folders than this are polled instead of watched.")
    poll_s: float = Field(2.0, gt=0, description="Interval of the polling fallback.")
    checksums: int = Field(20_000, ge=1, description="Files whose last contents are remembered.")
    checksum_limit_bytes: int = Field(
        8 * 1024 * 1024, ge=0, description="Larger files are compared by size and time instead of by contents."
    )


@dataclass(slots=True)
class WatchCounts:
    """What the watcher has seen; shown in status."""

    folders: int = 0
    events: int = 0  # names that came through the filter
    looks: int = 0
    published: int = 0
    unchanged: int = 0  # dropped by checksum
    overflows: int = 0
    polling: bool = False
    reason: str = ""  # why it polls


@dataclass(slots=True)
class _Batch:
    """What was seen since the last look."""

    paths: set[str] = field(default_factory=set)
    new_folders: set[str] = field(default_factory=set)
    everything: bool = False


class Watcher:
    """Watches one repository and publishes to the bus for as long as :meth:`run` runs."""

    def __init__(
        self,
        *,
        places: Places,
        ignore: IgnorePort,
        settings: WatchSettings | None = None,
        named: Named | None = None,
    ) -> None:
        self.counts = WatchCounts()
        self.ready = asyncio.Event()  # set once everything is watched
        self._scope = WatchScope.of(places, named)
        self._ignore = ignore
        self._settings = settings or WatchSettings()
        self._ignored: frozenset[str] = frozenset()
        self._checksums = Checksums(limit=self._settings.checksums, whole_bytes=self._settings.checksum_limit_bytes)
        self._lock = threading.Lock()
        self._batch = _Batch()
        self._told = False  # the loop knows that the batch is not empty
        self._ripe = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._oldest: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._backend: Backend | None = None

    async def run(self, bus: Bus) -> None:
        """Watch until cancelled. The daemon's task group owns this."""
        self._loop = asyncio.get_running_loop()
        try:
            refs = await asyncio.to_thread(self._refs_now)
            await self._begin()
            # A sensor may have looked at HEAD already: what has moved before all was watched is told now.
            if await asyncio.to_thread(self._moved_since, refs):
                bus.publish(Event(topic=Topic.REFS_MOVED, everything=True))
            if self._scope.named.places:  # what was written between a sensor's first look and the watch was not seen
                bus.publish(Event(topic=Topic.NAMED_CHANGED, everything=True))
            self.ready.set()
            while True:
                await self._ripe.wait()
                self._ripe.clear()
                await self._look(bus)
        finally:
            self.ready.clear()
            if self._timer is not None:
                self._timer.cancel()
            if self._backend is not None:
                await asyncio.to_thread(self._backend.stop)
                self._backend = None

    def follow(self, refs: Refs) -> None:
        """Watch the branches of another repository too, from now on. Call it on the loop."""
        if refs not in self._scope.others:
            self._scope = self._scope.with_other(refs)
            self._collect(refs.common_dir, new_folder=True)

    # --- in watchdog's threads ---

    def _notice(self, path: str, new_folder: bool) -> None:
        if self._scope.named.leads(path):  # it has come, or it is gone: the watch has to follow
            self._collect(path, new_folder=True)
        topic = self._scope.topic(path)
        if new_folder:
            wanted = topic is Topic.FILES_CHANGED or self._scope.is_ref_folder(path)
        else:
            wanted = topic is not None
        if wanted:
            self._collect(path, new_folder=new_folder)

    def _overflowed(self) -> None:
        with self._lock:
            self.counts.overflows += 1
            self._batch.everything = True
        self._collect(None)

    def _collect(self, path: str | None, *, new_folder: bool = False) -> None:
        with self._lock:
            self.counts.events += 1
            if len(self._batch.paths) + len(self._batch.new_folders) >= self._settings.batch_limit:
                self._batch.everything = True
            elif path is not None:
                (self._batch.new_folders if new_folder else self._batch.paths).add(path)
            told, self._told = self._told, True
        if not told and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._stirred)
            except RuntimeError:  # the loop is closed: we are being stopped
                return

    # --- on the loop ---

    def _stirred(self) -> None:
        """Something changed: look when it has been quiet, or when the first change has waited long enough."""
        loop = asyncio.get_running_loop()
        with self._lock:
            self._told = False  # the next change postpones the look
        now = loop.time()
        self._oldest = now if self._oldest is None else self._oldest
        if self._timer is not None:
            self._timer.cancel()
        when = min(now + self._settings.debounce_s, self._oldest + self._settings.hold_s)
        self._timer = loop.call_at(when, self._ripe.set)

    def _refs_now(self) -> set[str]:
        """The state of HEAD and branches, remembered. In a thread."""
        refs = self._scope.refs.present()
        self._checksums.changed(refs)
        return refs

    def _moved_since(self, before: set[str]) -> bool:
        """Is one of them another, or was one added? In a thread."""
        return bool(self._checksums.changed(before | self._scope.refs.present()))

    async def _begin(self) -> None:
        await self._learn_ignored()
        if self._settings.backend == "polling":
            await self._poll("the settings ask for it")
            return
        try:
            self._backend = InotifyBackend(
                notify=self._notice, overflow=self._overflowed, limit=self._settings.max_folders
            )
            await asyncio.to_thread(self._watch_all)
        except OSError as error:
            await self._fall_back(error)
        self._count()

    def _watch_all(self) -> None:
        """Watch every folder that is to be watched and is not; leave those that are no longer. In a thread."""
        backend = self._backend
        if backend is None:
            return
        wanted = [folder for folder, _ in folders(self._scope.repo, skip=self._is_ignored)]
        wanted += [folder for heads in self._scope.heads for folder, _ in folders(heads, skip=_nothing)]
        wanted += [*self._scope.fixed(), *self._scope.named.watched()]
        kept = sorted(wanted)
        for folder in backend.folders - set(wanted):
            place = bisect(kept, f"{folder}/")
            if not any(below(each, folder) for each in kept[place : place + 1]):  # all below it would go as well
                backend.drop(folder)
        for folder in wanted:
            backend.add(folder)

    def _is_ignored(self, folder: str) -> bool:
        return self._scope.relative(folder) in self._ignored

    def _is_ordinary(self, folder: str) -> bool:
        """Is it a folder of the work tree that is watched in any case?"""
        relative = below(folder, self._scope.repo)
        if relative is None:
            return folder == self._scope.repo
        parts = relative.split("/")
        above = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        return NEVER.isdisjoint(parts) and self._ignored.isdisjoint(above)

    async def _fall_back(self, error: OSError) -> None:
        if self._backend is not None:
            await asyncio.to_thread(self._backend.stop)
            self._backend = None
        log.warning("inotify cannot watch this repository (%s): its folders are polled instead", error)
        await self._poll(str(error))

    async def _poll(self, reason: str) -> None:
        self.counts.polling, self.counts.reason = True, reason
        backend = PollingBackend(notify=self._notice, skip=self._skip_polling, interval_s=self._settings.poll_s)
        self._backend = backend
        await asyncio.to_thread(self._poll_all)
        self._count()

    def _poll_all(self) -> None:
        beside = [folder for folder in self._scope.named.watched() if not self._is_ordinary(folder)]
        for root in (self._scope.repo, *self._scope.fixed(), *beside):
            if self._backend is not None:
                self._backend.add(root)

    def _skip_polling(self, folder: str) -> bool:
        refs = self._scope.in_git(folder)
        if refs is not None:
            return not refs.enters(folder)
        if self._is_ordinary(folder):
            return not enters(folder)
        return not self._scope.named.leads(folder)

    def _count(self) -> None:
        self.counts.folders = len(self._backend.folders) if self._backend is not None else 0

    # --- a look at what was collected ---

    async def _look(self, bus: Bus) -> None:
        with self._lock:
            batch, self._batch = self._batch, _Batch()
        self._oldest = None
        self.counts.looks += 1
        # Refs and reports first: they need no question to git.
        seen = self._by_topic(batch.paths)
        await self._tell(bus, Topic.REFS_MOVED, seen[Topic.REFS_MOVED], everything=batch.everything)
        await self._tell(bus, Topic.REFS_ELSEWHERE, seen[Topic.REFS_ELSEWHERE], everything=batch.everything)
        reports = seen[Topic.TESTS_REPORTED]
        await self._tell_present(bus, Topic.TESTS_REPORTED, reports, everything=batch.everything)
        polled = self.counts.polling
        found = self._by_topic(await self._follow(batch))
        blind = self.counts.polling and not polled  # what changed while one way gave place to the other was not seen
        await self._tell(bus, Topic.REFS_MOVED, found[Topic.REFS_MOVED], everything=blind)
        await self._tell(bus, Topic.REFS_ELSEWHERE, found[Topic.REFS_ELSEWHERE], everything=blind)
        named = seen[Topic.NAMED_CHANGED] | found[Topic.NAMED_CHANGED]
        await self._tell_present(bus, Topic.NAMED_CHANGED, named, everything=batch.everything or blind)
        changed = seen[Topic.FILES_CHANGED] | found[Topic.FILES_CHANGED]
        ignored = await self._ignored_among(changed)
        await self._tell(bus, Topic.FILES_CHANGED, changed - ignored, everything=batch.everything or blind)

    def _by_topic(self, paths: Iterable[str]) -> dict[Topic, set[str]]:
        sorted_out: dict[Topic, set[str]] = {topic: set() for topic in Topic}
        for path in paths:
            topic = self._scope.topic(path)
            if topic is not None:
                sorted_out[topic].add(path)
        return sorted_out

    async def _ignored_among(self, paths: Collection[str]) -> frozenset[str]:
        """Those that git ignores. When git fails, none: an event too many is better than one too few."""
        if not paths:
            return frozenset()
        try:
            ignored = await self._ignore.ignored_among([self._scope.relative(path) for path in paths])
        except RepositoryError as error:
            log.warning("git does not say what it ignores: %s", error)
            return frozenset()
        return frozenset(f"{self._scope.repo}/{path}" for path in ignored)

    async def _learn_ignored(self) -> None:
        """When git fails, what was known stays: folders too many are watched rather than none."""
        try:
            self._ignored = frozenset(await self._ignore.ignored_folders())
        except RepositoryError as error:
            log.warning("git does not say what it ignores: %s", error)

    async def _tell(self, bus: Bus, topic: Topic, paths: Collection[str], *, everything: bool) -> None:
        """Publish those paths whose contents are not what they were."""
        changed = await asyncio.to_thread(self._checksums.changed, paths) if paths else []
        self.counts.unchanged += len(paths) - len(changed)
        if topic is Topic.FILES_CHANGED:
            changed = [self._scope.relative(path) for path in changed]
        if changed or everything:
            self.counts.published += 1
            bus.publish(Event(topic=topic, paths=tuple(sorted(changed)), everything=everything))

    async def _tell_present(self, bus: Bus, topic: Topic, paths: Collection[str], *, everything: bool) -> None:
        """Publish those paths that are there, whatever they held before: to be written again is news of a report."""
        present = await asyncio.to_thread(_existing, paths) if paths else ()
        if present or everything:
            self.counts.published += 1
            once = topic is Topic.TESTS_REPORTED and not everything
            mark = fingerprint(topic, *present) if once else ""
            bus.publish(Event(topic=topic, paths=present, everything=everything, fingerprint=mark))

    async def _follow(self, batch: _Batch) -> set[str]:
        """Watch what is new; returns the files that are in it. No watches left means polling."""
        rules_changed = batch.everything or any(Path(path).name == ".gitignore" for path in batch.paths)
        if rules_changed:
            await self._learn_ignored()
        beside = {path for path in batch.new_folders if self._scope.is_beside(path)}
        # What moved between the question that had a repository followed and the watch on it was not seen.
        anew = {f"{refs.git_dir}/HEAD" for refs in self._scope.others if refs.common_dir in beside}
        if self.counts.polling and beside:
            await asyncio.to_thread(self._poll_all)
        if self.counts.polling or not (batch.new_folders or rules_changed):
            return anew
        refs = {path for path in batch.new_folders if self._scope.is_ref_folder(path)}
        source = {path for path in batch.new_folders - refs if below(path, self._scope.repo)}
        ignored = await self._ignored_among(source)
        self._ignored |= {self._scope.relative(path) for path in ignored}
        try:
            if rules_changed or beside:
                await asyncio.to_thread(self._watch_all)
            found = await asyncio.to_thread(self._add_new, source - ignored, refs)
        except OSError as error:
            await self._fall_back(error)
            return set()
        self._count()
        found |= anew
        for folder in beside:
            found |= await asyncio.to_thread(self._scope.named.present, folder)
        return found

    def _add_new(self, source: Collection[str], refs: Collection[str]) -> set[str]:
        """Watch new folders and all below them; returns the files in them, which may be older than the watch."""
        backend = self._backend
        found: set[str] = set()
        tops = [(top, _nothing) for top in refs] + [(top, self._is_ignored) for top in source if enters(top)]
        for top, skip in tops:
            if backend is None or not _is_folder(top):
                continue
            for _, files in folders(top, skip=skip, enter=backend.add):
                found.update(files)
        return found


def _nothing(folder: str) -> bool:
    return False


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _existing(paths: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(path for path in paths if Path(path).is_file()))
