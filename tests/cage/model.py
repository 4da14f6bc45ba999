"""A hostile model: plays attempts one after the other, each a few rounds of tool calls and then an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kernel.provider import Message, ToolCall
from tests.e2e.talking import Said, Talking

GIVES_UP = "I give up."


@dataclass(frozen=True)
class Attempt:
    """One conversation: calls round by round, then the answer."""

    answer: str
    rounds: tuple[tuple[ToolCall, ...], ...] = ()


@dataclass
class Hostile:
    """``heard`` keeps what came back for each call."""

    attempts: Sequence[Attempt] = ()
    heard: dict[str, str] = field(default_factory=dict)
    played: int = 0

    def talking(self) -> Talking:
        """The provider."""
        return Talking(self.say)

    def begin(self, attempts: Sequence[Attempt]) -> None:
        """What the next op hears."""
        self.attempts, self.played = attempts, 0

    def say(self, conversation: Sequence[Message]) -> Said:
        self.heard |= {m.call_id: m.text for m in conversation if m.role == "tool"}
        asked = sum(m.role == "assistant" for m in conversation)
        if asked == 0:
            self.played += 1
        if self.played > len(self.attempts):
            return GIVES_UP
        attempt = self.attempts[self.played - 1]
        return list(attempt.rounds[asked]) if asked < len(attempt.rounds) else attempt.answer

    def was_told(self, call: ToolCall, rule: str) -> bool:
        """Whether the answer to a call named the rule; answers that gave way to newer ones are not seen any more."""
        return rule in self.heard.get(call.id, rule)
