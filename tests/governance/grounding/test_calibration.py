"""What is said against what came true: counted like somebody would who looks at the last grade of each claim."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from governance.grounding.calibration import Calibration, CalibrationCounter, calibration_of
from governance.grounding.trust import Trust
from ledger.events.change import ChangeRollingBack, UndoMade
from ledger.events.grounding import About, ClaimOutcome, Graded
from ledger.events.op import OpEnded
from ledger.store import Ledger
from ledger.vocabulary import Draft, Entry, FailureClass, OpOutcome
from tests.governance.grounding.histories import (
    KEYS,
    STEPS,
    Step,
    claims_of,
    grade,
    grades_from,
    grades_of,
    land,
    record,
)

HIT, MISS, VOID = ClaimOutcome.HIT, ClaimOutcome.MISS, ClaimOutcome.VOID


def entry(draft: Draft, seq: int = 1) -> Entry:
    return Entry(**draft.model_dump(), seq=seq, at="", prev="", hash="")


def reckoned(grades: Sequence[Graded]) -> Calibration:
    """Of a record in which each claim was made before it was graded."""
    claims = {made.record: record(made.about, made.confidence_bp, *made.keys) for made in grades}
    reckoning = CalibrationCounter()
    reckoning.take(entry(draft) for draft in claims_of(*claims.values()))
    reckoning.take(entry(grades_of([made])) for made in grades)
    return reckoning.result()


@given(steps=STEPS)
def test_brier_and_bins_are_those_of_the_last_grades(steps: list[Step]) -> None:
    last = {made.record: made for made in grades_from(steps)}
    counted = [
        (made.confidence_bp, made.outcome is HIT)
        for made in last.values()
        if made.confidence_bp is not None and made.outcome is not VOID
    ]
    found = reckoned(grades_from(steps))
    assert (found.records, found.closed) == (len(last), len(last))
    assert found.n == len(counted) == sum(each.n for each in found.bins)
    if counted:
        mean = sum((said / 10_000 - came) ** 2 for said, came in counted) / len(counted)
        assert found.brier_bp is not None and abs(found.brier_bp / 10_000 - mean) <= 0.0001
    for each in found.bins:
        inside = [row for row in counted if each.low_bp <= row[0] < each.low_bp + 1_000 + (each.low_bp == 9_000)]
        assert (each.n, each.hits) == (len(inside), sum(came for _, came in inside))
        assert each.mean_bp == sum(said for said, _ in inside) // len(inside)


@given(ends=st.lists(st.tuples(st.sampled_from(sorted(ClaimOutcome)), st.booleans()), max_size=30))
def test_what_was_committed_and_what_of_it_held(ends: list[tuple[ClaimOutcome, bool]]) -> None:
    """Each change as it was graded first, and whether it was taken back where that was a hit."""
    grades = [grade(number, record(), first) for number, (first, _) in enumerate(ends)]
    grades += [grade(number, record(), MISS, HIT) for number, (first, back) in enumerate(ends) if first is HIT and back]
    found = reckoned(grades)
    hits = [back for first, back in ends if first is HIT]
    assert (found.accepted, found.held) == (len(hits), hits.count(False))


def test_a_perfect_sensor_and_a_boaster() -> None:
    sure = record(About.CONDITION, 10_000)
    perfect = reckoned([grade(number, sure, HIT) for number in range(10)])
    assert (perfect.brier_bp, perfect.bins[0].rate_bp) == (0, 10_000)
    boaster = reckoned([grade(number, sure, HIT if number < 3 else MISS) for number in range(10)])
    assert (boaster.brier_bp, boaster.bins[0].rate_bp) == (7_000, 3_000)
    modest = record(About.CONDITION, 5_000)
    assert reckoned([grade(number, modest, HIT if number % 2 else MISS) for number in range(10)]).brier_bp == 2_500


def ended(op: str, failure: str = "none") -> Draft:
    return OpEnded(to=OpOutcome.POSTMORTEM, failure_class=FailureClass(failure)).draft(op_id=op)


async def test_incidents_are_ops_that_went_wrong_and_each_counts_once(ledger: Ledger) -> None:
    await Trust().load(ledger)
    await ledger.append(ended("op-1"), ended("op-2"), ended("op-3", "collapse"), ended("op-4", "test"))
    await ledger.append(ChangeRollingBack().draft(op_id="op-2"), UndoMade(commit="c").draft(op_id="op-2"))
    found = await calibration_of(ledger)
    assert (found.ops, found.incidents, found.incidents_per_hundred) == (4, 2, 50)
    assert found.records == 0 and found.precision_bp is None


async def test_a_table_that_is_not_what_the_log_says_is_told(ledger: Ledger) -> None:
    await Trust().load(ledger)
    await ledger.append(*claims_of(record()))
    await land(ledger, grade(1, record(), HIT))
    assert (await calibration_of(ledger)).agrees
    await ledger.append(project=[("UPDATE trust SET hits = 5, n = 5", ())])
    found = await calibration_of(ledger)
    assert not found.agrees
    assert [(t.key, t.hits, t.n) for t in found.trust] == [(str(KEYS[0]), 1, 1)]  # the log is right
