"""The durable queue: a projection of the ledger's SIGNAL and LEASE entries.

Every step of a signal is one entry whose payload holds the new rows; :func:`statements` turns that payload into SQL,
in the same transaction. Reading the entries again in order gives the same tables (:func:`rebuild`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, Signal, Spend
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
MARK = "queue"  # the payload field that tells our entries from others of the same kind
CLAIMED = "claimed"  # the one step that begins an op
QUARANTINED = "quarantined"  # and one that ends its lease without an outcome


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _item_row(item: Item) -> dict[str, Any]:
    return {"id": item.id, **item.model_dump(mode="json", exclude={"signal"})}


def payload(
    event: str,
    *,
    items: Sequence[Item] = (),
    new: Sequence[Item] = (),
    lease: Lease | None = None,
    ended: str | None = None,
    standing: CurrentPosture | None = None,
    facts: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Payload of one step: ``new`` items are stored with their signals, ``items`` only change their state.

    ``lease`` is written, the lease of op ``ended`` is dropped. ``facts`` stand beside them; :func:`statements` reads
    two of them: ``again`` with ``base`` (a held item was reported at a newer commit) and ``before`` (what ended before
    that stamp leaves the table).
    """
    body: dict[str, Any] = {MARK: event, **(facts or {})}
    if new:
        body["new"] = [{**_item_row(item), "signal": item.signal.model_dump(mode="json")} for item in new]
    if items:
        body["items"] = [_item_row(item) for item in items]
    if lease is not None:
        body["lease"] = lease.model_dump(mode="json")
    if ended is not None:
        body["ended"] = ended
    if standing is not None:
        body["standing"] = standing.model_dump(mode="json")
    return body


def statements(body: Mapping[str, Any]) -> list[Row]:
    """The SQL that brings the tables up to date with one payload. Pure."""
    rows: list[Row] = []
    for full in body.get("new", ()):
        row = {name: value for name, value in full.items() if name != "signal"}
        signal = full["signal"]
        rows.append(
            (
                STORE,
                (row["id"], signal["key"], row["state"], row["closed_at"], _text(row), _text(signal)),
            )
        )
    for row in body.get("items", ()):
        rows.append(
            (
                "UPDATE intake_items SET state = ?, closed_at = ?, row = ? WHERE id = ?",
                (row["state"], row["closed_at"], _text(row), row["id"]),
            )
        )
    lease = body.get("lease")
    if lease is not None:
        rows.append(
            (
                "INSERT OR REPLACE INTO intake_leases (op_id, row) VALUES (?, ?)",
                (lease["operation"]["id"], _text(lease)),
            )
        )
    if body.get("ended") is not None:
        rows.append(("DELETE FROM intake_leases WHERE op_id = ?", (body["ended"],)))
    rows += _history(body)
    if body.get("standing") is not None:
        rows.append(("INSERT OR REPLACE INTO intake_posture (id, row) VALUES (1, ?)", (_text(body["standing"]),)))
    if body.get("again") is not None:
        rows.append((SEEN_AGAIN, (body["base"], body["again"])))
    if body.get("before") is not None:
        rows.append(
            ("DELETE FROM intake_items WHERE state = ? AND closed_at < ?", (ItemState.DONE.value, body["before"]))
        )
        rows.append(("DELETE FROM intake_ops WHERE begun_at < ?", (body["before"],)))
    return rows


def _history(body: Mapping[str, Any]) -> list[Row]:
    """An op that began, how it ended, or that it never acted."""
    if body[MARK] == CLAIMED:
        op = body["lease"]["operation"]
        row = Begun(op_id=op["id"], source=op["origin"], at=op["created_at"], again=op["attempt"] > 1)
        insert = "INSERT OR REPLACE INTO intake_ops (op_id, begun_at, row) VALUES (?, ?, ?)"
        return [(insert, (row.op_id, row.at, _text(row.model_dump(mode="json"))))]
    if body.get("ended") is None or body[MARK] == QUARANTINED:
        return []
    if "outcome" not in body:
        return [("DELETE FROM intake_ops WHERE op_id = ?", (body["ended"],))]
    update = "UPDATE intake_ops SET row = json_set(row, '$.outcome', ?, '$.cause', ?) WHERE op_id = ?"
    return [(update, (body["outcome"], body["cause"], body["ended"]))]


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
        body: dict[str, Any],
        *more: Draft,
        kind: EntryKind = EntryKind.SIGNAL,
        op_id: str | None = None,
        spend: Spend = NOTHING,
    ) -> None:
        """Record one step durably, with its projection; ``more`` entries land in the same transaction.

        ``spend`` is asked for (:meth:`spent`) before a step is thought out: nothing may come between that and this.
        """
        draft = Draft(kind=kind, op_id=op_id, payload=body, spend=spend)
        await self._ledger.append(draft, *more, project=statements(body))

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

    async def standing(self) -> CurrentPosture:
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
    for entry in await ledger.entries(kinds=(EntryKind.SIGNAL, EntryKind.LEASE)):
        if MARK in entry.payload:
            rows.extend(statements(entry.payload))
    return rows
