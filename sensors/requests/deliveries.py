"""Durable webhook deliveries: keys for deduplication, and news that is not processed yet.

An acknowledged delivery is not sent again, so it is in the ledger before it is acknowledged, and stays until the sensor
has processed it; the bus only wakes that sensor.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.events.sensing import IssueJudged, IssuePolled, WebhookTaken
from ledger.ids import sha256_hex
from ledger.store import Ledger, SqlValue, Statement
from ledger.vocabulary import Frozen
from sensors.requests.news import IssueNews

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhook_seen (
    key TEXT PRIMARY KEY,
    until_s INTEGER
);
CREATE TABLE IF NOT EXISTS webhook_waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    news TEXT NOT NULL REFERENCES blobs (sha256)
);
"""


class WaitingNews(Frozen):
    """News that were taken and not dealt with."""

    number: int
    news: IssueNews


class Deliveries:
    """Reads and writes both tables."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    async def seen(self, keys: Sequence[str]) -> bool:
        """Has a delivery with one of these keys been taken, in this boot or an earlier one?"""
        await self._ledger.ensure(SCHEMA)
        marks = ",".join("?" * len(keys))
        rows = await self._ledger.query(f"SELECT 1 FROM webhook_seen WHERE key IN ({marks}) LIMIT 1", tuple(keys))
        return bool(rows)

    async def take(
        self,
        event: IssuePolled | WebhookTaken,
        *,
        keys: Sequence[str],
        now_s: int,
        until_s: int | None,
        news: IssueNews | None,
    ) -> None:
        """Record a delivery with ``event``, all or nothing; the entry names the blob that holds its news.

        ``until_s`` None: it is known again for good.
        """
        await self._ledger.ensure(SCHEMA)
        project: list[Statement] = [("DELETE FROM webhook_seen WHERE until_s < ?", (now_s,))]
        for key in keys:
            row: tuple[SqlValue, ...] = (key, until_s)
            project.append(("INSERT INTO webhook_seen (key, until_s) VALUES (?, ?)", row))
        if news is None:
            await self._ledger.append(event.draft(), project=project)
            return
        data = news.model_dump_json().encode()
        project.append(("INSERT INTO webhook_waiting (news) VALUES (?)", (sha256_hex(data),)))
        named = event.model_copy(update={"blob": sha256_hex(data)})
        await self._ledger.append(named.draft(), project=project, blobs=(data,))

    async def waiting(self, *, after: int = 0) -> WaitingNews | None:
        """The oldest news after number ``after`` that are not dealt with."""
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query(
            "SELECT number, news FROM webhook_waiting WHERE number > ? ORDER BY number LIMIT 1", (after,)
        )
        if not rows:
            return None
        data = await self._ledger.get_blob(str(rows[0][1]))
        return WaitingNews(number=int(str(rows[0][0])), news=IssueNews.model_validate_json(data))

    async def dealt_with(self, waiting: WaitingNews, event: IssueJudged, *project: Statement) -> None:
        """It is dealt with; what became of it is recorded with ``event`` (and ``project``), all or nothing."""
        gone: Statement = ("DELETE FROM webhook_waiting WHERE number = ?", (waiting.number,))
        await self._ledger.append(event.draft(), project=(gone, *project))
