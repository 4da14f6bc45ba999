"""The ledger's SQLite file: creation, recognition before any write, the writer's lock, and messages for its errors.

Everything here blocks (call it in a thread) except :func:`claim`, which takes microseconds.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from pydantic import Field, ValidationError

from ledger.chain import COLUMNS, genesis, walk
from ledger.errors import ChainBroken, ForeignLedger, LedgerError, LedgerReadOnly
from ledger.paths import open_regular, other_kind
from ledger.schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION
from ledger.vocabulary import Frozen, Head

FILE_MODE, FOLDER_MODE = 0o600, 0o700

SqlValue = int | float | str | bytes | None
Statement = tuple[str, tuple[SqlValue, ...]]


class LedgerSettings(Frozen):
    """Limits of the store. The number of entries is not limited."""

    queue_limit: int = Field(
        default=1024, ge=1, description="Requests that may wait for the writer; more callers wait."
    )
    batch_limit: int = Field(default=256, ge=1, description="Requests that share one transaction at most.")
    subscriber_limit: int = Field(default=1024, ge=1, description="Entries kept for a slow follower; older are missed.")
    busy_timeout_ms: int = Field(
        default=5_000, ge=0, description="Wait for a foreign lock on the file before giving up."
    )


class Trouble(Frozen):
    """A failure of SQLite for the user: what happened, and what to do."""

    what: str
    remedy: str


_TROUBLES = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free space on that disk, then restart the daemon."),
    sqlite3.SQLITE_IOERR: (
        "the disk reports an error or a size limit is reached",
        "Free space or lift the limit (`ulimit -f`), then restart the daemon.",
    ),
    sqlite3.SQLITE_READONLY: (
        "the file or its folder is read-only",
        "Give its owner write access, then restart the daemon.",
    ),
    sqlite3.SQLITE_PERM: ("the file may not be written", "Give its owner write access, then restart the daemon."),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "Look at its folder's rights and at the disk."),
    sqlite3.SQLITE_BUSY: (
        "another program holds a lock on it",
        "Close that program (a backup, `sqlite3`), then restart the daemon.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "another program holds a lock on it",
        "Close that program (a backup, `sqlite3`), then restart the daemon.",
    ),
    sqlite3.SQLITE_PROTOCOL: ("its lock files misbehave", "Keep the state folder on a local disk."),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "Keep it as evidence and restore a backup."),
    sqlite3.SQLITE_NOTADB: ("the file is not a database", "Move it away or restore a backup."),
}


# A damaged schema makes SQLite quote damaged text in its message, which Python then cannot decode.
SqliteFault = sqlite3.Error | UnicodeDecodeError
SQLITE_FAULTS = (sqlite3.Error, UnicodeDecodeError)


def trouble(error: BaseException) -> Trouble | None:
    """The external cause of an SQLite error (disk, rights, locks, damage); None when the statement itself was wrong."""
    known = _TROUBLES.get(_code(error))
    return Trouble(what=known[0], remedy=known[1]) if known else None


def unreadable(path: Path, error: SqliteFault) -> LedgerError:
    """The error for a ledger that cannot be read."""
    if _code(error) == sqlite3.SQLITE_NOTADB:
        return _not_ours(path, str(error))
    if (found := trouble(error)) is None:
        return LedgerError(f"The ledger {path} does not answer: {error}.")
    return LedgerError(f"The ledger {path} cannot be read: {found.what} ({error}).", remedy=found.remedy)


def unwritable(path: Path, error: SqliteFault) -> LedgerReadOnly:
    """The error for a ledger that cannot be written."""
    found = trouble(error) or Trouble(what="it refused the next entry", remedy="Run `ouro ledger verify`.")
    return LedgerReadOnly(f"The ledger {path} cannot be written: {found.what} ({error}).", remedy=found.remedy)


def moved_error(path: Path) -> LedgerReadOnly:
    """The error for a file that was removed or replaced while it was open: further writes to it would be lost."""
    return LedgerReadOnly(
        f"The ledger's file {path} was removed or replaced while the daemon had it open.",
        remedy="Put it back, or restore a backup, then restart the daemon; `ouro ledger verify` names what is missing.",
    )


def _code(error: BaseException) -> int:
    """SQLite's primary result code; ``SQLITE_CORRUPT`` for text that cannot be decoded."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def claim(path: Path) -> int:
    """Take the writer's lock, a file next to ``path``, and return its descriptor; closing it releases the lock.

    Raises ``LedgerReadOnly`` when another process holds it or the folder cannot be written, ``LedgerError`` when
    others can write the folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        mode = path.parent.stat().st_mode
        if mode & 0o022:
            raise LedgerError(
                f"The folder {path.parent} of the ledger can be written by others (mode {mode & 0o7777:o}).",
                remedy=f"`chmod 700 {path.parent}`",
            )
        fd = open_regular(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:
        raise LedgerReadOnly(
            f"The ledger {path} cannot be written: {error.strerror}.",
            remedy="Give the daemon's user write access to its state folder.",
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise LedgerReadOnly(
            f"Another process writes the ledger {path}.",
            remedy="Ask that daemon over its socket, or open the ledger for reading.",
        ) from error
    return fd


def refuse_odd(path: Path) -> None:
    """Raises ``LedgerError`` when the file, or a side file of SQLite, is a pipe (opening it would block), a link ..."""
    for side in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + side)
        if kind := other_kind(file):
            raise LedgerError(
                f"{file} is {kind}, not a file of the ledger.",
                remedy="Find out who put it there, and move it away; if the ledger is gone, restore a backup.",
            )


Identity = tuple[int, int] | None
"""Device and inode of a file; None where there is none."""


def identity(path: Path) -> Identity:
    """Device and inode of ``path``. One system call of microseconds, no reading."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def uri(path: Path, *, write: bool = False) -> str:
    """The URI by which SQLite opens ``path``: without creating it, and read-only unless ``write``."""
    return f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}"


