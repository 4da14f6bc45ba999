"""The local provider on the tiny model, and what the tests ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kernel.engine.settings import LocalSettings
from kernel.provider import Done, Event, InfillRequest, InfillSpan, Limits, Message, TextDelta
from kernel.providers.local.provider import LocalProvider
from tests.kernel.tiny import NAME, Tiny

ENDLESS = 30_000  # tokens that the tiny model does not finish within a test
HEAD = "def total(items, tax):\n    subtotal = sum(item.price for item in items)\n"
SPANS = (
    InfillSpan(prefix=HEAD + "    return ", suffix="\n\n\ndef other():\n    return 1\n", max_tokens=12, stop=()),
    InfillSpan(prefix=HEAD + "    if tax", suffix=":\n        return 2\n    return subtotal\n", max_tokens=20, stop=()),
    InfillSpan(prefix="x = ", suffix="\n", max_tokens=7, stop=()),
    InfillSpan(prefix=HEAD, suffix="", max_tokens=15, stop=()),
)
ASK = (Message(role="system", text="You mend."), Message(role="user", text="What is broken?"))


def provider(tiny: Tiny, *, folder: Path | None = None, **fields: object) -> LocalProvider:
    """Computes in float32 unless told otherwise: batches then differ by rounding far below any decision.

    What a model of random weights writes looks collapsed, so the canary only observes.
    """
    settings = LocalSettings.model_validate({"quantise": "fp32", "threads": 1, "canary": "observe", **fields})
    return LocalProvider(model=NAME, settings=settings, models_dir=folder or tiny.folder, weights=tiny.weights)


def request(*spans: InfillSpan, **fields: float) -> InfillRequest:
    return InfillRequest.model_validate({"spans": spans or SPANS, **fields})


async def said(asked: LocalProvider, limits: Limits, conversation: Sequence[Message] = ASK) -> tuple[list[str], Done]:
    """The pieces of text in order, and the end."""
    events: list[Event] = [event async for event in asked.respond(conversation, (), limits)]
    done = events.pop()
    assert isinstance(done, Done)
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(pieces) == len(events)
    return pieces, done


class LagMeter:
    """Longest time in which the event loop did not run."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            self.longest = max(self.longest, loop.time() - before)


def worker_of(asked: LocalProvider) -> ThreadPoolExecutor:
    worker = asked._worker
    assert worker is not None
    return worker
