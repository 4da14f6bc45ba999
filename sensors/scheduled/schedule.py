"""The owner's schedule: what is to be done when, by cron expressions in time zones. Pure, but for the zones' data.

Daylight saving is that of Debian's cron: what names a time of day happens once a day, at the first of two such times
and, where there is no such time, at the next that there is; what repeats (``*`` as minute or hour) keeps its pace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from ledger.errors import ControlError
from ledger.frozen import inside
from ledger.ids import sha256_hex
from ledger.vocabulary import Closure, OwnerConfirms, Urgency
from sensors.requests.manual import closure_of

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "@hourly": "0 * * * *",
        "@daily": "0 0 * * *",
        "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *",
    }
)
FIELDS = 5
NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class ScheduleEntry(BaseModel):
    """``[sensors.scheduled.entries.NAME]``: one thing that is to be done again and again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(
        max_length=200,
        description="When: minute, hour, day of the month, month, day of the week; or `@hourly`, `@daily`, `@weekly`, "
        "`@monthly`, `@yearly`.",
    )
    tz: str = Field("UTC", max_length=100, description="Time zone that this is meant in, like `Europe/Berlin`.")
    goal: str = Field(min_length=1, max_length=1_500, description="What is to be done.")
    files: tuple[Annotated[str, AfterValidator(inside)], ...] = Field(
        (), max_length=20, description="Files that it is about, where that helps."
    )
    urgency: Literal["low", "normal", "high", "critical"] = Field("normal", description="How urgent it is when due.")
    closed_when: tuple[str, ...] = Field(
        (),
        max_length=50,
        description="Ids of tests: it is done when they pass; where they do, nothing is changed. None: only you can "
        "say that it is done, so what is proposed waits for your yes.",
    )

    @field_validator("cron")
    @classmethod
    def _expression(cls, value: str) -> str:
        from cronsim import CronSimError

        if value.startswith("@") and value not in ALIASES:
            raise ValueError(f"of the short forms there are {', '.join(ALIASES)}")
        if len(expression(value).split()) != FIELDS:
            raise ValueError("a cron expression has five fields")
        try:
            first = next(_ticks(value, SOME_DAY), None)
        except CronSimError as error:
            raise ValueError(f"it is no cron expression: {error}") from error
        if first is None:
            raise ValueError("there is no such day")
        return value

    @field_validator("tz")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            zone(value)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError("this machine knows no such time zone") from error
        return value

    @field_validator("closed_when")
    @classmethod
    def _tests(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            closure_of("it", value)
        except ControlError as error:
            raise ValueError(error.message) from error
        return value

    @property
    def form(self) -> str:
        """Another one is another schedule: what was due by the old one is not asked for any more."""
        return sha256_hex(f"{self.cron}\0{self.tz}")

    @property
    def closure(self) -> Closure:
        """That it "ran" is nothing that an op could show: the tests decide, else the owner does."""
        return closure_of(self.goal, self.closed_when)

    @property
    def in_words(self) -> bool:
        """Only a model that takes a goal in words can work on it."""
        return isinstance(self.closure, OwnerConfirms)

    @property
    def rank(self) -> Urgency:
        return Urgency[self.urgency.upper()]


class ScheduledSettings(BaseModel):
    """What is to be done at certain times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        True,
        description="Do what the entries below say, when they are due. On: without an entry it costs nothing, and "
        "each is a request of the owner's.",
    )
    catch_up_s: float = Field(
        86_400.0,
        ge=0,
        le=7 * 86_400.0,
        description="What was due while no daemon ran, or the machine slept, is done once if that is no longer ago "
        "than this; else not at all.",
    )
    entries: dict[Annotated[str, Field(pattern=NAME)], ScheduleEntry] = Field(
        {}, description="What is to be done when, by names of your own."
    )


class Due(NamedTuple):
    """The last moment at which something was due. ``missed``: that is too long ago."""

    at: datetime  # UTC
    missed: bool


def expression(cron: str) -> str:
    """Five fields, also for a short form."""
    return ALIASES.get(cron, cron)


def zone(name: str) -> tzinfo:
    """A time zone by its name. Raises ``OSError``, ``ValueError`` or ``KeyError`` where there is none."""
    return UTC if name == "UTC" else ZoneInfo(name)


def after(entry: ScheduleEntry, since: datetime) -> Iterator[datetime]:
    """When ``entry`` is due after ``since``, in UTC, without end (or for the next fifty years)."""
    for moment in _ticks(entry.cron, since.astimezone(zone(entry.tz))):
        utc = moment.astimezone(UTC)
        # In the second of two same hours the library begins anew with the first one.
        if utc > since:
            yield utc


def last_due(entry: ScheduleEntry, since: datetime, now: datetime, *, catch_up: timedelta) -> Due | None:
    """What ``entry`` was due for after ``since`` and by ``now``: of several moments the last. None: it was not due."""
    first = next(after(entry, since), None)
    if first is None or first > now:
        return None
    last = None
    for moment in after(entry, max(since, now - catch_up - timedelta(seconds=1))):
        if moment > now:
            break
        last = moment
    if last is None or last < now - catch_up:
        return Due(at=last or first, missed=True)
    return Due(at=last, missed=False)


def _ticks(cron: str, since: datetime) -> Iterator[datetime]:
    from cronsim import CronSim

    return iter(CronSim(expression(cron), since))
