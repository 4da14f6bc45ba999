"""How a model is talked with, and for how long. Pure."""

from __future__ import annotations

import math
from enum import StrEnum

from governance.loop.settings import LoopSettings
from kernel.provider import Capabilities


class Manner(StrEnum):
    """How a model is talked with."""

    NATIVE = "native"  # the provider has calls of its own
    TEXT = "text"
    ONE_SHOT = "one-shot"


def manner_of(capabilities: Capabilities, settings: LoopSettings) -> Manner:
    """Pure."""
    if settings.tools == "off":
        return Manner.ONE_SHOT
    return Manner.NATIVE if capabilities.tools else Manner.TEXT


def deadline_s(settings: LoopSettings, left_s: float, reserve_s: float) -> float:
    """Pure: what a conversation may take, when the op has ``left_s`` and the phases behind need ``reserve_s``."""
    return min(settings.deadline_s, left_s if math.isinf(left_s) else max(left_s - reserve_s, left_s / 2))
