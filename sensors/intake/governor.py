"""May a waiting signal become an op now? One governor over all sensors; pure.

Signals that may not yet stay queued, with the rule and its reason. A lane is what the answer depends on: signals of one
lane are held back together, so the other lanes never wait for them.
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ledger.sources import SOURCES
from ledger.vocabulary import Frozen, Source, SourceClass, Urgency
from sensors.intake.history import HOUR, Tally
from sensors.intake.posture import Posture
from sensors.intake.pressure import Level, Pressure
from sensors.intake.records import Item

EXPLORING_RANK: Final = 7  # sources of this rank and after look where nobody asked them to

WEIGHTS: Final = MappingProxyType(
    {  # percent of a class's base
        Posture.EXPLORE: {
            SourceClass.REFLEX: 100,
            SourceClass.STANDARD: 100,
            SourceClass.BACKGROUND: 150,
            SourceClass.SPECULATIVE: 200,
        },
        Posture.CONSOLIDATE: {
            SourceClass.REFLEX: 100,
            SourceClass.STANDARD: 75,
            SourceClass.BACKGROUND: 50,
            SourceClass.SPECULATIVE: 25,
        },
        Posture.HARDEN: {
            SourceClass.REFLEX: 150,
            SourceClass.STANDARD: 75,
            SourceClass.BACKGROUND: 25,
            SourceClass.SPECULATIVE: 0,
        },
        Posture.MAINTAIN: {
            SourceClass.REFLEX: 100,
            SourceClass.STANDARD: 100,
            SourceClass.BACKGROUND: 100,
            SourceClass.SPECULATIVE: 50,
        },
    }
)
URGENCY: Final = MappingProxyType({Urgency.CRITICAL: 150, Urgency.HIGH: 120, Urgency.NORMAL: 100, Urgency.LOW: 50})
AT_ONCE: Final = MappingProxyType({Level.ELEVATED: 2, Level.HIGH: 1, Level.CRITICAL: 1})  # ops, by memory


class GovernorSettings(BaseModel):
    """How much work an hour may bring."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ops_per_hour: int = Field(200, ge=1, description="Ops that may begin in an hour, of all sources together.")
    reflex_per_hour: int = Field(
        100, ge=0, description="Base cap of each reflex source: ops an hour before posture and urgency weigh in."
    )
    standard_per_hour: int = Field(40, ge=0, description="Base cap of each standard source.")
    background_per_hour: int = Field(20, ge=0, description="Base cap of each background source.")
    speculative_per_hour: int = Field(10, ge=0, description="Base cap of each speculative source.")
    changes_per_hour: int = Field(60, ge=1, description="Commits and review branches an hour, of all sources.")
    changes_per_source: int = Field(40, ge=1, description="Commits and review branches an hour, of one source.")
    again_percent: int = Field(
        50, ge=1, le=100, description="Part of a source's cap that signals may use which were tried before."
    )
    brake_burn_bp: int = Field(
        9_000, ge=1, description="Above this part of the day's money (basis points) the emergency brake is on."
    )
    brake_failed_percent: int = Field(
        60, ge=1, le=100, description="Above this part of failed ops in an hour the emergency brake is on."
    )
    brake_least_ended: int = Field(5, ge=1, description="Fewer ended ops in an hour say nothing about that part.")
    braked_percent: int = Field(20, ge=1, le=100, description="What the emergency brake leaves of every cap.")
    posture_every_s: float = Field(300.0, gt=0, description="The posture is inferred again after this long.")
    hysteresis_s: float = Field(900.0, ge=0, description="An inferred posture stays for so long at least.")
    bypass_bp: int = Field(
        7_500, ge=0, le=10_000, description="From this confidence on (basis points) it changes at once."
    )
    look_every_s: float = Field(
        30.0, gt=0, description="Memory, processors, battery and money are looked at this often while work waits."
    )

    def base(self, routed_as: SourceClass) -> int:
        """Ops an hour of one source of a class."""
        return {
            SourceClass.REFLEX: self.reflex_per_hour,
            SourceClass.STANDARD: self.standard_per_hour,
            SourceClass.BACKGROUND: self.background_per_hour,
            SourceClass.SPECULATIVE: self.speculative_per_hour,
        }[routed_as]


class Lane(NamedTuple):
    """``again``: tried before. ``owners``: the owner asked for it himself."""

    source: Source
    urgency: Urgency
    again: bool
    owners: bool

    @classmethod
    def of(cls, item: Item) -> Lane:
        owners = item.asked or item.signal.source is Source.MANUAL
        return cls(item.signal.source, item.signal.urgency, item.attempts > 0, owners)

    def __str__(self) -> str:
        marks = (self.urgency.name.lower(), "again" if self.again else "", "owner" if self.owners else "")
        return " ".join((self.source.value, *filter(None, marks)))


