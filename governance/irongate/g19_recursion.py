"""Gate 19, recursion: the daemon may not chase its own tail, and what was undone or rejected does not come back."""

from __future__ import annotations

import hashlib

from pydantic import Field

from governance.irongate.verdicts import denied, passed
from ledger.vocabulary import Candidate, Decision, Frozen, Verdict

GATE = 19
DEEPEST = 2


class Facts(Frozen):
    """How many of our own commits caused the signal, the hash of the change (empty: none yet), and refused hashes."""

    depth: int = Field(ge=0)
    deepest: int = Field(DEEPEST, ge=0)
    diff: str = ""
    undone: tuple[str, ...] = ()


def check(facts: Facts) -> Verdict:
    """Deny (park) a chain that is too deep, and a change that was undone or rejected before."""
    if facts.depth > facts.deepest:
        reason = f"{facts.depth} of our own commits led to this signal; it waits for the owner."
        return denied(GATE, "depth", reason)
    if facts.diff and facts.diff in facts.undone:
        return denied(GATE, "undone", "The same change was undone or rejected before.", evidence=(facts.diff,))
    return passed(GATE)


def diff_hash(candidate: Candidate) -> str:
    """A stable hash of what the files become: independent of the order of edits, of reasons, provider and base."""
    digest = hashlib.sha256(b"ouro-change-1\n")
    for edit in sorted(candidate.edits, key=lambda e: (e.path, e.kind)):
        content = "-" if edit.after is None else hashlib.sha256(edit.after).hexdigest()
        mode = "x" if edit.after is not None and edit.mode & 0o100 else "-"
        for field in (edit.path, edit.kind.value, content, mode, edit.renamed_from or ""):
            digest.update(field.encode("utf-8", errors="surrogatepass") + b"\0")
    return digest.hexdigest()


EXAMPLES: tuple[tuple[Facts, Decision], ...] = (
    (Facts(depth=2), Decision.ALLOW),
    (Facts(depth=3), Decision.DENY),
    (Facts(depth=0, diff="aa", undone=("bb",)), Decision.ALLOW),
    (Facts(depth=0, diff="aa", undone=("bb", "aa")), Decision.DENY),
    (Facts(depth=0, diff="", undone=("",)), Decision.ALLOW),
)
