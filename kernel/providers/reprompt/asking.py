"""One pass: sends the question and counts the usage while the answer arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kernel.provider import CallDelta, Done, Event, Limits, Message, Provider, TextDelta, Usage
from kernel.tokens import estimate_tokens, prompt_characters
from ledger.errors import ProviderBadOutput, ProviderUnavailable


@dataclass(frozen=True, slots=True)
class PassAnswer:
    """The complete answer of a pass."""

    text: str
    calls: tuple[CallDelta, ...]
    done: Done


async def run_pass(
    inner: Provider, question: Sequence[Message], limits: Limits
) -> AsyncGenerator[Usage | PassAnswer, None]:
    """Yields the usage of the pass so far, estimated from characters where the provider gives no count; last the
    answer.

    Ends at the deadline even if ``inner`` does not. Raises ``ProviderError``.
    """
    read, written = estimate_tokens(prompt_characters(question, ())), 0
    texts, calls = list[str](), list[CallDelta]()
    yield Usage(tokens_in=read, estimated=True)
    ends = asyncio.get_running_loop().time() + limits.timeout_s
    async with close_after(inner.respond(question, (), limits)) as events:
        while (event := await _next(events, ends, inner.name)) is not None:
            if isinstance(event, Done):
                yield PassAnswer("".join(texts), tuple(calls), event)
                return
            if isinstance(event, CallDelta):
                calls.append(event)
            elif isinstance(event, TextDelta):
                texts.append(event.text)
                written += len(event.text)
                yield Usage(tokens_in=read, tokens_out=estimate_tokens(written), estimated=True)
            else:
                yield event.usage
    raise ProviderBadOutput("The answer ended without its end mark.", provider=inner.name)


async def _next(events: AsyncIterator[Event], ends: float, name: str) -> Event | None:
    """The next event; None after the last. ``ends`` is in the event loop's time."""
    try:
        async with asyncio.timeout_at(ends):
            return await anext(events, None)
    except TimeoutError:
        raise ProviderUnavailable("The pass took too long.", provider=name, kind="total") from None


def add_usage(a: Usage, b: Usage) -> Usage:
    """The sum; an estimate when one of them is."""
    return Usage(
        tokens_in=a.tokens_in + b.tokens_in,
        tokens_out=a.tokens_out + b.tokens_out,
        estimated=a.estimated or b.estimated,
    )


@asynccontextmanager
async def close_after(events: AsyncIterator[Event]) -> AsyncIterator[AsyncIterator[Event]]:
    """Closes ``events`` after the block, which stops the model."""
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
