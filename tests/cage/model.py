"""A hostile model: plays attempts one after the other, each a few rounds of tool calls and then an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kernel.provider import Message, ToolCall
from tests.e2e.talking import Said, Talking

GIVES_UP = "I give up."


@dataclass(frozen=True)
class Attempt:
    """One conversation: calls round by round, then the answer; or whatever ``plays`` says of what it is told."""

    answer: str
    rounds: tuple[tuple[ToolCall, ...], ...] = ()
    plays: Callable[[Sequence[Message]], Said] | None = None


@dataclass
class Hostile:
    """``heard`` keeps what came back for each call, by the call's own id."""

    attempts: Sequence[Attempt] = ()
    heard: dict[str, str] = field(default_factory=dict)
    played: int = 0
    waiting: tuple[ToolCall, ...] = ()  # the calls of the last turn
    openings: list[str] = field(default_factory=list)  # what each conversation began with
    gave_way: set[str] = field(default_factory=set)  # calls whose answers the loop has left out for newer ones

    def talking(self) -> Talking:
        """The provider."""
        return Talking(self.say)

    def begin(self, attempts: Sequence[Attempt]) -> None:
        """What the next op hears."""
        self.attempts, self.played = attempts, 0

    def say(self, conversation: Sequence[Message]) -> Said:
        asked = sum(m.role == "assistant" for m in conversation)
        if asked == 0:
            self.played += 1
            self.waiting = ()
            self.openings.append("\n".join(m.text for m in conversation))
        self._listen(conversation)
        said = self._next(asked, conversation)
        self.waiting = () if isinstance(said, str) else tuple(said)
        return said

    def _next(self, asked: int, conversation: Sequence[Message]) -> Said:
        if self.played > len(self.attempts):
            return GIVES_UP
        attempt = self.attempts[self.played - 1]
        if attempt.plays is not None:
            return attempt.plays(conversation)
        return list(attempt.rounds[asked]) if asked < len(attempt.rounds) else attempt.answer

    def _listen(self, conversation: Sequence[Message]) -> None:
        """The newest answers belong to the calls of the last turn, in their order: the loop gives ids of its own."""
        last = max((at for at, m in enumerate(conversation) if m.role == "assistant"), default=len(conversation))
        answers = [m.text for m in conversation[last:] if m.role == "tool"]
        for call, text in zip(reversed(self.waiting), reversed(answers), strict=False):
            self.heard[call.id] = text
        if any("earlier results are left out here" in m.text for m in conversation if m.role == "user"):
            self.gave_way |= {call.id for call in self.waiting[: len(self.waiting) - len(answers)]}

    def was_told(self, call: ToolCall, rule: str) -> bool:
        """Whether the answer to a call named the rule; an answer that gave way to newer ones was never seen."""
        return call.id in self.gave_way or rule in self.heard.get(call.id, "")
