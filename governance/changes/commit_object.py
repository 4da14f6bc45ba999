"""Commit objects as bytes: built, signed and parsed without git."""

from __future__ import annotations

from datetime import datetime

from governance.changes.signing import Identity
from governance.changes.trailers import read_trailers, trailer_problems
from governance.changes.types import CommitCheck

SHA256_WIDTH = 64


def build(*, tree: str, parent: str, identity: Identity, when: datetime, message: str) -> bytes:
    """A signed commit object. The signature covers everything but itself."""
    who = f"{identity.line} {int(when.timestamp())} +0000"
    head = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n"
    body = f"\n{message}"
    signature = identity.sign(f"{head}{body}".encode())
    folded = signature.rstrip("\n").replace("\n", "\n ")
    return f"{head}{_header(tree)} {folded}\n{body}".encode()


def _header(tree: str) -> str:
    return "gpgsig-sha256" if len(tree) == SHA256_WIDTH else "gpgsig"


def take_apart(data: bytes) -> tuple[bytes, str, str]:
    """The signed bytes, the armoured signature (empty: none) and the message of a commit object."""
    head, _, message = data.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith((b"gpgsig ", b"gpgsig-sha256 ")):
            inside = True
            signature.append(line.partition(b" ")[2])
        elif inside and line.startswith(b" "):
            signature.append(line[1:])
        else:
            inside = False
            kept.append(line)
    armoured = b"\n".join(signature).decode("utf-8", errors="replace")
    return b"\n".join(kept) + b"\n\n" + message, armoured, message.decode("utf-8", errors="replace")


def check(data: bytes, identity: Identity) -> CommitCheck:
    """Whether this commit is ours: signed by our key, with each trailer exactly once."""
    signed, armoured, message = take_apart(data)
    signature = identity.problem_with(armoured, signed) if armoured else "there is none"
    problems = (*((f"the signature: {signature}",) if signature else ()), *trailer_problems(message))
    return CommitCheck(ok=not problems, signed=not signature, trailers=read_trailers(message), problems=problems)
