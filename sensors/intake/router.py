"""The intake router: durable first, then dedup, merging, file conflicts, priority, leases.

Memory (:class:`QueueState`) answers every question; the ledger is written before a change is acknowledged.
:class:`LeaseManager` carries out the steps of an op.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from ledger.clock import Clock, stamp
from ledger.errors import ControlError
from ledger.store import Ledger
from ledger.tasks import run_to_completion
from ledger.vocabulary import Decision, Operation, OpOutcome, RootCause, Signal, Source, State
from sensors.intake.coalesce import wait_s
from sensors.intake.declared_goals import DeclaredGoals
from sensors.intake.dedup import IN_THE_WAY, Novelty, in_vain, novelty
from sensors.intake.ending import queued_again
from sensors.intake.governing import Governor
from sensors.intake.governor import GovernorSettings
from sensors.intake.leases import LeaseManager
from sensors.intake.ports import IntakePorts
from sensors.intake.queue import DurableQueue, step
from sensors.intake.queue_state import Held, QueueState
from sensors.intake.records import HELD, Item, ItemState, Lease, QueueSnapshot, Receipt, RecoveryReport
from sensors.intake.settings import RouterSettings
from sensors.redaction import signal_without_secrets


class IntakeRouter:
    """Takes signals from sensors and hands ops to workers. Call :meth:`recover` once before anything else."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        boot: str,
        settings: RouterSettings,
        ports: IntakePorts,
        caps: GovernorSettings | None = None,
    ) -> None:
        self._store = DurableQueue(ledger)
        self._clock = clock
        self._boot = boot
        self._settings = settings
        self._ports = ports
        self.goals = DeclaredGoals(files=ports.committed_files, clock=clock, redact=ports.redact)
        self._queue = QueueState(settings, lambda item: self.goals.align(item.signal).points, ports.track_record)
        self._arriving: dict[str, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self.governor = Governor(
            store=self._store,
            queue=self._queue,
            clock=clock,
            settings=caps or GovernorSettings(),
            surroundings=ports.surroundings,
        )
        self.held_back = asyncio.Event()
        """Set while nothing is worked on because the governor holds back all that waits."""
        self.hindered = 0
        """Number of ops of this boot that ended because the owner was in the way."""
        self._turned_away: Counter[tuple[Source, str]] = Counter()
        self._why_turned_away: dict[Source, str] = {}
        self._leases = LeaseManager(
            store=self._store,
            queue=self._queue,
            goals=self.goals,
            clock=clock,
            settings=settings,
            changed=self._changed,
            may_release=ports.may_release,
        )
        self._paused = False
        self._loaded = False
        self._inherited: tuple[str, ...] = ()  # ops of earlier boots that recover() has not looked at

    # --- signals come in ---

    async def submit(self, signal: Signal, *, asked: bool = False) -> Receipt:
        """Take a signal; it is durable when this returns. The receipt holds its state.

        ``asked``: a person wants it done now, whatever became of it before.
        """
        await self._load()
        self.governor.note_signal()
        told = await asyncio.to_thread(signal_without_secrets, signal, self._ports.redact)
        stamped = told.model_copy(
            update={"boot": signal.boot or self._boot, "seen_at": signal.seen_at or stamp(self._clock.now())}
        )
        return await run_to_completion(self._in_turn(stamped, asked))

    async def _in_turn(self, signal: Signal, asked: bool) -> Receipt:
        """One at a time for each key: the second must see what became of the first."""
        while signal.key in self._arriving:
            await asyncio.wait({self._arriving[signal.key]})
        turn = self._arriving[signal.key] = asyncio.get_running_loop().create_future()
        try:
            return await self._take_in(signal, asked)
        finally:
            del self._arriving[signal.key]
            turn.set_result(None)
            self.reconsider()

    async def _take_in(self, signal: Signal, asked: bool) -> Receipt:
        holder = self._queue.holder(signal.key)
        if holder is not None and holder.ending is not None:
            await holder.ending.wait()  # what the op came to decides what this signal is
        last = self._queue.last(signal.key) or await self._store.last_closed(signal.key)
        waits = last is not None and last.state is ItemState.AWAITING_MERGE and last.branch is not None
        lives = await self._ports.branch_exists(last.branch) if waits and last is not None and last.branch else False
        last = self._queue.last(signal.key) or last
        now = self._clock.now()
        unchanged = (
            not asked and last is not None and in_vain(last) and await self._ports.is_unchanged(last.signal, signal)
        )
        answer = novelty(
            signal, last, now=now, branch_lives=lives, settings=self._settings, asked=asked, unchanged=unchanged
        )
        if answer.status != "new":
            return await self._turn_away(signal, last, answer, asked=asked)
        verdict = self._ports.admit(signal)
        parked = verdict.decision is not Decision.ALLOW
        patience = timedelta(seconds=wait_s(signal.urgency, self._settings.coalesce_s))
        item = Item(
            signal=signal,
            state=ItemState.PARKED if parked else ItemState.QUEUED,
            queued_at=stamp(now),
            not_before=stamp(now + patience),
            attempts=answer.attempts,
            history=answer.history,
            reason=f"{verdict.reason} ({verdict.rule})" if parked else "",
            asked=asked,
        )
        rejected = [self._rejected(last)] if last is not None and last.state is ItemState.AWAITING_MERGE else []
        await self._store.write(step(f"received_{item.state.value}", new=[item], items=rejected))
        for each in (*rejected, item):
            self._queue.put(each)
        return Receipt(signal_id=signal.id, status="parked" if parked else "queued", reason=item.reason)

    async def _turn_away(self, signal: Signal, last: Item | None, answer: Novelty, *, asked: bool) -> Receipt:
        status: Literal["duplicate", "suppressed"] = "duplicate" if answer.status == "duplicate" else "suppressed"
        self._turned_away[signal.source, status] += 1
        self._why_turned_away[signal.source] = answer.reason
        facts = {"signal": signal.id, "key": signal.key, "of": answer.of, "reason": answer.reason, "base": signal.base}
        if last is not None and last.state in HELD and signal.base != last.signal.base:
            # Should the op fail, the condition is still there at a commit that it did not see.
            self._queue.put(last.model_copy(update={"seen_again_at": signal.base}))
            facts["again"] = last.id
        wanted = last.model_copy(update={"asked": True}) if asked and last and last.state is ItemState.QUEUED else None
        await self._store.write(step(status, items=[wanted] if wanted else (), facts=facts))
        if wanted is not None and self._queue.get(wanted.id) is last:  # no op has taken it meanwhile
            self._queue.put(wanted)
        return Receipt(signal_id=signal.id, status=status, reason=answer.reason, of=answer.of)

    def _rejected(self, item: Item) -> Item:
        reason = f"Branch {item.branch} was deleted: its repair is taken as rejected."
        return item.model_copy(
            update={"state": ItemState.DONE, "success": False, "reason": reason, "closed_at": stamp(self._clock.now())}
        )

    # --- ops go out ---

    async def next(self) -> Operation:
        """Wait for the best signal whose files are free, claim them, and return its op under a fresh lease."""
        await self._load()
        while True:
            self._changed.clear()
            await self._leases.take_back_expired()
            await self.governor.look()
            if self._lead() is not None:
                head = await self._ports.head()
                await self._align(head)
                lead = self._lead()
                if lead is not None:
                    self.held_back.clear()
                    return await self._leases.hand_out(lead, head, evicted=self._evicted())
            self._look_for_work()
            await self._until_changed()

    async def read_goals(self) -> None:
        """Refs have moved, or the daemon starts: what is declared at HEAD counts from now on."""
        await self._load()
        await self._align(await self._ports.head())

    async def _align(self, head: str | None) -> None:
        if await self.goals.refresh(head):
            signals = [item.signal for item in self._queue.order]
            align = self.goals.align
            points = await asyncio.to_thread(lambda: {each.id: align(each).points for each in signals})
            self._queue.order.realign(points)
            self.reconsider()

    def _lead(self) -> Item | None:
        """The best signal that may become an op now."""
        ruling = self.governor.rulings()
        return None if self._paused else self._queue.order.best(self._clock.now(), lambda lane: ruling(lane).free)

    def _evicted(self) -> tuple[str, ...]:
        ruling = self.governor.rulings()
        return self._queue.evicted(self._clock.now(), lambda lane: ruling(lane).free)

    def _look_for_work(self) -> None:
        ruling, lanes = self.governor.rulings(), self._queue.order.lanes
        if lanes and not self._queue.active() and not any(ruling(lane).free for lane in lanes):
            self.held_back.set()
        else:
            self.held_back.clear()

    # --- for workers ---

    async def started(self, op_id: str) -> None:
        """From here on the op may have acted. Raises ``LeaseLost`` when it was taken back."""
        await run_to_completion(self._leases.move(op_id, ItemState.IN_FLIGHT, "started"))

    async def park(self, op_id: str) -> None:
        """The op waits for a person: it keeps its files and its lease does not run out."""
        await run_to_completion(self._move(op_id, ItemState.PARKED, "parked"))

    async def unpark(self, op_id: str) -> None:
        """A person answered: the op is in flight again."""
        await run_to_completion(self._move(op_id, ItemState.IN_FLIGHT, "unparked"))

    async def _move(self, op_id: str, state: ItemState, event: str) -> None:
        await self._leases.move(op_id, state, event, spend=await self._store.spent(op_id))

    async def renew(self, op_id: str) -> None:
        """A sign of life. Kept in memory: after a restart every lease of the old boot is void anyway."""
        held = self._leases.active(op_id)
        if held.deadline is not None:
            held.deadline = self._leases.deadline()

    async def widen(self, op_id: str, paths: Collection[str]) -> bool:
        """Claim more files; False when another op holds one of them (then none was claimed)."""
        held = self._leases.active(op_id)
        new = self._queue.claims.take(op_id, paths)
        if new is None:
            return False
        if new:
            await run_to_completion(self._record_claims(held, new))
        return True

    async def _record_claims(self, held: Held, new: tuple[str, ...]) -> None:
        await self._leases.record_claims(held, new, spend=await self._store.spent(held.lease.op_id))

    async def wait_free(self, op_id: str, paths: Collection[str], *, limit_s: float) -> bool:
        """Wait until no other op holds one of ``paths``; False when that takes longer than ``limit_s``."""
        claims = self._queue.claims
        try:
            async with asyncio.timeout(limit_s):
                while claims.blocker(paths, op_id=op_id) is not None:
                    await claims.freed()
        except TimeoutError:
            return False
        return True

    async def finish(
        self, op_id: str, state: State, *, cause: RootCause, branch: str | None = None, retry: bool = False
    ) -> None:
        """The op ended. ``branch`` holds its work for review; ``retry`` queues its signals again while they may.

        CRASH_RECOVERED reported by a live worker means a clean stop, which is no attempt. Also accepted late, for an
        op that was quarantined. Raises ``LeaseLost`` for one that is not known.
        """
        stopped = cause is RootCause.CRASH_RECOVERED
        await run_to_completion(self._finish(op_id, state, cause=cause, branch=branch, retry=retry, stopped=stopped))

    async def _finish(
        self, op_id: str, state: State, *, cause: RootCause, branch: str | None, retry: bool, stopped: bool
    ) -> None:
        await self._load()
        spend = await self._store.spent(op_id)
        await self._leases.end(op_id, state, cause=cause, branch=branch, retry=retry, stopped=stopped, spend=spend)
        self.hindered += cause in IN_THE_WAY

    # --- leases that ran out, and boots that ended in a crash ---

    async def recover(self) -> RecoveryReport:
        """Read the tables after a boot. What was claimed and never started is queued again; ``undecided`` ops may
        have acted and stay in flight until :meth:`requeue`, :meth:`finish` or :meth:`quarantine` is called for each.
        """
        await self._load()
        requeued: list[str] = []
        inherited, self._inherited = self._inherited, ()
        for op_id in inherited:
            held = self._queue.held[op_id]
            if held.lease.state is ItemState.CLAIMED:
                requeued += [item.id for item in self._queue.of_op(op_id)]
                await run_to_completion(self._leases.unstarted(held, "recovered"))
        await self.check_branches()
        before = stamp(self._clock.now() - timedelta(days=self._settings.keep_closed_days))
        if await self._store.prunable(before):
            await self._store.write(step("pruned", facts={"before": before}))
        states = {op_id: held.lease.state for op_id, held in self._queue.held.items() if op_id in inherited}
        return RecoveryReport(
            requeued=tuple(requeued),
            undecided=tuple(o for o, s in states.items() if s is ItemState.IN_FLIGHT),
            parked=tuple(o for o, s in states.items() if s is ItemState.PARKED),
            quarantined=tuple(i.id for i in self._queue if i.state is ItemState.QUARANTINED),
        )

    async def requeue(self, op_id: str) -> None:
        """An op ended in a crash without effects: count the attempt and queue its signals again."""
        cause = RootCause.CRASH_RECOVERED
        await run_to_completion(
            self._finish(op_id, OpOutcome.POSTMORTEM, cause=cause, branch=None, retry=True, stopped=False)
        )

    async def quarantine(self, op_id: str, reason: str = "It may have acted before the daemon ended.") -> None:
        """Set an op's signals aside until a person decides."""
        await run_to_completion(self._quarantine(op_id, reason))

    async def _quarantine(self, op_id: str, reason: str) -> None:
        held = self._leases.active(op_id)
        await self._leases.quarantine(held, reason, spend=await self._store.spent(op_id))

    async def check_branches(self) -> tuple[str, ...]:
        """Close signals whose review branch is gone; returns their ids. For start-up and moved branches."""
        await self._load()
        gone = []
        for item in self._queue:
            if (
                item.state is ItemState.AWAITING_MERGE
                and item.branch
                and not await self._ports.branch_exists(item.branch)
            ):
                current = self._queue.get(item.id)
                if current is not None and current.state is ItemState.AWAITING_MERGE:
                    await run_to_completion(self._leases.put(self._rejected(current), "branch_gone"))
                    gone.append(item.id)
        return tuple(gone)

    # --- for the owner ---

    async def drop(self, signal_id: str, reason: str) -> None:
        """Take a signal out of the queue. Raises ``ControlError`` when it is unknown or an op works on it."""
        await self._load()
        item = self._waiting(signal_id)
        update = {"state": ItemState.DONE, "reason": reason, "closed_at": stamp(self._clock.now())}
        await run_to_completion(self._leases.put(item.model_copy(update=update), "dropped"))

    async def release(self, signal_id: str) -> None:
        """Queue a parked, quarantined, dead or held back signal: with fresh attempts, regardless of caps."""
        await self._load()
        item = self._waiting(signal_id)
        if item.state is ItemState.AWAITING_MERGE:
            raise ControlError(
                f"Its repair waits on branch {item.branch}.",
                remedy="Merge or delete the branch; `ouro drop` forgets it.",
            )
        now, fresh = stamp(self._clock.now()), {"attempts": 0, "generation": 0, "closed_at": None, "asked": True}
        await run_to_completion(self._leases.put(queued_again(item, now=now).model_copy(update=fresh), "released"))
        self.held_back.clear()

    def pause(self) -> None:
        """Hand nothing out until :meth:`resume`; signals are still taken in."""
        self._paused = True

    def resume(self) -> None:
        """Hand out again; also read the clock and the head again."""
        self._paused = False
        self.reconsider()

    def snapshot(self, *, lines: int = 200) -> QueueSnapshot:
        """The present queue; synchronous, from memory. At most ``lines`` signals are described, all counted."""
        return self._queue.snapshot(
            now=self._clock.now(), paused=self._paused, lines=lines, ruling=self.governor.rulings()
        )

    def known(self) -> tuple[str, ...]:
        """The ids of all signals that have not ended, and of the dead."""
        return self._queue.ids()

    async def by_source(self) -> dict[str, dict[str, tuple[int, str]]]:
        """For each source and state: how many signals the table holds, and when the newest of them was queued."""
        await self._load()
        return await self._store.by_source()

    def turned_away(self, source: Source) -> dict[str, int]:
        """How many signals of a source were duplicates or suppressed, since this boot."""
        return {status: n for (name, status), n in self._turned_away.items() if name is source}

    def why_turned_away(self, source: Source) -> str:
        """Why the last of them was; empty before the first."""
        return self._why_turned_away.get(source, "")

    async def knows(self, key: str) -> bool:
        """Was a signal with this key taken in, however long ago (``keep_closed_days``)?"""
        await self._load()
        return await self._store.knows(key)

    async def is_open(self, signal_id: str) -> bool:
        """True while a signal waits, is worked on, waits for a person, or has a review branch."""
        await self._load()
        item = self._queue.get(signal_id)
        return item is not None and item.state is not ItemState.DEAD

    def reconsider(self) -> None:
        """Choose again what may become an op: something that the governor depends on has changed."""
        self.held_back.clear()
        self._changed.set()

    async def idle(self) -> bool:
        """Nothing queued, nothing claimed, nothing in flight, nothing on its way in."""
        await self._load()
        return not self._arriving and not self._queue.busy()

    async def until_idle(self) -> None:
        """Return when :meth:`idle` holds: for a run that ends when there is no more work."""
        while True:
            self._changed.clear()
            if await self.idle():
                return
            await self._changed.wait()

    # --- inside ---

    async def _load(self) -> None:
        if not self._loaded:
            await self._store.prepare()
            items, leases = await self._store.open_items(), await self._store.leases()
            await self.governor.load()
            self._fill(items, leases)

    def _fill(self, items: list[Item], leases: list[Lease]) -> None:
        if self._loaded:  # another caller was faster
            return
        self._loaded = True
        self._inherited = tuple(lease.op_id for lease in leases)
        for lease in leases:
            self._queue.hold(lease, None)
        for item in items:
            self._queue.put(item)

    def _waiting(self, signal_id: str) -> Item:
        item = self._queue.get(signal_id)
        if item is None:
            raise ControlError(f"No waiting signal has the id {signal_id}.", remedy="`ouro signals` lists them.")
        if item.op_id is not None and item.op_id in self._queue.held:
            raise ControlError(f"Op {item.op_id} works on this signal.", remedy="Cancel the op instead.")
        return item

    async def _until_changed(self) -> None:
        """Wait for a change, or for the moment at which a wait or a lease ends. Nothing is polled."""
        due, lease = self._queue.order.due(), self._queue.next_deadline()
        waits = [] if due is None or self._paused else [(due - self._clock.now()).total_seconds()]
        waits += [] if lease is None else [lease - self._clock.monotonic()]
        look = None if self._paused else self.governor.next_look_s()
        waits += [] if look is None else [look]
        try:
            async with asyncio.timeout(max(0.0, min(waits)) if waits else None):
                await self._changed.wait()
        except TimeoutError:
            return
