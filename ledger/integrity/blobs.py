"""Check of a ledger's blobs: against their hashes and sizes, and against the entries that refer to them."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Collection

from ledger.ids import sha256_hex
from ledger.integrity.findings import Finding
from ledger.integrity.report import FAULTS, MOST, CheckState, describe_error, describe_value

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
"""Payload fields that refer to a blob when their value is a sha256 digest. Not used by transitions."""
_DIGEST = re.compile(rb'":"([0-9a-f]{64})"')  # a fast pre-filter for _NAMES
_NAMES = re.compile(rb'"(?:%b)":"([0-9a-f]{64})"' % "|".join(BLOB_FIELDS).encode())


def names_in(bodies: bytes) -> list[bytes]:
    """Digests of the blobs that stored bytes of entries refer to."""
    return _NAMES.findall(bodies) if _DIGEST.search(bodies) else []


def check_blobs(connection: sqlite3.Connection, told: CheckState, *, wanted: set[bytes], stop: threading.Event) -> None:
    """Add findings for blobs that do not match their hash or size, and for missing ones among ``wanted``."""
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
                wrong.append((sha, f"says that it has {describe_value(size)} bytes and has {len(data)}"))
    except FAULTS as error:
        told.trouble.append(describe_error(error))
        return
    missing = wanted - there
    rows = _naming(connection, missing | {_bytes_of(sha) for sha, _ in wrong}) if missing or wrong else {}
    found = [(rows.get(_bytes_of(sha)), describe_value(sha), why) for sha, why in wrong]
    found += [(rows.get(name), name.decode(), "is missing") for name in missing]
    found.sort(key=lambda each: (each[0] is None, each[0] or 0, each[1]))
    told.bad_blobs += [name for _, name, _ in found]
    for row, name, why in found[:MOST]:
        by = "that no entry names" if row is None else f"that entry {row} names"
        told.add(Finding(said=f"the blob {name[:12]} {by} {why}", row=row))
    if len(found) > MOST:
        row = found[MOST][0]
        said = f"{len(found) - MOST} more blobs are missing or changed, the first is of entry {row}"
        told.add(Finding(said=said, row=row))


def _bytes_of(sha: object) -> bytes:
    return sha.encode("utf-8", errors="replace") if isinstance(sha, str) else b""


def _naming(connection: sqlite3.Connection, wanted: Collection[bytes]) -> dict[bytes, int]:
    """The first entry that refers to each of these blobs."""
    found: dict[bytes, int] = {}
    for seq, body in connection.execute("SELECT seq, body FROM entries ORDER BY seq"):
        if type(body) is bytes:
            for name in names_in(body):
                if name in wanted:
                    found.setdefault(name, seq)
    return found
