"""Updates the op's paths in the owner's index after the branch moved.

Without it the old content would look like a staged change against the new commit. Entries that differ from the parent
commit are staged by the owner and are left alone.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from governance.changes.kit import Kit
from governance.changes.trees import index_entries, index_lines, tree_entries
from ledger.errors import GitFailed


def refresh(kit: Kit, *, paths: Collection[str], parent: str, commit: str) -> str:
    """Set the index entries of ``paths`` to those of ``commit``. Returns what was not done as a sentence, else ""."""
    if not paths:
        return ""
    old, new = tree_entries(kit.git, parent, paths), tree_entries(kit.git, commit, paths)
    note = ""
    for wait_s in (0.0, *kit.settings.index_retries_s):
        time.sleep(wait_s)  # wait for another git process to release the lock; bounded by the list
        now = index_entries(kit.git, paths)
        stale = [p for p in paths if now.get(p) == old.get(p) != new.get(p)]
        staged = [p for p in paths if now.get(p) not in (old.get(p), new.get(p))]
        note = f"The owner has staged {', '.join(staged)} meanwhile; these entries are kept." if staged else ""
        try:
            if not stale or kit.effects.update_owner_index(index_lines(new, stale, len(commit))):
                kit.effects.refresh_owner_index()
                return note
        except GitFailed as error:  # the commit exists: this must not count as its failure
            return f"{error.message} {note}".rstrip()
    return (
        "Another git process holds the lock of the owner's index, so the index still has the old version of "
        f"{', '.join(paths)}; `git reset -q -- PATH` corrects that. {note}"
    ).rstrip()
