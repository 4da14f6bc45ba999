"""Checking a whole ledger on one snapshot: its shape, the chain and its end, signatures, blobs, projections.

Blocks; called in a thread. Damage is a finding, never an exception, whatever lies in the file.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

from pydantic import ValidationError

from ledger import shape
from ledger.chain import COLUMNS, ChainReport, Flaw, StoredRow, judged
from ledger.database import SQLITE_FAULTS
from ledger.findings import EVIDENCE, RECORD_GONE, Anchor, Finding
from ledger.heads import ENDED, FIELD, Judge, SignedHead, Standing
from ledger.ids import sha256_hex
from ledger.vocabulary import EntryKind, Head

_ROWS_PER_LOOK = 4096  # how often a walk looks whether it was cancelled
_MOST = 50  # findings of one sort that are told
BLOB_FIELDS = (
    "answer",
    "behind",
    "blob",
    "candidate",
    "dossier",
    "facts",
    "goals",
    "inspection",
    "operation",
    "result",
)
"""Fields of a payload that name a blob, where a digest stands in them. A transition names none."""
_DIGEST = re.compile(rb'":"([0-9a-f]{64})"')  # what may name one: quick to look for
_NAMES_BLOB = re.compile(rb'"(?:%b)":"([0-9a-f]{64})"' % "|".join(BLOB_FIELDS).encode())
_TRANSITION, _SESSION = EntryKind.TRANSITION.value, EntryKind.SESSION.value  # plain text compares faster
_ENDED = f'"event":"{ENDED}"'.encode()
FAULTS = (*SQLITE_FAULTS, ValueError, TypeError, OverflowError)  # what odd bytes in a file can raise on their way here

Row = StoredRow | tuple[Any, ...]
Query = Callable[[str], Iterable[tuple[Any, ...]]]


class Projection(Protocol):
    """A table that follows from entries: hears every row of the chain, then compares the table with them."""

    def hear(self, rows: Sequence[Row]) -> None:
        """The next rows, in order. Their columns hold anything."""
        ...

    def compare(self, query: Query) -> Iterator[Finding]:
        """What the table says otherwise. ``query`` answers a SELECT."""
        ...


@dataclass(slots=True, kw_only=True)
class Told:
    """What is found on the way."""

    head: Head
    first_bad: int | None = None
    entries: int = 0  # good ones before the first bad one
    stuck: bool = False  # a bad one was met
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad_blobs: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    signed_ends: int = 0

    def broken(self, row: int) -> None:
        """The chain does not hold at ``row``."""
        self.first_bad = row if self.first_bad is None else min(self.first_bad, row)

    def add(self, found: Finding) -> None:
        self.findings.append(found)


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What a walk over the rows hears for the checks behind it."""

    blobs: set[bytes] = field(default_factory=set)  # names in entries
    ends: list[tuple[int, bytes]] = field(default_factory=list)  # entry and stored bytes of a session's end
    wanted: frozenset[int] = frozenset()
    hashes: dict[int, str] = field(default_factory=dict)

    def hear(self, rows: Sequence[Row]) -> None:
        bodies = b"\n".join([row[5] for row in rows if row[3] != _TRANSITION and type(row[5]) is bytes])
        if _DIGEST.search(bodies):
            self.blobs.update(_NAMES_BLOB.findall(bodies))
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
    """Check the ledger at ``address`` (a URI of SQLite); ``stop`` ends it early.

    ``judge``: who says whose a signature is; without one signatures are not looked at. ``scripts``: the definitions of
    all projections, see :func:`ledger.shape.look`. ``whole`` also lets SQLite check its own pages and indexes.
    """
    told = Told(head=origin)
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.execute("BEGIN")
            for found in shape.look(connection, scripts):
                told.add(found)
            _contents(connection, told, origin=origin, anchors=anchors, judge=judge, projections=projections, stop=stop)
            if whole and not stop.is_set():
                _pages(connection, told)
    except FAULTS as error:
        told.trouble.append(_named(error))
    if told.trouble and told.first_bad is None:
        told.broken(told.head.seq + 1)
    for trouble in dict.fromkeys(told.trouble):
        told.add(Finding(said=f"the file cannot be read to its end ({trouble})", row=told.first_bad, remedy=EVIDENCE))
    return _report(told)


