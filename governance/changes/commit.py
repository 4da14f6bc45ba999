"""The commit: private tree, signed object, compare-and-swap of the ref, then the owner's index and the journal.

The journal names the commit before the ref moves. After a crash the ref alone therefore shows whether the change is in.
"""

from __future__ import annotations

from collections.abc import Collection

from governance.changes import commit_object, owner_index
from governance.changes.journal import Journal
from governance.changes.kit import Kit, change_lock
from governance.changes.landing import contains, refuse_foreign_state, tip, touched_between
from governance.changes.plan import plan
from governance.changes.rollback import take_back
from governance.changes.signing import Identity
from governance.changes.trailers import compose, subject_line
from governance.changes.trees import build_tree, graft_tree
from governance.changes.types import Committed, CommitText, Landing, Prepared, Receipt, Rollback
from ledger.errors import ApplyConflict, ChangeError
from ledger.vocabulary import Candidate
from tools.repository import read_head

REVIEW_NAMES = 9  # a repeated op gets suffix ``-2``, ``-3`` ... on its review branch


def prepare(kit: Kit, receipt: Receipt, candidate: Candidate) -> Prepared:
    """The tree to commit, on the tip of the branch if that is still possible, else for a review branch."""
    landing = receipt.landing
    if landing.mode == "dry-run":
        raise ChangeError("A dry run makes no commit.")
    journal = Journal.load(kit.places, receipt.journal, kit.effects)
    changes = plan(candidate)
    paths = tuple(c.path for c in changes)
    parent, ref = landing.base, landing.ref
    if landing.mode == "branch":
        now, reason = branch_tip(kit, landing, paths)
        if reason:
            ref = landing.review_ref
        else:
            parent = now
    tree = build_tree(kit, journal.folder, parent, changes)
    if tree == kit.git.run("rev-parse", f"{parent}^{{tree}}").text:
        raise ChangeError("The change leaves the tree as it is; there is nothing to commit.")
    return Prepared(tree=tree, parent=parent, ref=ref, paths=paths)


def branch_tip(kit: Kit, landing: Landing, paths: Collection[str]) -> tuple[str, str]:
    """The branch's commit, and why it cannot take this change (empty: it can)."""
    there = read_head(kit.git)
    if there.ref != landing.ref:
        return "", "another branch is checked out now"
    now = there.commit
    if now is None or not contains(kit.git, landing.base, now):
        return "", "the branch does not contain the commit any more that the work was planned on"
    touched = touched_between(kit.git, landing.base, now, paths)
    return now, f"the branch moved on and changed {', '.join(touched)}" if touched else ""


def commit(
    kit: Kit,
    identity: Identity,
    receipt: Receipt,
    prepared: Prepared,
    text: CommitText,
    *,
    ledger_seq: int,
    ledger_hash: str,
) -> Committed:
    """Make the commit and move the ref. Blocking: call it in one thread.

    Raises ``RepositoryBusy`` before any effect while a merge or the like is under way; the caller then rolls back.
    """
    message = compose(text, signed_off_by=identity.line, ledger=(ledger_seq, ledger_hash))
    with change_lock(kit.places):
        journal = Journal.load(kit.places, receipt.journal, kit.effects)
        refuse_foreign_state(kit.git)
        work = _Commit(kit=kit, identity=identity, journal=journal, prepared=prepared, message=message)
        reason = receipt.landing.reason
        if receipt.landing.mode == "branch" and prepared.ref == receipt.landing.ref:
            landed, reason = work.on_branch()
            if landed is not None:
                return landed
        return work.on_review(reason)


class _Commit:
    """State shared by all attempts at one commit."""

    def __init__(self, *, kit: Kit, identity: Identity, journal: Journal, prepared: Prepared, message: str) -> None:
        self.kit = kit
        self.identity = identity
        self.journal = journal
        self.prepared = prepared
        self.message = message
        self.subject = subject_line(message.partition("\n")[0])

    def on_branch(self) -> tuple[Committed | None, str]:
        """Try the branch, again on its new tip when it moved; else None and the reason."""
        kit, landing, prepared = self.kit, self.journal.record.landing, self.prepared
        for _ in range(1 + kit.settings.reparent_limit):
            now, reason = branch_tip(kit, landing, prepared.paths)
            if reason:
                return None, f"This went to a review branch: {reason}."
            sha, refusal = self._move(now, landing.ref, now)
            if refusal:
                continue
            note = owner_index.refresh(kit, paths=prepared.paths, parent=now, commit=sha)
            self.journal.close()
            return Committed(commit=sha, ref=landing.ref, mode="branch", subject=self.subject, note=note), ""
        why = "the branch kept moving" if tip(kit.git, landing.ref) != now else f"git cannot move the branch: {refusal}"
        return None, f"This went to a review branch: {why}."

    def on_review(self, reason: str) -> Committed:
        """Commit on a review branch; files already written to the checkout are rolled back."""
        base, name = self.journal.record.landing.base, self.journal.record.landing.review_ref
        for ref in (name, *(f"{name}-{n}" for n in range(2, REVIEW_NAMES + 1))):
            sha, refusal = self._move(base, ref, "0" * len(base))
            if refusal:
                continue
            back = take_back(self.kit, self.journal) if self.journal.record.slots else Rollback()
            self.journal.close()
            return Committed(commit=sha, ref=ref, mode="review", subject=self.subject, note=reason, kept=back.kept)
        raise ApplyConflict(
            f"No review branch {name} can be made; git says: {refusal}.",
            paths=self.prepared.paths,
            remedy="Free the disk if it is full; else delete old review branches, or a branch named `ouro`.",
        )

    def _move(self, parent: str, ref: str, old: str) -> tuple[str, str]:
        """Commit on ``parent`` and move ``ref`` from ``old``.

        Returns the commit, and git's reason where the ref did not move, else an empty text.
        """
        tree = self.prepared.tree
        if parent != self.prepared.parent:
            tree = graft_tree(self.kit, self.journal.folder, onto=parent, tree=tree, paths=self.prepared.paths)
        data = commit_object.build(
            tree=tree, parent=parent, identity=self.identity, when=self.kit.clock.now(), message=self.message
        )
        sha = self.kit.effects.write_commit(data)
        self.journal.mark(sha, ref, parent)
        reflog = f"ouroboros: {self.subject}"
        return sha, self.kit.effects.move_ref(ref, sha, old, reflog, self.identity.git_env)
