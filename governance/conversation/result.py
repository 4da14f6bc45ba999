"""How a conversation may end, its result, and the detection of loops in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ledger.errors import OuroError
from ledger.vocabulary import FailureClass, RootCause, Verdict


class ConversationEnd(StrEnum):
    """Why a conversation ended."""

    ANSWER = "answer"
    ROUNDS = "rounds"
    DEADLINE = "deadline"
    REPEAT = "stuck:repeat"
    ALTERNATION = "stuck:alternation"
    MONOLOGUE = "stuck:monologue"
    COMPACTION = "compaction"
    CANCELLED = "cancelled"
    PROVIDER = "provider error"
    COLLAPSE = "collapse"
    BUDGET = "budget"


END_REASONS = {
    ConversationEnd.ROUNDS: "its rounds are spent",
    ConversationEnd.DEADLINE: "its time was up",
    ConversationEnd.REPEAT: "it made the same call with the same result again and again",
    ConversationEnd.ALTERNATION: "it went to and fro between two calls",
    ConversationEnd.MONOLOGUE: "it neither called a tool nor answered",
    ConversationEnd.COMPACTION: "its prompt was full twice, and nothing new came in between",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationResult:
    """Result of a conversation.

    ``answer``: the last text, or, when cut off, the last usable one. ``problem``: what was wrong with it. ``error``:
    the exception that ended the conversation.
    """

    end: ConversationEnd
    answer: str
    rounds: int
    calls: int
    refused: tuple[Verdict, ...] = ()  # tool calls that the policy refused
    problem: str = ""
    error: OuroError | None = None

    @property
    def summary(self) -> str:
        """How it ended, as a sentence."""
        turns = f"{self.rounds} round{'' if self.rounds == 1 else 's'}"
        why = f": {END_REASONS[self.end]}" if self.end in END_REASONS else ""
        return f"the conversation ended after {turns} ({self.end.value}){why}"

    @property
    def cause(self) -> tuple[RootCause, FailureClass]:
        """Root cause and failure class for an op without a candidate."""
        if self.end is ConversationEnd.DEADLINE:
            return RootCause.TIMEOUT, FailureClass.PROVIDER
        answered = self.end is ConversationEnd.ANSWER
        return RootCause.PROVIDER_BAD_OUTPUT if answered else RootCause.NO_CANDIDATE, FailureClass.PROVIDER


REPEATS = 3
MONOLOGUE = 2
EMPTY_STEP = "", ""


class ConversationStep(NamedTuple):
    """One call (tool and arguments) and its result; both empty for a turn with neither call nor answer."""

    call: str
    result: str


def find_loop(steps: Sequence[ConversationStep]) -> ConversationEnd | None:
    """The loop that the newest of ``steps`` form: monologue, repeat or alternation; None for no loop."""
    if len(steps) >= MONOLOGUE and all(step == EMPTY_STEP for step in steps[-MONOLOGUE:]):
        return ConversationEnd.MONOLOGUE
    if EMPTY_STEP in steps[-1:]:
        return None
    if len(steps) >= REPEATS and len(set(steps[-REPEATS:])) == 1:
        return ConversationEnd.REPEAT
    tail = steps[-4:]
    if len(tail) == 4 and tail[0] == tail[2] and tail[1] == tail[3] and tail[0] != tail[1]:
        return None if EMPTY_STEP in tail else ConversationEnd.ALTERNATION
    return None


def find_loop_within(before: Sequence[ConversationStep], fresh: Sequence[ConversationStep]) -> ConversationEnd | None:
    """The first loop completed while ``fresh`` steps are added to those ``before``."""
    whole = [*before, *fresh]
    found = (find_loop(whole[: len(before) + count]) for count in range(1, len(fresh) + 1))
    return next((end for end in found if end is not None), None)
