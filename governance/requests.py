"""What waits for a person, derived from the entries of the chain; and whether the inbox says the same.

The inbox is a table that is written with the entries, and that the chain does not cover. What an approval carries out
is what the entry of its request names by digest; a row that says otherwise is refused and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from governance.record import clean
from ledger.audit import Query, Row
from ledger.findings import Finding
from ledger.parsers.json import read_json
from ledger.vocabulary import Draft, EntryKind, Frozen

REQUESTED = "approval.requested"
CLOSED = frozenset({"approval.approved", "approval.rejected", "approval.expired", "terminal"})
COLUMNS = ("op_id", "operation", "dossier", "requested_at", "expires_at", "reason")
_APPROVAL, _TRANSITION = EntryKind.APPROVAL.value, EntryKind.TRANSITION.value  # plain text compares faster
REMEDY = (
    "Somebody wrote to the file. `ouro reject OP` closes the request and `ouro fix` does the work anew, or restore a "
    "backup of the ledger."
)


class Asked(Frozen):
    """A request as the chain has it. ``requested_at`` is empty where an older version wrote the entry."""

    seq: int
    op_id: str
    operation: str
    dossier: str
    expires_at: str
    reason: str
    requested_at: str = ""

    def differences(self, row: Mapping[str, object]) -> tuple[str, ...]:
        """The columns of the inbox that say something else."""
        wanted = self.model_dump(include=set(COLUMNS))
        found = {**row, "reason": clean(row["reason"])}
        if not self.requested_at:
            del wanted["requested_at"]
        return tuple(name for name, value in wanted.items() if found[name] != value)

    def changed(self, row: Mapping[str, object]) -> str:
        """In words, where the row says something else; else empty."""
        names = self.differences(row)
        return f"its row in the inbox has another {', '.join(names)} than entry {self.seq}" if names else ""


def asked_in(seq: int, op_id: str | None, payload: Mapping[str, Any]) -> Asked | None:
    """The request in an entry; None where it is none, or names nothing that could be carried out."""
    if op_id is None or payload.get("event") != REQUESTED or not (payload.get("operation") and payload.get("dossier")):
        return None
    names = ("operation", "dossier", "expires_at", "reason", "requested_at")
    return Asked(seq=seq, op_id=op_id, **{name: str(payload.get(name, "")) for name in names})


def fold(entries: Iterable[tuple[int, Draft]], waiting: dict[str, Asked]) -> None:
    """Bring ``waiting`` up to date with entries and their numbers, in order."""
    for seq, entry in entries:
        if asked := asked_in(seq, entry.op_id, entry.payload):
            waiting[asked.op_id] = asked
        elif entry.payload.get("event") in CLOSED:
            waiting.pop(str(entry.op_id), None)


class InboxCheck:
    """Hears the chain, then compares the table with what must stand in it."""

    def __init__(self) -> None:
        self._waiting: dict[str, Asked] = {}

    def hear(self, rows: Sequence[Row]) -> None:
        """The next rows of the chain; what is no entry there is told by whoever walks it."""
        for row in rows:
            kind, body = row[3], row[5]
            ends = kind == _TRANSITION and type(body) is bytes and b'"event":"terminal"' in body
            if kind != _APPROVAL and not ends:
                continue
            try:
                fold([(row[0], Draft.model_validate(_drafted(body)))], self._waiting)
            except (ValueError, TypeError, RecursionError):
                continue

    def compare(self, query: Query) -> Iterator[Finding]:
        """Requests without a row, rows without a request, and rows that say something else."""
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
    """Of the stored bytes what the fold looks at."""
    if not isinstance(body, bytes):
        raise TypeError("no stored bytes")
    stored = read_json(body)
    return {"kind": stored["kind"], "op_id": stored["op_id"], "payload": stored["payload"]}
