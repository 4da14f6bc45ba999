"""Tools and files that ops asked for repeatedly and could not get.

Reads the ledger whenever an op ends. Status shows a gap with the entries that it rests on; it becomes work only if it
has a place in the repository and the owner has switched that on. A gap counts as served when the ledger shows it: the
tool was called and answered, or an op about the file completed. The work itself is closed by the owner's yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ledger.errors import ControlError, OuroError
from ledger.events.event import event_in
from ledger.events.op import OpEnded
from ledger.vocabulary import Entry, EntryKind, Evidence, OwnerConfirms, Signal
from sensors.bus import Bus, fingerprint
from sensors.capability_gap import SPEC, CapabilityGapSettings
from sensors.capability_gap.gaps import GapKind, entropy, is_real, read_gaps
from sensors.capability_gap.sightings import SCHEMA, GapMemory, Met
from sensors.ports import SensorPorts
from sensors.python_source.syntax import is_test
from sensors.sensor import Sensor

LOOKED_BACK = 5_000
"""Entries before this boot that are read when nothing is remembered: a long record is not read whole."""

OF_AN_OP = (EntryKind.DECISION, EntryKind.VERDICT, EntryKind.TOOL, EntryKind.CANDIDATE, EntryKind.TRANSITION)
SHOWN_SEQS = 10
SHOWN_GAPS = 3


class CapabilityGap(Sensor[CapabilityGapSettings]):
    """Emits gaps with a place in the repository."""

    spec = SPEC
    tables = (SCHEMA,)
    first_line = ""

    def __init__(self, *, ports: SensorPorts, settings: CapabilityGapSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._gaps = GapMemory(ledger=ports.ledger, clock=ports.clock, days=settings.days)
        self._read = 0  # the last entry that was looked at

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Catch up, then look whenever an op has ended, until cancelled. The ledger wakes it, not the bus."""
        async with self._ledger.subscribe() as entries:
            await self._look()
            async for entry in entries:
                if event_in(entry, OpEnded):  # whatever was missed before it is read now
                    await self._look()

    async def _scan(self) -> tuple[Signal, ...]:
        """Read what ops have left since the last time."""
        up_to = self._ledger.head.seq
        for ended in await self._ended():
            await self._take_in(ended)
        self._read = up_to
        return await self._judge()

    # --- what ops leave ---

    async def _look(self) -> None:
        try:
            await self.scan_once()
        except OuroError as error:  # the next op that ends is another chance
            self._say(f"cannot look: {error}")

    async def _ended(self) -> Sequence[Entry]:
        if not self._read:
            remembered = await self._gaps.read_up_to()
            self._read = max(remembered or 0, self._ledger.head.seq - LOOKED_BACK, 0)
        return await self._ledger.entries(events=(OpEnded,), after=self._read)

    async def _take_in(self, ended: Entry) -> None:
        if ended.op_id is None:
            return
        seen = read_gaps(await self._ledger.entries(op_id=ended.op_id, kinds=OF_AN_OP))
        if seen is None:
            return
        rounds = {str(met.gap): await self._gaps.round_of(met.gap) for met in await self._gaps.met()}
        for gap in await self._gaps.see(seen, ended.seq):
            await self._take_back(rounds[gap].signal, gap)

    async def _take_back(self, signal: str, gap: str) -> None:
        if not signal:
            return
        try:
            await self._ports.withdraw(signal, f"{gap} is served by now.")
        except ControlError:
            return  # done already, or an op is at it: the owner sees that op

    # --- which gaps are real ---

    async def _judge(self) -> tuple[Signal, ...]:
        settings = self._settings
        real = [
            met
            for met in await self._gaps.met()
            if is_real(met.classes, least=settings.least_seen, least_entropy_milli=settings.least_entropy_milli)
        ]
        self._say(self._told(real))
        signals: list[Signal] = []
        if settings.work and not self._ports.unavailable():
            for met in real:
                signals += await self._said(met)
        return tuple(signals)

    async def _said(self, met: Met) -> Sequence[Signal]:
        """The signal for a gap that has a place and was not emitted in this round; none for any other."""
        now = await self._gaps.round_of(met.gap)
        head = (await self._repository.head()).commit
        if now.signal or head is None or await self._gaps.count_recent() >= self._settings.per_day:
            return ()
        place = place_of(met, await self._repository.files(head))
        if not place:
            return ()
        signal = self._signal(met, place, head, now.number)
        receipt = await self._ports.emit(signal)
        await self._gaps.say(met, now.number, receipt.of or signal.id, receipt.status)
        return (signal,)

    def _signal(self, met: Met, place: str, head: str, number: int) -> Signal:
        rests = Evidence(
            claim=f"{len(met.seqs)} ops met it, of {len(set(met.classes))} kinds ({entropy(met.classes):.2f} bits): "
            f"{met.gap.why}",
            evidence=f"ledger entries {', '.join(map(str, met.seqs[-SHOWN_SEQS:]))}; "
            f"goals of {', '.join(dict.fromkeys(met.classes))}",
            confidence_bp=6_000,
            source="capability_gap",
        )
        return self._new_signal(
            goal=goal_of(met, place),
            targets=(place,),
            confidence_bp=6_000,
            evidence=(rests,),
            key=fingerprint(self.source.value, str(met.gap), str(number)),
            closure=OwnerConfirms(question=f"Will work of this kind be served now: {met.gap}?"),
            base=head,
            depth=met.depth,
        )

    def _told(self, real: Sequence[Met]) -> str:
        """For status; empty where nothing is missing."""
        if not real:
            return ""
        told = "; ".join(
            f"{met.gap.kind.value} {met.gap.name} ({len(met.seqs)} ops of {len(set(met.classes))} kinds, entries "
            f"{', '.join(map(str, met.seqs[-SHOWN_SEQS:]))}): {met.gap.why}"
            for met in real[:SHOWN_GAPS]
        )
        more = f"; and {len(real) - SHOWN_GAPS} more" if len(real) > SHOWN_GAPS else ""
        missing = self._ports.unavailable() if self._settings.work else ""
        why = f" · unavailable: {missing}" if missing else ""
        return self._ports.redact(f"not served: {told}{more}{why}")


def place_of(met: Met, files: Sequence[str]) -> str:
    """Where in the repository the gap could be closed; empty for nowhere. Pure.

    The file that ops found nothing for; for a tool the one program of the repository that has its name. What is missing
    on the machine, and a tool that does not exist yet, has no place here.
    """
    if met.gap.kind is GapKind.FILE:
        return met.gap.name if met.gap.name in files and not is_test(met.gap.name) else ""
    if met.gap.kind is GapKind.TOOL:
        named = [path for path in files if PurePosixPath(path).stem == met.gap.name and not is_test(path)]
        return named[0] if len(named) == 1 else ""
    return ""


def goal_of(met: Met, place: str) -> str:
    """The goal of an op about a gap. Pure."""
    if met.gap.kind is GapKind.TOOL:
        return (
            f"Models asked {len(met.seqs)} times for a tool {met.gap.name}, which is not offered. {place} has that "
            "name: make it usable for what they asked for."
        )
    return (
        f"{len(met.seqs)} pieces of work on {place} ended without a change that holds. Find what in the file stands in "
        "the way of changing it, and mend that in one small step."
    )
