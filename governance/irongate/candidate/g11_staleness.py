"""Gate 11, staleness: files that the model read must be unchanged when the change is applied.

A changed target sends the op back to planning. A changed neighbour (a file that was read, not edited) is only recorded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from governance.irongate.gate import Gate, Subject
from governance.irongate.verdicts import denied, passed, shown
from ledger.ids import sha256_hex
from ledger.paths import open_below
from ledger.vocabulary import Decision, Frozen, Verdict

NUMBER = 11
NOT_A_FILE = "not-a-file"  # in place of a hash for a link, folder or device; differs from every hash


class StalenessFacts(Frozen):
    """sha256 of every file as it was read and as it is now (None: there was, or is, no file)."""

    targets: tuple[str, ...]
    read: dict[str, str | None]
    now: dict[str, str | None]


def check(facts: StalenessFacts) -> Verdict:
    """Deny when a target changed or has no recorded hash; list changed neighbours as evidence."""
    stale = sorted(
        path
        for path in set(facts.targets)
        if path not in facts.read or path not in facts.now or facts.read[path] != facts.now[path]
    )
    if stale:
        names = ", ".join(shown(path) for path in stale)
        return denied(NUMBER, "target_changed", f"Changed since it was read: {names}.", evidence=stale)
    moved = sorted(path for path, sha in facts.read.items() if facts.now.get(path) != sha)
    return passed(NUMBER, "neighbour_changed" if moved else "ok", evidence=moved)


def gather(root: Path, targets: Collection[str], read: dict[str, str | None]) -> StalenessFacts:
    """Hash the files below ``root`` as they are now (blocking; links are not followed)."""
    now = {path: _hash_file(root, path) for path in {*targets, *read}}
    return StalenessFacts(targets=tuple(sorted(targets)), read=read, now=now)


def _hash_file(root: Path, path: str) -> str | None:
    *folders, name = path.split("/")
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = open_below(top, folders)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        with os.fdopen(fd, "rb") as file:
            return sha256_hex(file.read()) if stat.S_ISREG(os.fstat(fd).st_mode) else NOT_A_FILE
    except FileNotFoundError:
        return None
    except OSError:
        return NOT_A_FILE


EXAMPLES: tuple[tuple[StalenessFacts, Decision], ...] = (
    (StalenessFacts(targets=("a",), read={"a": "1", "b": "2"}, now={"a": "1", "b": "2"}), Decision.ALLOW),
    (StalenessFacts(targets=("a",), read={"a": "1"}, now={"a": "9"}), Decision.DENY),
    (StalenessFacts(targets=("a",), read={"a": "1", "b": "2"}, now={"a": "1", "b": "9"}), Decision.ALLOW),
    (StalenessFacts(targets=("new",), read={"new": None}, now={"new": None}), Decision.ALLOW),
    (StalenessFacts(targets=("new",), read={"new": None}, now={"new": "1"}), Decision.DENY),
    (StalenessFacts(targets=("a",), read={}, now={"a": "1"}), Decision.DENY),
    (StalenessFacts(targets=("a",), read={"a": "1"}, now={}), Decision.DENY),
)
GATE = Gate(
    number=NUMBER,
    name="staleness",
    summary="edits to files that changed after they were read",
    subjects=(Subject.APPLY,),
    facts=StalenessFacts,
    check=check,
    examples=EXAMPLES,
)
