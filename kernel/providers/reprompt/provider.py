"""A provider that calls another one several times and returns the last good answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from kernel.canary.text import SINGLE_PASS
from kernel.provider import (
    Capabilities,
    Done,
    Event,
    Health,
    Limits,
    Message,
    Price,
    Provider,
    Report,
    Spent,
    ToolSchema,
    Usage,
)
from kernel.providers.reprompt import questions
from kernel.providers.reprompt.asking import close_after
from kernel.providers.reprompt.loop import RepromptLoop
from kernel.providers.reprompt.questions import worth_asking_again
from ledger.clock import Clock, SystemClock


class RepromptProvider:
    """Calls ``inner`` up to ``passes`` times if the request is worth it, else once. Does not support infill.

    The answer is streamed only when it is final; ``Spent`` events report the usage meanwhile.
    """

    def __init__(self, inner: Provider, *, passes: int, watch: bool = True, clock: Clock | None = None) -> None:
        """``watch``: the canary scores every answer; a collapsed one is discarded."""
        self._inner = inner
        self._passes = passes
        self._watch = watch
        self._clock = clock or SystemClock()

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities.limited(infill=False)

    @property
    def price(self) -> Price | None:
        return self._inner.price

    async def health(self) -> Health:
        return await self._inner.health()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def at_most(self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits) -> Usage:
        """Maximum usage of a turn with all its passes."""
        return questions.usage_bound(conversation, tools, limits, self._passes_for(conversation, tools, limits))

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncGenerator[Event, None]:
        """Answer a request. A failure of the first pass is raised; if a later one fails, the previous answer counts."""
        passes = self._passes_for(conversation, tools, limits)
        if passes == 1:
            async with close_after(self._inner.respond(conversation, tools, limits)) as events:
                async for event in events:
                    yield mark_single_pass(event) if isinstance(event, Done) else event
            return
        loop = RepromptLoop(self._inner, conversation, limits, passes=passes, clock=self._clock, watch=self._watch)
        async with aclosing(loop.run()) as steps:
            async for usage in steps:
                yield Spent(usage=usage)
        for event in loop.events():
            yield event

    def _passes_for(self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits) -> int:
        return self._passes if worth_asking_again(conversation, tools, limits) else 1


def mark_single_pass(done: Done) -> Done:
    """``done`` with the report of a turn with a single pass."""
    report = done.report or Report()
    return done.model_copy(update={"report": report.model_copy(update={"exit": SINGLE_PASS})})
