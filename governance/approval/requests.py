"""Pending approval requests, derived from the ledger chain, and the check of the inbox table against them.

The inbox table is written together with the entries, but the hash chain does not cover it. An approval therefore
applies what the request's entry names by blob hash; a table row that differs from its entry is refused and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from governance.record import clean
from ledger.events.approval import ApprovalExpired, ApprovalGiven, ApprovalRejected, ApprovalRequested
from ledger.events.event import event_in, read_event
from ledger.events.op import OpEnded
from ledger.integrity.audit import Query, Row
from ledger.integrity.findings import Finding
from ledger.parsers.json import read_json
from ledger.vocabulary import Draft, EntryKind, Frozen

CLOSED = (ApprovalGiven, ApprovalRejected, ApprovalExpired, OpEnded)
COLUMNS = ("op_id", "operation", "dossier", "requested_at", "expires_at", "reason")
_APPROVAL, _TRANSITION = EntryKind.APPROVAL.value, EntryKind.TRANSITION.value  # plain text compares faster
REMEDY = (
    "Somebody wrote to the file. `ouro reject OP` closes the request and `ouro fix` does the work anew, or restore a "
    "backup of the ledger."
)


class Asked(Frozen):
    """A recorded approval request. ``requested_at`` is empty in entries of older versions."""

    seq: int
    op_id: str
    operation: str
    dossier: str
    expires_at: str
    reason: str
    requested_at: str = ""

    def differences(self, row: Mapping[str, object]) -> tuple[str, ...]:
        """Columns in which an inbox row differs from the entry."""
        wanted = self.model_dump(include=set(COLUMNS))
        found = {**row, "reason": clean(row["reason"])}
        if not self.requested_at:
            del wanted["requested_at"]
        return tuple(name for name, value in wanted.items() if found[name] != value)

    def changed(self, row: Mapping[str, object]) -> str:
        """A sentence that names those columns and the entry; empty when the row matches."""
        names = self.differences(row)
        return f"its row in the inbox has another {', '.join(names)} than entry {self.seq}" if names else ""


def asked_in(seq: int, entry: Draft) -> Asked | None:
    """The request in an entry; None for other events, and for requests without stored operation and dossier."""
    event = event_in(entry, ApprovalRequested)
    if entry.op_id is None or event is None or not (event.operation and event.dossier):
        return None
    return Asked(seq=seq, op_id=entry.op_id, **event.model_dump(include=set(COLUMNS) - {"op_id"}))


def fold(entries: Iterable[tuple[int, Draft]], waiting: dict[str, Asked]) -> None:
    """Update ``waiting`` (by op id) with numbered entries, in ledger order."""
    for seq, entry in entries:
        if asked := asked_in(seq, entry):
            waiting[asked.op_id] = asked
        elif isinstance(read_event(entry), CLOSED):
            waiting.pop(str(entry.op_id), None)


class InboxCheck:
    """Replays the chain's approval entries and compares the result with the inbox table."""

    def __init__(self) -> None:
        self._waiting: dict[str, Asked] = {}

    def hear(self, rows: Sequence[Row]) -> None:
        """Feed the next rows of the chain. Malformed entries are skipped here: the chain walk reports them."""
        for row in rows:
            kind, body = row[3], row[5]
            ends = kind == _TRANSITION and type(body) is bytes and OpEnded.marker() in body
            if kind != _APPROVAL and not ends:
                continue
            try:
                fold([(row[0], Draft.model_validate(_drafted(body)))], self._waiting)
            except (ValueError, TypeError, RecursionError):
                continue

    def compare(self, query: Query) -> Iterator[Finding]:
        """Findings for requests without a row, rows without a request, and rows that differ from their entry."""
        waiting = dict(self._waiting)
        if not list(query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'inbox'")):
            rows: list[tuple[Any, ...]] = []
        else:
            rows = list(query(f"SELECT {', '.join(COLUMNS)} FROM inbox"))
        for values in rows:
            row = dict(zip(COLUMNS, values, strict=True))
            asked = waiting.pop(row["op_id"], None) if isinstance(row["op_id"], str) else None
            if asked is None:
                yield Finding(
                    said=f"a row of the inbox lets {str(row['op_id'])[:64]!r} wait, and no entry asks for its approval",
                    remedy=REMEDY,
                )
            elif why := asked.changed(row):
                yield Finding(said=f"what waits under {asked.op_id} was changed: {why}", row=asked.seq, remedy=REMEDY)
        for asked in waiting.values():
            said = f"entry {asked.seq} asks for approval of {asked.op_id}, and the inbox has no row for it"
            yield Finding(said=said, row=asked.seq, remedy="The next start of the daemon writes it again.")


def _drafted(body: object) -> dict[str, Any]:
    """The fields that :func:`fold` needs, from an entry's stored bytes. Raises ``TypeError`` or ``ValueError``."""
    if not isinstance(body, bytes):
        raise TypeError("no stored bytes")
    stored = read_json(body)
    return {"kind": stored["kind"], "op_id": stored["op_id"], "payload": stored["payload"]}
