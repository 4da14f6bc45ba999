"""The last turns of the conversation with the owner: durable, bounded, without secrets.

The words stand in a table and not in the entries, which nobody can shorten: what falls out of the bound is gone.
"""

from __future__ import annotations

from ledger.clock import Clock, stamp
from ledger.events.sensing import ConversationTurnKept
from ledger.store import Ledger, Statement
from sensors.doors import Redact
from sensors.said import Said

SCHEMA = """
CREATE TABLE IF NOT EXISTS conversation (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, said TEXT NOT NULL
);
"""


class Conversation:
    """Keeps ``turns`` turns: what the owner said, and what was answered."""

    def __init__(self, *, ledger: Ledger, clock: Clock, redact: Redact, turns: int, turn_chars: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._redact = redact
        self._kept = 2 * turns
        self._chars = turn_chars

    async def add(self, owner: str, answer: str) -> None:
        """One turn, whole. Secrets are taken out before a text is cut, so that none is left in part."""
        await self._ledger.ensure(SCHEMA)
        at = stamp(self._clock.now())
        rows: list[Statement] = [
            ("INSERT INTO conversation (at, who, said) VALUES (?, ?, ?)", (at, who, self._redact(text)[: self._chars]))
            for who, text in (("owner", owner), ("ouroboros", answer))
        ]
        forget: Statement = (
            "DELETE FROM conversation WHERE number <= (SELECT max(number) FROM conversation) - ?",
            (self._kept,),
        )
        await self._ledger.append(ConversationTurnKept(chars=len(owner)).draft(), project=(*rows, forget))

    async def last(self) -> tuple[Said, ...]:
        """What is kept, oldest first."""
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT who, said, at FROM conversation ORDER BY number")
        return tuple(
            Said(who="owner" if who == "owner" else "ouroboros", text=str(text), at=str(at)) for who, text, at in rows
        )
