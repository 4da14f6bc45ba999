"""Sensor for pinned packages with a known vulnerability. Looks when pins change, and at intervals for new advisories.

Emits a signal for each pin that can be moved to a fixed version. Pins in files that only a tool can write (lock file,
checksums), and pins without a fixed version, are listed in the sensor's status. Advisory texts are untrusted data.
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
TEXT_CHARACTERS, GROUPS, LISTED = 2_000, 5, 3
RETRY = timedelta(hours=1)
LOCK_COMMANDS: Mapping[str, str] = {
    "poetry.lock": "`poetry update {}`",
    "uv.lock": "`uv lock --upgrade-package {}`",
    "pdm.lock": "`pdm update {}`",
    "Pipfile.lock": "`pipenv update {}`",
}


@dataclass(slots=True, kw_only=True)
class Pinned:
    """One version of one package: the ``files`` that pin it, and the ``locks`` that do, which only a tool may write."""

    package: str
    version: str
    files: list[str] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)


class WebIntelligence(ChangedFiles[WebIntelligenceSettings]):
    """Reads all manifests at each look, not only changed ones: the advisory may be new."""

    spec = SPEC
    checks: ClassVar = {VersionAtLeast: on_file(version_answer)}

    def __init__(self, *, ports: SensorPorts, settings: WebIntelligenceSettings) -> None:
        self._sources = sources_of(settings)
        inherited = ports.unavailable
        ports = replace(ports, unavailable=lambda: inherited() or ("" if self._sources else NO_SOURCE))
        super().__init__(ports=ports, settings=settings)
        self._seen = ""  # the commit of the last complete look

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
                due = await self._look_if_due(due)
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
                answer = await source.about({(p.package, p.version) for p in pinned})
            except AdvisoriesUnavailable as error:
                failed.append(error)
                continue
            advisories += answer.advisories
            problems += [answer.note] if answer.note else []
        if failed and len(failed) == len(self._sources):
            raise failed[0]
        found, unfixed = await asyncio.to_thread(_findings, pinned, advisories)
        more = [f"and {len(unfixed) - LISTED} more like these"] if len(unfixed) > LISTED else []
        problems += [*unfixed[:LISTED], *more, *map(str, failed)]
        return LookResult(findings=found, problem="; ".join(problems))

    # --- when ---

    async def _look_if_due(self, due: datetime) -> datetime:
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
            return now + min(RETRY, self._every)
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

    async def _files_to_scan(self, head: str) -> dict[str, str | None]:
        paths = await self._repository.files(head)
        return dict.fromkeys(path for path in paths if path.isprintable() and self.wants(path))


# --- pure ---


def _pinned(files: Mapping[str, bytes]) -> tuple[list[Pinned], list[str]]:
    """Pinned versions of packages, and a message for each file that cannot be read."""
    found: dict[tuple[str, str], Pinned] = {}
    wrong = []
    for path, data in sorted(files.items()):
        try:
            in_file = pins(path, data)
        except UnreadablePins as error:
            wrong.append(f"{path} cannot be read: {error}")
            continue
        for pin in in_file:
            if pin.version is not None and parse_version(pin.version) is not None:
                key = (pin.package, pin.version)
                _add_place(found.setdefault(key, Pinned(package=pin.package, version=pin.version)), path, pin)
    return list(found.values()), wrong


def _add_place(pinned: Pinned, path: str, pin: Pin) -> None:
    places = pinned.locks if pin.locked else pinned.files
    if path not in places:
        places.append(path)


def _findings(pinned: Sequence[Pinned], advisories: Sequence[Advisory]) -> tuple[list[FileFinding], list[str]]:
    """Findings for pins that can be moved to a fixed version, and a message for each of the others."""
    found, unfixed = list[FileFinding](), list[str]()
    for pin in pinned:
        version = parse_version(pin.version)
        if version is None:
            continue
        hits = [advisory for advisory in advisories if affects(advisory, pin.package, version)]
        if not hits:
            continue
        groups = merge_aliases(hits)
        current = [a for a in advisories if not a.withdrawn]
        fixed = safe_version(pin.package, version, current)
        names = ", ".join(list_names(group) for group in groups[:GROUPS])
        if fixed is None:
            places = ", ".join([*pin.files, *pin.locks])
            unfixed.append(f"{places}: {pin.package} {pin.version} has {names}, and no fixed version is known")
            continue
        excluded = spans_above(pin.package, fixed, current)
        for path in pin.files:
            check = VersionAtLeast(path=path, package=pin.package, version=str(fixed), but=excluded)
            found.append(_finding(pin, check, groups, names))
        unfixed += [_lock_message(pin, path, str(fixed), names) for path in pin.locks]
    return found, unfixed


def _lock_message(pin: Pinned, path: str, fixed: str, names: str) -> str:
    how = LOCK_COMMANDS.get(PurePosixPath(path).name, "the tool that writes its checksums").format(pin.package)
    return f"{path}: {pin.package} {pin.version} has {names}; {how} moves it to {fixed} or later"


def _finding(pin: Pinned, check: VersionAtLeast, groups: Sequence[Sequence[Advisory]], names: str) -> FileFinding:
    path = check.path
    return FileFinding(
        path=path,
        what=f"{pin.package} {pin.version} {' '.join(group[0].id for group in groups)}",
        goal=f"Move the pin of {pin.package} in {path} from {pin.version} to {check.version} or later: {names}",
        closure=check,
        targets=(path, *(other for other in pin.files if other != path)),
        evidence=tuple(_evidence(pin, group) for group in groups[:GROUPS]),
        confidence_bp=9_000,
    )


def _evidence(pin: Pinned, group: Sequence[Advisory]) -> Evidence:
    words = next((f"{a.summary}\n\n{a.details}" for a in group if a.summary or a.details), "")
    return Evidence(
        claim=f"Advisory {list_names(group)} is about {pin.package} {pin.version}",
        evidence=words.strip()[:TEXT_CHARACTERS] or "The advisory has no text.",
        confidence_bp=9_000,
        source="advisory",
    )
