"""Changes that the owner took back or turned down: the same diff is never applied again."""

from __future__ import annotations

from ledger.store import Ledger, Statement

SCHEMA = "CREATE TABLE IF NOT EXISTS refused_diffs (hash TEXT PRIMARY KEY, op_id TEXT NOT NULL, why TEXT NOT NULL);"


class Refused:
    """Hashes of refused diffs, kept in the ledger's database."""

    def __init__(self, *, ledger: Ledger) -> None:
        self._ledger = ledger

    async def prepare(self) -> None:
        await self._ledger.ensure(SCHEMA)

    async def hashes(self) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in await self._ledger.query("SELECT hash FROM refused_diffs ORDER BY hash"))

    @staticmethod
    def statement(diff_hash: str, op_id: str, why: str) -> Statement:
        """To land together with the entry that says so."""
        return ("INSERT OR IGNORE INTO refused_diffs VALUES (?, ?, ?)", (diff_hash, op_id, why))
