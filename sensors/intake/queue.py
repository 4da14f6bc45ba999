"""The durable queue: a projection of the ledger's SIGNAL and LEASE entries.

Every step of a signal is one entry that holds the new rows; :func:`statements` turns it into SQL,
in the same transaction. Reading the entries again in order gives the same tables (:func:`rebuild`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.events.event import Json, event_in
from ledger.events.intake import LeaseStep, QueueStep
from ledger.store import Ledger
from ledger.vocabulary import Draft, Signal, Spend
from sensors.intake.history import Begun
from sensors.intake.posture import CurrentPosture
from sensors.intake.records import Item, ItemState, Lease

SCHEMA = """
CREATE TABLE IF NOT EXISTS intake_items (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    closed_at TEXT,
    row TEXT NOT NULL,
    signal TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS intake_items_key ON intake_items (key);
CREATE INDEX IF NOT EXISTS intake_items_closed ON intake_items (state, closed_at);
CREATE TABLE IF NOT EXISTS intake_leases (
    op_id TEXT PRIMARY KEY,
    row TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS intake_ops (
    op_id TEXT PRIMARY KEY,
    begun_at TEXT NOT NULL,
    row TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS intake_ops_begun ON intake_ops (begun_at);
CREATE TABLE IF NOT EXISTS intake_posture (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    row TEXT NOT NULL
);
"""

STORE = "INSERT OR REPLACE INTO intake_items (id, key, state, closed_at, row, signal) VALUES (?, ?, ?, ?, ?, ?)"
# Only the one field, and only while an op has the item: a step of that op may be on its way to the table already.
SEEN_AGAIN = (
    "UPDATE intake_items SET row = json_set(row, '$.seen_again_at', ?) "
    "WHERE id = ? AND state IN ('claimed', 'in_flight', 'parked')"
)

WITHOUT_SUCCESS = "ended"
# What was dropped, refused or given up is DONE too: of it there is nothing to be done.
BY_SOURCE = (
    "SELECT json_extract(signal, '$.source'), "
    f"CASE WHEN state = 'done' AND NOT json_extract(row, '$.success') THEN '{WITHOUT_SUCCESS}' ELSE state END, "
    "count(*), max(json_extract(row, '$.queued_at')) FROM intake_items GROUP BY 1, 2"
)
NOTHING = Spend()
Row = tuple[str, tuple[str | int | bytes | None, ...]]
CLAIMED = "claimed"  # the one step that begins an op
QUARANTINED = "quarantined"  # and one that ends its lease without an outcome


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _item_row(item: Item) -> dict[str, Any]:
    return {"id": item.id, **item.model_dump(mode="json", exclude={"signal"})}


def step(
    verb: str,
    *,
    items: Sequence[Item] = (),
    new: Sequence[Item] = (),
    lease: Lease | None = None,
    event: type[QueueStep] = QueueStep,
    facts: Mapping[str, str | None] | None = None,
) -> QueueStep:
    """The event of one step; see there. Only what is given is stored. ``facts`` are its text fields."""
    fields: Json = {"verb": verb, **(facts or {})}
    if new:
        fields["new"] = [{**_item_row(item), "signal": item.signal.model_dump(mode="json")} for item in new]
    if items:
        fields["items"] = [_item_row(item) for item in items]
    if lease is not None:
        fields["lease"] = lease.model_dump(mode="json")
    return event(**fields)


def statements(event: QueueStep) -> list[Row]:
    """The SQL that brings the tables up to date with one step. Pure."""
    rows: list[Row] = []
    for full in event.new:
        row = {name: value for name, value in full.items() if name != "signal"}
        signal = full["signal"]
        rows.append((STORE, (row["id"], signal["key"], row["state"], row["closed_at"], _text(row), _text(signal))))
    change = "UPDATE intake_items SET state = ?, closed_at = ?, row = ? WHERE id = ?"
    rows += [(change, (row["state"], row["closed_at"], _text(row), row["id"])) for row in event.items]
    if event.lease is not None:
        write = "INSERT OR REPLACE INTO intake_leases (op_id, row) VALUES (?, ?)"
        rows.append((write, (event.lease["operation"]["id"], _text(event.lease))))
    if event.ended is not None:
        rows.append(("DELETE FROM intake_leases WHERE op_id = ?", (event.ended,)))
    rows += _history(event)
    if event.standing is not None:
        rows.append(("INSERT OR REPLACE INTO intake_posture (id, row) VALUES (1, ?)", (_text(event.standing),)))
    if event.again is not None:
        rows.append((SEEN_AGAIN, (event.base, event.again)))
    if event.before is not None:
        forget = "DELETE FROM intake_items WHERE state = ? AND closed_at < ?"
        rows.append((forget, (ItemState.DONE.value, event.before)))
        rows.append(("DELETE FROM intake_ops WHERE begun_at < ?", (event.before,)))
    return rows


def _history(event: QueueStep) -> list[Row]:
    """An op that began, how it ended, or that it never acted."""
    if event.verb == CLAIMED and event.lease is not None:
        op = event.lease["operation"]
        row = Begun(op_id=op["id"], source=op["origin"], at=op["created_at"], again=op["attempt"] > 1)
        insert = "INSERT OR REPLACE INTO intake_ops (op_id, begun_at, row) VALUES (?, ?, ?)"
        return [(insert, (row.op_id, row.at, _text(row.model_dump(mode="json"))))]
    if event.ended is None or event.verb == QUARANTINED:
        return []
    if event.outcome is None:
        return [("DELETE FROM intake_ops WHERE op_id = ?", (event.ended,))]
    update = "UPDATE intake_ops SET row = json_set(row, '$.outcome', ?, '$.cause', ?) WHERE op_id = ?"
    return [(update, (event.outcome, event.cause, event.ended))]


def _item(row: object, signal: object) -> Item:
    fields = json.loads(str(row))
    del fields["id"]
    return Item(signal=Signal.model_validate_json(str(signal)), **fields)


class DurableQueue:
    """Writes steps and reads the tables; holds no state of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def prepare(self) -> None:
        """Make the tables where they are missing."""
        await self._ledger.ensure(SCHEMA)

    async def write(
        self,
        event: QueueStep,
        *more: Draft,
        op_id: str | None = None,
        spend: Spend = NOTHING,
    ) -> None:
        """Record one step durably, with its projection; ``more`` entries land in the same transaction.

        ``spend`` is read (:meth:`spent`) before a step is computed: nothing may come between that and this.
        """
        await self._ledger.append(event.draft(op_id=op_id, spend=spend), *more, project=statements(event))

    async def keep(self, blob: bytes) -> None:
        """Store what a step names by its digest."""
        await self._ledger.put_blob(blob)

    async def spent(self, op_id: str) -> Spend:
        """What an op has cost so far."""
        return await self._ledger.spent(op_id)

    async def open_items(self) -> list[Item]:
        """Every item that is not DONE, oldest first."""
        found = await self._ledger.query(
            "SELECT row, signal FROM intake_items WHERE state <> ? ORDER BY rowid", (ItemState.DONE.value,)
        )
        return [_item(row, signal) for row, signal in found]

    async def leases(self) -> list[Lease]:
        """Every active op."""
        found = await self._ledger.query("SELECT row FROM intake_leases ORDER BY op_id")
        return [Lease.model_validate_json(str(row)) for (row,) in found]

    async def by_source(self) -> dict[str, dict[str, tuple[int, str]]]:
        """For each source and state: how many items, and when the newest was queued. ``ended``: without success."""
        rows = await self._ledger.query(BY_SOURCE)
        found: dict[str, dict[str, tuple[int, str]]] = {}
        for source, state, number, newest in rows:
            found.setdefault(str(source), {})[str(state)] = (int(str(number)), str(newest))
        return found

    async def begun(self, since: str) -> list[Begun]:
        """Ops that were handed out after a stamp, oldest first."""
        found = await self._ledger.query("SELECT row FROM intake_ops WHERE begun_at > ? ORDER BY begun_at", (since,))
        return [Begun.model_validate_json(str(row)) for (row,) in found]

    async def load_posture(self) -> CurrentPosture:
        """The posture as it was last set or inferred."""
        found = await self._ledger.query("SELECT row FROM intake_posture")
        return CurrentPosture.model_validate_json(str(found[0][0])) if found else CurrentPosture()

    async def knows(self, key: str) -> bool:
        """Was a signal with this key taken in, and not forgotten since?"""
        return bool(await self._ledger.query("SELECT 1 FROM intake_items WHERE key = ? LIMIT 1", (key,)))

    async def last_closed(self, key: str) -> Item | None:
        """The DONE item with ``key`` that ended last."""
        found = await self._ledger.query(
            "SELECT row, signal FROM intake_items WHERE key = ? AND state = ? ORDER BY closed_at DESC LIMIT 1",
            (key, ItemState.DONE.value),
        )
        return _item(*found[0]) if found else None

    async def prunable(self, before: str) -> int:
        """How many DONE items ended before a stamp."""
        found = await self._ledger.query(
            "SELECT count(*) FROM intake_items WHERE state = ? AND closed_at < ?", (ItemState.DONE.value, before)
        )
        return int(str(found[0][0]))


async def rebuild(ledger: Ledger) -> list[Row]:
    """Every statement that rebuilds the tables from the entries alone."""
    rows: list[Row] = []
    for entry in await ledger.entries(events=(QueueStep, LeaseStep)):
        if event := event_in(entry, QueueStep):
            rows.extend(statements(event))
    return rows
