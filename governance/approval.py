"""The approval inbox: what waits for a person, stored whole, and closed when nobody comes.

A request lives in the ledger: it survives a restart, and it expires to *rejected*. Only the control socket reaches
:meth:`Inbox.decide`; no signal, webhook or model does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from governance.dossier import Dossier
from governance.irongate import g08_approval
from governance.record import Recorder
from governance.settings import ApprovalSettings
from ledger.clock import Clock, stamp, unstamp
from ledger.errors import ControlError
from ledger.store import Ledger, Statement
from ledger.vocabulary import Decision, EntryKind, Operation, State

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    op_id TEXT PRIMARY KEY, operation TEXT NOT NULL, dossier TEXT NOT NULL,
    requested_at TEXT NOT NULL, expires_at TEXT NOT NULL, reason TEXT NOT NULL
);
"""

Answer = Literal["approved", "rejected", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One op that waits, with everything that is needed to take it up again."""

    op: Operation
    dossier: Dossier
    requested_at: datetime
    expires_at: datetime
    reason: str


class Inbox:
    """Durable requests. The pool owns the waiting."""

    def __init__(self, *, ledger: Ledger, clock: Clock, settings: ApprovalSettings) -> None:
        self._ledger = ledger
        self._clock = clock
        self._settings = settings

    async def prepare(self) -> None:
        await self._ledger.ensure(SCHEMA)

    async def request(self, record: Recorder, op: Operation, dossier: Dossier, reason: str) -> Request:
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
            operation=operation, dossier=stored, tier=dossier.tier.name,
            project=(("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?)", row),),
        )  # fmt: skip
        return Request(op=op, dossier=dossier, requested_at=now, expires_at=expires, reason=reason)

    async def pending(self) -> tuple[Request, ...]:
        """All that waits, oldest first."""
        rows = await self._ledger.query(
            "SELECT operation, dossier, requested_at, expires_at, reason FROM inbox ORDER BY requested_at"
        )
        found = []
        for operation, dossier, requested_at, expires_at, reason in rows:
            found.append(
                Request(
                    op=Operation.model_validate_json(await self._ledger.get_blob(str(operation))),
                    dossier=Dossier.model_validate_json(await self._ledger.get_blob(str(dossier))),
                    requested_at=unstamp(str(requested_at)),
                    expires_at=unstamp(str(expires_at)),
                    reason=str(reason),
                )
            )
        return tuple(found)

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
        closed: tuple[Statement, ...] = (("DELETE FROM inbox WHERE op_id = ?", (op_id,)),)
        await Recorder(self._ledger, op_id=op_id).note(
            EntryKind.APPROVAL, f"approval.{final}", phase=State.APPROVE, by=by, reason=reason or verdict.reason,
            rule=verdict.rule, project=closed + (when_rejected if final == "rejected" else ()),
        )  # fmt: skip
        return final
