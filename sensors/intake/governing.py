"""Applies the governor's rules: reads the load, infers the posture, records which lanes are held back and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ledger.clock import Clock, stamp, unstamp
from ledger.events.intake import LaneGoverned, PostureInferred, QueueStep
from ledger.sources import SOURCES
from ledger.tasks import run_to_completion
from ledger.vocabulary import Draft, OpOutcome, RootCause, Source, SourceClass, Urgency
from sensors.intake.governor import GovernorSettings, Lane, Ruling, Situation, brake, decide
from sensors.intake.history import DAY, Tally
from sensors.intake.ports import ReadSurroundings
from sensors.intake.posture import CurrentPosture, Posture, Signs, chosen_posture, infer, settle
from sensors.intake.pressure import Pressure
from sensors.intake.queue import DurableQueue, step
from sensors.intake.queue_state import QueueState
from sensors.intake.records import Item, ItemState


class Governor:
    """Applies :func:`decide` to each lane. Signals of a held lane stay queued; without held lanes nothing is polled."""

    def __init__(
        self,
        *,
        store: DurableQueue,
        queue: QueueState,
        clock: Clock,
        settings: GovernorSettings,
        surroundings: ReadSurroundings,
    ) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock
        self.settings = settings
        self._read_surroundings = surroundings
        self._surroundings = Pressure()
        self._looked_at: float | None = None  # monotonic clock
        self._inferred_at: float | None = None
        self._recorded: dict[Lane, str] = {}  # by lane: the recorded rule that holds it back
        self._last_signal_at = clock.now()
        self.current = CurrentPosture()
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Load the history and the posture that earlier boots recorded."""
        self._queue.history.fill(await self._store.begun(stamp(self._clock.now() - DAY)))
        self.current = await self._store.load_posture()

    def note_signal(self) -> None:
        """Note that a signal has arrived, for the idle time."""
        self._last_signal_at = self._clock.now()

    # --- decisions ---

    def situation(self) -> Situation:
        """The inputs of all decisions at this moment."""
        tally = self._queue.history.hour(self._clock.now())
        return Situation(
            tally=tally,
            posture=self.current.posture,
            surroundings=self._surroundings,
            brake=brake(tally, self._surroundings, self.settings),
            active=self._queue.active(),
        )

    def rulings(self) -> Callable[[Lane], Ruling]:
        """A function from lane to ruling for this moment; each ruling is computed once."""
        situation, known = self.situation(), dict[Lane, Ruling]()

        def ruling(lane: Lane) -> Ruling:
            if lane not in known:
                known[lane] = decide(lane, situation, self.settings)
            return known[lane]

        return ruling

    def next_look_s(self) -> float | None:
        """Seconds until the next look, at which a held lane may become free; None if no lane is held."""
        ruling, now = self.rulings(), self._clock.now()
        held = [found for lane in self._queue.order.lanes if not (found := ruling(lane)).free]
        if not held:
            return None
        waits = [(each.until - now).total_seconds() for each in held if each.until is not None]
        return max(0.0, min([self.settings.look_every_s, *waits]))

    @property
    def waiting(self) -> Mapping[Lane, int]:
        """How many signals are queued in each lane."""
        return self._queue.order.lanes

    # --- effects ---

    async def look(self) -> None:
        """Read the load and infer the posture if they are due; record lanes whose ruling has changed."""
        async with self._lock:
            await self._read_machine()
            await self._infer()
            await self._record_changes()

    async def _read_machine(self) -> None:
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= self.settings.look_every_s:
            self._looked_at = now
            self._surroundings = await self._read_surroundings()

    async def _infer(self) -> None:
        now = self._clock.monotonic()
        due = self._inferred_at is None or now - self._inferred_at >= self.settings.posture_every_s
        until = self.current.until
        if not due and not (until is not None and self._clock.now() >= unstamp(until)):
            return
        self._inferred_at = now
        signs = self.signs()
        inferred = infer(signs)
        settings = self.settings
        new = settle(
            self.current,
            inferred,
            now=self._clock.now(),
            hysteresis_s=settings.hysteresis_s,
            bypass_bp=settings.bypass_bp,
        )
        if new.posture is not self.current.posture or new.by != self.current.by:
            decided = PostureInferred(inputs=signs.model_dump(mode="json"), result=inferred.posture.value)
            await self._change_posture(new, decided.draft())
        self.current = new

    async def set_posture(self, posture: Posture, *, hours: float, why: str) -> CurrentPosture:
        """Set the posture for the owner, recorded. Raises ``ControlError`` for more than a day."""
        new = chosen_posture(posture, hours=hours, why=why, now=self._clock.now())
        async with self._lock:
            await run_to_completion(self._change_posture(new))
        return new

    async def clear_posture(self) -> CurrentPosture:
        """End the owner's choice; the posture is inferred at once."""
        async with self._lock:
            if self.current.by == "owner":
                self.current = self.current.model_copy(update={"until": stamp(self._clock.now())})
            await run_to_completion(self._infer())
        return self.current

    async def _change_posture(self, new: CurrentPosture, *decided: Draft) -> None:
        event = QueueStep(verb="posture", standing=new.model_dump(mode="json"))
        await self._store.write(event, *decided)
        self.current = new

    async def _record_changes(self) -> None:
        """Write one entry for each lane that is held back by another rule than before, or is free again."""
        ruling, situation = self.rulings(), self.situation()
        lanes = {lane: ruling(lane) for lane in self._queue.order.lanes}
        changed = {lane: now for lane, now in lanes.items() if now.rule != self._recorded.get(lane, "")}
        self._recorded = {lane: found.rule for lane, found in lanes.items() if not found.free}
        if changed:
            drafts = [ruling_inputs(lane, situation, found, self.settings) for lane, found in changed.items()]
            await self._store.write(step("governed"), *drafts)

    def signs(self) -> Signs:
        """What the posture is inferred from, now."""
        now = self._clock.now()
        day, states = self._queue.history.day(now), [item.state for item in self._queue]
        waiting = [*self._queue.order.lanes.items(), *((Lane.of(i), 1) for i in self._queue if _is_in_work(i))]
        sensed = [(lane, n) for lane, n in waiting if not lane.owners]  # the owner's own requests are no sign of load
        reflex = sum(n for lane, n in sensed if SOURCES[lane.source].routed_as is SourceClass.REFLEX)
        return Signs(
            critical_waiting=sum(n for lane, n in sensed if lane.urgency is Urgency.CRITICAL),
            reflex_waiting=reflex,
            other_waiting=sum(n for _, n in waiting) - reflex,
            parked=states.count(ItemState.PARKED),
            unmerged=states.count(ItemState.AWAITING_MERGE),
            dead=states.count(ItemState.DEAD),
            quarantined=states.count(ItemState.QUARANTINED),
            completed_day=sum(each.outcome in (OpOutcome.COMPLETE, OpOutcome.NOOP) for each in day),
            failed_day=sum(each.failed for each in day),
            rejected_day=sum(each.cause is RootCause.APPROVAL_REJECTED for each in day),
            idle_s=max(0, int((now - max([self._last_signal_at, *(unstamp(e.at) for e in day[-1:])])).total_seconds())),
            burn_bp=self._surroundings.burn_bp,
        )