class Brake(NamedTuple):
    on: bool
    reason: str = ""


class Situation(NamedTuple):
    """What all answers of one moment depend on. ``active``: ops that are under way, without those that wait for the
    owner."""

    tally: Tally
    posture: Posture
    surroundings: Pressure
    brake: Brake
    active: int


class Ruling(Frozen):
    """``rule`` is empty when the lane is free. ``until``: when a count falls; None: unknown before a new look."""

    rule: str = ""
    reason: str = ""
    until: datetime | None = None

    @property
    def free(self) -> bool:
        return not self.rule


FREE: Final = Ruling()


def brake(tally: Tally, surroundings: Pressure, settings: GovernorSettings) -> Brake:
    """The emergency brake: too much money, or too many failures."""
    if surroundings.burn_bp > settings.brake_burn_bp:
        return Brake(True, f"{surroundings.burn_bp // 100} % of the day's money is spent")
    if tally.ended >= settings.brake_least_ended and tally.failed * 100 > settings.brake_failed_percent * tally.ended:
        return Brake(True, f"{tally.failed} of the last {tally.ended} ops failed")
    return Brake(False)


def cap(source: Source, urgency: Urgency, posture: Posture, braked: bool, settings: GovernorSettings) -> int:
    """Ops an hour: base x posture weight x urgency factor, less what the brake takes; rounded up, never to 0."""
    routed_as = SOURCES[source].routed_as
    percent = WEIGHTS[posture][routed_as] * URGENCY[urgency]
    full = -(-settings.base(routed_as) * percent // 10_000)
    return -(-full * settings.braked_percent // 100) if braked else full


def decide(lane: Lane, situation: Situation, settings: GovernorSettings) -> Ruling:
    """The first rule that holds the lane back, or ``FREE``."""
    tally = situation.tally
    falls = tally.oldest + HOUR if tally.oldest else None
    if tally.ops >= settings.ops_per_hour:
        return Ruling(rule="governor.hour", reason=f"{tally.ops} ops began within an hour", until=falls)
    if lane.owners:
        return FREE
    return _pressed(lane, situation) or _counted(lane, situation, settings, falls) or FREE


def _pressed(lane: Lane, situation: Situation) -> Ruling | None:
    pressed = situation.surroundings.pressed_by
    most = AT_ONCE.get(situation.surroundings.memory)
    if most is not None and situation.active >= most:
        level = situation.surroundings.memory.name.lower()
        return Ruling(rule="governor.memory", reason=f"memory pressure is {level}: {most} op at a time")
    if pressed and SOURCES[lane.source].rank >= EXPLORING_RANK and explores(lane.source):
        return Ruling(rule="governor.pressure", reason=f"no exploration under pressure: {pressed}")
    return None


def explores(source: Source) -> bool:
    """True for a source that looks without a request. Such work is the first to wait."""
    return SOURCES[source].routed_as in (SourceClass.BACKGROUND, SourceClass.SPECULATIVE)


def _counted(lane: Lane, situation: Situation, settings: GovernorSettings, falls: datetime | None) -> Ruling | None:
    tally, braked = situation.tally, situation.brake
    told = f", emergency brake: {braked.reason}" if braked.on else ""
    total = -(-settings.ops_per_hour * settings.braked_percent // 100) if braked.on else settings.ops_per_hour
    most = cap(lane.source, lane.urgency, situation.posture, braked.on, settings)
    had, name = tally.by_source.get(lane.source, 0), lane.source.value
    if most == 0:
        return Ruling(rule="governor.posture", reason=f"posture {situation.posture.value} leaves none to {name}")
    if tally.ops >= total:
        return Ruling(rule="governor.brake", reason=f"{tally.ops} ops within an hour{told}", until=falls)
    if had >= most:
        reason = f"{had} of {most} ops of {name} ({lane.urgency.name.lower()}, {situation.posture.value}) in an hour"
        return Ruling(rule="governor.source", reason=reason + told, until=falls)
    again = max(1, most * settings.again_percent // 100)
    if lane.again and tally.again.get(lane.source, 0) >= again:
        return Ruling(rule="governor.again", reason=f"{again} second tries of {name} in an hour{told}", until=falls)
    if tally.changes >= settings.changes_per_hour:
        return Ruling(rule="governor.changes", reason=f"{tally.changes} changes within an hour", until=falls)
    changes = tally.changes_by_source.get(lane.source, 0)
    if changes >= settings.changes_per_source:
        return Ruling(rule="governor.changes", reason=f"{changes} changes of {name} within an hour", until=falls)
    return None
