"""The single path for model calls: budget check before, entries before and after, and the turn's time limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from governance.budget import Budget
from governance.grounding.canary_tracker import CanaryTracker
from governance.grounding.claims import likeliest_bp, reply, stated_bp
from governance.grounding.policy import RESTLESS_MILLI, WHOLE_MILLI, PolicyInputs, proximity_of
from governance.irongate.secrets.redaction import redact
from governance.record import Recorder
from governance.recordable import messages_without_secrets, spans_without_secrets
from kernel.canary import CollapseDetected
from kernel.provider import (
    CallDelta,
    Diverger,
    DivergeRequest,
    Done,
    Event,
    Infill,
    InfillAnswer,
    Infiller,
    InfillRequest,
    InfillSpan,
    Limits,
    Message,
    Provider,
    Repeater,
    Report,
    TextDelta,
    ToolCall,
    ToolSchema,
    Usage,
    Weigher,
    WeighRequest,
)
from kernel.tokens import CHARS_PER_TOKEN
from ledger.clock import Clock
from ledger.errors import ProviderBadOutput, ProviderError, ProviderUnavailable
from ledger.events.model import CallEnded, CallProblem, CallStarted, ProximityJudged
from ledger.tasks import run_to_completion
from ledger.vocabulary import Draft, Phase


@dataclass(frozen=True, slots=True)
class Turn:
    """A complete answer."""

    text: str
    calls: tuple[ToolCall, ...]
    finish: str
    usage: Usage


@dataclass(slots=True)
class ResponseBuffer:
    """Buffer for what one call has returned so far. ``fields``: report values for the call's entry."""

    tokens_in: int  # estimated from the prompt's length
    texts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    done: Done | None = None
    spent: Usage | None = None  # as the provider counted it
    fields: Fields = field(default_factory=dict)
    confidence_bp: int | None = None  # as stated in the answer

    def take(self, event: Event) -> None:
        """Add one event."""
        if isinstance(event, TextDelta):
            self.texts.append(event.text)
        elif isinstance(event, CallDelta):
            self.calls.append(event.call)
        else:
            self.spent = event.usage
        if isinstance(event, Done):
            self.done, self.fields = event, of_report(event.report)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def usage(self) -> Usage:
        """Tokens as counted by the provider, else an estimate."""
        written = round(len(self.text) / CHARS_PER_TOKEN)
        return self.spent or Usage(tokens_in=self.tokens_in, tokens_out=written, estimated=True)


def at_most(spans: Sequence[InfillSpan], texts: Sequence[str], answers: int) -> Usage:
    """Upper estimate of the tokens that infill spans, with the texts in them, may take."""
    chars = sum(len(s.prefix) + len(s.suffix) for s in spans) + sum(map(len, texts))
    return Usage(tokens_in=round(chars / CHARS_PER_TOKEN), tokens_out=answers * sum(s.max_tokens for s in spans))


R = TypeVar("R", DivergeRequest, WeighRequest)


async def _without_secrets(request: R, timeout_s: float) -> R:
    """The request with its surroundings and texts redacted, and this time limit."""

    def redacted() -> R:
        texts = tuple(redact(text) for text in request.texts)
        spans = spans_without_secrets(request.spans)
        return request.model_copy(update={"spans": spans, "texts": texts, "timeout_s": timeout_s})

    return await asyncio.to_thread(redacted)


