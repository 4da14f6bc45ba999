"""Whether a text without calls is an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

NO_ANSWER = "That is no answer and no call. Call a tool, or answer in the form that was asked for."


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerVerdict:
    """Whether a text without calls is an answer (``useful``), and why and by which rule it is sent back, if it is."""

    useful: bool
    problem: str = ""
    rule: str = ""

    @property
    def remark(self) -> str:
        """The reply to the model."""
        named = f"{self.problem} ({self.rule})" if self.rule else self.problem
        return f"{named} Answer again." if named else NO_ANSWER


SAYS_NOTHING = AnswerVerdict(useful=False)


class Judge(Protocol):
    """Decides whether a text is an answer."""

    async def __call__(self, text: str) -> AnswerVerdict: ...
