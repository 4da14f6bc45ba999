"""Worker pool: takes ops from the router, runs them and reports how they ended. Parked ops occupy no worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal

from governance.approval.inbox import Answer, ApprovalRequest, Inbox
from governance.approval.refusals import Refused, refusals_of
from governance.budget import Budget
from governance.irongate.op.g19_recursion import diff_hash
from governance.pipeline.dossier import Approval
from governance.pipeline.ending import Ending, is_wanted_again
from governance.pipeline.orchestrator import Orchestrator
from governance.pipeline.work_reports import WorkReports
from governance.ports import WorkSource
from governance.record import Recorder
from ledger.clock import Clock, stamp
from ledger.errors import ControlError, LeaseLost
from ledger.events.session import DayBudgetSpent
from ledger.store import Ledger
from ledger.vocabulary import Operation, OpOutcome, RootCause

log = logging.getLogger(__name__)

RESTORE_LIMIT_S = 10.0
Reply = tuple[Answer | Literal["cancelled"], str, str]
"""The decision on a parked op, who made it, and the reason."""


class Pool:
    """Owns all tasks that work on ops. ``run`` returns once ``stop`` was called and the running ops have ended."""

    def __init__(
        self,
        *,
        source: WorkSource,
        orchestrator: Orchestrator,
        inbox: Inbox,
        budget: Budget,
        ledger: Ledger,
        clock: Clock,
        reports: WorkReports,
        workers: int,
        beat_s: float,
    ) -> None:
        self._source = source
        self._orchestrator = orchestrator
        self._inbox = inbox
        self._budget = budget
        self._ledger = ledger
        self._clock = clock
        self._reports = reports
        self._workers = workers
        self._beat_s = beat_s
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._idle_workers: set[asyncio.Task[None]] = set()
        self._working = 0
        self.stopped = asyncio.Event()
        """Set once ``run`` is over."""
        self._restored = asyncio.Event()  # set once the ops that were parked before a restart are parked again
        self._waiting_for_budget = 0  # number of workers

    async def run(self) -> None:
        """Serve until stopped. Ops that were waiting for approval before a restart are parked first."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for request in await self._inbox.pending():
                    self._waiting[request.op.id] = asyncio.get_running_loop().create_future()
                    await self._source.park(request.op.id)
                    group.create_task(self._wait_for_person(request), name=f"parked {request.op.id}")
                self._restored.set()
                workers = [group.create_task(self._worker(), name=f"worker {n}") for n in range(self._workers)]
                await self._stopping.wait()
                for worker in workers:
                    if worker in self._idle_workers:
                        worker.cancel()
                for future in self._waiting.values():
                    future.cancel()
        finally:
            self._group = None
            self.stopped.set()

    def busy(self) -> bool:
        """True while an op is being worked on; parked ops do not count."""
        return self._working > 0

    def stop(self) -> None:
        """Take no more ops. Running ops continue, parked ones stay parked in the ledger."""
        self._stopping.set()

    def cancel_all(self, reason: str) -> None:
        """Cancel every running op."""
        for op_id in list(self._orchestrator.live):
            self._orchestrator.cancel(op_id, RootCause.CRASH_RECOVERED, reason)

    async def decide(self, op_id: str, answer: Answer, *, by: str, reason: str = "") -> None:
        """Apply the owner's decision to a parked op. Raises ``ControlError`` when the op is not waiting."""
        await self._until_restored()
        self._reply(op_id, (answer, by, reason))

    async def _until_restored(self) -> None:
        """Wait (bounded) until the ops that were parked before a restart are parked again."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._restored.wait(), RESTORE_LIMIT_S)

    def _reply(self, op_id: str, reply: Reply) -> None:
        future = self._waiting.get(op_id)
        if future is None or future.done():
            raise ControlError(f"{op_id} does not wait for approval.", remedy="`ouro ops` shows what waits.")
        future.set_result(reply)

    async def cancel(self, op_id: str, reason: str) -> None:
        """Cancel an op for the owner, whether running or parked."""
        await self._until_restored()
        if op_id in self._waiting:
            self._reply(op_id, ("cancelled", "owner", reason))
            return
        self._orchestrator.cancel(op_id, RootCause.CANCELLED_BY_OWNER, reason)

    async def _worker(self) -> None:
        this_worker = asyncio.current_task()
        while not self._stopping.is_set() and this_worker is not None:
            self._idle_workers.add(this_worker)
            if await self._budget.exhausted():
                await self._wait_for_budget()
                continue
            op = await self._source.next()
            self._idle_workers.discard(this_worker)
            self._working += 1
            try:
                await self._work(op)
            except LeaseLost as error:  # the router decides about its signals; the other workers are not affected
                log.warning("op %s: %s", op.id, error)
            finally:
                self._end_work()

    async def _work(self, op: Operation) -> None:
        if await self._budget.exhausted():  # hours may have passed in next()
            await self._source.finish(op.id, OpOutcome.CANCELLED, cause=RootCause.BUDGET_EXHAUSTED, retry=True)
            return
        await self._source.started(op.id)
        await self._settle(await self._run_with_lease(op, self._orchestrator.run(op)))

    async def _run_with_lease(self, op: Operation, work: Coroutine[Any, Any, Ending]) -> Ending:
        """Run ``work`` in this task and renew the op's lease meanwhile."""
        over = asyncio.Event()
        beat = asyncio.create_task(self._beat(op.id, over), name=f"lease {op.id}")
        try:
            return await work
        finally:
            over.set()
            await asyncio.gather(beat, return_exceptions=True)

    async def _beat(self, op_id: str, over: asyncio.Event) -> None:
        while not over.is_set():
            await self._source.renew(op_id)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), self._beat_s)

    async def _wait_for_budget(self) -> None:
        await Recorder(self._ledger).note(DayBudgetSpent())
        log.warning("budget.day_spent: no op begins until midnight UTC")
        self._waiting_for_budget += 1
        try:
            self._report_budget()
            await self._budget.refilled()  # an idle worker is cancelled when the pool stops
        finally:
            self._waiting_for_budget -= 1
            self._report_budget()

    def _end_work(self) -> None:
        self._working -= 1
        self._report_budget()

    def _report_budget(self) -> None:
        if self._waiting_for_budget and not self._working:
            self._reports.out_of_budget.set()
        else:
            self._reports.out_of_budget.clear()

    async def _settle(self, ending: Ending) -> None:
        if ending.request is not None:
            await self._source.park(ending.op.id)
            if self._group is not None:
                self._group.create_task(self._wait_for_person(ending.request), name=f"parked {ending.op.id}")
            self._reports.add(ending)
            return
        again = is_wanted_again(ending.state, ending.cause)
        try:
            await self._source.finish(ending.op.id, ending.state, cause=ending.cause, branch=ending.branch, retry=again)
        finally:
            self._reports.add(ending)

    async def _wait_for_person(self, request: ApprovalRequest) -> None:
        """Wait until a parked op is decided or expires. The decision is recorded before the op moves."""
        op = request.op
        future = self._waiting.setdefault(op.id, asyncio.get_running_loop().create_future())
        try:
            reply = await asyncio.wait_for(future, max(0.0, self._inbox.seconds_left(request)))
        except TimeoutError:
            reply = ("expired", "nobody", "no answer in time")
        except asyncio.CancelledError:
            return  # the pool stops: the op stays parked in the ledger
        finally:
            del self._waiting[op.id]
        self._working += 1
        try:
            await self._settle(await self._apply_decision(request, reply))
        finally:
            self._end_work()

    async def _apply_decision(self, request: ApprovalRequest, reply: Reply) -> Ending:
        op, generation = request.op, request.dossier.generation
        answer, by, reason = reply
        if answer == "cancelled":  # no judgement of the diff; the terminal entry also removes the request
            closing = (self._inbox.closing(op.id),)
            return await self._orchestrator.reject(
                request, cause=RootCause.CANCELLED_BY_OWNER, reason=reason, project=closing
            )
        refused = [Refused.statement(diff_hash(generation.candidate), op.id, reason)] if generation else []
        refused += await refusals_of(self._ledger, op.id, reason)
        final = await self._inbox.decide(op.id, answer, by=by, reason=reason, when_rejected=tuple(refused))
        if final == "approved":
            await self._source.unpark(op.id)
            approval = Approval(decision="approved", by=by, at=stamp(self._clock.now()))
            return await self._run_with_lease(op, self._orchestrator.resume(request, approval))
        cause = RootCause.APPROVAL_REJECTED if final == "rejected" else RootCause.APPROVAL_EXPIRED
        return await self._orchestrator.reject(request, cause=cause, reason=reason or f"{final} by {by}")
