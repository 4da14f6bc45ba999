"""ask_human: one question to the owner. The policy allows it only for ops that the owner sees anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field

from ledger.errors import ToolError
from tools.manifest import Arguments, Call, Nothing, Tool

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


GRACE_S = 60.0  # a backstop: the person port itself ends the wait at the limit


class AskHumanArguments(Arguments):
    """Arguments of ask_human."""

    question: str = Field(min_length=1, max_length=1_000, description="one question, with what is needed to answer it")
    choices: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (), max_length=6, description="answers to choose from; another one may still come"
    )


class AskHuman(Tool[AskHumanArguments]):
    """Waits for the answer until the time limit of an approval."""

    name = "ask_human"
    description = (
        "Ask the owner of the repository one question, only where you cannot find out by yourself. He may not be "
        "there, and what he says approves nothing."
    )
    model = AskHumanArguments

    def __init__(self, *, limit_s: float) -> None:
        self.timeout_s = limit_s + GRACE_S

    @classmethod
    def build(cls, parts: ToolParts) -> Self | None:
        return None if parts.answer_s is None else cls(limit_s=parts.answer_s)

    def paths(self, arguments: AskHumanArguments) -> tuple[str, ...]:
        return ()

    async def run(self, arguments: AskHumanArguments, call: Call) -> str:
        person = call.context.person
        if person is None:
            raise ToolError("Nobody can be asked here.")
        answer = await person.ask(arguments.question, arguments.choices)
        if answer is None:
            return Nothing("Nobody answered in time. Do what is safest without an answer, or say what is missing.")
        return f"A person has answered:\n{answer}"
