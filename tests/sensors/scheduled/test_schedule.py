"""When something is due: real time zones through real changes of the clock, against a plain count of minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.vocabulary import OwnerConfirms, TestsPass, Urgency
from sensors.scheduled.schedule import Due, ScheduleEntry, after, last_due

DAY = timedelta(days=1)
# Lord Howe changes by half an hour, Kolkata never; the months are those of the changes in 2026.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 2, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 3, 28, tzinfo=UTC)),
]


def entry(cron: str, tz: str = "UTC", **more: object) -> ScheduleEntry:
    return ScheduleEntry.model_validate({"cron": cron, "tz": tz, "goal": "Look after it", **more})


def said(cron: str, tz: str, since: str, count: int) -> list[str]:
    """The next times as a clock on the wall there shows them, with the offset."""
    found = islice(after(entry(cron, tz), datetime.fromisoformat(since)), count)
    return [f"{moment.astimezone(ZoneInfo(tz)):%d %H:%M %z}" for moment in found]


def test_a_time_of_day_happens_once_a_day_whatever_the_clock_does() -> None:
    berlin = "Europe/Berlin"
    assert said("30 2 * * *", berlin, "2026-03-28T12:00+00:00", 2) == ["29 03:00 +0200", "30 02:30 +0200"]
    assert said("30 2 * * *", berlin, "2026-10-24T12:00+00:00", 2) == ["25 02:30 +0200", "26 02:30 +0100"]
    # asked in the second of the two hours from two to three, when the time has been
    assert said("15 2 * * *", berlin, "2026-10-25T01:05+00:00", 1) == ["26 02:15 +0100"]
    assert said("0 3 * * 1", berlin, "2026-03-28T12:00+00:00", 2) == ["30 03:00 +0200", "06 03:00 +0200"]
    # what repeats keeps its pace: three hours of the night in spring, five in autumn
    night = said("0 * * * *", berlin, "2026-03-28T23:30+00:00", 3)
    assert night == ["29 01:00 +0100", "29 03:00 +0200", "29 04:00 +0200"]
    night = said("0 * * * *", berlin, "2026-10-24T22:30+00:00", 4)
    assert night == ["25 01:00 +0200", "25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"]


@pytest.mark.parametrize(
    ("short", "moment"),
    [
        ("@hourly", "2026-05-05T13:00"), ("@daily", "2026-05-06T00:00"), ("@weekly", "2026-05-10T00:00"),
        ("@monthly", "2026-06-01T00:00"), ("@yearly", "2027-01-01T00:00"),
    ],
)  # fmt: skip
def test_short_forms(short: str, moment: str) -> None:
    first = next(after(entry(short), datetime(2026, 5, 5, 12, 30, tzinfo=UTC)))
    assert first == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cron": "0 0 30 2 *"}, "no cron expression"),
        ({"cron": "61 * * * *"}, "Bad minute"),
        ({"cron": "* * * *"}, "five fields"),
        ({"cron": "0 * * * * *"}, "five fields"),
        ({"cron": "@reboot"}, "@hourly, @daily"),
        ({"tz": "Europe/Atlantis"}, "no such time zone"),
        ({"tz": "../../etc/passwd"}, "no such time zone"),
        ({"tz": "Europe"}, "no such time zone"),
        ({"files": ["../secret"]}, "inside the repository"),
        ({"closed_when": ["soon"]}, "no test id"),
        ({"urgency": "never"}, "urgency"),
    ],
)
def test_what_cannot_be_meant_is_named(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ScheduleEntry.model_validate({"cron": "@daily", "goal": "x", **wrong})


def test_with_tests_it_is_done_when_they_pass_and_else_when_the_owner_says_so() -> None:
    tests = entry("@daily", closed_when=["tests/test_a.py::test_b"], urgency="high")
    assert tests.closure == TestsPass(ids=("tests/test_a.py::test_b",)) and not tests.in_words
    assert tests.rank is Urgency.HIGH
    words = entry("@daily")
    assert isinstance(words.closure, OwnerConfirms) and words.closure.needs_yes and words.in_words


def counted(minutes: set[int], hours: set[int] | None, tz: str, since: datetime, now: datetime) -> list[datetime]:
    """The same by looking at every minute. ``hours`` None: any, so that the pace is kept."""
    zone, found = ZoneInfo(tz), set()
    first = since.replace(second=0, microsecond=0)
    if hours is None:
        every = (first + timedelta(minutes=n) for n in range(int((now - first) / timedelta(minutes=1)) + 1))
        found = {moment for moment in every if moment.astimezone(zone).minute in minutes}
    else:
        day = (since - DAY).astimezone(zone).date()
        while day <= (now + DAY).astimezone(zone).date():
            for hour in hours:
                for minute in minutes:
                    named = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                    there = named.astimezone(UTC).astimezone(zone)
                    while there.replace(tzinfo=None) != named.replace(tzinfo=None):  # there is no such time that day
                        named += timedelta(minutes=1)
                        there = named.astimezone(UTC).astimezone(zone)
                    found.add(named.astimezone(UTC))
            day += DAY
    return sorted(moment for moment in found if since < moment <= now)


@settings(max_examples=150)
@given(
    st.sampled_from(CHANGES),
    st.sets(st.sampled_from([0, 15, 30, 45, 59]), min_size=1, max_size=3),
    st.one_of(st.none(), st.sets(st.integers(0, 4), min_size=1, max_size=3)),
    st.lists(st.integers(0, 4 * 1440 * 60), min_size=2, max_size=6),
)
def test_however_often_one_looks_nothing_is_due_twice_and_nothing_is_lost(
    change: tuple[str, datetime], minutes: set[int], hours: set[int] | None, looks: list[int]
) -> None:
    tz, start = change
    # Where the clock changes by half an hour the library passes over one of an hourly round: no one else does that.
    assume(hours is not None or tz != "Australia/Lord_Howe")
    cron = f"{','.join(map(str, sorted(minutes)))} {','.join(map(str, sorted(hours))) if hours else '*'} * * *"
    e = entry(cron, tz)
    moments = [start + timedelta(seconds=s) for s in sorted(looks)]
    whole = counted(minutes, hours, tz, moments[0], moments[-1])
    assert list(takewhile(lambda moment: moment <= moments[-1], after(e, moments[0]))) == whole
    since, sent = moments[0], []
    for now in moments[1:]:
        due = last_due(e, since, now, catch_up=7 * DAY)
        between = [moment for moment in whole if since < moment <= now]
        assert due == (Due(at=between[-1], missed=False) if between else None)
        sent += [due.at] if due else []
        since = now
    assert sent == sorted(set(sent))


def test_what_was_due_too_long_ago_is_missed() -> None:
    e, since = entry("0 3 * * *"), datetime(2026, 5, 5, 12, tzinfo=UTC)
    five = since + 5 * DAY
    last = datetime(2026, 5, 10, 3, tzinfo=UTC)
    assert last_due(e, since, five, catch_up=DAY) == Due(at=last, missed=False)
    assert last_due(e, since, five, catch_up=timedelta(hours=9)) == Due(at=last, missed=False)
    late = last_due(e, since, five, catch_up=timedelta(hours=8, minutes=59))
    assert late is not None and late.missed
    assert last_due(e, since, since + timedelta(hours=14), catch_up=timedelta(0)) is None