class ModelClient:
    """Model client of one op. ``turn_s`` is the route's time limit for one call.

    Every answer's canary report updates ``canary`` and is judged by the policy on ``ground``: a collapsed answer is
    never returned, even if its provider accepts it. ``posture``: the name used in prompts, recorded with each turn.
    """

    def __init__(
        self,
        *,
        provider: Provider,
        budget: Budget,
        record: Recorder,
        clock: Clock,
        op_id: str,
        route: str,
        turn_s: float,
        ground: PolicyInputs | None = None,
        canary: CanaryTracker | None = None,
        posture: str = "",
    ) -> None:
        self.posture = posture
        self.provider = provider
        self._budget = budget
        self._record = record
        self._clock = clock
        self._op_id = op_id
        self._route = route
        self._turn_s = turn_s
        self._ground = ground or PolicyInputs()
        self._canary = canary or CanaryTracker()

    @property
    def scale_milli(self) -> int:
        """Share of the time limit (thousandths) that is left, given the worst proximity of this attempt."""
        return self._ground.at(self._canary.proximity_milli).budget_scale_milli

    @property
    def _left_s(self) -> float:
        """Time limit of the next call in seconds."""
        return self._turn_s * self.scale_milli / WHOLE_MILLI

    async def turn(
        self,
        phase: Phase,
        purpose: str,
        conversation: Sequence[Message],
        tools: Sequence[ToolSchema] = (),
        *,
        limits: Limits,
    ) -> Turn:
        """One turn of a conversation. Raises ``BudgetExhausted`` before the call, ``ProviderError`` during it, and its
        subclass ``CollapseDetected`` for a collapsed answer.
        """
        clean = await asyncio.to_thread(messages_without_secrets, conversation)
        timeout_s = limits.timeout_s * self.scale_milli / WHOLE_MILLI
        limits = limits.model_copy(update={"timeout_s": min(timeout_s, self._left_s)})
        heard = ResponseBuffer(round(sum(len(m.text) for m in clean) / CHARS_PER_TOKEN))
        most = Usage(tokens_in=heard.tokens_in, tokens_out=limits.max_tokens)
        if isinstance(self.provider, Repeater):
            most = self.provider.at_most(clean, tools, limits)
        at_start = {"posture": self.posture, **careful(limits.caution_milli, limits.temperature)}
        recorded = self._recorded(phase, purpose, most, heard, limits.timeout_s, at_start)
        async with self._judged(phase, purpose), recorded:
            async with asyncio.timeout(limits.timeout_s):
                async for event in self.provider.respond(clean, tools, limits):
                    heard.take(event)
            if heard.done is None:
                raise ProviderBadOutput("The answer ended without its end mark.", provider=self.provider.name)
            heard.confidence_bp = stated_bp(heard.text)
            self._feel(heard.done.report, heard.usage.tokens_out)
        return Turn(heard.text, tuple(heard.calls), heard.done.finish, heard.usage)

    async def infill(self, phase: Phase, purpose: str, request: InfillRequest) -> tuple[Infill, ...]:
        """One batch of infills. Raises as :meth:`turn` does."""
        if not isinstance(self.provider, Infiller):
            raise ProviderBadOutput(f"{self.provider.name} cannot infill.", provider=self.provider.name)
        spans = await asyncio.to_thread(spans_without_secrets, request.spans)
        request = request.model_copy(update={"timeout_s": self._left_s, "spans": spans})
        most, at_start = (
            at_most(request.spans, (), request.samples),
            careful(request.caution_milli, request.temperature),
        )
        return await self._infills(phase, purpose, most, partial(self.provider.infill, request), at_start)

    async def diverge(self, phase: Phase, purpose: str, request: DivergeRequest) -> tuple[Infill, ...] | None:
        """Alternatives to the spans' current texts; None if the provider has none to give. Raises as :meth:`turn`."""
        if not isinstance(self.provider, Diverger):
            return None
        request = await _without_secrets(request, self._left_s)
        most, at_start = at_most(request.spans, request.texts, request.answers), careful(request.caution_milli, 0.0)
        return await self._infills(phase, purpose, most, partial(self.provider.diverge, request), at_start)

    async def _infills(
        self, phase: Phase, purpose: str, most: Usage, ask: Callable[[], Awaitable[InfillAnswer]], at_start: Fields
    ) -> tuple[Infill, ...]:
        heard = ResponseBuffer(most.tokens_in)
        async with (
            self._judged(phase, purpose),
            self._recorded(phase, purpose, most, heard, self._left_s, at_start),
        ):
            try:
                answer = await ask()
            except CollapseDetected as error:
                heard.spent = Usage(tokens_in=most.tokens_in, tokens_out=error.tokens, estimated=True)
                raise
            heard.texts.append(f"{len(answer.infills)} infills")
            heard.spent, heard.fields = answer.usage, of_infills(answer.infills)
            heard.confidence_bp = likeliest_bp(answer.infills)
            self._feel(calmest(answer.infills), answer.usage.tokens_out)
        return sound(answer.infills)

    def _feel(self, report: Report | None, tokens: int) -> None:
        """Update the canary. Raises ``CollapseDetected`` when the policy discards the answer."""
        near, signal = proximity_of(report), report.signal if report else "none"
        if not self._ground.is_usable(near):
            raise CollapseDetected(near / 1000, signal, tokens, provider=self.provider.name)
        self._canary.feel(near, signal)

    @asynccontextmanager
    async def _judged(self, phase: Phase, purpose: str) -> AsyncIterator[None]:
        """Around one call: records the policy's decision on an answer of raised proximity."""
        before = self._canary.proximity_milli
        try:
            yield
        except CollapseDetected as error:
            near = max(round(1000 * error.proximity), self._ground.settings.alarm_milli)
            await self._decided(phase, purpose, near, error.signal)
            raise
        near = self._canary.proximity_milli
        if near > before and near >= RESTLESS_MILLI:
            await self._decided(phase, purpose, near, self._canary.signal)

    async def _decided(self, phase: Phase, purpose: str, near: int, signal: str) -> None:
        ground = self._ground
        await self._record.note(
            ProximityJudged(
                purpose=purpose,
                signal=signal,
                discarded=not ground.is_usable(near),
                risk=ground.risk,
                complexity=ground.complexity,
                trust_bp=ground.trust_bp,
                proximity_milli=near,
                settings=ground.settings.model_dump(mode="json"),
                asked=ground.at(near).model_dump(mode="json"),
            ),
            phase=phase,
        )

    async def weigh(self, phase: Phase, purpose: str, request: WeighRequest) -> tuple[int, ...] | None:
        """Log probabilities of texts in spans (see ``WeighAnswer``); None if unsupported. Raises as :meth:`turn`."""
        if not isinstance(self.provider, Weigher):
            return None
        request = await _without_secrets(request, self._turn_s)
        most = at_most(request.spans, request.texts, 0)
        heard = ResponseBuffer(most.tokens_in)
        async with self._recorded(phase, purpose, most, heard, self._turn_s, {}):
            answer = await self.provider.weigh(request)
            heard.texts.append(f"{len(answer.logprobs_milli)} texts weighed")
            heard.spent = answer.usage
        return answer.logprobs_milli

    @asynccontextmanager
    async def _recorded(
        self, phase: Phase, purpose: str, most: Usage, heard: ResponseBuffer, limit_s: float, at_start: Fields
    ) -> AsyncIterator[None]:
        """Around one call: budget reserved before, settled and recorded after, however the call ends.

        ``most``: upper estimate of its tokens; ``at_start``: fields for the entry of the call's start.
        """
        ticket = await self._open(phase, purpose, most, at_start)
        started = self._clock.monotonic()
        problem: str = CallProblem.FAILED
        try:
            yield
            problem = ""
        except TimeoutError as error:
            problem = CallProblem.TOTAL
            raise ProviderUnavailable(
                f"The turn took longer than {limit_s:g} s.", provider=self.provider.name, kind="total"
            ) from error
        except asyncio.CancelledError:
            problem = CallProblem.CANCELLED
            raise
        except ProviderError as error:
            problem, heard.fields = problem_of(error), of_collapse(error)
            raise
        finally:
            await self._close(ticket, phase, purpose, heard, started, problem)

    async def _open(self, phase: Phase, purpose: str, most: Usage, at_start: Fields) -> int:
        ticket, verdict = await self._budget.reserve(
            provider=self.provider.name,
            price=self.provider.price,
            op_id=self._op_id,
            route=self._route,
            phase=phase.value,
            tokens_in=most.tokens_in,
            tokens_out=most.tokens_out,
        )
        try:
            await self._record.note(
                CallStarted(
                    purpose=purpose,
                    provider=self.provider.name,
                    model=self.provider.model,
                    tokens_in=most.tokens_in,
                    max_tokens=most.tokens_out,
                    rule=verdict.rule,
                    **at_start,
                ),
                phase=phase,
            )
        except BaseException:
            self._budget.release(ticket)  # the call is not made
            raise
        return ticket

    async def _close(
        self, ticket: int, phase: Phase, purpose: str, heard: ResponseBuffer, started: float, problem: str
    ) -> None:
        """Settle and record a call. Cancellation does not interrupt this, so that the cost survives a restart."""
        ms = round((self._clock.monotonic() - started) * 1000)
        usage = heard.usage
        spend, row = self._budget.settle(ticket, usage, self.provider.price)
        self._record.add(spend)

        async def settled() -> None:
            text = await asyncio.to_thread(redact, heard.text)  # about half a second for megabytes of text
            answer = await self._record.ledger.put_blob(text.encode("utf-8", errors="replace"))
            await self._record.note(
                CallEnded(
                    purpose=purpose,
                    provider=self.provider.name,
                    usd_micro=spend.usd_micro,
                    tokens_in=usage.tokens_in,
                    tokens_out=usage.tokens_out,
                    answer=answer,
                    ms=ms,
                    problem=problem,
                    **heard.fields,
                ),
                phase=phase,
                project=(row,),
                also=self._claimed(phase, purpose, answer, heard.confidence_bp),
            )
            self._budget.release(ticket)

        await run_to_completion(settled())

    def _claimed(self, phase: Phase, purpose: str, answer: str, confidence_bp: int | None) -> tuple[Draft, ...]:
        """The convergence record of a reply, up to the op's maximum number of them."""
        if not self._record.may_claim():
            return ()
        claim = reply(
            provider=self.provider.name,
            model=self.provider.model,
            purpose=purpose,
            answer=answer,
            confidence_bp=confidence_bp,
        )
        return (self._record.draft(claim, phase=phase),)


