"""The approval inbox: requests for the owner's approval, which expire if they are not answered.

A request is stored in the ledger with all that is needed to resume its op, so it survives a restart. Only the control
socket calls :meth:`Inbox.decide`; no signal, webhook or model does. What is approved is the content that the request's
entry names by hash. The table only lists the waiting ops; if it differs from the entry, nothing is approved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from governance.approval.requests import CLOSED, COLUMNS, REMEDY, Asked, fold
from governance.irongate.op import g08_approval
from governance.pipeline.dossier import Dossier
from governance.record import Recorder, clean
from governance.recordable import texts_without_secrets
from governance.settings import ApprovalSettings
from ledger.clock import Clock, stamp, unstamp
from ledger.errors import ControlError, LedgerError
from ledger.events.approval import ApprovalAnswered, ApprovalExpired, ApprovalGiven, ApprovalRejected, ApprovalRequested
from ledger.events.session import InboxRowRestored
from ledger.store import Ledger, Statement
from ledger.vocabulary import Decision, Operation, Spend

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    op_id TEXT PRIMARY KEY, operation TEXT NOT NULL, dossier TEXT NOT NULL,
    requested_at TEXT NOT NULL, expires_at TEXT NOT NULL, reason TEXT NOT NULL
);
"""

CHANGED = "inbox.changed"

