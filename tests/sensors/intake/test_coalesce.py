from __future__ import annotations

import pytest

from ledger.clock import stamp
from ledger.vocabulary import OwnerConfirms, Signal, Source, Urgency
from sensors.intake.coalesce import companions, merge, wait_s
from sensors.intake.records import Item, ItemState
from tests.sensors.signals import START, signal

NOW = stamp(START)


def item(of: Signal, attempts: int = 0) -> Item:
    return Item(signal=of, state=ItemState.QUEUED, queued_at=NOW, not_before=NOW, attempts=attempts)


@pytest.mark.parametrize(
    ("urgency", "expected"),
    [(Urgency.CRITICAL, 0.0), (Urgency.HIGH, 0.0), (Urgency.NORMAL, 30.0), (Urgency.LOW, 30.0)],
)
def test_only_normal_and_low_wait(urgency: Urgency, expected: float) -> None:
    assert wait_s(urgency, 30.0) == expected


LEAD = signal("lead", targets=("a.py", "b.py"), boot="1", base="c1")


@pytest.mark.parametrize(
    ("other", "merges"),
    [
        (signal("same", targets=("a.py",), boot="1", base="c1"), True),
        (signal("overlap", targets=("b.py", "c.py"), boot="1", base="c1"), True),
        (signal("other file", targets=("c.py",), boot="1", base="c1"), False),
        (signal("no file", targets=(), boot="1", base="c1"), False),
        (signal("other boot", targets=("a.py",), boot="2", base="c1"), False),
        (signal("other commit", targets=("a.py",), boot="1", base="c2"), False),
        (signal("snapshot", targets=("a.py",), boot="1", base="c1", snapshot="s1"), False),
        (
            signal("a person's yes", targets=("a.py",), boot="1", base="c1", closure=OwnerConfirms(question="?")),
            False,
        ),
    ],
    ids=lambda value: value.goal if isinstance(value, Signal) else str(value),
)
def test_what_merges(other: Signal, merges: bool) -> None:
    assert bool(companions(item(LEAD), [item(LEAD), item(other)], 10)) is merges


def test_a_merged_op_has_all_goals_and_files_and_the_highest_urgency() -> None:
    low = signal("low", targets=("a.py", "z.py"), boot="1", base="c1", urgency=Urgency.LOW, source=Source.MANUAL)
    critical = signal("critical", targets=("b.py",), boot="1", base="c1", urgency=Urgency.CRITICAL)
    op = merge([item(low), item(critical, attempts=2)], op_id="op-x-manual", base="c9", created_at=NOW)
    assert op.goal == "Make low pass. Make critical pass."
    assert (op.targets, op.urgency, op.origin) == (("a.py", "z.py", "b.py"), Urgency.CRITICAL, Source.MANUAL)
    assert (op.base, op.attempt) == ("c9", 3)


def test_no_more_than_the_limit_merge() -> None:
    others = [item(signal(str(n), targets=("a.py",), boot="1", base="c1")) for n in range(20)]
    assert len(companions(item(LEAD), others, 10)) == 9
