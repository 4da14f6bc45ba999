"""Detects loops in a conversation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from governance.conversation.ends import ConversationEnd

REPEATS = 3
MONOLOGUE = 2
SAID_NOTHING = "", ""


class ConversationStep(NamedTuple):
    """One call (tool and arguments) and its result; both empty for a turn with neither call nor answer."""

    call: str
    result: str


def stuck(steps: Sequence[ConversationStep]) -> ConversationEnd | None:
    """The loop that the newest of ``steps`` form: monologue, repeat or alternation; None for no loop."""
    if len(steps) >= MONOLOGUE and all(step == SAID_NOTHING for step in steps[-MONOLOGUE:]):
        return ConversationEnd.MONOLOGUE
    if SAID_NOTHING in steps[-1:]:
        return None
    if len(steps) >= REPEATS and len(set(steps[-REPEATS:])) == 1:
        return ConversationEnd.REPEAT
    tail = steps[-4:]
    if len(tail) == 4 and tail[0] == tail[2] and tail[1] == tail[3] and tail[0] != tail[1]:
        return None if SAID_NOTHING in tail else ConversationEnd.ALTERNATION
    return None


def stuck_within(before: Sequence[ConversationStep], fresh: Sequence[ConversationStep]) -> ConversationEnd | None:
    """The first loop completed while ``fresh`` steps are added to those ``before``."""
    whole = [*before, *fresh]
    found = (stuck(whole[: len(before) + count]) for count in range(1, len(fresh) + 1))
    return next((end for end in found if end is not None), None)
