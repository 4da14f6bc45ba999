"""Memory as the phases use it, read from the ledger each time so that nothing is lost in a restart."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from governance.memory.history import OUTCOMES, PastOp, past_ops
from governance.memory.lessons import Lessons
from governance.memory.reputation import TIME_TO_LIVE, Reputation, reputations
from governance.memory.settings import MemorySettings
from ledger.clock import Clock
from ledger.store import Ledger

READ = 4_000  # outcome entries, newest first: more than a week of work at the governor's cap of changes
TOLD = 5
TOLD_CHARS = 240


class RepositoryMemory:
    """Memory of one repository. :attr:`lessons` cover the current boot only."""

    def __init__(self, *, ledger: Ledger, clock: Clock, settings: MemorySettings) -> None:
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self.lessons = Lessons()

    async def load(self) -> None:
        """Call once before any op: earlier boots' results are the baseline for this boot's lessons."""
        past = await self._past()
        self.lessons.begin(sum(each.good for each in past), len(past))

    async def reputations(self, paths: Collection[str]) -> tuple[Reputation, ...]:
        """Reputations of ``paths``; empty when the owner has switched them off."""
        if not self._settings.reputation or not paths:
            return ()
        return reputations(await self._past(), paths, self._clock.now())

    async def advice(self, paths: Collection[str]) -> tuple[str, ...]:
        """Why earlier changes of ``paths`` failed, newest first, for the prompt of a model that changes them again."""
        if not self._settings.history:
            return ()
        now, wanted = self._clock.now(), frozenset(paths)
        failures = [each for each in reversed(await self._past()) if not each.good and wanted.intersection(each.files)]
        return tuple(_line(each, now) for each in failures if now - each.when < TIME_TO_LIVE)[:TOLD]

    def taught(self) -> tuple[str, ...]:
        """This boot's lessons for a prompt; empty when switched off."""
        return self.lessons.for_prompt() if self._settings.lessons else ()

    async def _past(self) -> tuple[PastOp, ...]:
        entries = await self._ledger.entries(events=OUTCOMES, newest_first=True, limit=READ)
        return past_ops(reversed(entries))


def _line(past: PastOp, now: datetime) -> str:
    days = (now - past.when).days
    when = {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")
    what = "was turned down" if past.taken_back else "failed"
    return f"{when}, a change of {', '.join(past.files[:3])} {what}: {past.why}"[:TOLD_CHARS]
