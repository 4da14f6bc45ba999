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
    """SSH strings: length, then bytes."""
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
    """The wire form of a raw Ed25519 public key: what stands in base64 in a ``.pub`` file."""
    return pack(KEY_TYPE, public_key)


def _to_sign(message: bytes, namespace: str) -> bytes:
    digest = hashlib.new(HASH, message).digest()
    return MAGIC + pack(namespace.encode(), b"", HASH.encode(), digest)


def sign(key: Ed25519PrivateKey, message: bytes, *, namespace: str) -> str:
    """An armoured signature, ending with a newline."""
    public = key.public_key().public_bytes_raw()
    signature = pack(KEY_TYPE, key.sign(_to_sign(message, namespace)))
    blob = MAGIC + struct.pack(">I", VERSION) + pack(
        public_blob(public), namespace.encode(), b"", HASH.encode(), signature
    )  # fmt: skip
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def problem_with(armoured: str, message: bytes, *, namespace: str, public_key: bytes) -> str:
    """Why this is no signature of ``message`` by ``public_key`` (raw); empty when it is one."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text = armoured.strip()
    if not (text.startswith(BEGIN) and text.endswith(END)):
        return "it is not an SSH signature"
    try:
        blob = base64.b64decode("".join(text[len(BEGIN) : -len(END)].split()), validate=True)
        if blob[:6] != MAGIC or blob[6:10] != struct.pack(">I", VERSION):
            return "it is not an SSH signature of version 1"
        signer, space, reserved, algorithm, signature = unpack(blob[10:], 5)
        kind, raw = unpack(signature, 2)
    except (ValueError, binascii.Error) as error:
        return str(error)
    if signer != public_blob(public_key) or kind != KEY_TYPE:
        return "it was made with another key"
    if space != namespace.encode() or reserved or algorithm != HASH.encode():
        return "it was made for another purpose"
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, _to_sign(message, namespace))
    except InvalidSignature:
        return "it does not fit the content"
    return ""
