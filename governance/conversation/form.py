"""Form and time limit of a conversation. Pure."""

from __future__ import annotations

import math
from enum import StrEnum

from governance.conversation.settings import LoopSettings
from kernel.provider import Capabilities


class ConversationForm(StrEnum):
    """Form of a conversation."""

    NATIVE = "native"  # native tool calls
    TEXT = "text"
    ONE_SHOT = "one-shot"


def choose_form(capabilities: Capabilities, settings: LoopSettings) -> ConversationForm:
    """The form for a provider's capabilities and the settings. Pure."""
    if settings.tools == "off":
        return ConversationForm.ONE_SHOT
    return ConversationForm.NATIVE if capabilities.tools else ConversationForm.TEXT


def deadline_s(settings: LoopSettings, left_s: float, reserve_s: float) -> float:
    """Time limit of a conversation in an op that has ``left_s``, when later phases need ``reserve_s``. Pure."""
    return min(settings.deadline_s, left_s if math.isinf(left_s) else max(left_s - reserve_s, left_s / 2))
