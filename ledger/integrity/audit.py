"""Verification of a whole ledger on one snapshot: schema, chain and its end, signatures, blobs, projections.

Blocks; call it in a thread. Any damage of the file is a finding, never an exception.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

from ledger import schema as shape
from ledger.chain import COLUMNS, ChainReport, Flaw, StoredRow, check_rows
from ledger.events.session import SessionEnded
from ledger.integrity.blobs import check_blobs, names_in
from ledger.integrity.findings import EVIDENCE, RECORD_GONE, Anchor, Finding
from ledger.integrity.heads import Judge
from ledger.integrity.known_heads import compare, strangers, verified_heads
from ledger.integrity.report import FAULTS, MOST, CheckState, describe_error, describe_value, missing_at_end
from ledger.vocabulary import EntryKind, Head

_ROWS_PER_LOOK = 4096  # how often a walk looks whether it was cancelled
_TRANSITION, _SESSION = EntryKind.TRANSITION.value, EntryKind.SESSION.value  # plain text compares faster
_ENDED = SessionEnded.marker()

Row = StoredRow | tuple[Any, ...]
Query = Callable[[str], Iterable[tuple[Any, ...]]]


class Projection(Protocol):
    """Check of a table derived from entries: receives every row of the chain, then compares the table with them."""

    def hear(self, rows: Sequence[Row]) -> None:
        """Take the next rows, in order. Their columns may hold values of any type."""
        ...

    def compare(self, query: Query) -> Iterator[Finding]:
        """Findings where the table differs from the rows. ``query`` runs a SELECT."""
        ...


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Data collected during the walk over the rows, for the checks after it."""

    blobs: set[bytes] = field(default_factory=set)  # digests that entries refer to
    ends: list[tuple[int, bytes]] = field(default_factory=list)  # number and stored bytes of session-end entries
    wanted: frozenset[int] = frozenset()
    hashes: dict[int, str] = field(default_factory=dict)

    def hear(self, rows: Sequence[Row]) -> None:
        bodies = b"\n".join([row[5] for row in rows if row[3] != _TRANSITION and type(row[5]) is bytes])
        self.blobs.update(names_in(bodies))
        if _ENDED in bodies:
            ends = (row for row in rows if row[3] == _SESSION and type(row[5]) is bytes and _ENDED in row[5])
            self.ends += ((row[0], row[5]) for row in ends)
        if self.wanted:
            self.hashes.update((row[0], row[7]) for row in rows if row[0] in self.wanted)


def audit(
    address: str,
    *,
    origin: Head,
    anchors: Collection[Anchor] = (),
    judge: Judge | None = None,
    projections: Sequence[Projection] = (),
    scripts: Collection[str] | None = None,
    whole: bool = False,
    stop: threading.Event,
) -> ChainReport:
    """Check the ledger at ``address`` (an SQLite URI); ``stop`` ends it early.

    ``judge`` verifies signatures; without one they are not checked. ``scripts``: the definitions of all projections,
    see :func:`ledger.schema.find_deviations`. ``whole`` also runs SQLite's check of its pages and indexes.
    """
    told = CheckState(head=origin)
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("BEGIN")
            for found in shape.find_deviations(connection, scripts):
                told.add(found)
            _contents(connection, told, origin=origin, anchors=anchors, judge=judge, projections=projections, stop=stop)
            if whole and not stop.is_set():
                _pages(connection, told)
    except FAULTS as error:
        told.trouble.append(describe_error(error))
    if told.trouble and told.first_bad is None:
        told.broken(told.head.seq + 1)
    for trouble in dict.fromkeys(told.trouble):
        told.add(Finding(said=f"the file cannot be read to its end ({trouble})", row=told.first_bad, remedy=EVIDENCE))
    return _report(told)


def since(address: str, seq: int, *, head: Head, origin: Head, stop: threading.Event) -> str:
    """Why the chain from entry ``seq`` to ``head`` is broken; empty when it is intact or the check was stopped."""
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            start = origin
            if seq > 1:
                row = connection.execute("SELECT hash FROM entries WHERE seq = ?", (seq - 1,)).fetchone()
                if row is None:
                    return f"entry {seq - 1} is missing"
                start = Head(seq=seq - 1, hash=row[0])
            between = f"SELECT {COLUMNS} FROM entries WHERE seq BETWEEN ? AND ? ORDER BY seq"
            for batch, flaws in check_rows(connection.execute(between, (seq, head.seq)), start=start):
                if stop.is_set():
                    return ""
                for flaw in flaws.values():
                    return flaw.said
                start = Head(seq=batch[-1][0], hash=batch[-1][7])
    except FAULTS as error:
        return f"the file cannot be read ({describe_error(error)})"
    return "" if start == head else f"entry {start.seq + 1} is not the one that was written there"


def _report(told: CheckState) -> ChainReport:
    first = next((f for f in told.findings if f.row == told.first_bad and f.row is not None), None)
    reason = (first or told.findings[0]).said if told.findings else ""
    return ChainReport(
        ok=not told.findings,
        entries=told.entries,
        head=told.head,
        first_bad=told.first_bad,
        reason=reason,
        bad_blobs=tuple(told.bad_blobs),
        findings=tuple(told.findings),
        notes=tuple(told.notes),
        signed_ends=told.signed_ends,
    )


