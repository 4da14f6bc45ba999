"""SSHSIG, the signature format of ``ssh-keygen -Y sign``, made and checked without ssh-keygen.

Format: OpenSSH's PROTOCOL.sshsig. Ed25519 only, sha512.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAGIC = b"SSHSIG"
VERSION = 1
KEY_TYPE = b"ssh-ed25519"
HASH = "sha512"
BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"
WIDTH = 70


def pack(*items: bytes) -> bytes:
    """SSH strings: big-endian length, then bytes."""
    return b"".join(struct.pack(">I", len(item)) + item for item in items)


def unpack(data: bytes, count: int) -> tuple[bytes, ...]:
    """Exactly ``count`` SSH strings and nothing after them. Raises ``ValueError``."""
    items, at = [], 0
    for _ in range(count):
        if at + 4 > len(data):
            raise ValueError("the signature is cut short")
        (length,) = struct.unpack_from(">I", data, at)
        items.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    if at != len(data):
        raise ValueError("the signature has a wrong length")
    return tuple(items)


def public_blob(public_key: bytes) -> bytes:
    """The wire form of a raw Ed25519 public key: the base64 part of a ``.pub`` file."""
    return pack(KEY_TYPE, public_key)


def _to_sign(message: bytes, namespace: str) -> bytes:
    digest = hashlib.new(HASH, message).digest()
    return MAGIC + pack(namespace.encode(), b"", HASH.encode(), digest)


def sign(key: Ed25519PrivateKey, message: bytes, *, namespace: str) -> str:
    """An armoured signature, ending with a newline."""
    public = key.public_key().public_bytes_raw()
    signature = pack(KEY_TYPE, key.sign(_to_sign(message, namespace)))
    blob = (
        MAGIC
        + struct.pack(">I", VERSION)
        + pack(public_blob(public), namespace.encode(), b"", HASH.encode(), signature)
    )
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def problem_with(armoured: str, message: bytes, *, namespace: str, public_key: bytes) -> str:
    """Why this is not a signature of ``message`` by ``public_key`` (raw); empty when it is."""
    try:
        signer, parts = _taken_apart(armoured)
    except (ValueError, binascii.Error) as error:
        return str(error)
    if signer != public_blob(public_key) or parts[0] != KEY_TYPE:
        return "it was made with another key"
    return _flaw(parts, message, namespace, public_key)


def signer_of(armoured: str, message: bytes, *, namespace: str) -> bytes:
    """The raw public key of a valid signature of ``message``. Raises ``ValueError`` with the reason."""
    signer, parts = _taken_apart(armoured)
    kind, key = unpack(signer, 2)
    if kind != KEY_TYPE or parts[0] != KEY_TYPE:
        raise ValueError("it was made with a key of another kind")
    if why := _flaw(parts, message, namespace, key):
        raise ValueError(why)
    return key


def fingerprint(public_key: bytes) -> str:
    """The fingerprint in the format of ``ssh-keygen -l``."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_blob(public_key)).digest()).decode().rstrip("=")


def _taken_apart(armoured: str) -> tuple[bytes, tuple[bytes, bytes, bytes, bytes, bytes]]:
    """The signer's key in wire form; and signature kind, signature bytes, namespace, reserved, hash algorithm."""
    text = armoured.strip()
    if not (text.startswith(BEGIN) and text.endswith(END)):
        raise ValueError("it is not an SSH signature")
    blob = base64.b64decode("".join(text[len(BEGIN) : -len(END)].split()), validate=True)
    if blob[:6] != MAGIC or blob[6:10] != struct.pack(">I", VERSION):
        raise ValueError("it is not an SSH signature of version 1")
    signer, space, reserved, algorithm, signature = unpack(blob[10:], 5)
    kind, raw = unpack(signature, 2)
    return signer, (kind, raw, space, reserved, algorithm)


def _flaw(parts: tuple[bytes, bytes, bytes, bytes, bytes], message: bytes, namespace: str, public_key: bytes) -> str:
    """Why the parts are not a valid signature of ``message`` by that key; empty when they are."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    _, raw, space, reserved, algorithm = parts
    if space != namespace.encode() or reserved or algorithm != HASH.encode():
        return "it was made for another purpose"
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, _to_sign(message, namespace))
    except (InvalidSignature, ValueError):
        return "it does not fit the content"
    return ""
