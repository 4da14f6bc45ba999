"""The one way a model is called: budget first, an entry before and after, the turn's clock around it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from governance.budget import Budget
from governance.irongate.g15_secrets import redact
from governance.record import Recorder
from governance.uninterrupted import uninterrupted
from kernel.provider import (
    CallDelta,
    Done,
    Infill,
    Infiller,
    InfillRequest,
    Limits,
    Message,
    Provider,
    TextDelta,
    ToolCall,
    ToolSchema,
    Usage,
)
from ledger.clock import Clock
from ledger.errors import ProviderBadOutput, ProviderError, ProviderUnavailable
from ledger.vocabulary import EntryKind, State

CHARS_PER_TOKEN = 3.6


@dataclass(frozen=True, slots=True)
class Turn:
    """A whole answer."""

    text: str
    calls: tuple[ToolCall, ...]
    finish: str
    usage: Usage


class Asker:
    """Model calls of one op. ``turn_s`` is the route's ceiling for one call."""

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
    ) -> None:
        self.provider = provider
        self._budget = budget
        self._record = record
        self._clock = clock
        self._op_id = op_id
        self._route = route
        self._turn_s = turn_s

    async def turn(
        self,
        phase: State,
        purpose: str,
        conversation: Sequence[Message],
        tools: Sequence[ToolSchema] = (),
        *,
        limits: Limits,
    ) -> Turn:
        """One turn of a conversation. Raises ``BudgetExhausted`` before, ``ProviderError`` during."""
        clean = [m.model_copy(update={"text": redact(m.text)}) for m in conversation]
        limits = limits.model_copy(update={"timeout_s": min(limits.timeout_s, self._turn_s)})
        size = round(sum(len(m.text) for m in clean) / CHARS_PER_TOKEN)
        ticket = await self._open(phase, purpose, size, limits.max_tokens)
        texts: list[str] = []
        calls: list[ToolCall] = []
        done: Done | None = None
        started = self._clock.monotonic()
        problem = "failed"
        try:
            async with asyncio.timeout(limits.timeout_s):
                async for event in self.provider.respond(clean, tools, limits):
                    if isinstance(event, TextDelta):
                        texts.append(event.text)
                    elif isinstance(event, CallDelta):
                        calls.append(event.call)
                    else:
                        done = event
            if done is None:
                raise ProviderBadOutput("The answer ended without its end mark.", provider=self.provider.name)
            problem = ""
        except TimeoutError as error:
            problem = "total"
            raise ProviderUnavailable(
                f"The turn took longer than {limits.timeout_s:g} s.", provider=self.provider.name, kind="total"
            ) from error
        except asyncio.CancelledError:
            problem = "cancelled"
            raise
        except ProviderError as error:
            problem = str(error)
            raise
        finally:
            text = "".join(texts)
            usage = (
                done.usage
                if done
                else Usage(tokens_in=size, tokens_out=round(len(text) / CHARS_PER_TOKEN), estimated=True)
            )
            await self._close(ticket, phase, purpose, usage, started, problem, text)
        return Turn(text, tuple(calls), done.finish, usage)

    async def infill(self, phase: State, purpose: str, request: InfillRequest) -> tuple[Infill, ...]:
        """One batch of infills. Raises as :meth:`turn` does."""
        if not isinstance(self.provider, Infiller):
            raise ProviderBadOutput(f"{self.provider.name} cannot infill.", provider=self.provider.name)
        request = request.model_copy(update={"timeout_s": self._turn_s})
        chars = sum(len(s.prefix) + len(s.suffix) for s in request.spans)
        tokens_out = sum(s.max_tokens for s in request.spans) * request.samples
        size = round(chars / CHARS_PER_TOKEN)
        ticket = await self._open(phase, purpose, size, tokens_out)
        started = self._clock.monotonic()
        usage, problem, count = Usage(tokens_in=size, estimated=True), "failed", 0
        try:
            answer = await self.provider.infill(request)
            usage, problem, count = answer.usage, "", len(answer.infills)
        except asyncio.CancelledError:
            problem = "cancelled"
            raise
        except ProviderError as error:
            problem = str(error)
            raise
        finally:
            await self._close(ticket, phase, purpose, usage, started, problem, f"{count} infills")
        return answer.infills

    async def _open(self, phase: State, purpose: str, tokens_in: int, tokens_out: int) -> int:
        ticket, verdict = await self._budget.reserve(
            provider=self.provider.name,
            price=self.provider.price,
            op_id=self._op_id,
            route=self._route,
            phase=phase.value,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )
        try:
            await self._record.note(
                EntryKind.CALL, "call.started", phase=phase, purpose=purpose, provider=self.provider.name,
                model=self.provider.model, tokens_in=tokens_in, max_tokens=tokens_out, rule=verdict.rule,
            )  # fmt: skip
        except BaseException:
            self._budget.release(ticket)  # the call is not made
            raise
        return ticket

    async def _close(
        self, ticket: int, phase: State, purpose: str, usage: Usage, started: float, problem: str, text: str
    ) -> None:
        """A cancelled call is still settled, to the end: else a restart would forget what it cost."""
        ms = round((self._clock.monotonic() - started) * 1000)
        spend, row = self._budget.settle(ticket, usage, self.provider.price)
        self._record.add(spend)

        async def settled() -> None:
            answer = await self._record.ledger.put_blob(redact(text).encode("utf-8", errors="replace"))
            await self._record.note(
                EntryKind.CALL, "call.ended", phase=phase, project=(row,), purpose=purpose, provider=self.provider.name,
                usd_micro=spend.usd_micro, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, answer=answer,
                ms=ms, problem=problem,
            )  # fmt: skip
            self._budget.release(ticket)

        await uninterrupted(settled(), lambda _: None)
