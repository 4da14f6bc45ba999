"""A candidate's change as a unified diff, for people. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from ledger.vocabulary import Edit


def unified(edits: Sequence[Edit], originals: Mapping[str, bytes | None]) -> str:
    """``originals`` maps each path (of a rename: the old one) to its bytes before; None or absent: no such file."""
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
