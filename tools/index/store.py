"""Facts on disk, keyed by content, looked up by name. A cache: lost entries are parsed again.

One SQLite file per repository, so that thousands of source files cost no memory between queries. Every method blocks.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ledger.errors import ToolError
from ledger.paths import not_regular, open_regular, other_kind
from tools.index.facts import VERSION, Import, IndexedFile, from_json, imports_from, to_json

SCHEMA = """
CREATE TABLE blobs (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, facts BLOB NOT NULL, imports TEXT NOT NULL);
CREATE TABLE words (word TEXT NOT NULL, blob INTEGER NOT NULL, PRIMARY KEY (word, blob)) WITHOUT ROWID;
"""
FORM = VERSION * 1000 + sys.version_info.minor  # other versions of Python unparse signatures differently
CACHE_KIB = 4096
T = TypeVar("T")


class FactStore:
    """See the module. ``file`` None keeps everything in memory (for tests and single queries)."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._turn = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._known: set[str] = set()

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of ``keys`` that are not stored."""
        return self._with(lambda db: set(keys) - self._known)

    def put(self, found: Mapping[str, IndexedFile]) -> None:
        """Store facts; existing ones are not replaced."""

        def write(db: sqlite3.Connection) -> None:
            for key, facts in found.items():
                if key in self._known:
                    continue
                packed = zlib.compress(to_json(facts).encode("ascii"), 1)
                imports = json.dumps(facts.imports)
                row = db.execute("INSERT INTO blobs (key, facts, imports) VALUES (?, ?, ?)", (key, packed, imports))
                db.executemany(
                    "INSERT INTO words VALUES (?, ?)", ((_text(word), row.lastrowid) for word in facts.words)
                )
            db.commit()
            self._known |= found.keys()

        self._with(write)

    def get(self, keys: Iterable[str]) -> dict[str, IndexedFile]:
        """Facts of those of ``keys`` that are stored."""

        def read(db: sqlite3.Connection) -> dict[str, IndexedFile]:
            rows = (db.execute("SELECT key, facts FROM blobs WHERE key = ?", (key,)).fetchone() for key in keys)
            return {row[0]: _facts(row[1]) for row in rows if row is not None}

        return self._with(read)

    def having(self, word: str) -> dict[str, IndexedFile]:
        """Facts of every file that is indexed under ``word``: see :attr:`IndexedFile.words`."""
        query = "SELECT key, facts FROM blobs JOIN words ON words.blob = blobs.id WHERE word = ?"
        return self._with(lambda db: {key: _facts(packed) for key, packed in db.execute(query, (_text(word),))})

    def imports(self, keys: Collection[str]) -> dict[str, tuple[Import, ...]]:
        """Imports of those of ``keys`` that are stored."""

        def read(db: sqlite3.Connection) -> dict[str, tuple[Import, ...]]:
            rows = db.execute("SELECT key, imports FROM blobs")
            return {key: imports_from(json.loads(text)) for key, text in rows if key in keys}

        return self._with(read)

    def forget_beyond(self, limit: int, *, keep: Collection[str]) -> int:
        """Delete the oldest until ``limit`` contents are left, but none of ``keep``; returns how many."""

        def drop(db: sqlite3.Connection) -> int:
            spare = len(self._known) - limit
            if spare <= 0:
                return 0
            oldest = [key for (key,) in db.execute("SELECT key FROM blobs ORDER BY id") if key not in keep][:spare]
            db.executemany("DELETE FROM blobs WHERE key = ?", ((key,) for key in oldest))
            db.execute("DELETE FROM words WHERE blob NOT IN (SELECT id FROM blobs)")
            db.commit()
            self._known -= set(oldest)
            return len(oldest)

        return self._with(drop)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._turn:
            self._shut()

    # --- the connection ---

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on the open database. On an error the file is deleted and ``ToolError`` raised."""
        with self._turn:
            try:
                if self._opened is None:
                    self._opened = self._open()
                return work(self._opened)
            except (sqlite3.Error, OSError, ValueError, zlib.error) as error:
                self._shut()
                for file in self._files():
                    with suppress(OSError):  # a folder: the error names it
                        file.unlink(missing_ok=True)
                raise ToolError(
                    f"The code index failed and starts anew: {error}.", remedy="Ask again; is the disk full?"
                ) from error

    def _open(self) -> sqlite3.Connection:
        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in self._files():
                if kind := other_kind(file):  # SQLite would block at a pipe for ever
                    raise not_regular(file, kind)
            os.close(open_regular(self._file, os.O_RDWR | os.O_CREAT))
        db = sqlite3.connect(self._file or ":memory:", check_same_thread=False)
        try:
            self._prepare(db)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (form,) = db.execute("PRAGMA user_version").fetchone()
        if form != FORM:
            db.executescript(f"DROP TABLE IF EXISTS words; DROP TABLE IF EXISTS blobs; {SCHEMA}")
            db.execute(f"PRAGMA user_version = {FORM}")
            db.commit()
        self._known = {key for (key,) in db.execute("SELECT key FROM blobs")}

    def _shut(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self._known = set()

    def _files(self) -> Iterator[Path]:
        if self._file is not None:
            yield from (self._file.with_name(self._file.name + end) for end in ("", "-wal", "-shm"))


def _facts(packed: bytes) -> IndexedFile:
    return from_json(zlib.decompress(packed))


def _text(word: str) -> str:
    """A name as SQLite accepts it: lone surrogates of a source file are replaced."""
    return word.encode("utf-8", errors="replace").decode("utf-8")
