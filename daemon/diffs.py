"""The diff of an op: of its commit, else of its newest candidate."""

from __future__ import annotations

from daemon.api import OpView
from governance.difftext import unified
from ledger.store import Ledger
from ledger.vocabulary import Candidate, Entry, EntryKind
from tools.git import Git


async def _newest(ledger: Ledger, op_id: str) -> Entry | None:
    """The entry of an op's last candidate."""
    entries = await ledger.entries(op_id=op_id, kinds=(EntryKind.CANDIDATE,), newest_first=True, limit=1)
    return entries[0] if entries else None


async def _candidate(ledger: Ledger, entry: Entry) -> Candidate:
    return Candidate.model_validate_json(await ledger.get_blob(str(entry.payload["candidate"])))


async def newest_candidate(ledger: Ledger, op_id: str) -> Candidate | None:
    """The last candidate that was recorded for an op."""
    entry = await _newest(ledger, op_id)
    return await _candidate(ledger, entry) if entry is not None else None


async def diff_of(ledger: Ledger, git: Git, view: OpView) -> str:
    """Unified; empty when there is no candidate yet."""
    if view.commit:
        shown = await git.call("show", "--format=", "--no-ext-diff", "--no-textconv", view.commit, ok=(0, 128))
        if shown.code == 0:
            return shown.out.decode("utf-8", errors="replace")
    entry = await _newest(ledger, view.id)
    if entry is None:
        return ""
    candidate = await _candidate(ledger, entry)
    # What it was made for: the op may have begun at an earlier commit, or work on uncommitted files.
    tree = entry.payload.get("tree") or view.base or "HEAD"
    originals = {}
    for path in (edit.renamed_from or edit.path for edit in candidate.edits):
        blob = await git.call("cat-file", "blob", f"{tree}:{path}", ok=(0, 128))
        originals[path] = blob.out if blob.code == 0 else None
    return unified(candidate.edits, originals)
