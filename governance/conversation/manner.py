"""Form and time limit of a conversation. Pure."""

from __future__ import annotations

import math
from enum import StrEnum

from governance.conversation.settings import LoopSettings
from kernel.provider import Capabilities


class Manner(StrEnum):
    """Form of a conversation."""

    NATIVE = "native"  # native tool calls
    TEXT = "text"
    ONE_SHOT = "one-shot"


def manner_of(capabilities: Capabilities, settings: LoopSettings) -> Manner:
    """The form for a provider's capabilities and the settings. Pure."""
    if settings.tools == "off":
        return Manner.ONE_SHOT
    return Manner.NATIVE if capabilities.tools else Manner.TEXT


def deadline_s(settings: LoopSettings, left_s: float, reserve_s: float) -> float:
    """Time limit of a conversation in an op that has ``left_s``, when later phases need ``reserve_s``. Pure."""
    return min(settings.deadline_s, left_s if math.isinf(left_s) else max(left_s - reserve_s, left_s / 2))
