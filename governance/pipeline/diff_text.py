"""Unified diff and changed lines of a candidate. Pure."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ledger.vocabulary import Edit, EditKind

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
HEADERS = ("new file mode ", "deleted file mode ", "rename from ", "rename to ")
"""Lines of git's headers that say what happens to a file beside its lines."""


def unified(edits: Sequence[Edit], originals: Mapping[str, bytes | None]) -> str:
    """Unified diff, with git's headers for files that come, go or move.

    ``originals``: earlier bytes by path (of a rename: the old one); None or absent: no such file.
    """
    parts: list[str] = []
    for edit in edits:
        source = edit.renamed_from or edit.path
        parts += _headers(edit, source)
        parts += difflib.unified_diff(
            _lines(originals.get(source)),
            _lines(edit.after),
            "/dev/null" if edit.kind is EditKind.CREATE else f"a/{source}",
            "/dev/null" if edit.kind is EditKind.DELETE else f"b/{edit.path}",
        )
    return "".join(line if line.endswith("\n") else line + "\n" for line in parts)


def _headers(edit: Edit, source: str) -> list[str]:
    if edit.kind is EditKind.MODIFY:
        return []
    what = {
        EditKind.CREATE: [f"new file mode {0o100000 | edit.mode:o}"],
        EditKind.DELETE: [f"deleted file mode {0o100000 | edit.mode:o}"],
        EditKind.RENAME: [f"rename from {source}", f"rename to {edit.path}"],
    }
    return [f"diff --git a/{source} b/{edit.path}", *what[edit.kind]]


def _lines(data: bytes | None) -> list[str]:
    """Lines as git counts them: only a newline ends one."""
    return _LINE.findall((data or b"").decode("utf-8", errors="replace"))


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
