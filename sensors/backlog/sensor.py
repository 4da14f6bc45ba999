"""Signals for ready items of the committed backlog file, one at a time."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from ledger.vocabulary import Evidence, ItemDone
from sensors.backlog import SPEC, BacklogSettings
from sensors.backlog.items import READERS, BacklogItem, UnreadableBacklog, item_answer, items, mark_item, ready
from sensors.changed_files import ChangedFiles, FileFinding, Look, LookResult
from sensors.closure_checks import on_file


class Backlog(ChangedFiles[BacklogSettings]):
    """Emits each item once. The daemon marks it as done in the commit that does it."""

    spec = SPEC
    checks: ClassVar = {ItemDone: on_file(item_answer)}
    marks: ClassVar = {ItemDone: mark_item}
    first_line = ""

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
