"""Wishes that were inferred, and the owner's answers. Durable: after a no the question is not repeated."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from ledger.clock import Clock, stamp
from ledger.events.event import LedgerEvent
from ledger.events.sensing import ConversationTurnKept, WishAsked, WishConfirmed, WishRefused
from ledger.ids import sha256_hex, uuid7_hex
from ledger.store import Ledger, Statement
from ledger.vocabulary import Evidence, Frozen
from sensors.intent.wishes import Wish, key_words
from sensors.ports import Redact
from sensors.requests.replies import ConversationTurn

SCHEMA = """
CREATE TABLE IF NOT EXISTS wishes (
    id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, wish TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS conversation (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL, said TEXT NOT NULL
);
"""
REMEMBERED = 1_000
Status = Literal["open", "yes", "no"]


class WishQuestion(Frozen):
    """A wish, and the words that led to it. ``at``: when it was asked or answered."""

    id: str
    wish: Wish
    before: tuple[Evidence, ...] = ()
    status: Status = "open"
    reason: str = ""
    at: str = ""


class WishBook:
    """Questions to the owner. An open one ends by itself after ``days``: silence is no yes."""

    def __init__(self, *, ledger: Ledger, clock: Clock, days: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._days = days

    async def open(self) -> tuple[WishQuestion, ...]:
        """What waits for an answer, oldest first."""
        return await self._read("status = 'open' AND at > ?", self._oldest())

    async def about(self, wish: Wish) -> WishQuestion | None:
        """What became of the same wish before; an open one that has run out is none."""
        found = await self._read("key = ?", _key(wish))
        return next((asked for asked in found if asked.status != "open" or asked.at > self._oldest()), None)

    async def find(self, reference: str) -> WishQuestion | None:
        """The open question with this id."""
        return next((asked for asked in await self.open() if asked.id == reference.strip().lower()), None)

    async def ask(self, wish: Wish, before: tuple[Evidence, ...]) -> WishQuestion:
        """A new question. The entry holds no words: those are the owner's until he confirms."""
        now = stamp(self._clock.now())
        asked = WishQuestion(id=f"w-{uuid7_hex()[-6:]}", wish=wish, before=before, at=now)
        put: Statement = (
            "INSERT OR REPLACE INTO wishes VALUES (?, ?, ?, 'open', '', ?)",
            (asked.id, _key(wish), asked.model_dump_json(), now),
        )
        gone: Statement = ("DELETE FROM wishes WHERE status = 'open' AND at <= ?", (self._oldest(),))
        fewer: Statement = (
            "DELETE FROM wishes WHERE rowid <= (SELECT max(rowid) FROM wishes) - ?",
            (REMEMBERED,),
        )
        event = WishAsked(id=asked.id, kind=wish.kind.value, confidence_bp=wish.confidence_bp, names=wish.names)
        await self._write(event, put, gone, fewer)
        return asked

    async def settle(self, asked: WishQuestion, *, yes: bool, reason: str, signal: str = "") -> None:
        """The owner's answer."""
        status = "yes" if yes else "no"
        change: Statement = (
            "UPDATE wishes SET status = ?, reason = ?, at = ? WHERE id = ?",
            (status, reason, stamp(self._clock.now()), asked.id),
        )
        event = WishConfirmed if yes else WishRefused
        await self._write(event(id=asked.id, reason=reason, **({"signal": signal} if signal else {})), change)

    async def _read(self, where: str, *values: str) -> tuple[WishQuestion, ...]:
        await self._ledger.ensure(SCHEMA)
        sql = f"SELECT wish, status, reason, at FROM wishes WHERE {where} ORDER BY at, id"
        rows = await self._ledger.query(sql, values)
        return tuple(
            WishQuestion.model_validate_json(str(text)).model_copy(
                update={"status": status, "reason": reason, "at": at}
            )
            for text, status, reason, at in rows
        )

    def _oldest(self) -> str:
        return stamp(self._clock.now() - timedelta(days=self._days))

    async def _write(self, event: LedgerEvent, *project: Statement) -> None:
        await self._ledger.ensure(SCHEMA)
        await self._ledger.append(event.draft(), project=project)


def _key(wish: Wish) -> str:
    return sha256_hex(key_words(wish.text))


class ConversationLog:
    """Keeps ``turns`` turns: the owner's text, and the reply."""

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

    async def last(self) -> tuple[ConversationTurn, ...]:
        """What is kept, oldest first."""
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT who, said, at FROM conversation ORDER BY number")
        return tuple(
            ConversationTurn(who="owner" if who == "owner" else "ouroboros", text=str(text), at=str(at))
            for who, text, at in rows
        )
