"""One timed question to the configured model: its answer, speed and depth."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

from governance.budget import BudgetSettings, estimate
from governance.irongate.op import g07_cost
from kernel.canary import CollapseDetected
from kernel.provider import Done, Heavy, Limits, Message, Provider, Repeater, Report, TextDelta, Usage
from kernel.tokens import estimate_tokens
from ledger.clock import Clock
from ledger.errors import BudgetExhausted, ProviderBadOutput
from ledger.vocabulary import Decision, Frozen

QUESTION = (
    "Write a Python function `median(values)` that returns the median of a list of numbers and raises ValueError for "
    "an empty one. Answer with the code alone."
)
LOOK_S = 0.01  # between two looks whether the model is in memory


class ProbeView(Frozen):
    """``load_ms`` is None for a model that is not loaded here, ``tokens_per_s`` for an answer too short to measure."""

    provider: str
    model: str
    weights: str  # which forms were chosen, and why; of a server what it says of itself
    answer: str
    finish: Literal["stop", "length", "calls", "collapsed"]
    usage: Usage
    usd_micro: int
    load_ms: int | None
    first_token_ms: int | None
    total_ms: int
    tokens_per_s: float | None
    report: Report | None


class Stopwatch:
    """Collects the events of one turn with their times, in seconds of ``clock``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began = clock.monotonic()
        self.loaded: float | None = None
        self.first: float | None = None
        self.ended = self.began
        self.texts: list[str] = []
        self.usage: Usage | None = None
        self.done: Done | None = None
        self.collapse: CollapseDetected | None = None

    async def watch_loading(self, provider: Heavy) -> None:
        while not provider.loaded:  # noqa: ASYNC110 - a thread loads it, and tells nobody
            await asyncio.sleep(LOOK_S)
        self.loaded = self._clock.monotonic()

    async def listen(self, provider: Provider, conversation: tuple[Message, ...], limits: Limits) -> None:
        try:
            async for event in provider.respond(conversation, (), limits):
                if isinstance(event, TextDelta):
                    self.texts.append(event.text)
                    self.first = self.first or self._clock.monotonic()
                elif event.kind != "call":
                    self.usage = event.usage
                    if event.usage.tokens_out:  # of a pass whose text is not shown
                        self.first = self.first or self._clock.monotonic()
                    self.done = event if isinstance(event, Done) else None
        except CollapseDetected as error:
            self.collapse = error
        self.ended = self._clock.monotonic()

    @property
    def ready(self) -> float:
        """When the model could begin with the question."""
        return self.began if self.loaded is None else self.loaded


async def probe(
    provider: Provider, text: str, *, tokens: int, timeout_s: float, budget: BudgetSettings, clock: Clock
) -> ProbeView:
    """Asks once. Raises ``BudgetExhausted`` before, ``ProviderError`` during; a collapse is a result."""
    conversation = (Message(role="user", text=text),)
    limits = Limits(max_tokens=tokens, timeout_s=timeout_s)
    may_cost(provider, conversation, limits, budget)
    watch, loading = Stopwatch(clock), None
    if isinstance(provider, Heavy) and not provider.loaded:
        loading = asyncio.create_task(watch.watch_loading(provider), name="watch the model load")
    try:
        await watch.listen(provider, conversation, limits)
    finally:
        if loading is not None:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
    if watch.done is None and watch.collapse is None:
        raise ProviderBadOutput("The answer ended without its end mark.", provider=provider.name)
    return await view_of(provider, text, watch)


def may_cost(provider: Provider, conversation: tuple[Message, ...], limits: Limits, budget: BudgetSettings) -> None:
    """Gate 7 on this call alone: what else was spent today is not looked at, nor is this written to the record."""
    most = Usage(tokens_in=estimate_tokens(len(conversation[0].text)), tokens_out=limits.max_tokens)
    if isinstance(provider, Repeater):
        most = provider.at_most(conversation, (), limits)
    verdict = g07_cost.check(
        g07_cost.CostFacts(
            cost=estimate(provider.price, most.tokens_in, most.tokens_out),
            per_call=budget.per_call_usd_micro,
            per_op=budget.per_op_usd_micro,
            per_day=budget.per_day_usd_micro,
        )
    )
    if verdict.decision is not Decision.ALLOW:
        raise BudgetExhausted(
            f"The model was not asked: {verdict.reason} ({verdict.rule}).",
            ceiling=verdict.rule,
            remedy="Ask for fewer --tokens, or look at the price and at [budget] in the owner's settings.",
        )


async def view_of(provider: Provider, text: str, watch: Stopwatch) -> ProbeView:
    """What the watch shows. Without a count of the provider's, tokens are estimated."""
    answer = "".join(watch.texts)
    written = watch.collapse.tokens if watch.collapse else estimate_tokens(len(answer))
    usage = watch.usage or Usage(tokens_in=estimate_tokens(len(text)), tokens_out=written, estimated=True)
    report = watch.done.report if watch.done else None
    if watch.collapse is not None:
        report = Report(
            exit="collapsed",
            proximity_milli=round(1000 * watch.collapse.proximity),
            signal=watch.collapse.signal,
        )
    spoken = watch.ended - watch.first if watch.first is not None else 0.0
    return ProbeView(
        provider=provider.name,
        model=provider.model,
        weights=(await provider.health()).detail,
        answer=answer,
        finish=watch.done.finish if watch.done else "collapsed",
        usage=usage,
        usd_micro=estimate(provider.price, usage.tokens_in, usage.tokens_out) or 0,
        load_ms=None if watch.loaded is None else round(1000 * (watch.loaded - watch.began)),
        first_token_ms=None if watch.first is None else round(1000 * (watch.first - watch.ready)),
        total_ms=round(1000 * (watch.ended - watch.began)),
        tokens_per_s=round((usage.tokens_out - 1) / spoken, 2) if spoken > 0 and usage.tokens_out > 1 else None,
        report=report,
    )
