"""Boot recovery: every op that a crash left open is ended, once, before intake opens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from daemon.charges import charge_cut_off
from daemon.diffs import newest_candidate
from daemon.history import open_ops
from daemon.standing import commit_with
from daemon.undo import finish_undos
from governance.approval import Inbox
from governance.changes.changes import Changes
from governance.changes.landing import REVIEW
from governance.changes.types import Recovered
from governance.grounding.grading import End as GradedEnd
from governance.grounding.settling import settle
from governance.irongate.g19_recursion import diff_hash
from governance.record import Recorder
from governance.refused import Refused, Waiting
from governance.retries import wanted_again
from kernel.provider import Provider
from ledger.places import Places
from ledger.store import Ledger, Statement
from ledger.vocabulary import Entry, EntryKind, FailureClass, Frozen, RootCause, State
from sensors.intake.router import IntakeRouter
from tools.git import Git
from tools.sandbox.choice import left_behind
from tools.sandbox.launcher import remove_unless_in_use
from tools.workspace import Workspaces

TURNED_DOWN = {
    "approval.rejected": RootCause.APPROVAL_REJECTED,
    "approval.expired": RootCause.APPROVAL_EXPIRED,
}
READ = (EntryKind.TRANSITION, EntryKind.DECISION, EntryKind.CHANGE, EntryKind.APPROVAL, EntryKind.CANDIDATE)


class OpenOp(Frozen):
    """What the ledger says of an op: where it stood, and whether it ended."""

    op_id: str
    state: State
    goal: str = ""
    ended: State | None = None
    cause: RootCause = RootCause.NONE
    branch: str | None = None
    intent: str = ""  # ref that a commit was meant to move
    parent: str = ""
    commit: str | None = None
    targets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # of the last candidate
    turned_down: RootCause = RootCause.NONE  # a person's no, or nobody's answer in time
    answer: str = ""
    killed: bool = False  # its end was written by a boot that found it cut off


def ops_in(entries: Sequence[Entry]) -> dict[str, OpenOp]:
    """Pure: the last known state of every op."""
    found: dict[str, OpenOp] = {}
    for entry in entries:
        if entry.op_id is None:
            continue
        op = found.get(entry.op_id) or OpenOp(op_id=entry.op_id, state=State.CLASSIFY)
        event = entry.payload.get("event")
        if event == "op.started":
            targets = tuple(entry.payload.get("targets", ()))
            op = op.model_copy(update={"goal": entry.payload.get("goal", ""), "targets": targets, "files": targets})
        elif event == "candidate":
            op = op.model_copy(update={"files": tuple(entry.payload.get("paths", ()))})
        elif event == "phase.entered":
            op = op.model_copy(update={"state": State(str(entry.payload["to"]))})
        elif event == "commit.intent":
            op = op.model_copy(update={"intent": str(entry.payload["ref"]), "parent": str(entry.payload["parent"])})
        elif event == "committed":
            op = op.model_copy(update={"commit": entry.payload["commit"], "intent": str(entry.payload["ref"])})
            if entry.payload.get("mode") == "review":
                op = op.model_copy(update={"branch": op.intent.removeprefix("refs/heads/")})
        elif event in TURNED_DOWN:
            answer = str(entry.payload.get("reason", ""))
            op = op.model_copy(update={"turned_down": TURNED_DOWN[event], "answer": answer})
        elif event == "terminal":
            ended, cause = State(str(entry.payload["to"])), RootCause(entry.payload.get("root_cause", "none"))
            killed = bool(entry.payload.get("recovered"))
            op = op.model_copy(update={"ended": ended, "cause": cause, "killed": killed})
        found[entry.op_id] = op
    return found


class End(Frozen):
    """How an op that a crash cut off is ended."""

    state: State
    cause: RootCause
    failure: FailureClass
    reason: str


def end_of(op: OpenOp, *, commit: str | None, kept: Sequence[str]) -> End:
    """Pure: a commit in its ref makes it complete, an answer at APPROVE stands, everything else begins anew."""
    left = f"; left as the owner has them: {', '.join(kept)}" if kept else ""
    if commit is not None:
        return End(
            state=State.COMPLETE, cause=RootCause.NONE, failure=FailureClass.NONE,
            reason="finished after a crash" + left,
        )  # fmt: skip
    if op.turned_down is not RootCause.NONE:
        reason = op.answer or op.turned_down.value
        return End(state=State.CANCELLED, cause=op.turned_down, failure=FailureClass.USER, reason=reason)
    return End(
        state=State.POSTMORTEM, cause=RootCause.CRASH_RECOVERED, failure=FailureClass.INFRA,
        reason=f"the daemon ended in {op.state}" + left,
    )  # fmt: skip


class Recovery:
    """The steps, in order: journals, op ends, leases, undos, workspaces, folders of sandboxed runs."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        changes: Changes,
        router: IntakeRouter,
        inbox: Inbox,
        workspaces: Workspaces,
        git: Git,
        places: Places,
        provider: Provider,
    ) -> None:
        self._provider = provider
        self._git = git
        self._places = places
        self._ledger = ledger
        self._changes = changes
        self._router = router
        self._inbox = inbox
        self._workspaces = workspaces

    async def run(self) -> tuple[str, ...]:
        """Recover; one sentence for each thing that was found."""
        notes = []
        journals = {r.op_id: r for r in await asyncio.to_thread(self._changes.recover)}
        ops = {op_id: await self._known(op_id) for op_id in await open_ops(self._ledger)}
        waiting = {request.op.id for request in await self._inbox.pending()}
        for journal in journals.values():
            await self._note_journal(journal)
        for op in ops.values():
            if op.ended is None and op.op_id not in waiting:
                ops[op.op_id] = await self._end(op, journals.get(op.op_id))
                notes.append(f"{op.op_id} was cut off in {op.state}: {ops[op.op_id].ended}")
        report = await self._router.recover()
        for op_id in (*report.undecided, *report.parked):
            if op_id not in waiting:  # the pool parks those again
                await self._give_back(op_id, ops.get(op_id) or await self._known(op_id))
        notes += await finish_undos(self._ledger, self._git)
        notes += await self._clear_away()
        return tuple(notes)

    async def _known(self, op_id: str) -> OpenOp:
        entries = await self._ledger.entries(op_id=op_id, kinds=READ)
        return ops_in(entries).get(op_id) or OpenOp(op_id=op_id, state=State.CLASSIFY)

    async def _clear_away(self) -> tuple[str, ...]:
        """Folders of dead runs. What cannot be removed now (its processes are still dying) waits for a next boot."""
        try:
            reaped = await self._workspaces.reap(())
        except OSError as error:
            return (f"a left-over workspace could not be removed: {error}",)
        finally:
            await asyncio.to_thread(self._remove_runs)
        return (f"{len(reaped)} left-over workspaces were removed",) if reaped else ()

    def _remove_runs(self) -> None:
        """A sandboxed run, and the probe of the sandbox, remove their folders themselves unless they were killed.

        Runs of our own may have begun (servers of the owner), and a doctor may look at the walls.
        """
        places = self._places
        dead = list(left_behind(places))
        for bait in places.state.glob(".ouro-probe-*"):
            dead += (folder / bait.name for folder in (places.state, places.cache, places.runtime))
        for folder in dead:
            remove_unless_in_use(str(folder))

    async def _note_journal(self, journal: Recovered) -> None:
        op_id = journal.op_id.removeprefix("undo-")
        await Recorder(self._ledger, op_id=op_id, spend=await self._ledger.spent(op_id)).note(
            EntryKind.CHANGE, "change.recovered", **journal.model_dump(mode="json")
        )

    async def _end(self, op: OpenOp, journal: Recovered | None) -> OpenOp:
        """Write the terminal entry that the crash prevented, and the outcome."""
        commit, ref = (journal.commit, journal.ref) if journal else (op.commit, op.intent)
        if commit is None and op.intent:  # the ref may have moved: that one, or a review branch when it had moved on
            found = await commit_with(self._git, "Ouro-Op", op.op_id, since=op.parent, meant=op.intent)
            commit, ref = found or (None, "")
        end = end_of(op, commit=commit, kept=journal.kept if journal else ())
        record = Recorder(self._ledger, op_id=op.op_id, spend=await self._ledger.spent(op.op_id))
        await charge_cut_off(self._ledger, record, provider=self._provider.name, price=self._provider.price)
        branch = ref.removeprefix("refs/heads/") if commit and ref.startswith(REVIEW) else None
        told = GradedEnd(state=end.state, origin=op.state, cause=end.cause, failure=end.failure)
        settled = await settle(self._ledger, op.op_id, told, end.reason)
        terminal = await record.note(
            EntryKind.TRANSITION,
            "terminal",
            phase=end.state,
            origin=op.state.value,
            to=end.state.value,
            root_cause=end.cause.value,
            failure_class=end.failure.value,
            failed_phase=op.state.value,
            reason=end.reason,
            commit=commit,
            ref=ref if commit else None,
            goal=op.goal,
            targets=list(op.targets),
            recovered=True,
            project=(*await self._waits(op.op_id, branch, commit), *settled.project),
            also=settled.drafts(record, end.state),
        )
        await record.note(
            EntryKind.OUTCOME, "outcome", phase=end.state, success=end.state is State.COMPLETE, files=list(op.files),
            causes=(terminal.seq,),
        )  # fmt: skip
        return op.model_copy(update={"ended": end.state, "cause": end.cause, "branch": branch, "killed": True})

    async def _waits(self, op_id: str, branch: str | None, commit: str | None) -> tuple[Statement, ...]:
        """Work that stands on a review branch waits for the owner; where that is remembered already, it stays so."""
        candidate = await newest_candidate(self._ledger, op_id) if branch else None
        if branch is None or commit is None or candidate is None:
            return ()
        return (Refused.waits(Waiting(branch=branch, op_id=op_id, commit=commit, hash=diff_hash(candidate))),)

    async def _give_back(self, op_id: str, op: OpenOp) -> None:
        """Tell the router how an op that it still holds ended. What a kill cut off counts as an attempt."""
        if op.ended is None or (op.killed and op.cause is RootCause.CRASH_RECOVERED):
            await self._router.requeue(op_id)
            return
        again = wanted_again(op.ended, op.cause)
        await self._router.finish(op_id, op.ended, cause=op.cause, branch=op.branch, retry=again)
