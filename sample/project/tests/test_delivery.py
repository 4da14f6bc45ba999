from datetime import date

from shop.delivery import add_working_days, arrival, dispatch_day, is_working_day, parse_day, quarter

FRIDAY, SATURDAY, MONDAY = date(2026, 5, 1), date(2026, 5, 2), date(2026, 5, 4)


def test_working_days():
    assert is_working_day(MONDAY)
    assert is_working_day(FRIDAY)
    assert not is_working_day(SATURDAY)
    assert not is_working_day(FRIDAY, holidays=[FRIDAY])


def test_add_working_days():
    assert add_working_days(FRIDAY, 1) == MONDAY
    assert add_working_days(FRIDAY, 0) == FRIDAY
    assert add_working_days(FRIDAY, 5) == date(2026, 5, 8)


def test_dispatch():
    assert dispatch_day(MONDAY, 9) == MONDAY
    assert dispatch_day(MONDAY, 14) == date(2026, 5, 5)
    assert dispatch_day(SATURDAY, 9) == MONDAY
    assert dispatch_day(FRIDAY, 20, holidays=[MONDAY]) == date(2026, 5, 5)


def test_arrival():
    assert arrival(MONDAY, 9) == date(2026, 5, 6)
    assert arrival(FRIDAY, 15, transit=1) == date(2026, 5, 5)


def test_quarter():
    assert [quarter(date(2026, month, 1)) for month in (1, 3, 4, 6, 7, 9, 10, 12)] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_parse_day():
    assert parse_day("2026-05-01") == FRIDAY
