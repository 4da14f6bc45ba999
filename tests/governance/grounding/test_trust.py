"""Trust is a pure function of the log: running, read back, rebuilt and after a kill it is the same to the bit."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from governance.grounding.trust import Tally, Trust, read_table, rebuild, trust_bp, trust_from, trust_from_ledger
from ledger.clock import SystemClock
from ledger.confidence import calibrated_bp
from ledger.events.grounding import ClaimOutcome, TrustKey
from ledger.store import Ledger, SqlValue
from ledger.vocabulary import Entry
from tests.governance.conftest import REPO_ID
from tests.governance.grounding.histories import KEYS, STEPS, Step, grade, grades_from, grades_of, land, record


def entries_of(steps: Sequence[Step]) -> list[Entry]:
    """One entry a grade, as a reader gets them."""
    return [
        Entry(**grades_of([made]).model_dump(), seq=100 + number, at="", prev="", hash="")
        for number, made in enumerate(grades_from(steps))
    ]


@given(hits=st.integers(0, 500), misses=st.integers(0, 500))
def test_trust_is_one_and_hits_of_two_and_all(hits: int, misses: int) -> None:
    tally = Tally(hits, hits + misses)
    assert trust_bp(tally) == 10_000 * (1 + hits) // (2 + hits + misses)
    assert 0 < trust_bp(tally) < 10_000
    assert trust_bp(tally.plus(1, 1)) >= trust_bp(tally) >= trust_bp(tally.plus(0, 1))


@given(asserted=st.integers(0, 10_000), hits=st.integers(0, 200), misses=st.integers(0, 200))
def test_a_calibrated_confidence_stands_between_what_is_asserted_and_what_came_true(
    asserted: int, hits: int, misses: int
) -> None:
    found = calibrated_bp(asserted, hits=hits, n=hits + misses)
    assert calibrated_bp(asserted, hits=0, n=0) == asserted
    rate = 10_000 * hits // (hits + misses) if hits + misses else asserted
    assert min(asserted, rate) <= found <= max(asserted, rate)


@given(steps=STEPS)
def test_each_claim_counts_once_as_it_was_graded_last(steps: list[Step]) -> None:
    """Against the plain way of saying it: look at the last grade of each claim."""
    last = {made.record: made for made in grades_from(steps)}
    hits, n = Counter[TrustKey](), Counter[TrustKey]()
    for made in last.values():
        for key in made.keys:
            hits[key] += made.outcome is ClaimOutcome.HIT
            n[key] += made.outcome is not ClaimOutcome.VOID
    trust = trust_from(entries_of(steps))
    assert {key: trust.of(key) for key in KEYS} == {key: Tally(hits[key], n[key]) for key in KEYS}


@given(steps=STEPS, data=st.data())
def test_replayed_to_any_cut_and_learned_on_it_is_the_same_to_the_bit(steps: list[Step], data: st.DataObject) -> None:
    entries = entries_of(steps)
    cut = data.draw(st.integers(0, len(entries)))
    running = trust_from(entries[:cut])
    for made in grades_from(steps)[cut:]:
        running.learn(made)
    assert running.tallies == trust_from(entries).tallies


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # on disk: no shrinking
@given(steps=STEPS, data=st.data())
def test_running_table_and_log_agree_wherever_the_daemon_ends(steps: list[Step], data: st.DataObject) -> None:
    grades = grades_from(steps)
    cut = data.draw(st.integers(0, len(grades)))

    async def live(path: Path) -> None:
        for part in (grades[:cut], grades[cut:]):  # two boots
            ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
            try:
                trust = Trust()
                await trust.load(ledger)
                await asyncio.gather(*(land(ledger, made) for made in part))
                _, table = await read_table(ledger)
                log = await trust_from_ledger(ledger)
                assert trust.tallies == table == log.tallies
                assert (await rebuild(ledger)).tallies == (await read_table(ledger))[1] == table
            finally:
                await ledger.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder) / "ledger.sqlite3"))


async def test_a_table_that_is_lost_is_made_anew_at_the_next_boot(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with AsyncExitStack() as stack:
        ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
        stack.push_async_callback(ledger.close)
        await Trust().load(ledger)
        await asyncio.gather(*(land(ledger, grade(number, record(), ClaimOutcome.HIT)) for number in range(1, 9)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE trust")
    async with AsyncExitStack() as stack:
        ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
        stack.push_async_callback(ledger.close)
        trust = Trust()
        await trust.load(ledger)
        assert trust.tallies == (await read_table(ledger))[1] == {KEYS[0]: Tally(8, 8)}


class Busy(Ledger):
    """Grades land right before and right after its table of trust is read."""

    async def query(self, sql: str, params: tuple[SqlValue, ...] = ()) -> list[tuple[SqlValue, ...]]:
        if "FROM entries" not in sql or "trust" not in sql:
            return await super().query(sql, params)
        await land(self, grade(2, record(), ClaimOutcome.HIT))
        rows = await super().query(sql, params)
        await land(self, grade(3, record(), ClaimOutcome.HIT))
        return rows


async def test_a_grade_that_lands_while_the_table_is_read_counts_once(tmp_path: Path) -> None:
    ledger = await Busy.open(tmp_path / "ledger.sqlite3", repo_id=REPO_ID, clock=SystemClock())
    try:
        await rebuild(ledger)
        await land(ledger, grade(1, record(), ClaimOutcome.HIT))
        trust = Trust()
        await trust.load(ledger)
        assert trust.of(KEYS[0]) == Tally(3, 3)
        assert trust.tallies == (await trust_from_ledger(ledger)).tallies
    finally:
        await ledger.close()


GRADING = """
import asyncio, itertools, sys
from pathlib import Path
from ledger.events.grounding import ClaimOutcome
from governance.grounding.trust import Trust
from ledger.clock import SystemClock
from ledger.store import Ledger, SqlValue
from tests.governance.conftest import REPO_ID
from tests.governance.grounding.histories import grade, land, record

async def main():
    ledger = await Ledger.open(Path(sys.argv[1]), repo_id=REPO_ID, clock=SystemClock())
    trust, of = Trust(), record()
    await trust.load(ledger)
    for number in itertools.count(1):
        await land(ledger, grade(number, of, ClaimOutcome.HIT if number % 3 else ClaimOutcome.MISS))
        if number % 5 == 0:
            correction = ClaimOutcome.HIT if number % 3 else ClaimOutcome.MISS
            await land(ledger, grade(number, of, ClaimOutcome.MISS, correction))
        tally = trust.of(of.keys[0])
        print(tally.hits, tally.n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [7, 40])
async def test_after_a_kill_table_and_log_agree_and_nothing_acknowledged_is_lost(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "ledger.sqlite3"
    env = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GRADING, str(path), stdout=asyncio.subprocess.PIPE, env=env
    )  # fmt: skip
    assert child.stdout is not None
    said = [await child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    said += (await child.stdout.read()).splitlines()
    await child.wait()
    *_, last = [line for line in said if len(line.split()) == 2]
    hits, n = map(int, last.split())
    ledger = await Ledger.open(path, repo_id=REPO_ID, clock=SystemClock())
    try:
        trust = Trust()
        await trust.load(ledger)
        assert trust.tallies == (await trust_from_ledger(ledger)).tallies
        known = trust.of(KEYS[0])
        assert known.n in (n, n + 1), (known, last)  # one may have landed and not been told
        assert abs(known.hits - hits) <= 1
    finally:
        await ledger.close()
