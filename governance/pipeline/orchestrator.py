"""Moves one op through its phases. Only this module changes an op's state, after writing the ledger entry.

Every op ends in exactly one terminal state: any exception of a phase becomes a POSTMORTEM with a cause here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from governance.approval.inbox import ApprovalRequest, Inbox
from governance.budget import Budget
from governance.changes.types import Rollback
from governance.conversation.model_client import ModelClient
from governance.grounding.claims import condition
from governance.grounding.grading import OpEnd
from governance.grounding.ground import ground_of
from governance.grounding.settlement import settle_claims
from governance.irongate.op import g09_ceiling
from governance.pipeline.context import OpClock, OpContext, OpResources, Services
from governance.pipeline.dossier import Approval, Dossier
from governance.pipeline.ending import Ending, record_outcome
from governance.pipeline.failure_causes import blame
from governance.pipeline.fsm import StateMachine
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, failed
from governance.pipeline.retries import may_return
from governance.pipeline.routes import op_seconds
from governance.record import Recorder
from ledger.clock import stamp, unstamp
from ledger.errors import ControlError, LedgerError, OuroError, PhaseContract, TransitionRefused
from ledger.events.change import ChangeRollingBack
from ledger.events.op import OpEnded, OpStarted, PhaseEntered
from ledger.faults import machine_fault
from ledger.store import Ledger, Statement
from ledger.tasks import run_to_completion
from ledger.vocabulary import FailureClass, Operation, OpOutcome, Phase, RootCause, Route, Spend


@dataclass(slots=True, kw_only=True)
class Progress:
    """State of an op in flight, for status displays and for rolling it back."""

    op: Operation
    phase: Phase
    dossier: Dossier
    task: asyncio.Task[object] | None
    resources: OpResources = field(default_factory=OpResources)
    stopped_by: tuple[RootCause, str] | None = None
    ending: bool = False  # its end or its approval request is being written: no longer cancellable


class Orchestrator:
    """Runs ops concurrently, each in the task that called :meth:`run`."""

    def __init__(
        self,
        *,
        services: Services,
        ledger: Ledger,
        budget: Budget,
        inbox: Inbox,
        phases: Sequence[PhaseSpec],
        on_phase: Callable[[str], Awaitable[None]],
    ) -> None:
        self.services = services
        self._ledger = ledger
        self._budget = budget
        self._inbox = inbox
        self._machine = StateMachine(phases)
        self._on_phase = on_phase
        self.live: dict[str, Progress] = {}

    def cancel(self, op_id: str, cause: RootCause, reason: str) -> None:
        """Cancel an op in flight: model call, child processes, writes. Raises ``ControlError`` if it is not running."""
        progress = self.live.get(op_id)
        if progress is None or progress.task is None or progress.ending:
            raise ControlError(f"{op_id} is not being worked on.", remedy="`ouro ops` lists what is.")
        if progress.stopped_by is None:
            progress.stopped_by = (cause, reason)
            progress.task.cancel()

    async def run(self, op: Operation) -> Ending:
        """Run ``op`` from the first phase until it ends or is parked."""
        progress = Progress(op=op, phase=self._machine.start, dossier=Dossier(), task=asyncio.current_task())
        return await self._run_registered(progress, await self._budget.spent_by(op.id))

    async def resume(self, request: ApprovalRequest, approval: Approval) -> Ending:
        """Continue an approved op. Its earlier cost and working time count, the wait for approval does not."""
        progress = Progress(op=request.op, phase=approval.phase, dossier=request.dossier, task=asyncio.current_task())
        left = None if request.left_ms is None else request.left_ms / 1000
        return await self._run_registered(progress, request.spend, approval, left)

    async def reject(
        self, request: ApprovalRequest, *, cause: RootCause, reason: str, project: tuple[Statement, ...] = ()
    ) -> Ending:
        """End a parked op without approval. ``project`` is committed together with its terminal entry."""
        progress = Progress(op=request.op, phase=Approval.phase, dossier=request.dossier, task=None)
        record = Recorder(self._ledger, op_id=request.op.id, spend=request.spend)
        result = PhaseResult(kind=ResultKind.CANCELLED, cause=cause, failure=FailureClass.USER, reason=reason)
        return await run_to_completion(self._end(progress, record, result, project))

    async def _run_registered(
        self, progress: Progress, spend: Spend, approval: Approval | None = None, left_s: float | None = None
    ) -> Ending:
        """Run an op while it is listed in :attr:`live`."""
        self.live[progress.op.id] = progress
        try:
            record = Recorder(self._ledger, op_id=progress.op.id, spend=spend)
            return await self._run_to_end(progress, record, approval, left_s)
        finally:
            del self.live[progress.op.id]

    async def _run_to_end(
        self, progress: Progress, record: Recorder, approval: Approval | None, left_s: float | None
    ) -> Ending:
        """Run the phases under the op's time limit; turn time-outs, cancellations and exceptions into an ending."""
        clocks = self.services.settings.clocks
        local = self.services.provider.capabilities.local
        limit = op_seconds(
            Route.COMPLEX if progress.dossier.routing is None else progress.dossier.routing.route,
            local=local,
            clocks=clocks,
        )
        clock = OpClock(loop_time=asyncio.get_running_loop().time(), limit_s=limit, left_s=left_s)
        try:
            async with asyncio.timeout(clock.left_s) as timeout:
                clock.start(timeout)
                result = await self._run_phases(progress, record, clock, approval)
        except TimeoutError as error:
            if not clock.expired():
                return await self._write_end(progress, record, blame(error))
            verdict = g09_ceiling.check(
                g09_ceiling.CeilingFacts(
                    started_ms=round(1000 * clock.started),
                    now_ms=round(1000 * asyncio.get_running_loop().time()),
                    ceiling_ms=round(1000 * clock.limit_s),
                )
            )
            reason = f"{verdict.reason or 'the op ran out of its working time'} ({verdict.rule})"
            result = failed(RootCause.TIMEOUT, FailureClass.INFRA, reason)
        except asyncio.CancelledError:
            by_shutdown = progress.stopped_by is None
            ending = await self._write_end(progress, record, self._cancellation_result(progress))
            if by_shutdown:
                raise  # the pool itself is being cancelled: the record is complete, so the worker may end
            return ending
        except LedgerError:
            # The ledger cannot be written, so the end cannot be recorded. Boot recovery ends the op.
            await self._unwind(progress, None)
            raise
        except (TransitionRefused, PhaseContract) as error:
            result = PhaseResult(
                kind=ResultKind.BROKEN,
                cause=RootCause.INTERNAL,
                failure=FailureClass.INTERNAL,
                reason=str(error),
            )
        except Exception as error:  # noqa: BLE001 - phase boundary: an exception of a phase ends its op, recorded
            result = blame(error)
        if result.kind is ResultKind.WAITING:
            progress.ending = True  # a cancellation between its entries would end the worker, not the op
            left_ms = max(0, round(1000 * clock.remaining_s()))
            request = await self._inbox.request(record, progress.op, progress.dossier, result.reason, left_ms=left_ms)
            return Ending(op=progress.op, dossier=progress.dossier, state=progress.phase, request=request)
        return await self._write_end(progress, record, result)

    async def _write_end(self, progress: Progress, record: Recorder, result: PhaseResult) -> Ending:
        """Write the end of an op; a cancellation that arrives meanwhile has no effect."""
        progress.ending = True
        ends: list[Ending] = []
        try:
            return await run_to_completion(self._end(progress, record, result), ends.append)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not ends or task is None or progress.stopped_by is None:
                raise
            task.uncancel()
            return ends[0]

    def _cancellation_result(self, progress: Progress) -> PhaseResult:
        """The result of a cancelled op: of :meth:`cancel`, else of the daemon's shutdown."""
        task = asyncio.current_task()
        if progress.stopped_by is None or task is None:
            cause, reason = RootCause.CRASH_RECOVERED, "the daemon stopped"
        else:
            cause, reason = progress.stopped_by
            task.uncancel()
        by_owner = cause is RootCause.CANCELLED_BY_OWNER
        return PhaseResult(
            kind=ResultKind.CANCELLED if by_owner else ResultKind.FAILED,
            cause=cause,
            failure=FailureClass.USER if by_owner else FailureClass.INFRA,
            reason=reason,
        )

    async def _run_phases(
        self, progress: Progress, record: Recorder, clock: OpClock, approval: Approval | None
    ) -> PhaseResult:
        """Run phase after phase, until the op ends or waits for approval; returns the last result."""
        if approval is None:
            await self._record_start(progress.op, record)
            await self._enter(progress, record, progress.phase, "op started")
        else:
            progress.dossier = progress.dossier.merge(approval.phase, approval)
            await self._enter_next(progress, record, PhaseResult(reason=f"approved by {approval.by}"))
        while True:
            result = await self._run_phase(progress, record, clock)
            if result.replaced is not None:
                progress.op = result.replaced
            progress.dossier = progress.dossier.merge(progress.phase, result.output).with_marked(
                progress.resources.marked
            )
            if result.kind is ResultKind.WAITING:
                return result
            if result.feedback is not None:
                progress.dossier = progress.dossier.with_feedback(result.feedback)
                spec = self._machine.phases[progress.phase]
                if not may_return(spec, progress.dossier, self.services.settings):
                    return failed(result.cause, result.failure, f"{result.reason}; no retry is left")
            if not await self._enter_next(progress, record, result):
                return result

    async def _record_start(self, op: Operation, record: Recorder) -> None:
        """Record the complete op before any work is done for it."""
        blob = await self._ledger.put_blob(op.model_dump_json().encode())
        claim = condition(op, self.services.clock.now())
        await record.note(
            OpStarted(
                operation=blob,
                goal=op.goal,
                origin=op.origin,
                targets=op.targets,
                tests=op.test_ids,
                signals=[s.id for s in op.signals],
                urgency=op.urgency,
                base=op.base,
                attempt=op.attempt,
                depth=op.depth,
            ),
            also=(record.draft(claim, phase=Phase.CLASSIFY),),
        )

    async def _run_phase(self, progress: Progress, record: Recorder, clock: OpClock) -> PhaseResult:
        """Run the op's current phase and count its working time."""
        began = self.services.clock.monotonic()
        routing = progress.dossier.routing
        ctx = OpContext(
            services=self.services,
            record=record,
            clock=clock,
            resources=progress.resources,
            client=ModelClient(
                provider=self.services.provider,
                budget=self._budget,
                record=record,
                clock=self.services.clock,
                op_id=progress.op.id,
                route=routing.route.value if routing else Route.STANDARD.value,
                turn_s=routing.turn_ms / 1000 if routing else clock.limit_s,
                ground=ground_of(self.services, progress.op, progress.dossier),
                canary=progress.resources.canary,
                posture=self.services.posture(),
            ),
        )
        try:
            return await self._machine.phases[progress.phase].run(progress.op, progress.dossier, ctx)
        finally:
            record.add(Spend(working_ms=round((self.services.clock.monotonic() - began) * 1000)))

    async def _enter_next(self, progress: Progress, record: Recorder, result: PhaseResult) -> bool:
        """Enter the next phase; False when the op ends instead."""
        state = self._machine.next_state(progress.phase, result.kind)
        if isinstance(state, OpOutcome):
            return False
        await self._enter(progress, record, state, result.reason, rule=result.feedback.rule if result.feedback else "")
        return True

    async def _enter(self, progress: Progress, record: Recorder, phase: Phase, reason: str, *, rule: str = "") -> None:
        entered = PhaseEntered(
            origin=progress.phase, to=phase, reason=reason, rule=rule, at=stamp(self.services.clock.now())
        )
        await record.note(entered, phase=phase)
        progress.phase = phase
        await self._on_phase(progress.op.id)

    async def _unwind(self, progress: Progress, record: Recorder | None) -> Rollback:
        """Roll back open writes and release workspaces. If the ref already has the commit, the change is finished."""
        rollback = Rollback()
        receipt = progress.resources.receipt
        if receipt is not None:
            if record is not None:
                await record.note(ChangeRollingBack(journal=receipt.journal), phase=progress.phase)
            try:
                rollback = await asyncio.to_thread(self.services.changes.rollback, receipt)
            except (OuroError, OSError) as error:
                # The journal stays open, so boot recovery rolls back. The op's end is still recorded.
                rollback = Rollback(stuck=str(machine_fault(error) if isinstance(error, OSError) else error))
            progress.resources.receipt = None
        for workspace in progress.resources.workspaces:
            with suppress(OuroError, OSError):  # leftovers are removed at the next boot
                await self.services.workspaces.release(workspace)
        progress.resources.workspaces.clear()
        return rollback

    async def _end(
        self, progress: Progress, record: Recorder, result: PhaseResult, project: tuple[Statement, ...] = ()
    ) -> Ending:
        """Roll back, write the terminal entry and the settled claims, then record the outcome."""
        rollback = await self._unwind(progress, record)
        state = self._machine.next_state(progress.phase, result.kind)
        if rollback.commit is not None:
            state, result = OpOutcome.COMPLETE, PhaseResult(reason=f"the commit was already made: {result.reason}")
        if not isinstance(state, OpOutcome):
            raise TransitionRefused(f"An op cannot end in {state}.")
        kept = rollback.kept
        reason = result.reason + (f"; left as the owner has them: {', '.join(kept)}" if kept else "")
        if rollback.stuck:
            reason += f"; your files still hold the change, which the next start takes back: {rollback.stuck}"
        op, origin = progress.op, progress.phase
        verification = progress.dossier.verification
        committed = verification.committed if verification else None
        end = OpEnd(state=state, origin=origin, cause=result.cause, failure=result.failure)
        settled = await settle_claims(self._ledger, op.id, end, reason or state.value)
        entry = await record.note(
            OpEnded(
                origin=origin,
                to=state,
                root_cause=result.cause,
                failure_class=result.failure,
                failed_phase=origin,
                reason=reason,
                ms=max(0, round(1000 * (self.services.clock.now() - unstamp(op.created_at)).total_seconds())),
                commit=committed.commit if committed else rollback.commit,
                ref=committed.ref if committed else None,
                goal=op.goal,
                targets=op.targets,
            ),
            phase=state,
            project=(*project, *settled.project),
            also=settled.drafts(record, state),
        )
        ending = Ending(
            op=op, dossier=progress.dossier, state=state, cause=result.cause, failure=result.failure, reason=reason
        )
        await record_outcome(ending, record, self.services.memory.lessons, terminal=entry.seq)
        return ending
