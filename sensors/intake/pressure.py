"""Pressure on the machine and on the budget, which limits what may start. Measured by `sensors/health/`."""

from __future__ import annotations

from enum import IntEnum

from ledger.vocabulary import Frozen


class Level(IntEnum):
    """Four levels; payloads show ``.name``."""

    NORMAL = 0
    ELEVATED = 1
    HIGH = 2
    CRITICAL = 3


class Pressure(Frozen):
    """What limits the governor besides the queue. ``burn_bp``: part of the day's money that is spent."""

    memory: Level = Level.NORMAL
    cpu_pressed: bool = False
    on_battery: bool = False
    burn_bp: int = 0

    @property
    def pressed_by(self) -> str:
        """The reason against work without a request; empty when there is none."""
        named = (
            ("memory", self.memory > Level.NORMAL),
            ("processor", self.cpu_pressed),
            ("battery", self.on_battery),
        )
        return " and ".join(name for name, pressed in named if pressed)
