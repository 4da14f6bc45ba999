"""Identifiers: time-ordered ids (UUIDv7), short ids and their resolution, sha256."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable

from ledger.errors import ControlError

SHORT_ID_LENGTH = 6


def uuid7_hex() -> str:
    """A UUID version 7 (RFC 9562) as 32 hex digits: 48 bits of milliseconds, then random bits."""
    millis = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (millis & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= ((random >> 62) & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & ((1 << 62) - 1)
    return f"{value:032x}"


def new_op_id(origin: str) -> str:
    """``op-<uuid7 as 32 hex>-<origin>``."""
    return f"op-{uuid7_hex()}-{origin}"


def new_signal_id() -> str:
    """``sig-<uuid7 as 32 hex>``."""
    return f"sig-{uuid7_hex()}"


def core_of(op_id: str) -> str:
    """The 32 hex digits of an op id."""
    return op_id.split("-")[1]


def short_id(op_id: str) -> str:
    """The last six hex digits (uuid7 begins with the time, so prefixes collide)."""
    return core_of(op_id)[-SHORT_ID_LENGTH:]


def resolve_op(reference: str, known: Iterable[str]) -> str:
    """The one known op id that ``reference`` (full id, hex core, or any suffix of it) matches.

    Raises ``ControlError`` when it matches none, or several (the message lists them).
    """
    wanted = reference.strip().lower()
    ids = list(dict.fromkeys(known))
    if wanted in ids:
        return wanted
    wanted = wanted.removeprefix("op-")
    found = [op for op in ids if wanted and core_of(op).endswith(wanted)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ControlError(f"No op matches {reference!r}.", remedy="`ouro ops --all` lists them.")
    raise ControlError(f"{reference!r} names several ops: {', '.join(found)}.", remedy="Give more digits.")


def sha256_hex(data: bytes | str) -> str:
    """sha256 of bytes, or of text as UTF-8, in hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
