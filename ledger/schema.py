"""Schema check of a ledger file: application id, version, and exactly the expected tables, indexes and triggers.

Runs before anything is read from the tables: a view in place of a table, or an added trigger, would control what a
reader gets.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

from ledger.integrity.findings import Finding

APPLICATION_ID = 0x4F55524F  # "OURO"
SCHEMA_VERSION = 1
RECORD = ("entries", "blobs", "chain")
SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
_CREATE = re.compile(r"CREATE\s+(?:UNIQUE\s+)?(TABLE|INDEX|TRIGGER)\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*")
REPAIR = (
    "Look at who could write the file; restore a backup, or put it right with the statement in ledger/schema.sql after "
    "`ouro ledger verify` finds nothing else."
)
DROP = "No version of this program makes it: look at who could write the file, then drop it with `sqlite3`."


def normalise(sql: str) -> str:
    """A definition normalised for comparison: no comments, no ``IF NOT EXISTS``, uniform whitespace."""
    bare = re.sub(r"\s+IF\s+NOT\s+EXISTS", "", _COMMENT.sub("", sql), flags=re.IGNORECASE)
    return re.sub(r"\s*([(),;])\s*", r"\1", " ".join(bare.split())).rstrip("; ")


def definitions(script: str) -> Mapping[str, str]:
    """Name to normalised definition of everything that a script creates."""
    found: dict[str, str] = {}
    current = ""
    for piece in re.split(r"(?<=;)", _COMMENT.sub("", script)):
        current += piece
        if sqlite3.complete_statement(current):
            if made := _CREATE.search(current):
                found[made.group(2)] = normalise(current)
            current = ""
    return found


@cache
def expected_definitions() -> Mapping[str, str]:
    """The normalised definitions of ``schema.sql``."""
    return definitions(SCHEMA)


def find_deviations(connection: sqlite3.Connection, projections: Collection[str] | None) -> Iterator[Finding]:
    """Every deviation from the expected schema.

    ``projections``: scripts that define all tables of other rooms. None when they are not known: then an added object
    is reported only when it belongs to a table of ``RECORD``.
    """
    yield from _check_header(connection)
    wanted = dict(expected_definitions())
    known = {name for script in projections or () for name in definitions(script)}
    for kind, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"):
        if not isinstance(name, str) or not isinstance(sql, str | None):
            yield Finding(said="the list of tables has a row whose name or definition is not text", remedy=REPAIR)
        elif name in wanted:
            if sql is None or normalise(sql) != wanted[name]:
                yield Finding(said=f"{kind} {name} is not defined as in this version", remedy=REPAIR)
            del wanted[name]
        elif name.startswith("sqlite_") and kind in ("index", "table"):
            continue  # SQLite's own: the prefix is reserved
        elif (projections is None and table in RECORD) or (projections is not None and name not in known):
            yield Finding(said=f"there is a {kind} {name} that was added to the file", remedy=DROP)
    for name, sql in wanted.items():
        kind = sql.split(" ", 2)[1].lower()
        yield Finding(said=f"the {kind} {name} is missing", remedy=REPAIR)


def is_expected_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether ``name`` is a table (no view) with exactly the definition in ``schema.sql``."""
    rows = connection.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (name,)).fetchall()
    if len(rows) != 1 or rows[0][0] != "table" or not isinstance(rows[0][1], str):
        return False
    return normalise(rows[0][1]) == expected_definitions()[name]


def _check_header(connection: sqlite3.Connection) -> Iterator[Finding]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        yield Finding(said=f"the file's application id is {application:#x}, not that of a ledger ({APPLICATION_ID:#x})")
    if version != SCHEMA_VERSION:
        yield Finding(
            said=f"the file has schema {version}, and this version knows schema {SCHEMA_VERSION}",
            remedy="Read it with the version that wrote it, or restore a backup.",
        )
