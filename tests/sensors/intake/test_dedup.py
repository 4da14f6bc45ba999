from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ledger.clock import stamp
from ledger.vocabulary import Source
from sensors.intake.dedup import novelty
from sensors.intake.records import Item, ItemState
from sensors.intake.settings import RouterSettings
from tests.sensors.signals import START, signal

SETTINGS = RouterSettings()


def past(state: ItemState, *, ago_s: float = 10, base: str = "c0", **more: Any) -> Item:
    closed = stamp(START - timedelta(seconds=ago_s))
    return Item(signal=signal(base=base), state=state, queued_at=closed, not_before=closed, closed_at=closed, **more)


@pytest.mark.parametrize(
    ("last", "lives", "expected"),
    [
        (None, False, "new"),
        (past(ItemState.QUEUED), False, "duplicate"),
        (past(ItemState.CLAIMED), False, "duplicate"),
        (past(ItemState.IN_FLIGHT, ago_s=10**6), False, "duplicate"),
        (past(ItemState.PARKED), False, "duplicate"),
        (past(ItemState.QUARANTINED), False, "duplicate"),
        (past(ItemState.AWAITING_MERGE, ago_s=10**6, branch="b"), True, "suppressed"),
        (past(ItemState.AWAITING_MERGE, branch="b"), False, "new"),
        (past(ItemState.DONE), False, "suppressed"),
        (past(ItemState.DONE, ago_s=601), False, "new"),
        (past(ItemState.DONE, base="older", success=True), False, "new"),
        (past(ItemState.DONE, base="older"), False, "new"),
        (past(ItemState.DONE, reason="POSTMORTEM no_candidate"), False, "suppressed"),
        (past(ItemState.DONE, reason="POSTMORTEM apply_conflict"), False, "new"),
        (past(ItemState.DEAD, reason="POSTMORTEM apply_conflict"), False, "suppressed"),
        (past(ItemState.DEAD, ago_s=10**6), False, "suppressed"),
        (past(ItemState.DEAD, base="older"), False, "suppressed"),
        (past(ItemState.DEAD, base="older", ago_s=601), False, "new"),
    ],
)
def test_table(last: Item | None, lives: bool, expected: str) -> None:
    answer = novelty(signal(), last, now=START, branch_lives=lives, settings=SETTINGS)
    assert answer.status == expected
    assert expected == "new" or (answer.of == last.id and answer.reason)  # type: ignore[union-attr]  # last is set


def test_attempts_count_on_at_the_next_commit_but_not_after_success_or_the_window() -> None:
    def inherited(last: Item) -> int:
        return novelty(signal(), last, now=START, branch_lives=False, settings=SETTINGS).attempts

    assert inherited(past(ItemState.DONE, base="older", attempts=2)) == 2
    assert inherited(past(ItemState.DONE, base="older", attempts=2, success=True)) == 0
    assert inherited(past(ItemState.DONE, base="older", attempts=2, ago_s=601)) == 0


def test_a_person_who_submits_again_means_it() -> None:
    manual = signal(source=Source.MANUAL)
    for state, expected in ((ItemState.DONE, "new"), (ItemState.DEAD, "new"), (ItemState.IN_FLIGHT, "duplicate")):
        answer = novelty(manual, past(state), now=START, branch_lives=False, settings=SETTINGS)
        assert answer.status == expected
        answer = novelty(signal(), past(state), now=START, branch_lives=False, settings=SETTINGS, asked=True)
        assert answer.status == expected


def test_what_was_missing_may_be_there_at_the_next_boot() -> None:
    for cause, at_next_boot in (
        ("provider_unavailable", "new"),
        ("sandbox_missing", "new"),
        ("internal", "new"),  # a full disk
        ("timeout", "suppressed"),
    ):
        last = past(ItemState.DONE, reason=f"POSTMORTEM {cause}", attempts=1)
        for boot, expected in (("boot-1", "suppressed"), ("boot-2", at_next_boot)):
            fresh = signal().model_copy(update={"boot": boot})
            held = last.model_copy(update={"signal": last.signal.model_copy(update={"boot": "boot-1"})})
            answer = novelty(fresh, held, now=START, branch_lives=False, settings=SETTINGS)
            assert (answer.status, answer.attempts) == (expected, 1 if expected == "new" else 0)


@pytest.mark.parametrize("state", [ItemState.DONE, ItemState.DEAD])
def test_a_search_in_vain_is_not_repeated_where_nothing_has_changed(state: ItemState) -> None:
    def again(reason: str, *, asked: bool = False, unchanged: bool = True) -> str:
        last = past(state, base="older", ago_s=601, reason=reason)
        return novelty(
            signal(), last, now=START, branch_lives=False, settings=SETTINGS, asked=asked, unchanged=unchanged
        ).status

    assert again("POSTMORTEM no_candidate") == "suppressed"
    assert again("POSTMORTEM no_candidate", unchanged=False) == "new"
    assert again("POSTMORTEM no_candidate", asked=True) == "new"
    assert again("POSTMORTEM provider_unavailable") == "new"
