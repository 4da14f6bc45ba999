"""Facade for all changes to the owner's repository."""

from __future__ import annotations

import asyncio

from governance.changes import commit_object, recover
from governance.changes.apply import apply
from governance.changes.commit import commit, prepare
from governance.changes.effects import Effects
from governance.changes.hooks import HOOKS, HookRunner
from governance.changes.kit import Kit
from governance.changes.landing import decide, gather
from governance.changes.settings import ChangeSettings
from governance.changes.signing import Identity, ensure_identity
from governance.changes.trailers import compose
from governance.changes.trees import INDEX
from governance.changes.types import (
    CommitCheck,
    Committed,
    CommitText,
    Landing,
    Prepared,
    Receipt,
    Recovered,
    Rollback,
)
from governance.changes.undo import plan_undo
from ledger.clock import Clock, SystemClock
from ledger.errors import ChangeError, GitFailed, HookRefused, OuroError
from ledger.places import Places
from ledger.tasks import run_to_completion
from ledger.vocabulary import Candidate, Operation
from tools.git import Git


class Changes:
    """Landing, apply, prepare and commit; or rollback; and recovery after a crash. Methods without ``async`` block."""

    def __init__(
        self,
        *,
        git: Git,
        places: Places,
        settings: ChangeSettings,
        hooks: HookRunner,
        effects: Effects | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._hooks = hooks
        self._kit = Kit(
            git=git, places=places, settings=settings, effects=effects or Effects(git), clock=clock or SystemClock()
        )

    @property
    def identity(self) -> Identity:
        """The committer; the key is made on first use."""
        return ensure_identity(self._kit.places, self.settings)

    @property
    def identity_line(self) -> str:
        """``Name <mail>`` of the committer."""
        return self.identity.line

    def landing(self, op: Operation, candidate: Candidate) -> Landing:
        """Where this candidate may land; a review branch, with the reason, whenever the branch is not safe.

        Raises ``RepositoryBusy`` during a merge, rebase, bisect, cherry-pick or revert.
        """
        return self._landing(op.id, base=op.base, tree=op.tree, candidate=candidate)

    def apply(self, op_id: str, candidate: Candidate, landing: Landing) -> Receipt:
        """See :func:`governance.changes.apply.apply`."""
        return apply(self._kit, op_id, candidate, landing)

    async def prepare(self, receipt: Receipt, candidate: Candidate, text: CommitText) -> Prepared:
        """The tree to commit, accepted by the repository's own hooks.

        Raises ``HookRefused`` with the hook's output, ``ApplyConflict`` when git cannot take the files into the tree,
        ``ChangeError`` when nothing would change. The caller then rolls back.
        """
        prepared = await asyncio.to_thread(prepare, self._kit, receipt, candidate)
        folder = self._kit.places.journal / receipt.journal
        message = folder / "message"
        words = compose(text, signed_off_by=self.identity.line, ledger=None)
        await asyncio.to_thread(self._kit.effects.lay_out, folder, {message.name: (words.encode(), 0o600)})
        for hook in HOOKS:
            result = await self._hooks.run(
                hook, index=folder / INDEX, message=message if hook == "commit-msg" else None
            )
            if not result.ok:
                raise HookRefused(
                    f"The repository's {hook} hook refused the change.",
                    hook=hook,
                    output=result.output,
                    remedy="Its output says why.",
                )
        return prepared

    def commit(
        self, receipt: Receipt, prepared: Prepared, text: CommitText, *, ledger_seq: int, ledger_hash: str
    ) -> Committed:
        """See :func:`governance.changes.commit.commit`. The ledger's intent entry must be written before."""
        return commit(self._kit, self.identity, receipt, prepared, text, ledger_seq=ledger_seq, ledger_hash=ledger_hash)

    def rollback(self, receipt: Receipt) -> Rollback:
        """Roll back files that still have our content; files that the owner changed are kept and listed.

        If the change's commit is already in its ref, the change is finished instead (``Rollback.commit``).
        """
        return recover.roll_back(self._kit, receipt.journal)

    def recover(self) -> tuple[Recovered, ...]:
        """At boot, before any op runs: finish or roll back every change that a crash left open."""
        return recover.recover(self._kit)

    async def undo(self, op_id: str, commit: str, *, ledger_seq: int, ledger_hash: str) -> Committed:
        """Revert the commit of a finished op by another signed commit; on a review branch where files are dirty.

        Raises ``ChangeError`` (not ours, not in this branch, nothing left to undo), ``ApplyConflict`` (later changes
        overlap) and what :meth:`apply` and :meth:`prepare` raise, with nothing changed. A cancellation rolls back what
        was written; one that arrives during the commit is too late and is not raised.
        """
        candidate, head, text = await asyncio.to_thread(plan_undo, self._kit, self.identity, op_id, commit)
        name = f"undo-{op_id}"
        landing = await asyncio.to_thread(self._landing, name, base=head, tree=head, candidate=candidate)
        if landing.mode == "dry-run":
            raise ChangeError("Nothing is undone while changes.mode is dry-run.")
        taken: list[Receipt] = []
        done: list[Committed] = []
        try:
            receipt = await run_to_completion(asyncio.to_thread(self.apply, name, candidate, landing), taken.append)
            prepared = await self.prepare(receipt, candidate, text)
            return await run_to_completion(
                asyncio.to_thread(self.commit, receipt, prepared, text, ledger_seq=ledger_seq, ledger_hash=ledger_hash),
                done.append,
            )
        except (OuroError, OSError, asyncio.CancelledError):
            task = asyncio.current_task()
            if done and task is not None:
                task.uncancel()  # the ref has moved: report and record it
                return done[0]
            for receipt in taken:
                await run_to_completion(asyncio.to_thread(self.rollback, receipt))
            raise

    def verify(self, commit: str) -> CommitCheck:
        """Whether this commit is signed by this repository's daemon, with each trailer exactly once."""
        try:
            data = self._kit.git.run("cat-file", "commit", commit).out
        except GitFailed as error:
            return CommitCheck(ok=False, signed=False, problems=(f"it cannot be read: {error.message}",))
        return commit_object.check(data, self.identity)

    def _landing(self, op_id: str, *, base: str, tree: str, candidate: Candidate) -> Landing:
        facts = gather(self._kit.git, mode=self.settings.mode, op_id=op_id, base=base, tree=tree, candidate=candidate)
        return decide(facts)
