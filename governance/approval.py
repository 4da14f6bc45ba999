"""The approval inbox: what waits for a person, stored whole, and closed when nobody comes.

A request lives in the ledger: it survives a restart, and it expires to *rejected*. Only the control socket reaches
:meth:`Inbox.decide`; no signal, webhook or model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from governance.dossier import Dossier
from governance.irongate import g08_approval
from governance.record import Recorder
from governance.settings import ApprovalSettings
from ledger.clock import Clock, stamp, unstamp
from ledger.errors import ControlError
from ledger.store import Ledger, SqlValue, Statement
from ledger.vocabulary import Decision, Entry, EntryKind, Operation, Spend, State

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    op_id TEXT PRIMARY KEY, operation TEXT NOT NULL, dossier TEXT NOT NULL,
    requested_at TEXT NOT NULL, expires_at TEXT NOT NULL, reason TEXT NOT NULL
);
"""

COLUMNS = "operation, dossier, requested_at, expires_at, reason"

Answer = Literal["approved", "rejected", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One op that waits, with everything that is needed to take it up again.

    ``spend`` is its cost before it waited, ``left_ms`` what it had left of its own working time (None: not known).
    """

    op: Operation
    dossier: Dossier
    requested_at: datetime
    expires_at: datetime
    reason: str
    spend: Spend
    left_ms: int | None


class Inbox:
    """Durable requests. The pool owns the waiting."""

    def __init__(self, *, ledger: Ledger, clock: Clock, settings: ApprovalSettings) -> None:
        self._ledger = ledger
        self._clock = clock
        self._settings = settings

    async def prepare(self) -> None:
        """Make the table. What another version of the daemon stored and this one cannot read expires here and now."""
        await self._ledger.ensure(SCHEMA)
        for op_id, *row in await self._ledger.query(f"SELECT op_id, {COLUMNS} FROM inbox"):
            try:
                await self._read(row)
            except ValidationError as error:
                await self._expire_unread(str(op_id), error)

    async def request(
        self, record: Recorder, op: Operation, dossier: Dossier, reason: str, *, left_ms: int | None = None
    ) -> Request:
        """Store the op whole and ask. Asking again (after a restart) keeps the first expiry."""
        for waiting in await self.pending():
            if waiting.op.id == op.id:
                return waiting
        now = self._clock.now()
        expires = now + timedelta(seconds=self._settings.timeout_s)
        operation = await self._ledger.put_blob(op.model_dump_json().encode())
        stored = await self._ledger.put_blob(dossier.model_dump_json().encode())
        row = (op.id, operation, stored, stamp(now), stamp(expires), reason)
        await record.note(
            EntryKind.APPROVAL, "approval.requested", phase=State.APPROVE, reason=reason, expires_at=stamp(expires),
            operation=operation, dossier=stored, tier=dossier.tier.name, left_ms=left_ms,
            project=(("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?)", row),),
        )  # fmt: skip
        return Request(
            op=op, dossier=dossier, requested_at=now, expires_at=expires, reason=reason, spend=record.spend,
            left_ms=left_ms,
        )  # fmt: skip

    async def pending(self) -> tuple[Request, ...]:
        """All that waits, oldest first."""
        rows = await self._ledger.query(f"SELECT {COLUMNS} FROM inbox ORDER BY requested_at")
        return tuple([await self._read(row) for row in rows])

    async def _read(self, row: Sequence[SqlValue]) -> Request:
        """A row of the table. Raises ``ValidationError`` for what another version has stored."""
        operation, dossier, requested_at, expires_at, reason = map(str, row)
        op = Operation.model_validate_json(await self._ledger.get_blob(operation))
        asked = await self._asked(op.id)
        return Request(
            op=op,
            dossier=Dossier.model_validate_json(await self._ledger.get_blob(dossier)),
            requested_at=unstamp(requested_at),
            expires_at=unstamp(expires_at),
            reason=reason,
            spend=asked.spend if asked else Spend(),
            left_ms=asked.payload.get("left_ms") if asked else None,
        )

    async def _asked(self, op_id: str) -> Entry | None:
        """The entry of the request that stands, if the record still has it."""
        told = await self._ledger.entries(op_id=op_id, kinds=(EntryKind.APPROVAL,), newest_first=True)
        return next((e for e in told if e.payload.get("event") == "approval.requested"), None)

    async def _expire_unread(self, op_id: str, error: ValidationError) -> None:
        """Nobody can be shown what they would approve, so it is rejected, and boot recovery ends the op."""
        asked, first = await self._asked(op_id), error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        reason = (
            f"The request was stored by another version of Ouroboros and cannot be read by this one: "
            f"{error.title} {where}: {first['msg']}."
        )
        await Recorder(self._ledger, op_id=op_id, spend=asked.spend if asked else None).note(
            EntryKind.APPROVAL, "approval.expired", phase=State.APPROVE, by="nobody", reason=reason,
            rule="inbox.unreadable", project=(self.closing(op_id),),
        )  # fmt: skip

    @staticmethod
    def closing(op_id: str) -> Statement:
        """Takes the op's request away; to land together with the entry that says why."""
        return ("DELETE FROM inbox WHERE op_id = ?", (op_id,))

    def seconds_left(self, request: Request) -> float:
        return (request.expires_at - self._clock.now()).total_seconds()

    async def decide(
        self, op_id: str, answer: Answer, *, by: str, reason: str = "", when_rejected: tuple[Statement, ...] = ()
    ) -> Answer:
        """Close a request and say how it was closed: an approval after the expiry is refused by gate 8.

        ``when_rejected`` lands together with a rejection: a crash right after it must not forget what was refused.
        Raises ``ControlError`` when nothing waits under ``op_id``.
        """
        request = next((r for r in await self.pending() if r.op.id == op_id), None)
        if request is None:
            raise ControlError(f"{op_id} does not wait for approval.", remedy="`ouro ops` shows what waits.")
        verdict = g08_approval.check(
            g08_approval.Facts(
                requested_at=request.requested_at,
                now=self._clock.now(),
                limit_s=round((request.expires_at - request.requested_at).total_seconds()),
                has_terminal=False,
            )
        )
        late = answer == "approved" and verdict.decision is not Decision.ALLOW
        final: Answer = "expired" if late else answer
        closed = (self.closing(op_id),)
        await Recorder(self._ledger, op_id=op_id, spend=request.spend).note(
            EntryKind.APPROVAL, f"approval.{final}", phase=State.APPROVE, by=by, reason=reason or verdict.reason,
            rule=verdict.rule, project=closed + (when_rejected if final == "rejected" else ()),
        )  # fmt: skip
        return final
