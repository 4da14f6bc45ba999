"""What the ledger tests write, and how they open and damage a file behind the ledger's back."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from ledger.chain import StoredRow, freeze, genesis, place
from ledger.clock import SystemClock
from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, Head, Phase, Spend

REPO_ID = "0123456789ab"
ORIGIN = Head(seq=0, hash=genesis(REPO_ID))
AT = "2026-01-02T03:04:05.678Z"
TRIGGERS = (
    "entries_no_update", "entries_no_delete", "entries_next_only",
    "blobs_no_update", "blobs_no_delete", "blobs_new_only", "chain_one_row",
)  # fmt: skip


def draft(number: int = 0, **more: object) -> Draft:
    """A draft like those that the daemon writes."""
    fields = {
        "kind": EntryKind.TRANSITION,
        "op_id": f"op-{number % 3}",
        "phase": Phase.GATE,
        "payload": {"number": number, "text": 'straße ]}","phase":"', "list": [1, None, True]},
        "spend": Spend(usd_micro=number),
        **more,
    }
    return Draft.model_validate(fields)


def chain_of(count: int, **more: object) -> list[StoredRow]:
    """``count`` good rows behind ``ORIGIN``."""
    rows, head = [], ORIGIN
    for number in range(count):
        row, _ = place(freeze(draft(number, **more)), after=head, at=AT)
        head = Head(seq=row.seq, hash=row.hash)
        rows.append(row)
    return rows


async def reader(path: Path) -> Ledger:
    return await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock(), read_only=True)


def tamper(path: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Change the file as somebody with ``sqlite3`` at hand would, who also knows about the triggers."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        kept = [sql for name, sql in found if name in TRIGGERS]
        for trigger in TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for sql, values in statements:
            connection.execute(sql, values)
        for sql in kept:
            with suppress(sqlite3.OperationalError):  # its table went with the statements
                connection.execute(sql)
        connection.commit()
