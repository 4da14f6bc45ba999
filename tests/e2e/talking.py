"""Models that converse, for end-to-end tests: real providers that answer what they are asked, as their author says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from governance.conversation import prompts
from kernel.provider import (
    CallDelta,
    Capabilities,
    Done,
    Event,
    Health,
    Limits,
    Message,
    Price,
    TextDelta,
    ToolCall,
    ToolSchema,
    Usage,
)

Said = str | list[ToolCall]


class Talking:
    """Answers CONTEXT_EXPANSION with ``files``, PLAN with ``changes``, and every turn of GENERATE with ``say``.

    ``say`` gets the conversation of this turn and returns a text or tool calls.
    """

    name, model = "scripted", "talk@0"
    price: Price | None = Price(input=0, output=0)
    capabilities = Capabilities(tools=True)

    def __init__(
        self,
        say: Callable[[Sequence[Message]], Said],
        *,
        files: Sequence[str] = (),
        changes: Sequence[str] | None = None,
    ) -> None:
        self._say = say
        self._files = files
        self._changes = changes
        self.asked: list[tuple[Message, ...]] = []  # the turns of GENERATE

    async def health(self) -> Health:
        return Health(ready=True, detail="scripted")

    def _answer(self, conversation: Sequence[Message]) -> Said:
        system = conversation[0].text
        if system == prompts.EXPAND:
            return json.dumps({"files": [{"path": path, "reason": "named"} for path in self._files]})
        if system == prompts.PLAN:
            steps = [{"path": path, "what": "repair it"} for path in self._changes or ()]
            return json.dumps({"approach": "Mend the cause.", "ordered_changes": steps})
        self.asked.append(tuple(conversation))
        return self._say(conversation)

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        said = self._answer(conversation)
        if isinstance(said, str):
            yield TextDelta(text=said)
            yield Done(finish="stop", usage=Usage(tokens_in=10, tokens_out=10))
            return
        for call in said:
            yield CallDelta(call=call)
        yield Done(finish="calls", usage=Usage(tokens_in=10, tokens_out=10))

    async def aclose(self) -> None:
        return None


class Pondering(Talking):
    """Thinks without end, until it is cancelled."""

    def __init__(self) -> None:
        super().__init__(lambda _: "")
        self.thinking = asyncio.Event()
        self.stopped = asyncio.Event()

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        self.thinking.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        yield Done(finish="stop", usage=Usage())


def call(name: str, **arguments: Any) -> ToolCall:
    """A tool call with its arguments as JSON."""
    text = json.dumps(arguments)
    return ToolCall(id=f"{name}:{text}", name=name, arguments=text)


def looked(*paths: str) -> list[ToolCall]:
    """Enough of a look around for a simple op."""
    calls = [call("get_callers", symbol="total"), call("search_code", pattern="subtotal")]
    return calls + [call("read_file", path=path) for path in paths]


def swap(path: str, old: str, new: str, why: str = "This is the cause.") -> str:
    """An answer with one search/replace block."""
    return f"{why}\n\n{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def whole(path: str, text: str, why: str = "This is the cause.") -> str:
    """An answer with the whole content of a file."""
    return f"{why}\n\n{path}\n```\n{text}```\n"


class InTurn:
    """Looks at ``files``, then tries ``attempts`` one after the other, the last one again and again.

    ``more``: calls of the look beside those of :func:`looked`. ``told``: the conversation in front of each attempt.
    """

    def __init__(self, attempts: Sequence[str], *files: str, more: Sequence[ToolCall] = ()) -> None:
        self._attempts, self._look = attempts, [*looked(*files), *more]
        self.told: list[str] = []

    def __call__(self, conversation: Sequence[Message]) -> Said:
        if not any(m.role == "tool" for m in conversation):
            return self._look
        self.told.append("\n".join(m.text for m in conversation))
        return self._attempts[min(len(self.told), len(self._attempts)) - 1]


def after_a_look(answer: str, *paths: str) -> InTurn:
    """Looks around in the first turn of each conversation, answers in the second."""
    return InTurn([answer], *paths)