def since(address: str, seq: int, *, head: Head, origin: Head, stop: threading.Event) -> str:
    """Why the chain from entry ``seq`` to ``head`` does not hold; empty where it does, or where it was stopped."""
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            start = origin
            if seq > 1:
                row = connection.execute("SELECT hash FROM entries WHERE seq = ?", (seq - 1,)).fetchone()
                if row is None:
                    return f"entry {seq - 1} is missing"
                start = Head(seq=seq - 1, hash=row[0])
            between = f"SELECT {COLUMNS} FROM entries WHERE seq BETWEEN ? AND ? ORDER BY seq"
            for batch, flaws in judged(connection.execute(between, (seq, head.seq)), start=start):
                if stop.is_set():
                    return ""
                for flaw in flaws.values():
                    return flaw.said
                start = Head(seq=batch[-1][0], hash=batch[-1][7])
    except FAULTS as error:
        return f"the file cannot be read ({_named(error)})"
    return "" if start == head else f"entry {start.seq + 1} is not the one that was written there"


def _report(told: Told) -> ChainReport:
    first = next((f for f in told.findings if f.row == told.first_bad and f.row is not None), None)
    reason = (first or told.findings[0]).said if told.findings else ""
    return ChainReport(
        ok=not told.findings, entries=told.entries, head=told.head, first_bad=told.first_bad, reason=reason,
        bad_blobs=tuple(told.bad_blobs), findings=tuple(told.findings), notes=tuple(told.notes),
        signed_ends=told.signed_ends,
    )  # fmt: skip


def _contents(
    connection: sqlite3.Connection,
    told: Told,
    *,
    origin: Head,
    anchors: Collection[Anchor],
    judge: Judge | None,
    projections: Sequence[Projection],
    stop: threading.Event,
) -> None:
    """Chain, end, anchors, signatures, blobs, projections, in this order."""
    if not shape.readable(connection, "entries"):
        told.broken(1)
        told.add(Finding(said="there is no table of entries as this version makes it: entry 1 cannot be read", row=1))
        return
    gathered = Gathered(wanted=frozenset(anchor.seq for anchor in anchors))
    last = _walk(connection, told, origin=origin, hearers=(gathered, *projections), stop=stop)
    if stop.is_set() or told.trouble:
        return
    _end(connection, told, origin=origin, last=last)
    sworn = [*anchors, *_sworn(gathered.ends, told, judge=judge, origin=origin)] if judge else [*anchors]
    missing = frozenset(anchor.seq for anchor in sworn) - gathered.wanted
    hashes = gathered.hashes | _hashes(connection, missing)
    _compare(told, sworn, hashes=hashes, last=last)
    _strangers(sworn, told, hashes=hashes)
    if shape.readable(connection, "blobs"):
        _blobs(connection, told, named=gathered.blobs, stop=stop)
    for projection in projections:
        told.findings += projection.compare(lambda sql: connection.execute(sql))