def reading_uri(path: Path) -> str:
    """The URI for a reader, with ``immutable=1`` in a folder that cannot be written: SQLite opens it no other way.

    Raises ``LedgerError`` when there is no ledger or it cannot be read.
    """
    wanted = uri(path)
    refuse_odd(path)
    if not path.is_file():
        raise LedgerError(f"There is no ledger at {path}.", remedy="`ouro run` makes one.")
    try:
        with closing(sqlite3.connect(wanted, uri=True)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except SQLITE_FAULTS as error:
        wal = path.with_name(path.name + "-wal")
        pending = wal.exists() and wal.stat().st_size > 0
        if pending or _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise unreadable(path, error) from error
        return wanted + "&immutable=1"
    return wanted


def inspect(address: str, path: Path, *, repo_id: str, strict: bool) -> Head:
    """Recognise a ledger and return the head of its chain, without changing a byte.

    Raises ``ForeignLedger`` for a file that is no ledger, of another schema or of another repository, ``LedgerError``
    for a damaged one; with ``strict`` also ``ChainBroken`` when the last row is bad or not the recorded head.
    """
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            _recognise(connection, path)
            kept = connection.execute("SELECT genesis, seq, hash FROM chain").fetchone()
            last = connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    except SQLITE_FAULTS as error:
        raise unreadable(path, error) from error
    origin = genesis(repo_id)
    if kept is None or kept[0] != origin:
        raise ForeignLedger(
            f"The ledger {path} belongs to another repository (it starts with another repo-id).",
            remedy="Move it away; a new one is made at start.",
        )
    try:
        witness = Head(seq=kept[1], hash=kept[2])
        head = Head(seq=last[0], hash=last[7]) if last else Head(seq=0, hash=origin)
        flaw = walk([last], start=Head(seq=last[0] - 1, hash=last[6]))[1] if last else ""
    except ValidationError as error:
        raise LedgerError(f"The ledger {path} is damaged at its end.", remedy="Restore a backup.") from error
    if strict and (head != witness or flaw):
        first_bad = head.seq if head.seq >= witness.seq else head.seq + 1
        raise ChainBroken(
            f"The ledger {path} does not end as it should: {flaw or f'its last good entry was {witness.seq}'}.",
            seq=first_bad,
            remedy="`ouro ledger verify` names the first bad row; restore a backup to go on.",
        )
    return head


def prepare(path: Path, *, repo_id: str, settings: LedgerSettings) -> Head:
    """Create or recognise the file, and check that it can be written. The caller holds the lock of :func:`claim`."""
    refuse_odd(path)
    if _fresh(path):
        _create(path, repo_id=repo_id, settings=settings)
    head = inspect(reading_uri(path), path, repo_id=repo_id, strict=True)
    try:
        if (mode := path.stat().st_mode) & ~FILE_MODE & 0o777:
            path.chmod(mode & FILE_MODE)  # tightened, never loosened: an owner may have made it read-only
        with closing(_connect(path, settings)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            # A read-only file and a foreign lock show now, not at the first entry. (BEGIN alone accepts such a file.)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE chain SET seq = seq")
            connection.execute("ROLLBACK")
    except SQLITE_FAULTS as error:
        raise unwritable(path, error) from error
    except OSError as error:
        raise LedgerReadOnly(f"The ledger {path} cannot be written: {error.strerror}.") from error
    return head


def writer_pragmas(settings: LedgerSettings) -> tuple[str, ...]:
    """Settings of a writing connection, with which an acknowledged entry survives a power cut."""
    return ("PRAGMA synchronous=FULL", f"PRAGMA busy_timeout={settings.busy_timeout_ms}", "PRAGMA foreign_keys=ON")


def _connect(path: Path, settings: LedgerSettings) -> sqlite3.Connection:
    connection = sqlite3.connect(uri(path, write=True), uri=True, isolation_level=None)
    for pragma in writer_pragmas(settings):
        connection.execute(pragma)
    return connection


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ``ForeignLedger`` unless the file is a ledger of this schema."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise _not_ours(path, f"its application id is {application:#x}")
    if version != SCHEMA_VERSION:
        raise ForeignLedger(
            f"The ledger {path} has schema {version}; this version of Ouroboros knows schema {SCHEMA_VERSION}.",
            remedy="Use the version that wrote it, or a newer one.",
        )


def _not_ours(path: Path, why: str) -> ForeignLedger:
    return ForeignLedger(
        f"The file {path} is not a ledger: {why}.", remedy="Move it away; a new ledger is made at start."
    )


def _fresh(path: Path) -> bool:
    """Whether there is no ledger yet: no file, or one whose creation was cut short before its one transaction."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(uri(path), uri=True)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except SQLITE_FAULTS:
        return False  # recognised, and refused with its reason, by inspect()
    return bool(application == 0 and tables == 0)


def _create(path: Path, *, repo_id: str, settings: LedgerSettings) -> None:
    """Create an empty ledger, durably and in one transaction. The file is private before it has content."""
    try:
        path.touch(mode=FILE_MODE)  # SQLite gives its side files the same mode
        with closing(_connect(path, settings)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};\n"
                + SCHEMA
            )
            origin = genesis(repo_id)
            connection.execute("INSERT INTO chain VALUES (1, ?, 0, ?)", (origin, origin))
            connection.execute("COMMIT")
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except SQLITE_FAULTS as error:
        raise unwritable(path, error) from error
    except OSError as error:
        raise LedgerReadOnly(f"The ledger {path} cannot be made: {error.strerror}.") from error
