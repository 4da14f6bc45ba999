"""Storms, part by part and untimed: what comes is bounded, what matters is not lost. Figures: ``bench/storm.py``."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from ledger.clock import ManualClock, stamp
from ledger.vocabulary import Frame, OpOutcome, Outcome, RootCause, Signal, TestResult
from sensors.intake.governor import GovernorSettings
from sensors.intake.posture import Posture
from sensors.intake.router import IntakeRouter
from sensors.test_failure.signals import signals_of
from tests.sensors.intake.test_router import complete, take
from tests.sensors.signals import START, make_router, open_ledger, signal


def failing(tests: int, files: int) -> list[TestResult]:
    """Tests that fail at once, with so many causes."""
    return [
        TestResult(
            id=f"tests/test_{n % files}.py::test_{n}",
            outcome=Outcome.FAILED,
            exception="AssertionError",
            message=f"expected {n}",
            frames=(Frame(path=f"shop/{n % files}.py", line=n % 90 + 1, function="total"),),
        )
        for n in range(tests)
    ]


def signals_for(red: list[TestResult]) -> tuple[Signal, ...]:
    return signals_of(
        red, base="c0", snapshot=None, passing_before=(), depth=0, seen_at=stamp(START), redact=lambda text: text
    )  # fmt: skip


async def drained(router: IntakeRouter) -> list[str]:
    """The signals of every op that may begin now, ended at once."""
    done: list[str] = []
    while router.snapshot(lines=1).ready:
        op = await take(router)
        done += [each.id for each in op.signals]
        await complete(router, op)
    return done


async def test_two_thousand_failing_tests_are_one_signal_for_each_cause(tmp_path: Path) -> None:
    clock = ManualClock(START)
    red = failing(2_000, files=40)
    async with open_ledger(tmp_path / "ledger.sqlite3", clock) as ledger:
        router = make_router(ledger, clock)
        await router.recover()
        for _ in range(3):  # the suite is run again and again
            receipts = await asyncio.gather(*(router.submit(each) for each in signals_for(red)))
        assert {receipt.status for receipt in receipts} == {"duplicate"}
        assert router.snapshot().counts["queued"] == 40
        assert len(await drained(router)) == 40
        (rows,) = await ledger.query("SELECT count(*), count(DISTINCT key) FROM intake_items WHERE state = 'done'")
        assert rows == (40, 40)


async def test_hundreds_of_signals_at_once_become_a_capped_number_of_ops_and_none_is_lost(tmp_path: Path) -> None:
    clock = ManualClock(START)
    caps = GovernorSettings(reflex_per_hour=20, changes_per_hour=1_000, changes_per_source=1_000)  # high: 24
    async with open_ledger(tmp_path / "ledger.sqlite3", clock) as ledger:
        router = make_router(ledger, clock, caps=caps)
        await router.recover()
        await router.governor.set_posture(Posture.MAINTAIN, hours=24, why="so that the caps stay as they are")
        sent = [signal(f"s{n}", targets=(f"{n % 40}.py",)) for n in range(400)]
        receipts = await asyncio.gather(
            *(router.submit(each) for each in sent), *(router.submit(each) for each in sent)
        )
        assert Counter(receipt.status for receipt in receipts) == {"queued": 400, "duplicate": 400}
        first = await drained(router)
        merged = len(first) / 24
        assert 1 < merged <= 10  # ten signals on each file: merged, ten at most
        assert router.snapshot(lines=1).counts["queued"] == 400 - len(first)
        assert "held back: 24 of 24" in router.snapshot(lines=2).lines[-1].waits
        clock.advance(3_601)
        rest = await drained(router)
        assert Counter([*first, *rest]) == Counter(each.id for each in sent)


async def test_a_storm_of_failures_pulls_the_brake(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with open_ledger(tmp_path / "ledger.sqlite3", clock) as ledger:
        router = make_router(ledger, clock)
        await router.recover()
        await router.governor.set_posture(Posture.MAINTAIN, hours=24, why="so that the caps stay as they are")
        await asyncio.gather(*(router.submit(signal(f"s{n}")) for n in range(60)))
        ops = 0
        while router.snapshot(lines=1).ready:
            op = await take(router)
            await router.started(op.id)
            await router.finish(op.id, OpOutcome.POSTMORTEM, cause=RootCause.TESTS_FAILED, retry=False)
            ops += 1
        assert ops == 24  # a fifth of 120
        assert router.snapshot(lines=1).counts["queued"] == 60 - ops
        assert "emergency brake" in router.snapshot(lines=1).lines[0].waits