def _is_in_work(item: Item) -> bool:
    return item.state in (ItemState.CLAIMED, ItemState.IN_FLIGHT)


# --- recorded inputs, and their replay ---


def ruling_inputs(lane: Lane, situation: Situation, found: Ruling, settings: GovernorSettings) -> Draft:
    """The entry of a ruling with all its inputs, which are integers and strings only."""
    inputs = {
        "lane": [lane.source.value, int(lane.urgency), lane.again, lane.owners],
        "tally": situation.tally.model_dump(mode="json", exclude={"oldest"}),
        "posture": situation.posture.value,
        "surroundings": situation.surroundings.model_dump(mode="json"),
        "active": situation.active,
        "settings": {name: value for name, value in settings.model_dump().items() if isinstance(value, int)},
    }
    return LaneGoverned(lane=str(lane), inputs=inputs, result=found.rule, reason=found.reason).draft()


def replay_ruling(inputs: dict[str, Any]) -> str:
    """The rule that follows from an entry's inputs, for replay."""
    source, urgency, again, owners = inputs["lane"]
    settings = GovernorSettings.model_validate(inputs["settings"])
    tally, load = Tally.model_validate(inputs["tally"]), Pressure.model_validate(inputs["surroundings"])
    situation = Situation(tally, Posture(inputs["posture"]), load, brake(tally, load, settings), inputs["active"])
    lane = Lane(Source(source), Urgency(urgency), again, owners)
    return decide(lane, situation, settings).rule
