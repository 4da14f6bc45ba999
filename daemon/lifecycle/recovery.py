"""Boot recovery: every op that a crash left open is ended, once, before intake opens."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from daemon.app.core import Core
from daemon.lifecycle.undo import commit_with, finish_undos
from daemon.record.diffs import newest_candidate
from daemon.record.history import open_ops
from governance.approval.refusals import Refused, Waiting
from governance.budget import estimate
from governance.changes.changes import Changes
from governance.changes.landing import REVIEW
from governance.changes.types import Recovered
from governance.grounding.grading import OpEnd as GradedEnd
from governance.grounding.settlement import settle_claims
from governance.irongate.op.g19_recursion import diff_hash
from governance.pipeline.ending import is_wanted_again
from governance.record import Recorder
from kernel.provider import Price
from ledger.events.approval import ApprovalExpired, ApprovalRejected
from ledger.events.change import ChangeRecovered, CommitIntended, CommitMade
from ledger.events.event import LedgerEvent, read_event
from ledger.events.model import CallEnded, CallStarted
from ledger.events.op import (
    CandidateProposed,
    OpEnded,
    OpStarted,
    OutcomeRecorded,
    PhaseEntered,
    RouteChosen,
)
from ledger.store import Ledger, Statement
from ledger.vocabulary import Entry, FailureClass, Frozen, OpOutcome, Phase, RootCause, Route, Spend, State
from tools.sandbox.choice import left_behind
from tools.sandbox.launcher import remove_unless_in_use

TURNED_DOWN = {
    ApprovalRejected: RootCause.APPROVAL_REJECTED,
    ApprovalExpired: RootCause.APPROVAL_EXPIRED,
}
READ = (
    OpStarted,
    CandidateProposed,
    PhaseEntered,
    CommitIntended,
    CommitMade,
    ApprovalRejected,
    ApprovalExpired,
    OpEnded,
)


class OpenOp(Frozen):
    """State of an op in the ledger: its last phase, and whether it ended."""

    op_id: str
    state: Phase
    goal: str = ""
    ended: OpOutcome | None = None
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
        op = found.get(entry.op_id) or OpenOp(op_id=entry.op_id, state=Phase.CLASSIFY)
        found[entry.op_id] = op.model_copy(update=_learned(read_event(entry)))
    return found


def _learned(event: LedgerEvent) -> dict[str, Any]:
    """Fields of an :class:`OpenOp` that an event changes."""
    match event:
        case OpStarted():
            return {"goal": event.goal, "targets": event.targets, "files": event.targets}
        case CandidateProposed():
            return {"files": event.paths}
        case PhaseEntered():
            return {"state": event.to}
        case CommitIntended():
            return {"intent": event.ref, "parent": event.parent}
        case CommitMade():
            branch = {"branch": event.ref.removeprefix("refs/heads/")} if event.mode == "review" else {}
            return {"commit": event.commit, "intent": event.ref, **branch}
        case ApprovalRejected() | ApprovalExpired():
            return {"turned_down": TURNED_DOWN[type(event)], "answer": event.reason}
        case OpEnded():
            return {"ended": event.to, "cause": event.root_cause, "killed": event.recovered}
    return {}


class RecoveredEnd(Frozen):
    """How an op that a crash cut off is ended."""

    state: OpOutcome
    cause: RootCause
    failure: FailureClass
    reason: str


def end_of(op: OpenOp, *, commit: str | None, kept: Sequence[str]) -> RecoveredEnd:
    """Pure: a commit in its ref makes it complete, an answer at APPROVE remains, everything else is queued again."""
    left = f"; left as the owner has them: {', '.join(kept)}" if kept else ""
    if commit is not None:
        return RecoveredEnd(
            state=OpOutcome.COMPLETE,
            cause=RootCause.NONE,
            failure=FailureClass.NONE,
            reason="finished after a crash" + left,
        )
    if op.turned_down is not RootCause.NONE:
        reason = op.answer or op.turned_down.value
        return RecoveredEnd(state=OpOutcome.CANCELLED, cause=op.turned_down, failure=FailureClass.USER, reason=reason)
    return RecoveredEnd(
        state=OpOutcome.POSTMORTEM,
        cause=RootCause.CRASH_RECOVERED,
        failure=FailureClass.INFRA,
        reason=f"the daemon ended in {op.state}" + left,
    )


class Recovery:
    """The steps, in order: journals, op ends, leases, undos, workspaces, folders of sandboxed runs."""

    def __init__(self, *, core: Core, changes: Changes) -> None:
        self._core = core
        self._ledger = core.ledger
        self._changes = changes

    async def run(self) -> tuple[str, ...]:
        """Recover; one sentence for each thing that was found."""
        notes = []
        journals = {r.op_id: r for r in await asyncio.to_thread(self._changes.recover)}
        ops = {op_id: await self._known(op_id) for op_id in await open_ops(self._ledger)}
        waiting = {request.op.id for request in await self._core.inbox.pending()}
        for journal in journals.values():
            await self._note_journal(journal)
        for op in ops.values():
            if op.ended is None and op.op_id not in waiting:
                ops[op.op_id] = await self._end(op, journals.get(op.op_id))
                notes.append(f"{op.op_id} was cut off in {op.state}: {ops[op.op_id].ended}")
        report = await self._core.router.recover()
        for op_id in (*report.undecided, *report.parked):
            if op_id not in waiting:  # the pool parks those again
                await self._give_back(op_id, ops.get(op_id) or await self._known(op_id))
        notes += await finish_undos(self._ledger, self._core.git)
        notes += await self._clear_away()
        return tuple(notes)

    async def _known(self, op_id: str) -> OpenOp:
        entries = await self._ledger.entries(op_id=op_id, events=READ)
        return ops_in(entries).get(op_id) or OpenOp(op_id=op_id, state=Phase.CLASSIFY)

    async def _clear_away(self) -> tuple[str, ...]:
        """Folders of dead runs. What cannot be removed now (its processes are still dying) waits for a next boot."""
        try:
            reaped = await self._core.workspaces.reap(())
        except OSError as error:
            return (f"a left-over workspace could not be removed: {error}",)
        finally:
            await asyncio.to_thread(self._remove_runs)
        return (f"{len(reaped)} left-over workspaces were removed",) if reaped else ()

    def _remove_runs(self) -> None:
        """A sandboxed run, and the probe of the sandbox, remove their folders themselves unless they were killed.

        Runs of our own may have begun (servers of the owner), and a doctor may look at the walls.
        """
        places = self._core.config.places
        dead = list(left_behind(places))
        for bait in places.state.glob(".ouro-probe-*"):
            dead += (folder / bait.name for folder in (places.state, places.cache, places.runtime))
        for folder in dead:
            remove_unless_in_use(str(folder))

    async def _note_journal(self, journal: Recovered) -> None:
        op_id = journal.op_id.removeprefix("undo-")
        await Recorder(self._ledger, op_id=op_id, spend=await self._ledger.spent(op_id)).note(
            ChangeRecovered(**journal.model_dump())
        )

    async def _end(self, op: OpenOp, journal: Recovered | None) -> OpenOp:
        """Write the terminal entry that the crash prevented, and the outcome."""
        commit, ref = (journal.commit, journal.ref) if journal else (op.commit, op.intent)
        if commit is None and op.intent:  # the ref may have moved: that one, or a review branch when it had moved on
            found = await commit_with(self._core.git, "Ouro-Op", op.op_id, since=op.parent, meant=op.intent)
            commit, ref = found or (None, "")
        end = end_of(op, commit=commit, kept=journal.kept if journal else ())
        record = Recorder(self._ledger, op_id=op.op_id, spend=await self._ledger.spent(op.op_id))
        await charge_cut_off(self._ledger, record, provider=self._core.provider.name, price=self._core.provider.price)
        branch = ref.removeprefix("refs/heads/") if commit and ref.startswith(REVIEW) else None
        told = GradedEnd(state=end.state, origin=op.state, cause=end.cause, failure=end.failure)
        settled = await settle_claims(self._ledger, op.op_id, told, end.reason)
        terminal = await record.note(
            OpEnded(
                origin=op.state,
                to=end.state,
                root_cause=end.cause,
                failure_class=end.failure,
                failed_phase=op.state,
                reason=end.reason,
                commit=commit,
                ref=ref if commit else None,
                goal=op.goal,
                targets=op.targets,
                recovered=True,
            ),
            phase=end.state,
            project=(*await self._waits(op.op_id, branch, commit), *settled.project),
            also=settled.drafts(record, end.state),
        )
        await record.note(
            OutcomeRecorded(success=end.state is OpOutcome.COMPLETE, files=op.files),
            phase=end.state,
            causes=(terminal.seq,),
        )
        return op.model_copy(update={"ended": end.state, "cause": end.cause, "branch": branch, "killed": True})

    async def _waits(self, op_id: str, branch: str | None, commit: str | None) -> tuple[Statement, ...]:
        """Record that work on a review branch waits for the owner, unless that is recorded."""
        candidate = await newest_candidate(self._ledger, op_id) if branch else None
        if branch is None or commit is None or candidate is None:
            return ()
        return (Refused.waits(Waiting(branch=branch, op_id=op_id, commit=commit, hash=diff_hash(candidate))),)

    async def _give_back(self, op_id: str, op: OpenOp) -> None:
        """Report the end of an op to the router that still holds it. What a kill cut off counts as an attempt."""
        if op.ended is None or (op.killed and op.cause is RootCause.CRASH_RECOVERED):
            await self._core.router.requeue(op_id)
            return
        again = is_wanted_again(op.ended, op.cause)
        await self._core.router.finish(op_id, op.ended, cause=op.cause, branch=op.branch, retry=again)


Call = tuple[Entry, CallStarted]


def cut_off(entries: Iterable[Entry]) -> tuple[Call, ...]:
    """The calls among the entries of one op that have a start and no end. Calls of one purpose end in order. Pure."""
    begun: dict[tuple[State | None, str, str], deque[Call]] = defaultdict(deque)
    for entry in entries:
        event = read_event(entry)
        if isinstance(event, CallStarted):
            begun[entry.phase, event.purpose, event.provider].append((entry, event))
        elif isinstance(event, CallEnded) and (calls := begun[entry.phase, event.purpose, event.provider]):
            calls.popleft()
    return tuple(sorted((call for left in begun.values() for call in left), key=lambda call: call[0].seq))


async def charge_cut_off(ledger: Ledger, record: Recorder, *, provider: str, price: Price | None) -> int:
    """Settle what a kill left open of the op of ``record``; returns how many calls that were.

    ``price`` is that of ``provider``. A call to another one, which the settings no longer name, counts with its tokens
    only: its price is not known any more.
    """
    chosen = await ledger.events(RouteChosen, op_id=record.op_id, newest_first=True, limit=1)
    route = chosen[0][1].route if chosen else Route.STANDARD
    calls = cut_off(await ledger.entries(op_id=record.op_id, events=(CallStarted, CallEnded)))
    for entry, call in calls:
        usd = estimate(price if call.provider == provider else None, call.tokens_in, call.max_tokens) or 0
        record.add(Spend(usd_micro=usd, tokens_in=call.tokens_in, tokens_out=call.max_tokens, calls=1))
        ended = CallEnded(
            purpose=call.purpose,
            provider=call.provider,
            usd_micro=usd,
            tokens_in=call.tokens_in,
            tokens_out=call.max_tokens,
            ms=0,
            answer=await ledger.put_blob(b""),
            problem="the daemon was killed: charged at what was held for the call",
        )
        project = (_row(entry, call, usd, route),)
        await record.note(ended, phase=entry.phase, causes=(entry.seq,), project=project)
    return len(calls)


def _row(entry: Entry, call: CallStarted, usd: int, route: Route) -> Statement:
    phase = entry.phase.value if entry.phase else ""
    row = (entry.at[:10], call.provider, entry.op_id, route.value, phase, usd, call.tokens_in, call.max_tokens)
    return ("INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