COLLAPSED = "collapsed"
Fields = dict[str, Any]  # texts and whole numbers


def of_report(report: Report | None) -> Fields:
    """Depth (thousandths), exit reason, proximity and signal of a report; empty without one."""
    if report is None:
        return {}
    fields: Fields = {
        "depth_milli": report.depth_milli,
        "exit": report.exit,
        "proximity_milli": report.proximity_milli,
        "signal": report.signal,
    }
    return fields if report.contraction_milli is None else {**fields, "contraction_milli": report.contraction_milli}


def careful(caution_milli: int, temperature: float) -> Fields:
    """Caution and temperature of a retry after a collapse; empty for any other call."""
    if not caution_milli:
        return {}
    return {"caution_milli": caution_milli, "temperature_milli": round(1000 * temperature)}


def of_infills(infills: Sequence[Infill]) -> Fields:
    """One combined report: mean depth, most frequent exit reason, and the highest proximity with its signal."""
    reports = [infill.report for infill in infills if infill.report is not None]
    if not reports:
        return {}
    worst = max(reports, key=lambda report: report.proximity_milli)
    return of_report(
        Report(
            depth_milli=round(sum(report.depth_milli for report in reports) / len(reports)),
            exit=Counter(report.exit for report in reports).most_common(1)[0][0],
            proximity_milli=worst.proximity_milli,
            signal=worst.signal,
        )
    )


def calmest(infills: Sequence[Infill]) -> Report | None:
    """The healthiest report of a batch, since one sound answer is enough; None if any answer has no report."""
    if not all(infill.report is not None for infill in infills):
        return None
    reports = [infill.report for infill in infills if infill.report is not None]
    return min(reports, key=lambda report: (report.alarm, report.proximity_milli), default=None)


def sound(infills: Sequence[Infill]) -> tuple[Infill, ...]:
    """The infills that did not collapse; a truncated answer is not worth a test run."""
    return tuple(i for i in infills if i.finish != COLLAPSED and not (i.report is not None and i.report.alarm))


def of_collapse(error: Exception) -> Fields:
    """The canary reading of a collapse; empty for other errors."""
    if not isinstance(error, CollapseDetected):
        return {}
    return {"exit": COLLAPSED, "proximity_milli": round(1000 * error.proximity), "signal": error.signal}


def problem_of(error: Exception) -> str:
    """The ``problem`` field of a call that ended with this provider error."""
    return CallProblem.COLLAPSED if isinstance(error, CollapseDetected) else str(error)
