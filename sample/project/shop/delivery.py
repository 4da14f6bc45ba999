"""When an order arrives."""

from datetime import date, timedelta

CUTOFF_HOUR = 14


def is_working_day(day, holidays=()):
    """Monday to Friday, and not a holiday."""
    return day.weekday() < 5 and day not in holidays


def add_working_days(day, count, holidays=()):
    """The day that lies ``count`` working days after ``day``."""
    while count > 0:
        day += timedelta(days=1)
        if is_working_day(day, holidays):
            count -= 1
    return day


def dispatch_day(day, hour, holidays=()):
    """Orders until the cut-off leave the same working day, later ones the next."""
    if hour < CUTOFF_HOUR and is_working_day(day, holidays):
        return day
    return add_working_days(day, 1, holidays)


def arrival(day, hour, transit=2, holidays=()):
    """Dispatch plus transit in working days."""
    return add_working_days(dispatch_day(day, hour, holidays), transit, holidays)


def quarter(day):
    """The quarter of the year, 1 to 4."""
    return (day.month - 1) // 3 + 1


def parse_day(text):
    """A day written as YYYY-MM-DD."""
    year, month, day = (int(part) for part in text.split("-"))
    return date(year, month, day)
