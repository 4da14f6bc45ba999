"""The ledger: one SQLite file per repository, append-only, hash-chained, durable.

One task writes (``ledger.writer``), one connection reads, and walks over the whole chain open their own. With
``read_only=True`` a ledger can be read while another process writes it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import aiosqlite

from ledger.chain import ChainReport, entry_of, freeze, genesis
from ledger.clock import Clock
from ledger.database import (
    SQLITE_FAULTS,
    LedgerSettings,
    SqlValue,
    Statement,
    claim,
    inspect,
    prepare,
    reading_uri,
    unreadable,
    uri,
    writer_pragmas,
)
from ledger.errors import LedgerError, LedgerReadOnly
from ledger.events.event import E, LedgerEvent, event_in
from ledger.ids import sha256_hex
from ledger.integrity.audit import audit, since
from ledger.integrity.findings import Anchor
from ledger.subscription import Subscription
from ledger.vocabulary import Draft, Entry, EntryKind, Head, Spend
from ledger.writer import LedgerWriter

__all__ = ["ChainReport", "Ledger", "LedgerSettings", "SqlValue", "Statement", "Subscription"]

_PROJECTION = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|WITH)\b", re.IGNORECASE)
_RECORD = re.compile(r"\b(INTO|UPDATE(\s+OR\s+\w+)?)\s+\W?(entries|blobs|chain)\b", re.IGNORECASE)
_DEFINITION = re.compile(r"(\s|--[^\n]*\n)*CREATE\b", re.IGNORECASE)
_AT_ONCE = 64  # rows that are parsed on the event loop; more are parsed in a thread
_TELLING = 8  # newest entries of an op, at least one of which has its cost


class Ledger:
    """See the module. Opened by :meth:`open`, closed by :meth:`close`."""

    def __init__(
        self,
        *,
        path: Path,
        address: str,
        origin: Head,
        head: Head,
        clock: Clock,
        settings: LedgerSettings,
        reader: aiosqlite.Connection,
        stack: AsyncExitStack,
    ) -> None:
        self.path = path
        self._address = address
        self._origin = origin
        self._opened_at = head
        self._clock = clock
        self._settings = settings
        self._reader = reader
        self._stack = stack
        self._writer: LedgerWriter | None = None
        self._subscriptions: set[Subscription] = set()
        self._hearers: list[Callable[[Entry], None]] = []
        self._ensured: set[str] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        repo_id: str,
        clock: Clock,
        read_only: bool = False,
        settings: LedgerSettings | None = None,
    ) -> Ledger:
        """Open the ledger at ``path``; a writer creates it when there is none.

        Raises ``ForeignLedger`` (no ledger, another schema, another repository), ``LedgerReadOnly`` (another writer, no
        right to write), ``ChainBroken`` (the end of the chain was tampered with; read-only it still opens) and
        ``LedgerError`` (missing, damaged).
        """
        settings = settings or LedgerSettings()
        async with AsyncExitStack() as stack:
            if not read_only:
                stack.callback(os.close, claim(path))
                head = await asyncio.to_thread(prepare, path, repo_id=repo_id, settings=settings)
            address = await asyncio.to_thread(reading_uri, path)
            if read_only:
                head = await asyncio.to_thread(inspect, address, path, repo_id=repo_id, strict=False)
            writing = None if read_only else await _connect(stack, uri(path, write=True))
            if writing is not None:
                for pragma in writer_pragmas(settings):
                    await writing.execute_fetchall(pragma)
            ledger = cls(
                path=path,
                address=address,
                origin=Head(seq=0, hash=genesis(repo_id)),
                head=head,
                clock=clock,
                settings=settings,
                reader=await _connect(stack, address),
                stack=stack.pop_all(),
            )
        if writing is not None:  # nothing is awaited from here on: the task always has an owner
            ledger._writer = LedgerWriter(
                connection=writing, path=path, clock=clock, head=head, settings=settings, publish=ledger._publish
            )
        return ledger

    # --- state ---

    @property
    def head(self) -> Head:
        """The newest entry of the chain; for a reader, as of opening."""
        return self._writer.head if self._writer else self._opened_at

    @property
    def read_only(self) -> bool:
        return self._writer is None or self._writer.fault is not None

    @property
    def fault(self) -> str:
        """Why a ledger opened for writing no longer takes entries; empty while it does."""
        return str(self._writer.fault) if self._writer and self._writer.fault else ""

    # --- writing ---

    async def append(
        self, *drafts: Draft, project: Sequence[Statement] = (), blobs: Sequence[bytes] = ()
    ) -> tuple[Entry, ...]:
        """Append entries, projection statements and blobs atomically; durable when it returns.

        ``project`` takes INSERT, UPDATE and DELETE on projections. Raises ``LedgerError`` when a payload cannot be
        stored or a statement fails (other callers are not affected), ``LedgerReadOnly`` when writing is off.
        """
        writer = self._writing()
        for sql, _ in project:
            if not _PROJECTION.match(sql) or _RECORD.search(sql):
                raise LedgerError(f"Not a statement that may go with an entry: {sql!r}.")
        for draft in drafts:
            if any(not 0 < cause <= writer.head.seq for cause in draft.causes):
                raise LedgerError(f"A cause among {draft.causes} is no entry of this ledger.")
        if not (drafts or project or blobs):
            return ()
        named = await asyncio.to_thread(_named, blobs) if blobs else ()
        fragments = tuple(freeze(draft) for draft in drafts)
        return await writer.submit(fragments=fragments, statements=tuple(project), blobs=named)

    async def put_blob(self, data: bytes) -> str:
        """Store bytes under their sha256 (hex) and return it. Idempotent; durable when it returns."""
        writer = self._writing()
        named = await asyncio.to_thread(_named, (data,))
        sha = named[0][0]
        if not await self.query("SELECT 1 FROM blobs WHERE sha256 = ?", (sha,)):
            await writer.submit(blobs=named)
        return sha

    async def ensure(self, script: str) -> None:
        """Run the CREATE ... IF NOT EXISTS statements of a projection that another room owns, all or none.

        They run once per open ledger, so it may be called before every use. A table that another process drops
        meanwhile is created again after the next open. Concurrent first calls may both run the statements, which IF
        NOT EXISTS makes harmless.
        """
        writer = self._writing()
        if script in self._ensured:
            return
        statements = _statements(script)
        for sql in statements:
            if not _DEFINITION.match(sql):
                raise LedgerError(f"A projection is defined by CREATE statements only, not by {sql!r}.")
        await writer.submit(statements=tuple((sql, ()) for sql in statements))
        self._ensured.add(script)

    # --- reading ---

    async def query(self, sql: str, params: tuple[SqlValue, ...] = ()) -> list[tuple[SqlValue, ...]]:
        """Rows of a SELECT over entries, blobs and projections. The connection cannot write."""
        if self._closed:
            raise LedgerError("The ledger is closed.")
        try:
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, params)]
        except SQLITE_FAULTS as error:
            raise unreadable(self.path, error) from error

    async def get_blob(self, sha: str) -> bytes:
        """The bytes stored under ``sha``. Raises ``LedgerError`` when there are none, or when they were altered."""
        rows = await self.query("SELECT data FROM blobs WHERE sha256 = ?", (sha,))
        if not rows:
            raise LedgerError(f"The ledger holds no blob {sha}.")
        data = cast(bytes, rows[0][0])
        if await asyncio.to_thread(sha256_hex, data) != sha:
            raise LedgerError(f"The blob {sha} of the ledger was changed.", remedy="Restore the ledger from a backup.")
        return data

    async def entries(
        self,
        *,
        op_id: str | None = None,
        kinds: Collection[EntryKind] = (),
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
        events: Collection[type[LedgerEvent]] = (),
    ) -> list[Entry]:
        """Entries with ``seq > after``, each checked against its own hash (``ChainBroken`` when it fails).

        ``events``: only entries of these classes.
        """
        clauses, params = ["seq > ?"], cast(list[SqlValue], [after])
        if op_id is not None:
            clauses.append("op_id = ?")
            params.append(op_id)
        kinds = kinds or {event.KIND for event in events}
        if kinds:
            clauses.append(f"kind IN ({','.join('?' * len(kinds))})")
            params.extend(kind.value for kind in kinds)
        if events:  # canonical JSON has one spelling, and a quote inside a text is escaped
            clauses.append(f"({' OR '.join(['instr(body, ?) > 0'] * len(events))})")
            params.extend(event.marker() for event in events)
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT seq, body, prev, hash FROM entries WHERE {' AND '.join(clauses)} ORDER BY seq {order} LIMIT ?"
        rows = await self.query(sql, (*params, -1 if limit is None else limit))
        return _entries(rows) if len(rows) <= _AT_ONCE else await asyncio.to_thread(_entries, rows)

    async def events(
        self,
        wanted: type[E],
        *,
        op_id: str | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[tuple[Entry, E]]:
        """Entries of one class, each with its event. One that this release cannot read is left out."""
        found = await self.entries(op_id=op_id, after=after, limit=limit, newest_first=newest_first, events=(wanted,))
        return [(entry, event) for entry in found if (event := event_in(entry, wanted)) is not None]

    async def slices(self, *, after: int = 0, size: int = 512) -> AsyncGenerator[list[Entry], None]:
        """All entries with ``seq > after`` in lists of ``size``: a long ledger is never in memory as a whole."""
        while entries := await self.entries(after=after, limit=size):
            yield entries
            after = entries[-1].seq

    async def spent(self, op_id: str) -> Spend:
        """What an op has cost so far: the maximum of each field over its newest entries."""
        newest = await self.entries(op_id=op_id, limit=_TELLING, newest_first=True)
        return Spend(**{name: max((getattr(e.spend, name) for e in newest), default=0) for name in Spend.model_fields})

    def subscribe(self) -> Subscription:
        """Follow entries that this object appends: ``async with ledger.subscribe() as s: async for entry in s``."""
        return Subscription(
            limit=self._settings.subscriber_limit, attach=self._attach, detach=self._subscriptions.discard
        )

    def hear(self, hearer: Callable[[Entry], None]) -> None:
        """Register ``hearer``, called with every entry that this object appends, in order, once it is durable.

        It runs before the appending call returns, for state that must always match the ledger. It must not raise.
        """
        self._hearers.append(hearer)

    async def verify(self, *, anchors: Collection[Head] = ()) -> ChainReport:
        """Recompute the chain from the stored bytes, compare the columns with them, and check every blob.

        ``anchors`` are heads from outside (trailers of signed commits) that the chain must contain: they also reveal
        rows cut off at the end. Never raises for a damaged ledger: the report has the findings.
        """
        known = tuple(Anchor(seq=a.seq, hash=a.hash, where="a signed commit") for a in anchors)
        started = self._clock.monotonic()
        stop = threading.Event()
        try:
            report = await asyncio.to_thread(audit, self._address, origin=self._origin, anchors=known, stop=stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        return report.model_copy(update={"duration_ms": int((self._clock.monotonic() - started) * 1000)})

    async def broken_behind(self, seq: int) -> str:
        """Why the chain from entry ``seq`` to the head is broken; empty when it is intact.

        For decisions that rest on one old entry: reading an entry checks its own bytes only, not those after it.
        """
        known = self.head
        stop = threading.Event()
        try:
            return await asyncio.to_thread(since, self._address, seq, head=known, origin=self._origin, stop=stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    # --- end ---

    async def close(self) -> None:
        """Write the queued requests, end the subscriptions, release the lock. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._writer is not None:
                await self._writer.stop()
        finally:
            for subscription in tuple(self._subscriptions):
                subscription.end()
            await self._stack.aclose()

    def _writing(self) -> LedgerWriter:
        if self._closed:
            raise LedgerError("The ledger is closed.")
        if self._writer is None:
            raise LedgerReadOnly(f"The ledger {self.path} was opened for reading.")
        return self._writer

    def _attach(self, subscription: Subscription) -> bool:
        if not self._closed:
            self._subscriptions.add(subscription)
        return not self._closed

    def _publish(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            for hearer in self._hearers:
                hearer(entry)
            for subscription in self._subscriptions:
                subscription.offer(entry)


async def _connect(stack: AsyncExitStack, address: str) -> aiosqlite.Connection:
    """A connection that ``stack`` closes in reverse order: the reader before the writer."""
    return await stack.enter_async_context(aiosqlite.connect(address, uri=True, isolation_level=None))


def _entries(rows: Iterable[tuple[SqlValue, ...]]) -> list[Entry]:
    return [entry_of(*row) for row in rows]


def _named(blobs: Sequence[bytes]) -> tuple[tuple[str, int, bytes], ...]:
    return tuple((sha256_hex(data), len(data), data) for data in blobs)


def _statements(script: str) -> tuple[str, ...]:
    """Split a script at the ends of statements as SQLite sees them (not inside a text or a trigger)."""
    found, current = [], ""
    for piece in re.split(r"(?<=;)", script):
        current += piece
        if sqlite3.complete_statement(current):
            found.append(current.strip())
            current = ""
    return (*found, current.strip()) if re.sub(r"--[^\n]*", "", current).strip() else tuple(found)
