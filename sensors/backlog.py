"""Items of the owner's backlog that are ready: work that he asked for, a little at a time."""

from __future__ import annotations

import asyncio

from ledger.vocabulary import Evidence, ItemDone, Source
from sensors.backlog_items import READERS, BacklogItem, Unreadable, items, ready
from sensors.changed_files import ChangedFiles, Doors, Finding, Found, Look
from sensors.settings import BacklogSettings


class Backlog(ChangedFiles):
    """An item is said once, whatever becomes of it; the daemon marks it as done in the commit that does it."""

    source = Source.BACKLOG
    quiet = True

    def __init__(self, *, doors: Doors, settings: BacklogSettings | None = None) -> None:
        super().__init__(doors=doors, settings=settings or BacklogSettings())

    def wants(self, path: str) -> bool:
        return path in READERS

    async def find(self, look: Look) -> Found:
        return await asyncio.to_thread(_find, look)


def _find(look: Look) -> Found:
    found = Found()
    for path, data in look.now.items():
        try:
            found.findings += [_finding(path, item) for item in ready(items(path, data))]
        except Unreadable as error:
            found.problem = f"{path} cannot be read: {error}."
    return found


def _finding(path: str, item: BacklogItem) -> Finding:
    wish = Evidence(
        claim="The owner's backlog asks for it", evidence=f"{path}: {item.name[:400]}", confidence_bp=10_000,
        source="backlog",
    )  # fmt: skip
    return Finding(
        path=path,
        what=item.digest,
        goal=item.goal,
        closure=ItemDone(path=path, item=item.digest),
        targets=item.files,
        evidence=(wish,),
        confidence_bp=10_000,
    )
