"""Measures the configured model with one request: answer, speed and depth."""

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

PROMPT = (
    "Write a Python function `median(values)` that returns the median of a list of numbers and raises ValueError for "
    "an empty one. Answer with the code alone."
)
POLL_S = 0.01  # between checks whether the model is loaded


class ProbeView(Frozen):
    """``load_ms`` is None if the model needed no loading, ``tokens_per_s`` if the answer is too short to measure."""

    provider: str
    model: str
    weights: str  # the chosen number formats with the reason, or a server's description of itself
    answer: str
    finish: Literal["stop", "length", "calls", "collapsed"]
    usage: Usage
    usd_micro: int
    load_ms: int | None
    first_token_ms: int | None
    total_ms: int
    tokens_per_s: float | None
    report: Report | None


class TurnTimes:
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

    async def wait_for_loading(self, provider: Heavy) -> None:
        while not provider.loaded:  # noqa: ASYNC110 - a thread loads it and sends no event
            await asyncio.sleep(POLL_S)
        self.loaded = self._clock.monotonic()

    async def collect(self, provider: Provider, conversation: tuple[Message, ...], limits: Limits) -> None:
        try:
            async for event in provider.respond(conversation, (), limits):
                if isinstance(event, TextDelta):
                    self.texts.append(event.text)
                    self.first = self.first or self._clock.monotonic()
                elif event.kind != "call":
                    self.usage = event.usage
                    if event.usage.tokens_out:  # tokens of a pass whose text is not streamed
                        self.first = self.first or self._clock.monotonic()
                    self.done = event if isinstance(event, Done) else None
        except CollapseDetected as error:
            self.collapse = error
        self.ended = self._clock.monotonic()

    @property
    def ready(self) -> float:
        """When the model was loaded and could begin."""
        return self.began if self.loaded is None else self.loaded


async def probe(
    provider: Provider, text: str, *, tokens: int, timeout_s: float, budget: BudgetSettings, clock: Clock
) -> ProbeView:
    """Send one request. Raises ``BudgetExhausted`` before it, ``ProviderError`` during it; a collapse is a result."""
    conversation = (Message(role="user", text=text),)
    limits = Limits(max_tokens=tokens, timeout_s=timeout_s)
    check_cost(provider, conversation, limits, budget)
    times, loading = TurnTimes(clock), None
    if isinstance(provider, Heavy) and not provider.loaded:
        loading = asyncio.create_task(times.wait_for_loading(provider), name="watch the model load")
    try:
        await times.collect(provider, conversation, limits)
    finally:
        if loading is not None:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
    if times.done is None and times.collapse is None:
        raise ProviderBadOutput("The answer ended without its end mark.", provider=provider.name)
    return await summarise(provider, text, times)


def check_cost(provider: Provider, conversation: tuple[Message, ...], limits: Limits, budget: BudgetSettings) -> None:
    """Apply gate 7 to this call alone, without today's other spending and without a ledger entry.

    Raises ``BudgetExhausted``.
    """
    bound = Usage(tokens_in=estimate_tokens(len(conversation[0].text)), tokens_out=limits.max_tokens)
    if isinstance(provider, Repeater):
        bound = provider.at_most(conversation, (), limits)
    verdict = g07_cost.check(
        g07_cost.CostFacts(
            cost=estimate(provider.price, bound.tokens_in, bound.tokens_out),
            per_call=budget.per_call_usd_micro,
            per_op=budget.per_op_usd_micro,
            per_day=budget.per_day_usd_micro,
        )
    )
    if verdict.decision is not Decision.ALLOW:
        raise BudgetExhausted(
            f"The request was not sent: {verdict.reason} ({verdict.rule}).",
            ceiling=verdict.rule,
            remedy="Request fewer --tokens, or check the price and [budget] in the owner's settings.",
        )


async def summarise(provider: Provider, text: str, times: TurnTimes) -> ProbeView:
    """The result of the request. Tokens are estimated if the provider sent no count."""
    answer = "".join(times.texts)
    written = times.collapse.tokens if times.collapse else estimate_tokens(len(answer))
    usage = times.usage or Usage(tokens_in=estimate_tokens(len(text)), tokens_out=written, estimated=True)
    report = times.done.report if times.done else None
    if times.collapse is not None:
        report = Report(
            exit="collapsed",
            proximity_milli=round(1000 * times.collapse.proximity),
            signal=times.collapse.signal,
        )
    answer_s = times.ended - times.first if times.first is not None else 0.0
    return ProbeView(
        provider=provider.name,
        model=provider.model,
        weights=(await provider.health()).detail,
        answer=answer,
        finish=times.done.finish if times.done else "collapsed",
        usage=usage,
        usd_micro=estimate(provider.price, usage.tokens_in, usage.tokens_out) or 0,
        load_ms=None if times.loaded is None else round(1000 * (times.loaded - times.began)),
        first_token_ms=None if times.first is None else round(1000 * (times.first - times.ready)),
        total_ms=round(1000 * (times.ended - times.began)),
        tokens_per_s=round((usage.tokens_out - 1) / answer_s, 2) if answer_s > 0 and usage.tokens_out > 1 else None,
        report=report,
    )
