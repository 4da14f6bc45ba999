"""Checking a whole ledger on one snapshot: the chain, its end, and every blob. Blocks; called in a thread."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from ledger.chain import COLUMNS, ChainReport, walk
from ledger.database import SQLITE_FAULTS
from ledger.ids import sha256_hex
from ledger.vocabulary import Head

_ROWS_PER_LOOK = 4096  # how often a walk looks whether it was cancelled


def audit(address: str, *, origin: Head, anchors: Mapping[int, str], stop: threading.Event) -> ChainReport:
    """Walk the ledger at ``address`` (a URI of SQLite). Damage is reported, never raised; ``stop`` ends it early."""
    head, reason = origin, ""
    bad_blobs: list[str] = []
    trouble: list[str] = []
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            rows = connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq")
            head, reason = walk(_until(stop, rows, trouble), start=origin, anchors=anchors)
            if not (reason or trouble):
                reason = _bad_end(connection, head, anchors)
                blobs = _until(stop, connection.execute("SELECT sha256, data FROM blobs"), trouble)
                bad_blobs += [str(sha) for sha, data in blobs if type(data) is not bytes or sha256_hex(data) != sha]
    except SQLITE_FAULTS as error:
        trouble.append(str(error))
    if trouble and not reason:
        reason = f"the file cannot be read to its end ({trouble[0]})"
    broken = bool(reason)
    if bad_blobs and not broken:
        reason = f"{len(bad_blobs)} blobs do not hash to their names"
    return ChainReport(
        ok=not reason,
        entries=head.seq,
        head=head,
        first_bad=head.seq + 1 if broken else None,
        reason=reason,
        bad_blobs=tuple(bad_blobs),
    )


def _bad_end(connection: sqlite3.Connection, head: Head, anchors: Mapping[int, str]) -> str:
    """Says what is known to have stood behind ``head``, the last row in the file; empty when that is the end."""
    seq, own = connection.execute("SELECT seq, hash FROM chain").fetchone() or (None, None)
    last = max([head.seq, *anchors, *([seq] if isinstance(seq, int) else [])])
    if last > head.seq:
        return f"entries {head.seq + 1} to {last} are missing at the end"
    if (seq, own) != (head.seq, head.hash):
        return f"the file says that entry {seq} is the last, but it is entry {head.seq}"
    return ""


def _until(stop: threading.Event, cursor: sqlite3.Cursor, trouble: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows until the end, a cancellation, or a page that cannot be read (noted in ``trouble``)."""
    try:
        for number, row in enumerate(cursor):
            if number % _ROWS_PER_LOOK == 0 and stop.is_set():
                return
            yield row
    except SQLITE_FAULTS as error:
        trouble.append(str(error))
