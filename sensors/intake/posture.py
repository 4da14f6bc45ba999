"""How hard the daemon leans in: the posture. Inferred from twelve signs without a model; the owner may set it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from ledger.clock import stamp, unstamp
from ledger.errors import ControlError
from ledger.vocabulary import Frozen

MOST_HOURS: Final = 24
ENOUGH_ENDED: Final = 5  # fewer ended ops say nothing about a rate
BASELINE: Final = 25  # what MAINTAIN scores when nothing speaks for anything else


class Posture(StrEnum):
    EXPLORE = "EXPLORE"  # nothing presses: look where nobody has looked
    CONSOLIDATE = "CONSOLIDATE"  # work lies about unfinished: end it before more is begun
    HARDEN = "HARDEN"  # things break: repairs first
    MAINTAIN = "MAINTAIN"  # the everyday


class Signs(Frozen):
    """What the posture is inferred from; all of it is in the ledger. ``_day`` and ``_hour``: the last one."""

    critical_waiting: int = Field(0, ge=0)  # signals queued or in work, by urgency and class
    reflex_waiting: int = Field(0, ge=0)
    other_waiting: int = Field(0, ge=0)
    parked: int = Field(0, ge=0)  # wait for the owner
    unmerged: int = Field(0, ge=0)  # repairs on review branches
    dead: int = Field(0, ge=0)
    quarantined: int = Field(0, ge=0)
    completed_day: int = Field(0, ge=0)
    failed_day: int = Field(0, ge=0)
    rejected_day: int = Field(0, ge=0)  # the owner said no
    idle_s: int = Field(0, ge=0)  # since a signal came or an op began
    burn_bp: int = Field(0, ge=0)  # part of the day's money that is spent, in basis points


class Inferred(Frozen):
    """``confidence_bp``: the best score over the sum of the two best."""

    posture: Posture
    confidence_bp: int
    why: str


class CurrentPosture(Frozen):
    """The posture that counts. ``until``: when the owner's word ends; None for an inferred one."""

    posture: Posture = Posture.MAINTAIN
    by: Literal["inferred", "owner"] = "inferred"
    since: str = ""
    until: str | None = None
    confidence_bp: int = 0
    why: str = "nothing is known yet"


def infer(signs: Signs) -> Inferred:
    """The posture that the signs speak for most; of equals the more careful one."""
    scores = {
        Posture.HARDEN: _harden(signs),
        Posture.CONSOLIDATE: _consolidate(signs),
        Posture.MAINTAIN: (BASELINE, "nothing speaks for anything else"),
        Posture.EXPLORE: _explore(signs),
    }
    ranked = sorted(scores, key=lambda posture: -scores[posture][0])  # stable: the careful ones stand first
    best, second = scores[ranked[0]][0], scores[ranked[1]][0]
    return Inferred(posture=ranked[0], confidence_bp=best * 10_000 // (best + second), why=scores[ranked[0]][1])


def failed_percent(signs: Signs) -> int:
    """Of the ops that ended in the last day; 0 while they are too few."""
    ended = signs.completed_day + signs.failed_day
    return signs.failed_day * 100 // ended if ended >= ENOUGH_ENDED else 0


def _harden(signs: Signs) -> tuple[int, str]:
    failed = failed_percent(signs)
    score = 40 * min(signs.critical_waiting, 2) + 15 * min(signs.reflex_waiting, 2)
    score += 10 * min(signs.dead + signs.quarantined, 3) + (failed // 2 if failed > 40 else 0)
    why = f"{signs.critical_waiting} critical and {signs.reflex_waiting} reflex signals, {failed} % of ops failed"
    return min(score, 100), f"{why}, {signs.dead} dead, {signs.quarantined} in quarantine"


def _consolidate(signs: Signs) -> tuple[int, str]:
    score = 20 * min(signs.unmerged, 3) + 15 * min(signs.parked, 2) + 15 * min(signs.rejected_day, 2)
    score += 5 * min(signs.other_waiting, 4)
    why = f"{signs.unmerged} repairs on review branches, {signs.parked} signals wait for the owner"
    return min(score, 100), f"{why}, {signs.rejected_day} rejected, {signs.other_waiting} others queued"


def _explore(signs: Signs) -> tuple[int, str]:
    presses = signs.critical_waiting + signs.reflex_waiting + signs.other_waiting + signs.parked
    if presses or signs.burn_bp > 5_000 or failed_percent(signs) > 40:
        return 0, "something presses"
    return min(signs.idle_s * 80 // 3_600, 80), f"nothing waits since {signs.idle_s // 60} minutes"


def settle(
    current: CurrentPosture, inferred: Inferred, *, now: datetime, hysteresis_s: float, bypass_bp: int
) -> CurrentPosture:
    """The posture from here on. The owner's choice holds until it ends; an inferred one stays for ``hysteresis_s``
    unless the next is inferred with at least ``bypass_bp``."""
    fresh = CurrentPosture(
        posture=inferred.posture, since=stamp(now), confidence_bp=inferred.confidence_bp, why=inferred.why
    )
    if current.by == "owner":
        return fresh if current.until is None or now >= unstamp(current.until) else current
    if inferred.posture is current.posture and current.since:
        return current.model_copy(update={"confidence_bp": inferred.confidence_bp, "why": inferred.why})
    young = bool(current.since) and now - unstamp(current.since) < timedelta(seconds=hysteresis_s)
    return current if young and inferred.confidence_bp < bypass_bp else fresh


def chosen_posture(posture: Posture, *, hours: float, why: str, now: datetime) -> CurrentPosture:
    """A posture chosen by the owner. Raises ``ControlError`` for no time, or for more than a day."""
    if not 0 < hours <= MOST_HOURS:
        raise ControlError(
            f"A posture can be set for more than 0 and at most {MOST_HOURS} hours, not for {hours:g}.",
            remedy="After that it is inferred again, or you can set it once more.",
        )
    until = stamp(now + timedelta(hours=hours))
    return CurrentPosture(posture=posture, by="owner", since=stamp(now), until=until, confidence_bp=10_000, why=why)
