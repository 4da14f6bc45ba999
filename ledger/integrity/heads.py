"""Signed heads: the head of the chain at the end of a session, signed with the daemon's key.

Each is stored as one line of canonical JSON::

    {"at":...,"genesis":...,"hash":...,"seq":...,"signature":"-----BEGIN SSH SIGNATURE-----..."}

The signed message is ``ouro-head-1``, ``genesis``, ``seq`` and ``hash``, one a line. Signing and verifying are ports,
because the key belongs to another room.
"""

from __future__ import annotations

import errno
import os
import stat
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pydantic import Field, ValidationError

from ledger.canonical import canonical
from ledger.parsers.json import read_json
from ledger.vocabulary import Frozen, Head

DOMAIN = "ouro-head-1"
NAMESPACE = "ouro-ledger"
KEPT = 64  # newest lines that the file keeps: the newest vouches for all before it
LARGEST = 1 << 20


class SignatureResult(StrEnum):
    """Result of verifying a signature: by whose key it is."""

    OURS = "ours"
    LISTED = "listed"  # a key that the owner has listed: another daemon's, or a former one of this
    UNKNOWN = "unknown"  # valid, by an unknown key
    NONE = "none"  # not valid


class Judgement(Frozen):
    """``signer`` is the fingerprint of the key of a valid signature; ``why`` the reason for an invalid one."""

    standing: SignatureResult
    signer: str = ""
    why: str = ""


class Judge(Protocol):
    """Verifies signatures of heads."""

    def judge(self, signature: str, message: bytes) -> Judgement:
        """Whether the signature is valid under ``NAMESPACE``, and by whose key."""
        ...


class SignedHead(Frozen):
    """A head with its signature, see the module. ``genesis`` identifies the repository of the chain."""

    at: str = Field(max_length=64)
    genesis: str = Field(max_length=64)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    seq: int = Field(ge=0, le=(1 << 63) - 1, strict=True)
    signature: str = Field(max_length=4096)

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return message_of(self.genesis, Head(seq=self.seq, hash=self.hash))

    @property
    def line(self) -> bytes:
        """The line in a file of heads, with the newline."""
        return canonical(self.model_dump()) + b"\n"


def message_of(genesis: str, head: Head) -> bytes:
    """The message that a signature of ``head`` covers."""
    return f"{DOMAIN}\n{genesis}\n{head.seq}\n{head.hash}\n".encode("utf-8", errors="replace")


def read_lines(data: bytes) -> tuple[tuple[tuple[int, SignedHead], ...], tuple[int, ...]]:
    """The heads with their line numbers, and the numbers of the lines that cannot be parsed."""
    heads: list[tuple[int, SignedHead]] = []
    odd: list[int] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line:
            continue
        try:
            heads.append((number, SignedHead.model_validate(read_json(line))))
        except (ValueError, ValidationError, RecursionError):
            odd.append(number)
    return tuple(heads), tuple(odd)


def with_heads(*sources: bytes) -> bytes:
    """The newest ``KEPT`` lines of several files, without duplicates. Unparsable lines sort first and go first."""
    lines = dict.fromkeys(line for data in sources for line in data.split(b"\n") if line)
    order: dict[bytes, int] = {}
    for line in lines:
        heads, _ = read_lines(line)
        order[line] = heads[0][1].seq if heads else -1
    kept = sorted(lines, key=lambda line: order[line])[-KEPT:]
    return b"".join(line + b"\n" for line in kept)


def read_file(path: Path) -> bytes | None:
    """The first ``LARGEST`` bytes of ``path``, None where it does not exist. Raises ``OSError``, for a link too."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(LARGEST)
    finally:
        os.close(fd)


def write_file(path: Path, data: bytes) -> None:
    """Replace the file atomically and durably, mode 0600."""
    part = path.with_name(f"{path.name}.part")  # a fixed name, so that the next write removes what a crash left
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
