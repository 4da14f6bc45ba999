"""The writer task: concurrent requests share one transaction, and so its one wait for the disk (group commit)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiosqlite

from ledger.chain import Fragment, StoredRow, place
from ledger.clock import Clock, stamp
from ledger.database import (
    SQLITE_FAULTS,
    Identity,
    LedgerSettings,
    Statement,
    identity,
    moved_error,
    trouble,
    unwritable,
)
from ledger.errors import LedgerError, LedgerReadOnly
from ledger.vocabulary import Entry, Head

INSERT_ENTRY = "INSERT INTO entries (seq, at, op_id, kind, phase, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_BLOB = (
    "INSERT INTO blobs (sha256, size, data) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE sha256 = ?1)"
)
MOVE_HEAD = "UPDATE chain SET seq = ?, hash = ? WHERE id = 1"
# What a projection statement can raise by itself: SQL, constraints, values that SQLite cannot hold.
STATEMENT_FAULTS = (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError)


@dataclass(slots=True, eq=False, kw_only=True)
class WriteRequest:
    """Rows, blobs and statements that one caller wants to write atomically."""

    future: asyncio.Future[tuple[Entry, ...]]
    fragments: tuple[Fragment, ...] = ()
    blobs: tuple[tuple[str, int, bytes], ...] = ()  # sha256, size, data
    statements: tuple[Statement, ...] = ()

    def fail(self, error: LedgerError) -> None:
        """Raise ``error`` in the caller, if it still waits."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True, kw_only=True)
class PlacedBatch:
    """The rows and entries of a batch with their places in the chain; ``head``: the chain's head after the batch."""

    head: Head
    rows: list[StoredRow] = field(default_factory=list)
    entries: list[tuple[Entry, ...]] = field(default_factory=list)  # one tuple per request


class LedgerWriter:
    """Owns the writing connection, the head of the chain and the writer task.

    ``fault`` is None while writing is possible; once set (full disk, foreign lock, read-only file, damage) it stays,
    and every request is refused at once: the daemon then works read-only rather than unrecorded.
    """

    def __init__(
        self,
        *,
        connection: aiosqlite.Connection,
        path: Path,
        clock: Clock,
        head: Head,
        settings: LedgerSettings,
        publish: Callable[[Iterable[Entry]], None],
    ) -> None:
        self.head = head
        self.fault: LedgerError | None = None
        self._db = connection
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._files: dict[Path, Identity] = {path: identity(path)}  # the WAL file appears with the first transaction
        self._clock = clock
        self._batch_limit = settings.batch_limit
        self._publish = publish
        self._slots = asyncio.Semaphore(settings.queue_limit)
        self._queue: asyncio.Queue[WriteRequest | None] = asyncio.Queue()  # bounded by the slots; None ends the task
        self._task = asyncio.create_task(self._run(), name="ledger-writer")

    async def submit(
        self,
        *,
        fragments: tuple[Fragment, ...] = (),
        blobs: tuple[tuple[str, int, bytes], ...] = (),
        statements: tuple[Statement, ...] = (),
    ) -> tuple[Entry, ...]:
        """Write atomically; returns the entries once they are on the disk. Raises ``LedgerError``.

        When the caller is cancelled before its batch begins, the request is dropped; later it is written as a whole.
        """
        async with self._slots:
            if self.fault is not None:
                raise self._refusal()
            future: asyncio.Future[tuple[Entry, ...]] = asyncio.get_running_loop().create_future()
            self._queue.put_nowait(WriteRequest(future=future, fragments=fragments, blobs=blobs, statements=statements))
            return await future

    async def stop(self) -> None:
        """Write the queued requests, refuse later ones, end the task."""
        if self.fault is None:
            self.fault = LedgerError("The ledger is closed.")
        self._queue.put_nowait(None)
        await self._task

    async def _run(self) -> None:
        batch: list[WriteRequest] = []
        try:
            while batch := await self._gather():
                await self._write_batch(batch)
        finally:
            # Also when the loop is torn down or a defect ends this task, so that no caller waits for ever.
            if self.fault is None:
                self.fault = LedgerReadOnly("The ledger's writer has ended.", remedy="Restart the daemon.")
            while not self._queue.empty():
                if (request := self._queue.get_nowait()) is not None:
                    batch.append(request)
            for request in batch:
                request.fail(self._refusal())

    async def _gather(self) -> list[WriteRequest]:
        """The queued requests, at least one and at most ``batch_limit``; empty when the task should end."""
        batch: list[WriteRequest] = []
        item = await self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) >= self._batch_limit or self._queue.empty():
                return batch
            item = self._queue.get_nowait()
        if batch:
            self._queue.put_nowait(None)  # write these first, then end
        return batch

    async def _write_batch(self, batch: list[WriteRequest]) -> None:
        """Commit a batch. A request whose own statement fails gets the error; the others are committed without it."""
        if gone := next((file for file, known in self._files.items() if identity(file) != known), None):
            self.fault = moved_error(gone)
            for request in batch:
                request.fail(self._refusal())
            return
        try:
            while waiting := [r for r in batch if not r.future.done()]:
                placed = self._place(waiting)
                if await self._commit(waiting, placed):
                    self._files.setdefault(self._wal, identity(self._wal))
                    self.head = placed.head
                    self._publish(entry for entries in placed.entries for entry in entries)
                    for request, entries in zip(waiting, placed.entries, strict=True):
                        if not request.future.done():
                            request.future.set_result(entries)
                    return
        except SQLITE_FAULTS as error:
            self.fault = unwritable(self._path, error)
            with suppress(sqlite3.Error):  # the transaction may be gone already
                await self._db.rollback()
            for request in batch:
                request.fail(self._refusal())

    def _place(self, batch: list[WriteRequest]) -> PlacedBatch:
        placed = PlacedBatch(head=self.head)
        at = stamp(self._clock.now())
        for request in batch:
            entries = []
            for fragment in request.fragments:
                row, entry = place(fragment, after=placed.head, at=at)
                placed.head = Head(seq=row.seq, hash=row.hash)
                placed.rows.append(row)
                entries.append(entry)
            placed.entries.append(tuple(entries))
        return placed

    async def _commit(self, batch: list[WriteRequest], placed: PlacedBatch) -> bool:
        """Run one transaction. False when a request's own statement failed: it got the error, nothing was committed.

        Raises ``sqlite3.Error`` when the ledger itself cannot be written.
        """
        db = self._db
        await db.execute_fetchall("BEGIN IMMEDIATE")
        blobs = [blob for request in batch for blob in request.blobs]
        if blobs:
            await db.executemany(INSERT_BLOB, blobs)
        if placed.rows:
            await db.executemany(INSERT_ENTRY, placed.rows)
            await db.execute_fetchall(MOVE_HEAD, (placed.head.seq, placed.head.hash))
        for request in batch:
            for sql, values in request.statements:
                try:
                    await db.execute_fetchall(sql, values)
                except STATEMENT_FAULTS as error:
                    if trouble(error) is not None:
                        raise
                    await db.rollback()
                    request.fail(LedgerError(f"A projection statement failed: {error} (in {sql!r})."))
                    return False
        await db.commit()
        return True

    def _refusal(self) -> LedgerError:
        """A fresh copy of the fault: one exception object must not be raised in several callers."""
        fault = self.fault or LedgerError("The ledger is closed.")
        return type(fault)(fault.message, remedy=fault.remedy)
