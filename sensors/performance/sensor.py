"""Benchmark results that are worse than usual by more than noise, and the commits between.

Runs nothing: it reads the result file of the owner when it is written. Measurements are kept per commit; the median and
spread of earlier commits are the baseline.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from ledger.vocabulary import Check, Closure, Evidence, Frozen, MetricLimit, MetricWithin, OwnerConfirms, Signal
from sensors.bus import Bus, Topic, fingerprint
from sensors.closure_checks import AnswerCheck, ClosurePorts
from sensors.performance import SPEC, PerformanceRegressionSettings
from sensors.performance.measurements import Better, Measurement, UnreadableMeasurements, format_value, measurements
from sensors.performance.measuring import MOST, Benchmark, benchmark_files, digest_of
from sensors.performance.noise import Baseline, is_worse, percent, summarise
from sensors.performance.samples import SCHEMA, Samples, baseline
from sensors.ports import SensorPorts
from sensors.sensor import Sensor
from sensors.watch.named import Named
from sensors.watch.named_files import FileRefused, NamedFile, read_named, resolve_path

UNNAMED = "unavailable: no result file is named"
NAME_ONE = "Name the file that your benchmark writes: sensors.performance_regression.result."
DONE_WHEN = "Done when it is within noise again; what measures must stay as it is."
MOST_TARGETS, MOST_FILES, MOST_SAID = 4, 20, 10
SURE_BP = 8_000


class Worse(Frozen):
    """A metric that is worse at ``commit`` than it usually is. ``good`` is the last commit at which it was not."""

    measured: Measurement
    now: float
    usual: Baseline
    good: str
    commit: str

    @property
    def by_percent(self) -> int:
        return percent(self.now, self.usual.median)

    @property
    def line(self) -> str:
        """A sentence with the figures."""
        unit, side = self.measured.unit, "above" if self.measured.better is Better.LOWER else "below"
        return (
            f"{self.measured.name} is {self.by_percent} % {side} its baseline: {format_value(self.now, unit)} now, "
            f"{format_value(self.usual.median, unit)} before (median of {self.usual.count})"
        )


class PerformanceRegression(Sensor[PerformanceRegressionSettings]):
    """See the module."""

    spec = SPEC
    tables = (SCHEMA,)

    @classmethod
    def closure_checks(
        cls, settings: PerformanceRegressionSettings, ports: ClosurePorts
    ) -> Mapping[type[Check], AnswerCheck]:
        return {MetricWithin: Benchmark(settings, redact=ports.redact).answer}

    @classmethod
    def places(cls, settings: PerformanceRegressionSettings, top: str) -> Named:
        return Named(files=frozenset({resolve_path(settings.result, top)} if settings.result else ()))

    def __init__(self, *, ports: SensorPorts, settings: PerformanceRegressionSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._top = str(ports.top)
        self._path = resolve_path(settings.result, self._top)
        self._samples = Samples(ledger=ports.ledger, clock=ports.clock)

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Look once, then whenever the result file is written, until cancelled."""
        async with bus.subscribe(Topic.NAMED_CHANGED) as events:
            await self._look()
            async for delivery in events:
                if delivery.missed or delivery.event.everything or self._path in delivery.event.paths:
                    await self._look()

    # --- a look ---

    async def _scan(self) -> tuple[Signal, ...]:
        """At the file as it is. Raises ``RepositoryError`` where nothing can be looked at."""
        if not self._settings.result:
            return self._say(UNNAMED, problem=UNNAMED, remedy=NAME_ONE)
        if why := self._ports.unavailable():
            return self._say(f"unavailable: {why}", problem=why)
        head = await self._repository.check()
        try:
            file = await asyncio.to_thread(read_named, self._path, top=self._top, largest=self._settings.largest_bytes)
            read = await asyncio.to_thread(measurements, file.data) if file is not None else ()
        except (
            FileRefused,
            UnreadableMeasurements,
        ) as error:  # half written, or nothing of ours: the next writing is another chance
            return self._say(f"{self._settings.result} is not read: {error}.", problem=str(error))
        if file is None:
            return self._say(f"{self._settings.result} is not there yet.")
        return await self._judge(head, await self._at_commits(head, file, read))

    async def _at_commits(
        self, head: str, file: NamedFile, read: Sequence[Measurement]
    ) -> list[tuple[Measurement, str]] | str:
        """What was measured, each with its commit; a text gives the reason when it is of no use."""
        named = {each.commit for each in read if each.commit}
        there = {commit for commit in named if await self._repository.has(commit)}
        found = [(self._directed(each), each.commit) for each in read if each.commit in there and not each.dirty]
        bare = [self._directed(each) for each in read if not each.commit]
        if bare:
            if any(f"{self._top}/{each.path}" != self._path for each in await self._repository.dirty()):
                return "was measured with uncommitted edits, so it says nothing of a commit"
            if file.written < await self._repository.committed_at(head):
                return f"is older than {head[:12]} and does not say what it measured"
            found += [(each, head) for each in bare]
        return found or "measured nothing that is committed here"

    def _directed(self, each: Measurement) -> Measurement:
        higher = any(fnmatchcase(each.name, pattern) for pattern in self._settings.higher_is_better)
        return each.model_copy(update={"better": Better.HIGHER}) if higher else each

    async def _judge(self, head: str, measured: list[tuple[Measurement, str]] | str) -> tuple[Signal, ...]:
        if isinstance(measured, str):
            return self._say(f"{self._settings.result} {measured}.")
        await self._samples.take(measured)
        last = {each.name: (each, commit) for each, commit in measured}
        worse = [found for each, commit in last.values() if (found := await self._worse(each, commit)) is not None]
        said = await self._memory.filter_emitted([_key(each) for each in worse])
        signals = await self._tell(head, [each for each in worse if _key(each) not in said])
        summary = "; ".join(each.line for each in worse[:3]) or "none is worse than usual"
        self._say(f"{len(last)} metrics: {self._ports.redact(summary)}.")
        return signals

    async def _worse(self, measured: Measurement, commit: str) -> Worse | None:
        course = await self._samples.course(measured.name, commit, window=self._settings.window)
        if course is None:
            return None
        earlier = baseline(course.earlier, self._settings.least_samples)
        found = summarise([each.value for each in earlier], measured.better, self._settings.bounds)
        if found is None or not is_worse(course.now, found.limit, measured.better):
            return None
        await self._samples.mark(measured.name, commit)
        fine = [each.commit for each in earlier if not is_worse(each.value, found.limit, measured.better)]
        return Worse(measured=measured, now=course.now, usual=found, good=fine[-1] if fine else "", commit=commit)

    async def _tell(self, head: str, fresh: Sequence[Worse]) -> tuple[Signal, ...]:
        """One signal for all that has become worse between the same two commits."""
        by_range: dict[tuple[str, str], list[Worse]] = defaultdict(list)
        for each in sorted(fresh, key=lambda each: -each.by_percent):
            by_range[each.good, each.commit].append(each)
        room = max(0, self._settings.per_day - await self._memory.count_recent())
        signals = []
        for some in list(by_range.values())[:room]:
            signal = await self._signal(head, some[:MOST_SAID])
            await self._send(signal, *map(_key, some))
            signals.append(signal)
        return tuple(signals)

    # --- a signal ---

    async def _signal(self, head: str, worse: Sequence[Worse]) -> Signal:
        first = worse[0]
        changed = await self._changed(first)
        there = frozenset(await self._repository.files(head))
        closure = await self._closure(head, there, worse)
        ruler = closure.ruler if isinstance(closure, MetricWithin) else ()
        suspects = [path for path in changed if path in there and path not in ruler and path.isprintable()]
        span = f"{first.good[:12]}..{first.commit[:12]}" if first.good else f"up to {first.commit[:12]}"
        listed = "\n".join(changed[:MOST_FILES]) + (
            f"\nand {len(changed) - MOST_FILES} more" * (len(changed) > MOST_FILES)
        )
        return self._new_signal(
            goal=f"Mend what made a benchmark worse in {span}: {first.line}. {DONE_WHEN}",
            targets=tuple(suspects[:MOST_TARGETS]),
            confidence_bp=SURE_BP,
            evidence=(
                _said("What was measured", "\n".join(each.line for each in worse)),
                _said(f"Files changed in {span}", listed or "not known"),
            ),
            key=fingerprint(self.source.value, *(_key(each) for each in worse)),
            closure=closure,
            base=head,
            depth=await self._depth_at(first.commit),
        )

    async def _changed(self, worse: Worse) -> tuple[str, ...]:
        """Files that differ between the last good commit and the bad one."""
        if not worse.good or not await self._repository.has(worse.good):
            return ()
        return tuple(await self._repository.changed_between(worse.good, worse.commit))

    async def _closure(self, head: str, files: frozenset[str], worse: Sequence[Worse]) -> Closure:
        """To be measured again, where the owner has named how, and what it is that measures is known."""
        settings = self._settings
        ruler = benchmark_files(files, settings.command, settings.ruler) if settings.command else ()
        if not 0 < len(ruler) <= MOST:
            names = self._ports.redact(", ".join(each.measured.name for each in worse))
            return OwnerConfirms(question=f"Is the benchmark back within noise: {names}?")
        contents = await self._repository.read_many(head, ruler)
        return MetricWithin(
            limits=tuple(
                MetricLimit(
                    name=each.measured.name,
                    limit=repr(each.usual.limit),
                    unit=each.measured.unit,
                    higher_is_better=each.measured.better is Better.HIGHER,
                )
                for each in worse
            ),
            ruler=ruler,
            ruler_digest=digest_of({path: contents.get(path) for path in ruler}),
        )


def _key(worse: Worse) -> str:
    return fingerprint(worse.measured.name, worse.good)


def _said(claim: str, text: str) -> Evidence:
    return Evidence(claim=claim, evidence=text, confidence_bp=SURE_BP, source="benchmark result file")