def _contents(
    connection: sqlite3.Connection,
    told: CheckState,
    *,
    origin: Head,
    anchors: Collection[Anchor],
    judge: Judge | None,
    projections: Sequence[Projection],
    stop: threading.Event,
) -> None:
    """Check chain, end, signatures, anchors, blobs and projections, in this order."""
    if not shape.is_expected_table(connection, "entries"):
        told.broken(1)
        told.add(Finding(said="there is no table of entries as this version makes it: entry 1 cannot be read", row=1))
        return
    gathered = Gathered(wanted=frozenset(anchor.seq for anchor in anchors))
    last = _walk(connection, told, origin=origin, hearers=(gathered, *projections), stop=stop)
    if stop.is_set() or told.trouble:
        return
    _end(connection, told, origin=origin, last=last)
    known = [*anchors, *verified_heads(gathered.ends, told, judge=judge, origin=origin)] if judge else [*anchors]
    missing = frozenset(anchor.seq for anchor in known) - gathered.wanted
    hashes = gathered.hashes | _hashes(connection, missing)
    compare(told, known, hashes=hashes, last=last)
    strangers(known, told, hashes=hashes)
    if shape.is_expected_table(connection, "blobs"):
        check_blobs(connection, told, wanted=gathered.blobs, stop=stop)
    for projection in projections:
        told.findings += projection.compare(lambda sql: connection.execute(sql))


def _walk(
    connection: sqlite3.Connection,
    told: CheckState,
    *,
    origin: Head,
    hearers: Sequence[Gathered | Projection],
    stop: threading.Event,
) -> int:
    """Check every row and pass it to ``hearers``; returns the highest entry number."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq")
    last, told_flaws = origin.seq, 0
    try:
        for number, (batch, flaws) in enumerate(check_rows(_readable(rows, told), start=origin)):
            if number % (_ROWS_PER_LOOK // 256) == 0 and stop.is_set():
                return last
            for flaw in flaws.values():
                told.broken(flaw.row)
                told_flaws += 1
                if told_flaws <= MOST:
                    told.add(Finding(said=flaw.said, row=flaw.row, last=flaw.last))
            for hearer in hearers:
                hearer.hear(batch)
            last = max((row[0] for row in (batch if flaws else batch[-1:]) if type(row[0]) is int), default=last)
            _advance(told, batch, flaws)
    except FAULTS as error:
        told.trouble.append(describe_error(error))
    if told_flaws > MOST:
        told.add(Finding(said=f"{told_flaws - MOST} more entries behind these do not hold", row=told.first_bad))
    return last


def _advance(told: CheckState, batch: Sequence[Row], flaws: dict[int, Flaw]) -> None:
    """Move the last good head, until the first bad row."""
    good = list(takewhile(lambda row: id(row) not in flaws, batch)) if flaws else batch
    if good and not told.stuck:
        told.head = Head(seq=good[-1][0], hash=good[-1][7])
        told.entries = told.head.seq
    told.stuck = told.stuck or bool(flaws)


def _readable(rows: Iterable[Row], told: CheckState) -> Iterator[Row]:
    """Rows up to the end or the first unreadable page, which is noted in ``told.trouble``."""
    try:
        yield from rows
    except FAULTS as error:
        told.trouble.append(describe_error(error))


def _end(connection: sqlite3.Connection, told: CheckState, *, origin: Head, last: int) -> None:
    """Compare the one row of the table ``chain`` (start and head) with the entries; ``last`` is the last entry."""
    if not shape.is_expected_table(connection, "chain"):
        return
    rows = connection.execute("SELECT id, genesis, seq, hash FROM chain").fetchall()
    if len(rows) != 1:
        told.add(
            Finding(said=f"the table chain has {len(rows)} rows, not one: nothing says that entry {last} is the last")
        )
        told.broken(last + 1)
        return
    _, genesis, seq, own = rows[0]
    if genesis != origin.hash:
        told.add(
            Finding(said="the row in chain names another repository as the one whose record begins at entry 1", row=1)
        )
        told.broken(1)
    if type(seq) is int and seq > last:
        told.add(Finding(said=missing_at_end(last + 1, seq), row=last + 1, last=seq, remedy=RECORD_GONE))
        told.broken(last + 1)
        return
    found = connection.execute("SELECT hash FROM entries WHERE seq = ?", (last,)).fetchone() if last else (origin.hash,)
    if type(seq) is not int or seq != last or found is None or own != found[0]:
        said = f"the row in chain says that entry {describe_value(seq)} is the last, but it is entry {last}"
        if seq == last:
            said = f"the row in chain gives entry {last} another hash than the entry has"
        told.add(Finding(said=said, row=last or None))
        if told.first_bad is None:
            told.broken(last + 1 if type(seq) is not int or seq != last else max(last, 1))


def _pages(connection: sqlite3.Connection, told: CheckState) -> None:
    """SQLite's check of its pages and indexes: a row missing in an index is invisible to queries by that index."""
    for (said,) in connection.execute(f"PRAGMA integrity_check({MOST})"):
        if said != "ok":
            row = re.search(r"\brow (\d+) missing from index", str(said))
            told.add(Finding(said=f"SQLite finds: {' '.join(str(said).split())}", row=int(row[1]) if row else None))


def _hashes(connection: sqlite3.Connection, wanted: Collection[int]) -> dict[int, str]:
    found = {}
    for seq in wanted:
        row = connection.execute("SELECT hash FROM entries WHERE seq = ?", (seq,)).fetchone()
        if row is not None:
            found[seq] = row[0]
    return found
