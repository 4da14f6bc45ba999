"""Signed heads: where the chain stood at the end of a session, vouched for by the daemon's key.

One line of canonical JSON each::

    {"at":...,"genesis":...,"hash":...,"seq":...,"signature":"-----BEGIN SSH SIGNATURE-----..."}

What is signed is ``ouro-head-1``, ``genesis``, ``seq`` and ``hash``, a line each. Signing and judging are ports: the
key belongs to another room.
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
FIELD = "signed"  # of the payload of a session's last entry
ENDED = "session.ended"


class Standing(StrEnum):
    """Whose signature it is."""

    OURS = "ours"
    LISTED = "listed"  # of a key that the owner has listed: another daemon's, or a former one of this
    UNKNOWN = "unknown"  # it holds, and nobody knows the key
    NONE = "none"  # it does not hold


class Judgement(Frozen):
    """``signer`` is the fingerprint of the key, where the signature holds; ``why`` says why it does not."""

    standing: Standing
    signer: str = ""
    why: str = ""


class Signer(Protocol):
    """The daemon's key."""

    def sign_head(self, message: bytes) -> str:
        """An armoured signature under ``NAMESPACE``."""
        ...


class Judge(Protocol):
    """Who knows keys."""

    def judge(self, signature: str, message: bytes) -> Judgement:
        """Whose signature under ``NAMESPACE`` it is."""
        ...


class SignedHead(Frozen):
    """See the module. ``genesis`` says which repository's chain it is."""

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
        """Its line, with the newline."""
        return canonical(self.model_dump()) + b"\n"


def message_of(genesis: str, head: Head) -> bytes:
    """What a signature of ``head`` covers."""
    return f"{DOMAIN}\n{genesis}\n{head.seq}\n{head.hash}\n".encode("utf-8", errors="replace")


def read_lines(data: bytes) -> tuple[tuple[tuple[int, SignedHead], ...], tuple[int, ...]]:
    """The heads with their line numbers, and the numbers of the lines that are none."""
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
    """The newest lines of several files as one, each once; lines that are no heads go first and are the first to go."""
    lines = dict.fromkeys(line for data in sources for line in data.split(b"\n") if line)
    order: dict[bytes, int] = {}
    for line in lines:
        heads, _ = read_lines(line)
        order[line] = heads[0][1].seq if heads else -1
    kept = sorted(lines, key=lambda line: order[line])[-KEPT:]
    return b"".join(line + b"\n" for line in kept)


def read_file(path: Path) -> bytes | None:
    """The lines in ``path``; None where there is no such file. Raises ``OSError``; a link or a device is refused."""
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
    """Replace the file as a whole, durably, mode 0600."""
    part = path.with_name(f"{path.name}.part")  # one name: what a crash leaves, the next end of a session replaces
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
