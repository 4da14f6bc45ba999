"""The diff of an op: of its commit, else of its newest candidate."""

from __future__ import annotations

from daemon.control.messages import OpView
from governance.pipeline.diff_text import unified
from ledger.events.op import CandidateProposed
from ledger.store import Ledger
from ledger.vocabulary import Candidate
from tools.git import Git


async def _newest(ledger: Ledger, op_id: str) -> tuple[CandidateProposed, Candidate] | None:
    """The event of an op's last candidate, and the candidate."""
    found = await ledger.events(CandidateProposed, op_id=op_id, newest_first=True, limit=1)
    if not found:
        return None
    event = found[0][1]
    return event, Candidate.model_validate_json(await ledger.get_blob(event.candidate))


async def newest_candidate(ledger: Ledger, op_id: str) -> Candidate | None:
    """The last candidate that was recorded for an op."""
    found = await _newest(ledger, op_id)
    return found[1] if found else None


async def diff_of(ledger: Ledger, git: Git, view: OpView) -> str:
    """Unified; empty when there is no candidate yet."""
    if view.commit:
        shown = await git.call("show", "--format=", "--no-ext-diff", "--no-textconv", view.commit, ok=(0, 128))
        if shown.code == 0:
            return shown.out.decode("utf-8", errors="replace")
    found = await _newest(ledger, view.id)
    if found is None:
        return ""
    event, candidate = found
    # What it was made for: the op may have begun at an earlier commit, or work on uncommitted files.
    tree = event.tree or view.base or "HEAD"
    originals = {}
    for path in (edit.renamed_from or edit.path for edit in candidate.edits):
        blob = await git.call("cat-file", "blob", f"{tree}:{path}", ok=(0, 128))
        originals[path] = blob.out if blob.code == 0 else None
    return unified(candidate.edits, originals)
