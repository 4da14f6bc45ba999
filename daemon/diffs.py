"""The diff of an op: of its commit, else of its newest candidate."""

from __future__ import annotations

from daemon.api import OpView
from governance.difftext import unified
from ledger.events.op import CandidateProposed
from ledger.store import Ledger
from ledger.vocabulary import Candidate
from tools.git import Git


async def newest_candidate(ledger: Ledger, op_id: str) -> Candidate | None:
    """The last candidate that was recorded for an op."""
    found = await ledger.events(CandidateProposed, op_id=op_id, newest_first=True, limit=1)
    return Candidate.model_validate_json(await ledger.get_blob(found[0][1].candidate)) if found else None


async def diff_of(ledger: Ledger, git: Git, view: OpView) -> str:
    """Unified; empty when there is no candidate yet."""
    if view.commit:
        shown = await git.call("show", "--format=", "--no-ext-diff", "--no-textconv", view.commit, ok=(0, 128))
        if shown.code == 0:
            return shown.out.decode("utf-8", errors="replace")
    candidate = await newest_candidate(ledger, view.id)
    if candidate is None:
        return ""
    paths = [edit.renamed_from or edit.path for edit in candidate.edits]
    originals = {}
    for path in paths:
        blob = await git.call("cat-file", "blob", f"{view.base or 'HEAD'}:{path}", ok=(0, 128))
        originals[path] = blob.out if blob.code == 0 else None
    return unified(candidate.edits, originals)
