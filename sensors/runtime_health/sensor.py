"""A test suite that no longer gives an answer, for a reason in the repository.

If the tests hang, are refused by pytest or collect nothing, no test is red. It is a fault of the repository, not of the
machine, if the same suite still answers at an ancestor: both commits are run now, one after the other. Faults of the
machine are shown in status and make no work.

Woken by health samples; reads the record of earlier test runs.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from ledger.events.sensing import SuiteRun, SuiteRunCompared
from ledger.vocabulary import Evidence, RunStatus, Signal, SuiteAnswers, TestRun
from sensors.bus import Bus, Topic, fingerprint
from sensors.runtime_health import SPEC, RuntimeHealthSettings
from sensors.runtime_health.suite_health import (
    VERDICTS,
    PastRun,
    answering,
    ask_suite,
    find_untouched,
    last_at,
    list_named,
    past_of,
    suspects,
)
from sensors.sensor import Sensor

FEW, MANY = 20, 500  # runs that are read: to see whether all is well, and to find an ancestor
SHOWN, OUTPUT_SHOWN = 300, 1_500
SURE_BP = 9_000


class _Fault(NamedTuple):
    """What both runs have shown. ``passed``: tests of files that are as they were at ``good``, and passed there."""

    head: str
    good: str
    now: TestRun
    passed: tuple[str, ...]
    changed: tuple[str, ...]


class RuntimeHealth(Sensor[RuntimeHealthSettings]):
    """Emits a suite without an answer. Timeouts do not count while the machine is short of a resource."""

    spec = SPEC
    checks: ClassVar = {SuiteAnswers: ask_suite}
    first_line = ""
    _seen_seq = -1  # of the ledger, when the record was last read
    _settled: tuple[str, int] | None = None  # commit and run of which nothing more is to be found out

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Read the record after each look at the machine, where it has grown, until cancelled."""
        async with bus.subscribe(Topic.HEALTH_SAMPLED) as looks:
            async for _ in looks:
                if self._ledger.head.seq != self._seen_seq:
                    await self._look()

    async def _scan(self) -> tuple[Signal, ...]:
        """At the record; where the suite gives no answer at HEAD, find out why. Raises ``RepositoryError``."""
        self._seen_seq = self._ledger.head.seq
        head = (await self._repository.head()).commit
        last = last_at(head, await self._runs(FEW)) if head else None
        if head is None or last is None or last.answered:
            return self._say("")
        if self._settled == (head, last.seq):
            return ()
        return await self._look_into(head, last)

    # --- finding out ---

    async def _look_into(self, head: str, last: PastRun) -> tuple[Signal, ...]:
        what = f"The suite gives no answer at {head[:12]}"
        why = self._ports.unavailable()
        if why:
            return self._settle(head, last, f"unavailable: {why}", problem=why)
        key = fingerprint(self.source.value, head)
        if await self._memory.filter_emitted((key,)):
            return self._settle(head, last, f"{what}; an op was asked for.")
        if await self._memory.count_recent() >= self._settings.per_day:
            return self._say(f"{what}; enough was said today.")
        if last.status is RunStatus.TIMEOUT and (pressed := self._ports.pressed_by()):
            self._seen_seq = -1
            return self._say(f"{what}; looked into when the machine is not short of {pressed}.")
        answered = answering(await self._runs(MANY))
        if not answered:
            return self._settle(head, last, "")  # it never did: the suite's own line says so
        good = await self._ancestor(head, answered)
        if good is None:
            return self._settle(head, last, f"{what}, and no ancestor is known at which it did.")
        self._say(f"{what}: it is run again, and at {good[:12]}.", running=True)
        found = await self._compare(head, good)
        if isinstance(found, str):
            return self._settle(head, last, found)
        signal = await self._signal(key, found)
        await self._send(signal)
        self._settle(head, last, f"{what}, and does at {good[:12]}.")
        return (signal,)

    async def _compare(self, head: str, good: str) -> _Fault | str:
        """Both commits, here and now; a sentence where the fault is not one of the repository."""
        now = await self._run(head)
        if now.status in VERDICTS and now.collected:
            return f"The suite answers at {head[:12]} when it is run again."
        before = await self._run(good)
        if before.status not in VERDICTS or not before.collected:
            return f"The suite answers neither at {head[:12]} nor any more at {good[:12]}: {before.reason}"
        changed = tuple(await self._repository.changed_between(good, head))
        passed = find_untouched(before, changed)
        if not passed:
            return f"The suite gives no answer at {head[:12]}, where all of its tests are others than before."
        return _Fault(head, good, now, passed, changed)

    async def _run(self, commit: str) -> TestRun:
        run = await self._ports.tests.run(commit)
        event = SuiteRunCompared(
            sensor=self.source.value,
            commit=commit,
            status=run.status,
            reason=run.reason,
            collected=len(run.collected),
            duration_ms=run.duration_ms,
        )
        await self._ledger.append(event.draft())
        return run

    async def _ancestor(self, head: str, among: frozenset[str]) -> str | None:
        """The nearest commit of the first parents' line at which the suite did answer."""
        commit = await self._repository.parent(head)
        for _ in range(self._settings.ancestors):
            if commit is None or commit in among:
                return commit
            commit = await self._repository.parent(commit)
        return None

    async def _runs(self, limit: int) -> tuple[PastRun, ...]:
        return past_of(await self._ledger.events(SuiteRun, limit=limit, newest_first=True))

    async def _signal(self, key: str, fault: _Fault) -> Signal:
        redact, head, good = self._ports.redact, fault.head[:12], fault.good[:12]
        reason = redact(fault.now.reason.rstrip("."))[:SHOWN]
        shown = ", ".join(fault.changed[:20])
        rows = (
            (f"The suite gives no answer at {head}, twice in a row", reason),
            ("The last words of that run", redact(fault.now.output[-OUTPUT_SHOWN:]) or "none"),
            (f"It answers at {good}, run just after", f"{len(fault.passed)} tests of unchanged files pass there"),
            (f"Changed since {good}", shown),
            ("Done when", "the whole suite answers again, and these tests pass in it"),
        )
        return self._new_signal(
            goal=f"Make the test suite answer again. {reason}. It did at {good}; the cause is in what changed since.",
            targets=suspects(fault.changed),
            confidence_bp=SURE_BP,
            evidence=tuple(
                Evidence(claim=claim, evidence=said, confidence_bp=10_000, source="test runs") for claim, said in rows
            ),
            key=key,
            closure=SuiteAnswers(
                ids=list_named(fault.passed, frozenset(result.id for result in fault.now.results)),
                least=len(fault.passed),
            ),
            base=fault.head,
            depth=await self._depth_at(fault.head),
        )

    def _settle(self, head: str, last: PastRun, line: str, *, problem: str = "") -> tuple[Signal, ...]:
        self._settled = (head, last.seq)
        return self._say(line, problem=problem)