def _walk(
    connection: sqlite3.Connection,
    told: Told,
    *,
    origin: Head,
    hearers: Sequence[Gathered | Projection],
    stop: threading.Event,
) -> int:
    """Judge every row; the number of the last one there is."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq")
    last, told_flaws = origin.seq, 0
    try:
        for number, (batch, flaws) in enumerate(judged(_readable(rows, told), start=origin)):
            if number % (_ROWS_PER_LOOK // 256) == 0 and stop.is_set():
                return last
            for flaw in flaws.values():
                told.broken(flaw.row)
                told_flaws += 1
                if told_flaws <= _MOST:
                    told.add(Finding(said=flaw.said, row=flaw.row, last=flaw.last))
            for hearer in hearers:
                hearer.hear(batch)
            last = max((row[0] for row in (batch if flaws else batch[-1:]) if type(row[0]) is int), default=last)
            _advance(told, batch, flaws)
    except FAULTS as error:
        told.trouble.append(_named(error))
    if told_flaws > _MOST:
        told.add(Finding(said=f"{told_flaws - _MOST} more entries behind these do not hold", row=told.first_bad))
    return last


def _advance(told: Told, batch: Sequence[Row], flaws: dict[int, Flaw]) -> None:
    """Move the last good head, as long as nothing bad was met."""
    good = list(takewhile(lambda row: id(row) not in flaws, batch)) if flaws else batch
    if good and not told.stuck:
        told.head = Head(seq=good[-1][0], hash=good[-1][7])
        told.entries = told.head.seq
    told.stuck = told.stuck or bool(flaws)


def _readable(rows: Iterable[Row], told: Told) -> Iterator[Row]:
    """Rows until the end, or a page that cannot be read (noted)."""
    try:
        yield from rows
    except FAULTS as error:
        told.trouble.append(_named(error))


def _end(connection: sqlite3.Connection, told: Told, *, origin: Head, last: int) -> None:
    """Compare the one row that says where the chain starts and ends."""
    if not shape.readable(connection, "chain"):
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
        told.add(Finding(said=_missing(last + 1, seq), row=last + 1, last=seq, remedy=RECORD_GONE))
        told.broken(last + 1)
        return
    found = connection.execute("SELECT hash FROM entries WHERE seq = ?", (last,)).fetchone() if last else (origin.hash,)
    if type(seq) is not int or seq != last or found is None or own != found[0]:
        said = f"the row in chain says that entry {_shown(seq)} is the last, but it is entry {last}"
        if seq == last:
            said = f"the row in chain gives entry {last} another hash than the entry has"
        told.add(Finding(said=said, row=last or None))
        if told.first_bad is None:
            told.broken(last + 1 if type(seq) is not int or seq != last else max(last, 1))


def _sworn(ends: Sequence[tuple[int, bytes]], told: Told, *, judge: Judge, origin: Head) -> Iterator[Anchor]:
    """Heads in the ends of sessions, whose signatures hold; the others are told."""
    unsigned = 0
    for seq, body in ends:
        try:
            payload = json.loads(body)["payload"]
            if payload.get("event") != ENDED:
                continue
            if payload.get(FIELD) is None:
                unsigned += 1
                continue
            signed = SignedHead.model_validate({**payload[FIELD], "genesis": origin.hash})
            told.signed_ends = seq
        except (ValueError, TypeError, KeyError, AttributeError, ValidationError, RecursionError):
            told.add(Finding(said=f"the signed head in entry {seq} cannot be read", row=seq))
            continue
        found = judge.judge(signed.signature, signed.message)
        where = f"the end of a session in entry {seq}"
        if found.standing in (Standing.OURS, Standing.LISTED):
            yield Anchor(seq=signed.seq, hash=signed.hash, where=where, source="chain")
        elif found.standing is Standing.UNKNOWN:
            told.add(Finding(said=f"the head in entry {seq} is signed with an unknown key, {found.signer}", row=seq,
                             remedy=UNKNOWN_KEY))  # fmt: skip
        else:
            told.add(Finding(said=f"the signature of the head in entry {seq} does not hold: {found.why}", row=seq))
    if unsigned:
        told.notes.append(f"{unsigned} sessions ended without a signed head (as before heads were signed)")


UNKNOWN_KEY = (
    "If it is a former key of this daemon, or that of another one, list it in `changes.other_signers` of your own "
    "settings; else somebody made the record anew, with a key of his own."
)


def _hashes(connection: sqlite3.Connection, wanted: Collection[int]) -> dict[int, str]:
    found = {}
    for seq in wanted:
        row = connection.execute("SELECT hash FROM entries WHERE seq = ?", (seq,)).fetchone()
        if row is not None:
            found[seq] = row[0]
    return found


def _compare(told: Told, anchors: Iterable[Anchor], *, hashes: dict[int, str], last: int) -> None:
    """Each anchor against the entry that it names. What lies between two anchors is vouched for by the second.

    Sources are asked one by one: a forged head of one must not vouch for what another one denies.
    """
    by: dict[str, list[Anchor]] = {}
    for anchor in sorted(anchors, key=lambda anchor: anchor.seq):
        if anchor.seq and not anchor.unknown:
            by.setdefault(anchor.source, []).append(anchor)
    wrong: dict[tuple[int, int], Finding] = {}
    doubted: dict[tuple[int, int], Finding] = {}
    for theirs in by.values():
        held, behind = 0, None
        for anchor in theirs:
            own = hashes.get(anchor.seq)
            if own == anchor.hash:
                held = anchor.seq
            elif own is not None:
                wrong.setdefault((held + 1, anchor.seq), _rewritten(anchor, held))
            elif anchor.seq > last:
                behind = anchor
        if behind is not None:
            wrong.setdefault((last + 1, behind.seq), _cut(behind, last))
            if held < last:
                doubted.setdefault((held + 1, last), _doubted(held + 1, last))
    told.findings += [*wrong.values(), *doubted.values()]
    for first, _ in wrong:
        told.broken(first)


def _cut(anchor: Anchor, last: int) -> Finding:
    said = f"{_missing(last + 1, anchor.seq)}; {anchor.where} names entry {anchor.seq}"
    return Finding(said=said, row=last + 1, last=anchor.seq, remedy=RECORD_GONE)


def _doubted(first: int, last: int) -> Finding:
    said = f"no head that is left vouches for entries {first} to {last}: they may have been rewritten too"
    return Finding(said=said, row=first, last=last, remedy=RECORD_GONE)


def _rewritten(anchor: Anchor, held: int) -> Finding:
    said = f"entry {anchor.seq} is not the one that {anchor.where} names"
    if held + 1 < anchor.seq:
        said += f": it, or one from entry {held + 1} on, was rewritten"
    return Finding(said=said, row=held + 1, last=anchor.seq)


def _strangers(anchors: Iterable[Anchor], told: Told, *, hashes: dict[int, str]) -> None:
    """Heads under keys that nobody knows, by key: another daemon's, a former key of ours, or a record made anew."""
    by: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        if anchor.unknown:
            by.setdefault(anchor.unknown, []).append(anchor)
    for signer, theirs in by.items():
        other = sorted((a for a in theirs if hashes.get(a.seq) != a.hash), key=lambda anchor: anchor.seq)
        first = min(theirs, key=lambda anchor: anchor.seq) if not other else other[0]
        said = f"{first.where} is signed with an unknown key, {signer}, and names entry {first.seq}, "
        said += "which the record does not have like that" if other else "as it stands in the record"
        if len(theirs) > 1:
            said += f"; so are {len(theirs) - 1} more heads"
        told.add(Finding(said=said, row=first.seq, remedy=UNKNOWN_KEY))


