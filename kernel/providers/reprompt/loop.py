"""Runs the passes of one turn: request an answer, check it with another request, and so on until a stop rule."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from kernel.canary import CanaryReading, CollapseDetected
from kernel.canary.reading import QUIET
from kernel.canary.text import SINGLE_PASS, read_answer
from kernel.provider import CallDelta, Done, Event, Limits, Message, Provider, Report, TextDelta, Usage
from kernel.providers.reprompt import questions
from kernel.providers.reprompt.asking import PassAnswer, add_usage, run_pass
from kernel.providers.reprompt.stop_criterion import (
    CheckedAnswer,
    contraction_milli,
    is_worse,
    parse_answer,
    stop_reason,
)
from ledger.clock import Clock
from ledger.errors import ProviderError

CUT_SHORT = "cut_short"
DELIVERY_SHARE = 0.1  # share of the deadline, at most a second, reserved to deliver the last good answer
log = logging.getLogger(__name__)


class RepromptLoop:
    """One turn: :meth:`run` it to its end, then :meth:`events` yields the answer."""

    def __init__(
        self,
        inner: Provider,
        conversation: Sequence[Message],
        limits: Limits,
        *,
        passes: int,
        clock: Clock,
        watch: bool,
    ) -> None:
        """``watch``: the canary scores every answer; a collapsed one is discarded."""
        self._inner = inner
        self._conversation = conversation
        self._limits = limits
        self._passes = passes
        self._clock = clock
        self._watch = watch
        self._deadline = clock.monotonic() + limits.timeout_s
        self._longest_pass_s = 0.0
        self._usage = Usage()
        self._answers: list[CheckedAnswer] = []
        self._calls: tuple[CallDelta, ...] = ()
        self._worst = QUIET
        self._exit = ""

    async def run(self) -> AsyncGenerator[Usage, None]:
        """Run the passes; yields the usage so far, over all passes. A failure of the first pass is raised.

        Raises ``CollapseDetected`` if the first answer has collapsed.
        """
        while not self._exit:
            began = self._clock.monotonic()
            left = self._seconds_left(began)
            if self._answers and left < self._longest_pass_s:
                self._exit = CUT_SHORT
                return
            try:
                async with aclosing(self._pass(left)) as steps:
                    async for usage in steps:
                        yield usage
            except ProviderError as error:
                if not self._answers:
                    raise
                self._keep_last_answer(error)
            self._longest_pass_s = max(self._longest_pass_s, self._clock.monotonic() - began)

    def events(self) -> Iterator[Event]:
        """The final answer as events."""
        answer = self._answers[-1]
        if answer.text:
            yield TextDelta(text=answer.text)
        yield from self._calls
        finish = "calls" if self._calls else "stop" if answer.whole else "length"
        report = Report(
            depth_milli=1000 * len(self._answers),
            contraction_milli=contraction_milli(self._answers),
            exit=self._exit,
            proximity_milli=round(1000 * self._worst.proximity),
            signal=self._worst.signal,
        )
        yield Done.model_validate({"finish": finish, "usage": self._usage, "report": report})

    def _seconds_left(self, now: float) -> float:
        """Seconds that the next pass may take."""
        delivery_s = min(DELIVERY_SHARE * self._limits.timeout_s, 1.0) if self._answers else 0.0
        return self._deadline - now - delivery_s

    async def _pass(self, timeout_s: float) -> AsyncGenerator[Usage, None]:
        question = questions.first_question(self._conversation)
        if self._answers:
            question = questions.check_question(self._conversation, self._answers[-1].text)
        before, answer = self._usage, None
        async with aclosing(
            run_pass(self._inner, question, self._limits.model_copy(update={"timeout_s": timeout_s}))
        ) as steps:
            async for step in steps:
                answer = step if isinstance(step, PassAnswer) else None
                self._usage = add_usage(before, step.done.usage if isinstance(step, PassAnswer) else step)
                yield self._usage
        if answer is not None:
            await self._check_collapse(answer)
            self._add_answer(answer)

    async def _check_collapse(self, answer: PassAnswer) -> None:
        """Raises ``CollapseDetected`` for a collapsed answer."""
        if not self._watch:
            return
        reading = await read_answer(answer.text)
        report = answer.done.report or Report()  # more precise where the server sends log-probabilities
        self._track_worst(reading)
        self._track_worst(CanaryReading(report.proximity_milli / 1000, report.signal, False))
        if reading.alarm or report.alarm:
            written = answer.done.usage.tokens_out
            worst = self._worst
            raise CollapseDetected(worst.proximity, worst.signal, written, provider=self._inner.name)

    def _add_answer(self, final: PassAnswer) -> None:
        """Keep the answer if it is an improvement, and decide whether another pass follows."""
        answer = parse_answer(final.text, cut=final.done.finish == "length")
        if self._answers and (final.calls or is_worse(answer, self._answers[-1])):
            self._exit = CUT_SHORT
            return
        self._answers.append(answer)
        if final.calls or not answer.text.strip():  # only the first answer gets here: there is nothing to check
            self._calls, self._exit = final.calls, SINGLE_PASS
            return
        self._exit = stop_reason(self._answers, self._passes) or ""

    def _keep_last_answer(self, error: ProviderError) -> None:
        """Keeps the last good answer after a failed pass."""
        log.info("Keeping the answer of pass %s: %s", len(self._answers), error)
        if isinstance(error, CollapseDetected):
            self._track_worst(CanaryReading(error.proximity, error.signal, True))
        self._exit = CUT_SHORT

    def _track_worst(self, reading: CanaryReading) -> None:
        if reading.proximity > self._worst.proximity:
            self._worst = reading