Answer = Literal["approved", "rejected", "expired"]
ANSWERED: Mapping[Answer, type[ApprovalAnswered]] = {
    "approved": ApprovalGiven,
    "rejected": ApprovalRejected,
    "expired": ApprovalExpired,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """A waiting op with everything needed to resume it.

    ``spend`` is its cost so far, ``left_ms`` the rest of its working time (None: unknown).
    """

    op: Operation
    dossier: Dossier
    requested_at: datetime
    expires_at: datetime
    reason: str
    spend: Spend
    left_ms: int | None


class Inbox:
    """Stores approval requests durably. The pool waits for the answers."""

    def __init__(self, *, ledger: Ledger, clock: Clock, settings: ApprovalSettings) -> None:
        self._ledger = ledger
        self._clock = clock
        self._settings = settings

    async def prepare(self) -> None:
        """Create the table and missing rows. Requests that can no longer be read expire immediately."""
        await self._ledger.ensure(SCHEMA)
        listed = {str(op_id) for (op_id,) in await self._ledger.query("SELECT op_id FROM inbox")}
        for asked in (await self._waiting()).values():
            if asked.op_id not in listed:
                await self._restore_row(asked)
            try:
                await self._read(asked)
            except (ValidationError, LedgerError) as error:
                await self._expire_unread(asked.op_id, error)

    async def _restore_row(self, asked: Asked) -> None:
        """Restore a request's missing row."""
        at = asked.requested_at or stamp(self._clock.now())
        row = (asked.op_id, asked.operation, asked.dossier, at, asked.expires_at, asked.reason)
        await Recorder(self._ledger, op_id=asked.op_id, spend=await self._ledger.spent(asked.op_id)).note(
            InboxRowRestored(reason="The inbox table had no row for it."),
            causes=(asked.seq,),
            project=(("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?)", row),),
        )

    async def _waiting(self) -> dict[str, Asked]:
        """All pending requests by op id, from the entries alone."""
        waiting: dict[str, Asked] = {}
        entries = await self._ledger.entries(events=(ApprovalRequested, *ANSWERED.values()))
        fold(((entry.seq, entry) for entry in entries), waiting)
        found = [await self._pending_of(op_id) for op_id in waiting]  # few, so one query each
        return {asked.op_id: asked for asked in found if asked is not None}

    async def request(
        self, record: Recorder, op: Operation, dossier: Dossier, reason: str, *, left_ms: int | None = None
    ) -> ApprovalRequest:
        """Store the complete op and record the request. Repeating it (after a restart) keeps the first expiry."""
        for waiting in await self.pending():
            if waiting.op.id == op.id:
                return waiting
        before = await self._ledger.entries(op_id=op.id, events=(ApprovalRequested,))
        now = self._clock.now()
        expires = now + timedelta(seconds=self._settings.timeout_s)
        operation = await self._ledger.put_blob(op.model_dump_json().encode())
        redacted = await asyncio.to_thread(texts_without_secrets, dossier)  # edits stay complete: they are applied
        stored = await self._ledger.put_blob(redacted.model_dump_json().encode())
        row = (op.id, operation, stored, stamp(now), stamp(expires), clean(reason))
        await record.note(
            ApprovalRequested(
                reason=reason,
                expires_at=stamp(expires),
                requested_at=stamp(now),
                operation=operation,
                dossier=stored,
                tier=dossier.tier,
                left_ms=left_ms,
                number=len(before) + 1,
            ),
            project=(("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?)", row),),
        )
        return ApprovalRequest(
            op=op,
            dossier=dossier,
            requested_at=now,
            expires_at=expires,
            reason=reason,
            spend=record.spend,
            left_ms=left_ms,
        )

    async def pending(self) -> tuple[ApprovalRequest, ...]:
        """All readable pending requests, oldest first."""
        rows = await self._ledger.query("SELECT op_id FROM inbox ORDER BY requested_at")
        found = [await self._pending_of(str(op_id)) for (op_id,) in rows]
        requests = []
        for asked in found:
            with suppress(ValidationError, LedgerError):  # unreadable: the next start expires it
                requests += [await self._read(asked)] if asked else []
        return tuple(requests)

    async def _read(self, asked: Asked) -> ApprovalRequest:
        """A complete request.

        Raises ``ValidationError`` for a format of another version, ``LedgerError`` for a missing or altered blob.
        """
        ((entry, request),) = await self._ledger.events(
            ApprovalRequested, op_id=asked.op_id, after=asked.seq - 1, limit=1
        )
        return ApprovalRequest(
            op=Operation.model_validate_json(await self._ledger.get_blob(asked.operation)),
            dossier=Dossier.model_validate_json(await self._ledger.get_blob(asked.dossier)),
            requested_at=unstamp(asked.requested_at or entry.at),
            expires_at=unstamp(asked.expires_at),
            reason=asked.reason,
            spend=entry.spend,
            left_ms=request.left_ms,
        )

    async def _pending_of(self, op_id: str) -> Asked | None:
        """An op's pending request, from the entries alone."""
        waiting: dict[str, Asked] = {}
        entries = await self._ledger.entries(op_id=op_id, events=(ApprovalRequested, *CLOSED))
        fold(((entry.seq, entry) for entry in entries), waiting)
        return waiting.get(op_id)

    async def check_unchanged(self, op_id: str) -> None:
        """Raise ``ControlError`` if the row, the blobs or the entries of a request were altered after it was made."""
        if why := await self._find_change(op_id):
            raise ControlError(
                f"{op_id} is not approved: {why}. It differs from what the request showed.", remedy=REMEDY
            )

    async def _find_change(self, op_id: str) -> str:
        """What was altered in the request's row, blobs or entries; empty when everything is intact."""
        asked = await self._pending_of(op_id)
        rows = await self._ledger.query(f"SELECT {', '.join(COLUMNS)} FROM inbox WHERE op_id = ?", (op_id,))
        if asked is None:
            return "no entry asks for its approval" if rows else ""
        if not rows:
            return "its row in the inbox is gone"
        try:
            await self._read(asked)
        except (ValidationError, LedgerError) as error:
            return f"what entry {asked.seq} names cannot be read ({error})"
        row = dict(zip(COLUMNS, rows[0], strict=True))
        return asked.changed(row) or await self._ledger.broken_behind(asked.seq)

    async def _expire_unread(self, op_id: str, error: ValidationError | LedgerError) -> None:
        """Reject an unreadable request, since its content cannot be shown for approval; boot recovery ends the op."""
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            reason = (
                f"The request was stored by another version of Ouroboros and cannot be read by this one: "
                f"{error.title} {where}: {first['msg']}."
            )
        else:
            reason = f"The content of the request cannot be read any more: {error.message}"
        await Recorder(self._ledger, op_id=op_id, spend=await self._ledger.spent(op_id)).note(
            ApprovalExpired(by="nobody", reason=reason, rule="inbox.unreadable"), project=(self.closing(op_id),)
        )

    @staticmethod
    def closing(op_id: str) -> Statement:
        """The statement that deletes an op's row, to be committed together with the entry that has the reason."""
        return ("DELETE FROM inbox WHERE op_id = ?", (op_id,))

    def seconds_left(self, request: ApprovalRequest) -> float:
        return (request.expires_at - self._clock.now()).total_seconds()

    async def decide(
        self, op_id: str, answer: Answer, *, by: str, reason: str = "", when_rejected: tuple[Statement, ...] = ()
    ) -> Answer:
        """Close a request; returns how. A late approval (gate 8), or one of altered content, closes it as expired.

        ``when_rejected`` is committed together with a rejection, so that a crash cannot separate them. Raises
        ``ControlError`` when ``op_id`` has no pending request.
        """
        request = next((r for r in await self.pending() if r.op.id == op_id), None)
        if request is None:
            raise ControlError(f"{op_id} does not wait for approval.", remedy="`ouro ops` shows what waits.")
        verdict = g08_approval.check(
            g08_approval.ApprovalFacts(
                requested_at=request.requested_at,
                now=self._clock.now(),
                limit_s=round((request.expires_at - request.requested_at).total_seconds()),
                has_terminal=False,
            )
        )
        rule, why = verdict.rule, verdict.reason
        late = answer == "approved" and verdict.decision is not Decision.ALLOW
        if answer == "approved" and (changed := await self._find_change(op_id)):
            late, rule, why = True, CHANGED, f"It differs from what the request showed: {changed}."
        final: Answer = "expired" if late else answer
        closed = (self.closing(op_id),)
        await Recorder(self._ledger, op_id=op_id, spend=request.spend).note(
            ANSWERED[final](by=by, reason=reason or why, rule=rule),
            project=closed + (when_rejected if final == "rejected" else ()),
        )
        return final
