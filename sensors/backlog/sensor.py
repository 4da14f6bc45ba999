"""Signals for ready items of the committed backlog file, one at a time."""

from __future__ import annotations

import asyncio

from ledger.vocabulary import Evidence, ItemDone, Source
from sensors.backlog.items import READERS, BacklogItem, UnreadableBacklog, items, ready
from sensors.backlog.settings import BacklogSettings
from sensors.changed_files import ChangedFiles, FileFinding, Look, LookResult
from sensors.ports import SensorPorts


class Backlog(ChangedFiles):
    """Emits each item once. The daemon marks it as done in the commit that does it."""

    source = Source.BACKLOG
    quiet = True

    def __init__(self, *, ports: SensorPorts, settings: BacklogSettings | None = None) -> None:
        super().__init__(ports=ports, settings=settings or BacklogSettings())

    def wants(self, path: str) -> bool:
        return path in READERS

    async def find(self, look: Look) -> LookResult:
        return await asyncio.to_thread(_find, look)


def _find(look: Look) -> LookResult:
    found = LookResult()
    for path, data in look.now.items():
        try:
            found.findings += [_finding(path, item) for item in ready(items(path, data))]
        except UnreadableBacklog as error:
            found.problem = f"{path} cannot be read: {error}."
    return found


def _finding(path: str, item: BacklogItem) -> FileFinding:
    wish = Evidence(
        claim="The owner's backlog asks for it",
        evidence=f"{path}: {item.name[:400]}",
        confidence_bp=10_000,
        source="backlog",
    )
    return FileFinding(
        path=path,
        what=item.digest,
        goal=item.goal,
        closure=ItemDone(path=path, item=item.digest),
        targets=item.files,
        evidence=(wish,),
        confidence_bp=10_000,
    )
