"""Pinned package versions with a known defect. Looks when pins change, and at intervals because advisories change.

Emits pins that can be moved to a version without the defect. Pins that only a tool can move (lock file, checksums) or
without a fixed version are a line in status. Advisory texts come from outside: data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import ClassVar

from ledger.errors import AdvisoriesUnavailable, OuroError
from ledger.vocabulary import Evidence, VersionAtLeast
from sensors.advisories import SPEC, WebIntelligenceSettings
from sensors.advisories.matching import Advisory, affects, list_names, merge_aliases, safe_version, spans_above
from sensors.advisories.pins import Pin, UnreadablePins, is_manifest, parse_version, pins, version_answer
from sensors.advisories.sources import sources_of
from sensors.bus import Bus, Topic, until_quiet, wake_at
from sensors.changed_files import ChangedFiles, FileFinding, Look, LookResult
from sensors.closure_checks import on_file
from sensors.ports import SensorPorts

NO_SOURCE = "neither sensors.web_intelligence.folder nor api is set"
SHOWN, GROUPS, TOLD = 2_000, 5, 3
SOON = timedelta(hours=1)
LOCKED_BY: Mapping[str, str] = {
    "poetry.lock": "`poetry update {}`",
    "uv.lock": "`uv lock --upgrade-package {}`",
    "pdm.lock": "`pdm update {}`",
    "Pipfile.lock": "`pipenv update {}`",
}


@dataclass(slots=True, kw_only=True)
class Pinned:
    """One version of one package: the files that demand it, and those that only a tool writes."""

    package: str
    version: str
    files: list[str] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)


class WebIntelligence(ChangedFiles[WebIntelligenceSettings]):
    """Its files are read whole at each look: what is new may be the advisory."""

    spec = SPEC
    checks: ClassVar = {VersionAtLeast: on_file(version_answer)}

    def __init__(self, *, ports: SensorPorts, settings: WebIntelligenceSettings) -> None:
        self._sources = sources_of(settings)
        lacks = ports.unavailable
        ports = replace(ports, unavailable=lambda: lacks() or ("" if self._sources else NO_SOURCE))
        super().__init__(ports=ports, settings=settings)
        self._seen = ""  # the commit of the last look that had its answers

    def wants(self, path: str) -> bool:
        return is_manifest(path)

    async def start(self, bus: Bus) -> None:
        """Look now, when a commit changes a pin, and every ``every_s``, until cancelled."""
        limits = self._settings
        wake = asyncio.Event()
        async with bus.subscribe(Topic.REFS_MOVED) as events, asyncio.TaskGroup() as group:
            group.create_task(wake_at(events, wake))
            due = self._clock.now()
            while True:
                due = await self._look_by(due)
                with self._ports.alarm(due, wake.set):
                    await wake.wait()
                await until_quiet(wake, quiet_s=limits.debounce_s, most_s=limits.debounce_most_s)

    async def find(self, look: Look) -> LookResult:
        pinned, wrong = await asyncio.to_thread(_pinned, look.now)
        problems = list(wrong)
        advisories: list[Advisory] = []
        failed: list[AdvisoriesUnavailable] = []
        for source in self._sources if pinned else ():
            try:
                told = await source.about({(p.package, p.version) for p in pinned})
            except AdvisoriesUnavailable as error:
                failed.append(error)
                continue
            advisories += told.advisories
            problems += [told.note] if told.note else []
        if failed and len(failed) == len(self._sources):
            raise failed[0]
        found, open_ = await asyncio.to_thread(_findings, pinned, advisories)
        more = [f"and {len(open_) - TOLD} more like these"] if len(open_) > TOLD else []
        problems += [*open_[:TOLD], *more, *map(str, failed)]
        return LookResult(findings=found, problem="; ".join(problems))

    # --- when ---

    async def _look_by(self, due: datetime) -> datetime:
        """Look if it is time, or if pins have changed; returns when it is time again."""
        now = self._clock.now()
        try:
            if now < due and not await self._changed():
                return min(due, now + self._every)
            self._seen = ""
            await self.scan_once()
            self._seen = (await self._repository.head()).commit or ""
        except OuroError as error:
            self._say(str(error), problem=str(error))
            return now + min(SOON, self._every)
        return now + self._every

    @property
    def _every(self) -> timedelta:
        return timedelta(seconds=self._settings.every_s)

    async def _changed(self) -> bool:
        head = (await self._repository.head()).commit
        if head is None or head == self._seen:
            return False
        if not self._seen or not await self._repository.has(self._seen):
            return True
        changed = any(map(self.wants, await self._repository.changed_between(self._seen, head)))
        self._seen = self._seen if changed else head
        return changed

    async def _asked(self, head: str) -> dict[str, str | None]:
        paths = await self._repository.files(head)
        return dict.fromkeys(path for path in paths if path.isprintable() and self.wants(path))


# --- pure ---


def _pinned(files: Mapping[str, bytes]) -> tuple[list[Pinned], list[str]]:
    """What the files pin, each version of a package once; and which files cannot be read."""
    found: dict[tuple[str, str], Pinned] = {}
    wrong = []
    for path, data in sorted(files.items()):
        try:
            told = pins(path, data)
        except UnreadablePins as error:
            wrong.append(f"{path} cannot be read: {error}")
            continue
        for pin in told:
            if pin.version is not None and parse_version(pin.version) is not None:
                key = (pin.package, pin.version)
                _note(found.setdefault(key, Pinned(package=pin.package, version=pin.version)), path, pin)
    return list(found.values()), wrong


def _note(pinned: Pinned, path: str, pin: Pin) -> None:
    places = pinned.locks if pin.locked else pinned.files
    if path not in places:
        places.append(path)


def _findings(pinned: Sequence[Pinned], advisories: Sequence[Advisory]) -> tuple[list[FileFinding], list[str]]:
    """What can be mended by moving a pin; and, in words, what cannot."""
    found, open_ = list[FileFinding](), list[str]()
    for one in pinned:
        version = parse_version(one.version)
        if version is None:
            continue
        hits = [advisory for advisory in advisories if affects(advisory, one.package, version)]
        if not hits:
            continue
        groups = merge_aliases(hits)
        about = [a for a in advisories if not a.withdrawn]
        better = safe_version(one.package, version, about)
        who = ", ".join(list_names(group) for group in groups[:GROUPS])
        if better is None:
            places = ", ".join([*one.files, *one.locks])
            open_.append(f"{places}: {one.package} {one.version} has {who}, and no version is known to be without")
            continue
        but = spans_above(one.package, better, about)
        for path in one.files:
            check = VersionAtLeast(path=path, package=one.package, version=str(better), but=but)
            found.append(_finding(one, check, groups, who))
        open_ += [_of_lock(one, path, str(better), who) for path in one.locks]
    return found, open_


def _of_lock(one: Pinned, path: str, better: str, who: str) -> str:
    how = LOCKED_BY.get(PurePosixPath(path).name, "the tool that writes its checksums").format(one.package)
    return f"{path}: {one.package} {one.version} has {who}; {how} moves it to {better} or later"


def _finding(one: Pinned, check: VersionAtLeast, groups: Sequence[Sequence[Advisory]], who: str) -> FileFinding:
    path = check.path
    return FileFinding(
        path=path,
        what=f"{one.package} {one.version} {' '.join(group[0].id for group in groups)}",
        goal=f"Move the pin of {one.package} in {path} from {one.version} to {check.version} or later: {who}",
        closure=check,
        targets=(path, *(other for other in one.files if other != path)),
        evidence=tuple(_evidence(one, group) for group in groups[:GROUPS]),
        confidence_bp=9_000,
    )


def _evidence(one: Pinned, group: Sequence[Advisory]) -> Evidence:
    words = next((f"{a.summary}\n\n{a.details}" for a in group if a.summary or a.details), "")
    return Evidence(
        claim=f"Advisory {list_names(group)} speaks of {one.package} {one.version}",
        evidence=words.strip()[:SHOWN] or "It gives no reasons.",
        confidence_bp=9_000,
        source="advisory",
    )
