"""Stores wishes inferred from the owner's words, and the answers: a wish that was refused is not asked about again."""

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
    """A question: does a wish become work? ``before``: words that led to it; ``at``: time of question or answer."""

    id: str
    wish: Wish
    before: tuple[Evidence, ...] = ()
    status: Status = "open"
    reason: str = ""
    at: str = ""


class WishBook:
    """Questions about wishes, and their answers. An open one expires after ``days`` without becoming work."""

    def __init__(self, *, ledger: Ledger, clock: Clock, days: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._days = days

    async def open(self) -> tuple[WishQuestion, ...]:
        """Questions that wait for an answer, oldest first."""
        return await self._read("status = 'open' AND at > ?", self._oldest())

    async def earlier(self, wish: Wish) -> WishQuestion | None:
        """The earlier question about the same wish, unless it expired unanswered."""
        found = await self._read("key = ?", _key(wish))
        return next((asked for asked in found if asked.status != "open" or asked.at > self._oldest()), None)

    async def find(self, reference: str) -> WishQuestion | None:
        """The open question with this id."""
        return next((asked for asked in await self.open() if asked.id == reference.strip().lower()), None)

    async def ask(self, wish: Wish, before: tuple[Evidence, ...]) -> WishQuestion:
        """Store a new question. The ledger entry has no text of the owner's: that is recorded only if he confirms."""
        now = stamp(self._clock.now())
        asked = WishQuestion(id=f"w-{uuid7_hex()[-6:]}", wish=wish, before=before, at=now)
        put: Statement = (
            "INSERT OR REPLACE INTO wishes VALUES (?, ?, ?, 'open', '', ?)",
            (asked.id, _key(wish), asked.model_dump_json(), now),
        )
        expired: Statement = ("DELETE FROM wishes WHERE status = 'open' AND at <= ?", (self._oldest(),))
        excess: Statement = (
            "DELETE FROM wishes WHERE rowid <= (SELECT max(rowid) FROM wishes) - ?",
            (REMEMBERED,),
        )
        event = WishAsked(id=asked.id, kind=wish.kind.value, confidence_bp=wish.confidence_bp, names=wish.names)
        await self._write(event, put, expired, excess)
        return asked

    async def settle(self, asked: WishQuestion, *, yes: bool, reason: str, signal: str = "") -> None:
        """Record the owner's answer."""
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
    """Keeps the latest ``turns`` turns, each with the owner's text and the reply."""

    def __init__(self, *, ledger: Ledger, clock: Clock, redact: Redact, turns: int, turn_chars: int) -> None:
        self._ledger = ledger
        self._clock = clock
        self._redact = redact
        self._kept = 2 * turns
        self._chars = turn_chars

    async def add(self, owner: str, answer: str) -> None:
        """Add one turn. Secrets are redacted before a text is cut, so that no part of one remains."""
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
        """The kept turns, oldest first."""
        await self._ledger.ensure(SCHEMA)
        rows = await self._ledger.query("SELECT who, said, at FROM conversation ORDER BY number")
        return tuple(
            ConversationTurn(who="owner" if who == "owner" else "ouroboros", text=str(text), at=str(at))
            for who, text, at in rows
        )
