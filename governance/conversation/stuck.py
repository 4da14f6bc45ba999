"""Detects loops in a conversation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from governance.conversation.ends import End

REPEATS = 3
MONOLOGUE = 2
SAID_NOTHING = "", ""


class Step(NamedTuple):
    """One call (tool and arguments) and its result; both empty for a turn with neither call nor answer."""

    call: str
    result: str


def stuck(steps: Sequence[Step]) -> End | None:
    """The loop that the newest of ``steps`` form: monologue, repeat or alternation; None for no loop."""
    if len(steps) >= MONOLOGUE and all(step == SAID_NOTHING for step in steps[-MONOLOGUE:]):
        return End.MONOLOGUE
    if SAID_NOTHING in steps[-1:]:
        return None
    if len(steps) >= REPEATS and len(set(steps[-REPEATS:])) == 1:
        return End.REPEAT
    tail = steps[-4:]
    if len(tail) == 4 and tail[0] == tail[2] and tail[1] == tail[3] and tail[0] != tail[1]:
        return None if SAID_NOTHING in tail else End.ALTERNATION
    return None


def stuck_within(before: Sequence[Step], fresh: Sequence[Step]) -> End | None:
    """The first loop completed while ``fresh`` steps are added to those ``before``."""
    whole = [*before, *fresh]
    found = (stuck(whole[: len(before) + count]) for count in range(1, len(fresh) + 1))
    return next((end for end in found if end is not None), None)