def _missing(first: int, last: int) -> str:
    return (
        f"entry {first} is missing at the end" if first == last else f"entries {first} to {last} are missing at the end"
    )


def _blobs(connection: sqlite3.Connection, told: Told, *, named: set[bytes], stop: threading.Event) -> None:
    """Every blob hashes to its name, and every one that an entry names is there."""
    there: set[bytes] = set()
    wrong: list[tuple[object, str]] = []
    try:
        for number, (sha, size, data) in enumerate(connection.execute("SELECT sha256, size, data FROM blobs")):
            if number % 64 == 0 and stop.is_set():
                return
            if not isinstance(sha, str):
                wrong.append((sha, "has a name that is no text"))
                continue
            there.add(_bytes_of(sha))
            if type(data) is not bytes or sha256_hex(data) != sha:
                wrong.append((sha, "was changed: its bytes do not hash to its name"))
            elif size != len(data):
                wrong.append((sha, f"says that it has {_shown(size)} bytes and has {len(data)}"))
    except FAULTS as error:
        told.trouble.append(_named(error))
        return
    missing = named - there
    rows = _naming(connection, missing | {_bytes_of(sha) for sha, _ in wrong}) if missing or wrong else {}
    found = [(rows.get(_bytes_of(sha)), _shown(sha), why) for sha, why in wrong]
    found += [(rows.get(name), name.decode(), "is missing") for name in missing]
    found.sort(key=lambda each: (each[0] is None, each[0] or 0, each[1]))
    told.bad_blobs += [name for _, name, _ in found]
    for row, name, why in found[:_MOST]:
        by = "that no entry names" if row is None else f"that entry {row} names"
        told.add(Finding(said=f"the blob {name[:12]} {by} {why}", row=row))
    if len(found) > _MOST:
        row = found[_MOST][0]
        said = f"{len(found) - _MOST} more blobs are missing or changed, the first is of entry {row}"
        told.add(Finding(said=said, row=row))


def _bytes_of(sha: object) -> bytes:
    return sha.encode("utf-8", errors="replace") if isinstance(sha, str) else b""


def _naming(connection: sqlite3.Connection, wanted: Collection[bytes]) -> dict[bytes, int]:
    """The first entry that names each of these blobs."""
    found: dict[bytes, int] = {}
    for seq, body in connection.execute("SELECT seq, body FROM entries ORDER BY seq"):
        if type(body) is bytes:
            for name in _NAMES_BLOB.findall(body):
                if name in wanted:
                    found.setdefault(name, seq)
    return found


def _pages(connection: sqlite3.Connection, told: Told) -> None:
    """SQLite's own look at its pages and indexes: an index that lacks a row hides that row from whoever asks by it."""
    for (said,) in connection.execute(f"PRAGMA integrity_check({_MOST})"):
        if said != "ok":
            row = re.search(r"\brow (\d+) missing from index", str(said))
            told.add(Finding(said=f"SQLite finds: {' '.join(str(said).split())}", row=int(row[1]) if row else None))


def _named(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."
