"""The durable steps of an op: claimed, started, parked, widened, ended, taken back.

Each step writes the ledger and then memory. A claim is reserved in memory first, because other workers look at the
same queue, and given back when the ledger refuses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

from ledger.clock import Clock, stamp
from ledger.errors import LeaseLost
from ledger.events.intake import LeaseStep, PriorityDecided
from ledger.ids import new_op_id
from ledger.tasks import run_to_completion
from ledger.vocabulary import Decision, Operation, RootCause, Spend, State
from sensors.intake.coalesce import companions, merge
from sensors.intake.declared_goals import AlignmentRecord, DeclaredGoals
from sensors.intake.ending import after_end, after_unstarted, quarantined
from sensors.intake.priority import priority
from sensors.intake.queue import CLAIMED, NOTHING, QUARANTINED, DurableQueue, step
from sensors.intake.queue_state import Held, QueueState
from sensors.intake.records import Item, ItemState, Lease
from sensors.intake.settings import RouterSettings
from sensors.ports import MayRelease

log = logging.getLogger(__name__)


class LeaseManager:
    """Carries out the steps; ``changed`` is set whenever waiting signals may have become ready."""

    def __init__(
        self,
        *,
        store: DurableQueue,
        queue: QueueState,
        goals: DeclaredGoals,
        clock: Clock,
        settings: RouterSettings,
        changed: asyncio.Event,
        may_release: MayRelease,
    ) -> None:
        self._store = store
        self._goals = goals
        self._queue = queue
        self._clock = clock
        self._settings = settings
        self._changed = changed
        self._may_release = may_release

    async def hand_out(self, lead: Item, head: str | None, *, evicted: tuple[str, ...]) -> Operation:
        """Reserve in memory at once (other workers look at the same queue), then make it durable.

        ``evicted``: signals that lost their ready slot to better ones since the last op; recorded with this one.
        """
        inputs, told = self._queue.order.inputs(lead), self._goals.fields_for(lead.signal)
        inputs = inputs.model_copy(update={"alignment": told.points}) if told else inputs
        old, new, lease = self._choose(lead, head)
        self._queue.hold(lease, self.deadline())
        self._queue.history.began(lease.operation)
        for item in new:
            self._queue.put(item)
        decided = PriorityDecided(
            inputs=inputs.model_dump(mode="json"),
            result=priority(inputs),
            evicted=evicted,
            **({"alignment": told.fields} if told else {}),
        )
        task = asyncio.ensure_future(self._write_claim(old, new, lease, decided, told))
        try:
            await run_to_completion(task)
        except asyncio.CancelledError:
            if task.exception() is None:  # claimed for a worker that is gone: it never acted
                await run_to_completion(self.unstarted(self._queue.held[lease.op_id], "unclaimed"))
            raise
        return lease.operation

    def _choose(self, lead: Item, head: str | None) -> tuple[tuple[Item, ...], list[Item], Lease]:
        """The items of one op as they are and as they will be, and its lease."""
        free = (i for i in self._queue.order.sharing(lead) if self._queue.claims.blocker(i.signal.targets) is None)
        old = (lead, *companions(lead, free, self._settings.max_merged))
        base = lead.signal.base if lead.signal.snapshot or head is None else head
        now = self._clock.now()
        op = merge(old, op_id=new_op_id(lead.signal.source.value), base=base, created_at=stamp(now))
        new = [
            i.model_copy(update={"state": ItemState.CLAIMED, "op_id": op.id, "generation": i.generation + 1})
            for i in old
        ]
        lease = Lease(
            operation=op,
            state=ItemState.CLAIMED,
            generation=max(i.generation for i in new),
            expires_at=stamp(now + timedelta(seconds=self._settings.lease_s)),
            claims=tuple(sorted(op.targets)),
        )
        return old, new, lease

    async def _write_claim(
        self,
        old: tuple[Item, ...],
        new: list[Item],
        lease: Lease,
        decided: PriorityDecided,
        told: AlignmentRecord | None,
    ) -> None:
        decision = decided.draft(op_id=lease.op_id)
        try:
            if told is not None:
                await self._store.keep(told.blob)
            await self._store.write(step(CLAIMED, items=new, lease=lease), decision, op_id=lease.op_id)
        except BaseException:
            self._queue.history.forget(lease.op_id)
            self._queue.drop(lease.op_id)
            for item in old:
                self._queue.put(item)
            raise

    async def move(self, op_id: str, state: ItemState, event: str, *, spend: Spend = NOTHING) -> None:
        """An active op and its items change their state. ``spend``: what the op has cost so far."""
        held = self.active(op_id)
        deadline, held.deadline = held.deadline, None  # it must not run out while this is written
        new = [item.model_copy(update={"state": state}) for item in self._queue.of_op(op_id)]
        lease = held.lease.model_copy(update={"state": state})
        try:
            await self._store.write(step(event, items=new, lease=lease), op_id=op_id, spend=spend)
        except BaseException:
            held.deadline = deadline
            raise
        held.lease = held.lease.model_copy(update={"state": state})
        held.deadline = None if state is ItemState.PARKED else self.deadline()
        self._put_states(new)
        self._changed.set()

    async def record_claims(self, held: Held, new: tuple[str, ...], *, spend: Spend) -> None:
        """Make claims durable that were taken in memory; they are given back when that fails."""
        if self._gone(held):  # its files were released with it
            raise self._lost(held.lease.op_id)
        lease = held.lease.model_copy(update={"claims": self._queue.claims.of(held.lease.op_id)})
        try:
            widened = step("widened", lease=lease, event=LeaseStep)
            await self._store.write(widened, op_id=lease.op_id, spend=spend)
        except BaseException:
            self._queue.claims.give_back(lease.op_id, new)
            self._queue.order.freed(new)
            self._changed.set()
            raise
        held.lease = held.lease.model_copy(update={"claims": lease.claims})

    async def end(
        self,
        op_id: str,
        state: State,
        *,
        cause: RootCause,
        branch: str | None,
        retry: bool,
        stopped: bool,
        spend: Spend,
    ) -> None:
        """An op ended: each of its items moves on by :func:`after_end`."""
        held = self._queue.held.get(op_id)
        items = self._queue.of_op(op_id)
        if not items or (held is not None and held.ending is not None):
            raise self._lost(op_id)
        now = stamp(self._clock.now())
        new = [
            after_end(
                item,
                op_id=op_id,
                state=state,
                cause=cause,
                branch=branch,
                retry=retry,
                now=now,
                stopped=stopped,
                max_attempts=self._settings.max_attempts,
            )
            for item in items
        ]
        facts = {"outcome": state.value, "cause": cause.value}
        await self._close(held, "finished", new, op_id=op_id, facts=facts, spend=spend)

    async def _close(
        self,
        held: Held | None,
        event: str,
        items: list[Item],
        *,
        op_id: str,
        facts: Mapping[str, str | None] | None = None,
        spend: Spend = NOTHING,
    ) -> None:
        """Write the next state of an op's items, then free its files."""
        over = asyncio.Event()
        if held is not None:
            held.ending = over
        moved = [i for i in items if i.state is ItemState.QUEUED]  # stored whole: their signals may name a newer commit
        others = [i for i in items if i.state is not ItemState.QUEUED]
        try:
            closed = step(event, new=moved, items=others, facts={"ended": op_id, **(facts or {})})
            await self._store.write(closed, op_id=op_id, spend=spend)
        except BaseException:
            if held is not None:
                held.ending = None
            raise
        finally:
            over.set()
        self._queue.drop(op_id)
        if facts is not None:
            self._queue.history.ended(op_id, facts)
        elif event != QUARANTINED:
            self._queue.history.forget(op_id)
        for item in items:
            self._queue.put(item)
        self._changed.set()

    def _put_states(self, new: list[Item]) -> None:
        """Take the states of items over, keeping what was noted on them while their step was written."""
        for item in new:
            current = self._queue.get(item.id)
            again = current.seen_again_at if current is not None else None
            self._queue.put(item.model_copy(update={"seen_again_at": again or item.seen_again_at}))

    async def take_back_expired(self) -> None:
        """Release the ops whose workers have been silent for longer than a lease."""
        for held in self._queue.expired(self._clock.monotonic()):
            verdict = self._may_release(self._silent_s(held), self._settings.lease_s)
            if verdict.decision is not Decision.ALLOW:
                held.deadline = self.deadline()  # it is asked again
                continue
            log.warning("op %s showed no sign of life: its files are released (%s)", held.lease.op_id, verdict.rule)
            if held.lease.state is ItemState.CLAIMED:
                await run_to_completion(self.unstarted(held, "lease_expired"))
            else:
                spend = await self._store.spent(held.lease.op_id)
                reason = f"Its worker showed no sign of life ({verdict.rule}); it may have acted."
                await run_to_completion(self.quarantine(held, reason, spend=spend))

    def _silent_s(self, held: Held) -> float:
        """Since the last sign of life of the op's worker."""
        return self._clock.monotonic() - (held.deadline or 0.0) + self._settings.lease_s

    async def unstarted(self, held: Held, event: str) -> None:
        """A claim that provably led to nothing: its items are queued again."""
        if self._gone(held):
            return
        now, limit = stamp(self._clock.now()), self._settings.max_claims
        op_id = held.lease.op_id
        new = [after_unstarted(item, now=now, max_claims=limit) for item in self._queue.of_op(op_id)]
        await self._close(held, event, new, op_id=op_id)

    async def quarantine(self, held: Held, reason: str, *, spend: Spend) -> None:
        """An op that may have acted: its items are set aside."""
        if self._gone(held):
            return
        op_id = held.lease.op_id
        new = [quarantined(item, reason) for item in self._queue.of_op(op_id)]
        await self._close(held, QUARANTINED, new, op_id=op_id, spend=spend)

    def _gone(self, held: Held) -> bool:
        """Another worker took it back at the same time, or it ended after all."""
        return held.ending is not None or self._queue.held.get(held.lease.op_id) is not held

    async def put(self, item: Item, event: str) -> None:
        """One item without an op changes its state. Stored whole: its signal may name a newer commit."""
        await self._store.write(step(event, new=[item]))
        self._queue.put(item)
        self._changed.set()

    def active(self, op_id: str) -> Held:
        """The lease of an active op. Raises ``LeaseLost``."""
        held = self._queue.held.get(op_id)
        if held is None or held.ending is not None:
            raise self._lost(op_id)
        return held

    @staticmethod
    def _lost(op_id: str) -> LeaseLost:
        return LeaseLost(
            f"Op {op_id} is not active.", op_id=op_id, remedy="It ended, or its lease ran out and was taken back."
        )

    def deadline(self) -> float:
        """When a lease that is renewed now runs out (monotonic)."""
        return self._clock.monotonic() + self._settings.lease_s
