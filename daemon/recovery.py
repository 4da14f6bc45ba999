"""Boot recovery: every op that a crash left open is ended, once, before intake opens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from governance.approval import Inbox
from governance.changes import Changes, Recovered
from governance.record import Recorder
from ledger.store import Ledger
from ledger.vocabulary import Entry, EntryKind, FailureClass, Frozen, RootCause, State
from sensors.intake.router import IntakeRouter
from tools.git import Git
from tools.workspace import Workspaces


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


def ops_in(entries: Sequence[Entry]) -> dict[str, OpenOp]:
    """Pure: the last known state of every op."""
    found: dict[str, OpenOp] = {}
    for entry in entries:
        if entry.op_id is None:
            continue
        op = found.get(entry.op_id) or OpenOp(op_id=entry.op_id, state=State.CLASSIFY)
        event = entry.payload.get("event")
        if event == "op.started":
            op = op.model_copy(update={"goal": entry.payload.get("goal", "")})
        elif event == "phase.entered":
            op = op.model_copy(update={"state": State(str(entry.payload["to"]))})
        elif event == "commit.intent":
            op = op.model_copy(update={"intent": str(entry.payload["ref"]), "parent": str(entry.payload["parent"])})
        elif event == "committed":
            op = op.model_copy(update={"commit": entry.payload["commit"], "intent": str(entry.payload["ref"])})
            if entry.payload.get("mode") == "review":
                op = op.model_copy(update={"branch": op.intent.removeprefix("refs/heads/")})
        elif event == "terminal":
            ended, cause = State(str(entry.payload["to"])), RootCause(entry.payload.get("root_cause", "none"))
            op = op.model_copy(update={"ended": ended, "cause": cause})
        found[entry.op_id] = op
    return found


class Recovery:
    """The steps, in order: journals, op ends, leases, workspaces."""

    def __init__(
        self, *, ledger: Ledger, changes: Changes, router: IntakeRouter, inbox: Inbox, workspaces: Workspaces, git: Git
    ) -> None:
        self._git = git
        self._ledger = ledger
        self._changes = changes
        self._router = router
        self._inbox = inbox
        self._workspaces = workspaces

    async def run(self) -> tuple[str, ...]:
        """Recover; one sentence for each thing that was found."""
        notes = []
        journals = {r.op_id: r for r in await asyncio.to_thread(self._changes.recover)}
        kinds = (EntryKind.TRANSITION, EntryKind.DECISION, EntryKind.CHANGE)
        ops = ops_in(await self._ledger.entries(kinds=kinds))
        waiting = {request.op.id for request in await self._inbox.pending()}
        for journal in journals.values():
            await self._note_journal(journal)
        for op in ops.values():
            if op.ended is None and op.op_id not in waiting:
                ops[op.op_id] = await self._end(op, journals.get(op.op_id))
                notes.append(f"{op.op_id} was cut off in {op.state}: {ops[op.op_id].ended}")
        report = await self._router.recover()
        for op_id in (*report.undecided, *(p for p in report.parked if p not in waiting)):
            await self._give_back(op_id, ops.get(op_id))
        reaped = await self._workspaces.reap(())
        if reaped:
            notes.append(f"{len(reaped)} left-over workspaces were removed")
        return tuple(notes)

    async def _note_journal(self, journal: Recovered) -> None:
        await Recorder(self._ledger, op_id=journal.op_id.removeprefix("undo-")).note(
            EntryKind.CHANGE, "change.recovered", **journal.model_dump(mode="json")
        )

    async def _end(self, op: OpenOp, journal: Recovered | None) -> OpenOp:
        """Write the terminal entry that the crash prevented."""
        commit, ref = (journal.commit, journal.ref) if journal else (op.commit, op.intent)
        if journal is None and commit is None and op.intent:
            commit = await self._find(op)
        committed = commit is not None
        state = State.COMPLETE if committed else State.POSTMORTEM
        cause = RootCause.NONE if committed else RootCause.CRASH_RECOVERED
        kept = f"; left as the owner has them: {', '.join(journal.kept)}" if journal and journal.kept else ""
        await Recorder(self._ledger, op_id=op.op_id).note(
            EntryKind.TRANSITION,
            "terminal",
            phase=state,
            origin=op.state.value,
            to=state.value,
            root_cause=cause.value,
            failure_class=(FailureClass.NONE if committed else FailureClass.INFRA).value,
            failed_phase=op.state.value,
            reason=("finished after a crash" if committed else f"the daemon ended in {op.state}") + kept,
            commit=commit,
            ref=ref if committed else None,
            goal=op.goal,
        )
        branch = ref.removeprefix("refs/heads/") if committed and "ouro/review/" in ref else None
        return op.model_copy(update={"ended": state, "cause": cause, "branch": branch})

    async def _find(self, op: OpenOp) -> str | None:
        """The op's commit, when its ref moved but the daemon ended before it could say so."""
        span = f"{op.parent}..{op.intent}" if op.parent else op.intent
        form = "--format=%H %(trailers:key=Ouro-Op,valueonly,separator=%x20)"
        done = await self._git.call("log", "-n", "200", form, span, "--", ok=(0, 128))
        for line in done.text.splitlines():
            commit, _, trailer = line.partition(" ")
            if trailer.strip() == op.op_id:
                return commit
        return None

    async def _give_back(self, op_id: str, op: OpenOp | None) -> None:
        """Tell the router how an op that it still holds ended."""
        if op is None or op.ended is None:
            await self._router.requeue(op_id)
            return
        retry = op.cause is RootCause.CRASH_RECOVERED
        await self._router.finish(op_id, op.ended, cause=op.cause, branch=op.branch, retry=retry)
