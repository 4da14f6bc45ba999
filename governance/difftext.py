"""Unified diff and changed lines of a candidate. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

from ledger.vocabulary import Edit


def unified(edits: Sequence[Edit], originals: Mapping[str, bytes | None]) -> str:
    """Unified diff. ``originals``: earlier bytes by path (of a rename: the old one); None or absent: no such file."""
    parts: list[str] = []
    for edit in edits:
        source = edit.renamed_from or edit.path
        before = originals.get(source) or b""
        parts += difflib.unified_diff(
            before.decode("utf-8", errors="replace").splitlines(keepends=True),
            (edit.after or b"").decode("utf-8", errors="replace").splitlines(keepends=True),
            f"a/{source}",
            f"b/{edit.path}",
        )
    return "".join(line if line.endswith("\n") else line + "\n" for line in parts)


def line_changes(before: bytes | None, after: bytes | None) -> tuple[int, tuple[str, ...]]:
    """Number of added plus removed lines, and their text. Large files are compared as multisets of lines."""
    old = (before or b"").decode("utf-8", errors="replace").splitlines()
    new = (after or b"").decode("utf-8", errors="replace").splitlines()
    if len(old) + len(new) >= 6_000:
        gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
        return gone.total() + come.total(), (*gone, *come)
    changed: list[str] = []
    for tag, a0, a1, b0, b1 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            changed += old[a0:a1] + new[b0:b1]
    return len(changed), tuple(changed)
