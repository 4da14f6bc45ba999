"""What can be asked of the intake: signals, sensors, posture. Values like those of `daemon.control.messages`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.vocabulary import Frozen
from sensors.intake.posture import MOST_HOURS, Posture


class SignalsRequest(Frozen):
    """At most ``limit`` signals are described, those in work first; all are counted."""

    limit: int = Field(default=200, ge=1, le=10_000)


class SignalRef(Frozen):
    """A signal by its full id, or by any end of it."""

    signal: str = Field(min_length=1, max_length=200)


class DropRequest(SignalRef):
    why: str = Field(min_length=1, max_length=500)


class PostureRequest(Frozen):
    """``set`` needs a name, hours and why."""

    action: Literal["show", "set", "clear"] = "show"
    name: Posture | None = None
    hours: float = Field(default=4, gt=0, le=MOST_HOURS)
    why: str = Field(default="", max_length=500)


class SignalView(Frozen):
    """One signal. ``waits``: why a queued one does not run now; empty when only its turn is missing."""

    id: str
    short: str
    state: str
    source: str
    urgency: str
    goal: str
    priority: int
    attempts: int
    queued_at: str
    waits: str = ""
    reason: str = ""  # why it is parked, in quarantine or dead
    op: str | None = None
    branch: str | None = None
    history: tuple[str, ...] = ()  # one line for each op that had it


class SignalsView(Frozen):
    """``counts`` by state; ``more``: there are others than those described."""

    paused: bool = False
    counts: dict[str, int] = Field(default_factory=dict)
    ready: tuple[str, ...] = ()  # ids, best first
    signals: tuple[SignalView, ...] = ()
    more: bool = False


class SensorView(Frozen):
    """One source. ``states``: number of its signals by state; ``turned_away``: since this boot."""

    source: str
    routed_as: str
    line: str  # one sentence: its signals
    says: str = ""  # the sensor of itself: what it saw last, or why it sees nothing
    last_signal: str = ""  # UTC stamp
    states: dict[str, int] = Field(default_factory=dict)
    turned_away: dict[str, int] = Field(default_factory=dict)  # duplicate, suppressed
    turned_away_why: str = ""  # the last one
    ops_hour: int = 0
    cap_hour: int = 0  # for a signal of its default urgency, under this posture and brake
    suppressed: str = ""  # why nothing of it becomes an op now


class PostureView(Frozen):
    """``by``: inferred or owner. ``pressed_by``: what suppresses exploration."""

    posture: Posture
    by: str
    since: str = ""
    until: str | None = None
    confidence_bp: int = 0
    why: str = ""
    brake: str = ""  # why the emergency brake is on; empty when it is not
    pressed_by: str = ""
    ops_hour: int = 0


class SensorsView(Frozen):
    posture: PostureView
    sensors: tuple[SensorView, ...] = ()
    events: str = ""  # how changes are noticed, and how many were; empty before anybody looks
    webhooks: str = ""  # where they are heard, and how many were; empty where nobody listens
