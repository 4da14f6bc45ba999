"""After the branch moved: the owner's own index learns of just the op's paths.

Without this the old content would look staged against the new commit. An entry that is not what the parent commit holds
is the owner's staging and is left as it is.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from governance.changes.kit import Kit
from governance.changes.trees import index_entries, index_lines, tree_entries
from ledger.errors import GitFailed


def refresh(kit: Kit, *, paths: Collection[str], parent: str, commit: str) -> str:
    """Give ``paths`` the entries they have in ``commit``. Returns what could not be done, as a sentence, or nothing."""
    if not paths:
        return ""
    old, new = tree_entries(kit.git, parent, paths), tree_entries(kit.git, commit, paths)
    note = ""
    for wait_s in (0.0, *kit.settings.index_retries_s):
        time.sleep(wait_s)  # another git holds the lock for a moment; the list of waits is the bound
        now = index_entries(kit.git, paths)
        stale = [p for p in paths if now.get(p) == old.get(p) != new.get(p)]
        staged = [p for p in paths if now.get(p) not in (old.get(p), new.get(p))]
        note = f"The owner has staged {', '.join(staged)} meanwhile; that stays." if staged else ""
        try:
            if not stale or kit.effects.update_owner_index(index_lines(new, stale, len(commit))):
                kit.effects.refresh_owner_index()
                return note
        except GitFailed as error:  # the commit stands: this must not look like a failure of it
            return f"{error.message} {note}".rstrip()
    return (
        "Another git holds the owner's index, so it still has the old version of "
        f"{', '.join(paths)}; `git reset -q -- PATH` puts that right. {note}"
    ).rstrip()
