"""Source files of a commit by content id, and their contents, from git."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from tools.git import Git
from tools.index.languages import language_of

BATCH_FILES = 200
BATCH_BYTES = 2 * 1024 * 1024  # held in memory while a large repository is read
REGULAR = ("100644", "100755")


def key_of(oid: str, path: str) -> str | None:
    """The index key of contents: git's object id and the language; None when the index does not support it."""
    language = language_of(path)
    return f"{oid}.{language}" if language is not None else None


def oid_of(data: bytes, *, like: str = "") -> str:
    """Git's object id of ``data``, by the hash function (sha1, sha256) of ``like``, another id of the repository."""
    new = hashlib.sha256 if len(like) == 64 else hashlib.sha1  # an identifier, no security measure
    return new(b"blob %d\0" % len(data) + data).hexdigest()


def list_sources(git: Git, commit: str) -> dict[str, str]:
    """Source files of a commit, path to key. Blocks."""
    found = {}
    for row in git.run("ls-tree", "-r", "-z", "--full-tree", commit).fields:
        meta, _, path = row.partition("\t")
        mode, _, oid = meta.split(" ")
        key = key_of(oid, path) if mode in REGULAR else None
        if key is not None:
            found[path] = key
    return found


def sizes(git: Git, oids: Sequence[str]) -> dict[str, int]:
    """Size in bytes of each of ``oids`` that exists. Blocks."""
    asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
    rows = (row.split() for row in git.run("cat-file", "--batch-check", stdin=asked).out.splitlines())
    return {row[0].decode("ascii"): int(row[2]) for row in rows if len(row) == 3 and row[1] == b"blob"}


def read_blobs(git: Git, oids: Sequence[str]) -> dict[str, bytes]:
    """Contents of each of ``oids`` that exists, in one git call. Blocks."""
    asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
    out = git.run("cat-file", "--batch", stdin=asked).out
    found: dict[str, bytes] = {}
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        head, at = out[at:end].split(), end + 1
        if len(head) == 3:
            found[head[0].decode("ascii")] = out[at : at + int(head[2])]
            at += int(head[2]) + 1
    return found


def batches(found: dict[str, int]) -> Iterator[list[str]]:
    """Ids in batches to be read at once. ``found``: id to size."""
    batch: list[str] = []
    held = 0
    for oid, size in found.items():
        if batch and (len(batch) >= BATCH_FILES or held + size > BATCH_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(oid)
        held += size
    if batch:
        yield batch
