"""Converts a candidate's edits to changes of single files. Pure."""

from __future__ import annotations

from governance.changes.folders import components
from ledger.errors import ChangeError
from ledger.ids import sha256_hex
from ledger.vocabulary import Candidate, Edit, EditKind, Frozen

PERMISSIONS = 0o777


class FileChange(Frozen):
    """One file before and after. ``mode`` applies to new files only; existing ones keep theirs."""

    path: str
    before: str | None  # sha256 of what was read; None: must not exist
    data: bytes | None  # None: the file is deleted
    mode: int = 0o644
    moved_from: str | None = None  # a renamed file keeps the mode of this one

    @property
    def after(self) -> str | None:
        return None if self.data is None else sha256_hex(self.data)


def plan(candidate: Candidate) -> tuple[FileChange, ...]:
    """File changes in order. A rename is a deletion and a creation; edits without effect are dropped.

    Raises ``ApplyConflict`` for a path outside the repository and ``ChangeError`` for contradictory edits.
    """
    changes = tuple(c for edit in candidate.edits for c in _changes_of(edit) if c.before != c.after)
    seen: set[str] = set()
    for change in changes:
        components(change.path)
        if change.path in seen:
            raise ChangeError(f"The candidate edits {change.path} twice.", remedy="One edit a file.")
        seen.add(change.path)
    return changes


def _changes_of(edit: Edit) -> tuple[FileChange, ...]:
    if edit.kind is EditKind.DELETE:
        return (FileChange(path=edit.path, before=_required(edit, edit.before), data=None),)
    if edit.after is None:
        raise ChangeError(f"The edit of {edit.path} has no new content, but is no deletion.")
    mode = edit.mode & PERMISSIONS
    if edit.kind is EditKind.CREATE:
        return (FileChange(path=edit.path, before=None, data=edit.after, mode=mode),)
    if edit.kind is EditKind.MODIFY:
        return (FileChange(path=edit.path, before=_required(edit, edit.before), data=edit.after, mode=mode),)
    old = _required(edit, edit.renamed_from)
    return (
        FileChange(path=old, before=_required(edit, edit.before), data=None),
        FileChange(path=edit.path, before=None, data=edit.after, mode=mode, moved_from=old),
    )


def _required(edit: Edit, value: str | None) -> str:
    if value is None:
        raise ChangeError(f"The edit of {edit.path} does not say what was there before.")
    return value
