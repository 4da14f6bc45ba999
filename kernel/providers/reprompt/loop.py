"""The passes over one question: ask, evaluate the answer, ask again or stop."""

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
HAND_OVER = 0.1  # share of the deadline, at most a second, reserved to deliver the last good answer
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
        """``watch``: the canary reads every answer, and a collapsed one does not count."""
        self._inner = inner
        self._conversation = conversation
        self._limits = limits
        self._passes = passes
        self._clock = clock
        self._watch = watch
        self._ends = clock.monotonic() + limits.timeout_s
        self._longest = 0.0
        self._spent = Usage()
        self._answers: list[CheckedAnswer] = []
        self._calls: tuple[CallDelta, ...] = ()
        self._worst = QUIET
        self._exit = ""

    async def run(self) -> AsyncGenerator[Usage, None]:
        """Yields the usage of the turn so far, over all passes. Raises what the first pass raises.

        ``CollapseDetected`` when the first answer has collapsed.
        """
        while not self._exit:
            began = self._clock.monotonic()
            left = self._left(began)
            if self._answers and left < self._longest:
                self._exit = CUT_SHORT
                return
            try:
                async with aclosing(self._pass(left)) as steps:
                    async for usage in steps:
                        yield usage
            except ProviderError as error:
                if not self._answers:
                    raise
                self._fall_through(error)
            self._longest = max(self._longest, self._clock.monotonic() - began)

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
        yield Done.model_validate({"finish": finish, "usage": self._spent, "report": report})

    def _left(self, now: float) -> float:
        """Seconds for the next pass."""
        hand_over = min(HAND_OVER * self._limits.timeout_s, 1.0) if self._answers else 0.0
        return self._ends - now - hand_over

    async def _pass(self, timeout_s: float) -> AsyncGenerator[Usage, None]:
        question = questions.first_question(self._conversation)
        if self._answers:
            question = questions.check_question(self._conversation, self._answers[-1].text)
        before, answer = self._spent, None
        async with aclosing(
            run_pass(self._inner, question, self._limits.model_copy(update={"timeout_s": timeout_s}))
        ) as steps:
            async for step in steps:
                answer = step if isinstance(step, PassAnswer) else None
                self._spent = add_usage(before, step.done.usage if isinstance(step, PassAnswer) else step)
                yield self._spent
        if answer is not None:
            await self._check_collapse(answer)
            self._take(answer)

    async def _check_collapse(self, answer: PassAnswer) -> None:
        """Raises ``CollapseDetected`` for a collapsed answer."""
        if not self._watch:
            return
        reading = await read_answer(answer.text)
        report = answer.done.report or Report()  # more precise where the server sends log-probabilities
        self._note(reading)
        self._note(CanaryReading(report.proximity_milli / 1000, report.signal, False))
        if reading.alarm or report.alarm:
            written = answer.done.usage.tokens_out
            worst = self._worst
            raise CollapseDetected(worst.proximity, worst.signal, written, provider=self._inner.name)

    def _take(self, passed: PassAnswer) -> None:
        """Keeps the answer if it counts, and decides whether it is the last."""
        answer = parse_answer(passed.text, cut=passed.done.finish == "length")
        if self._answers and (passed.calls or is_worse(answer, self._answers[-1])):
            self._exit = CUT_SHORT
            return
        self._answers.append(answer)
        if passed.calls or not answer.text.strip():  # the first answer, with nothing to check
            self._calls, self._exit = passed.calls, SINGLE_PASS
            return
        self._exit = stop_reason(self._answers, self._passes) or ""

    def _fall_through(self, error: ProviderError) -> None:
        """Keeps the last good answer after a failed pass."""
        log.info("Keeping the answer of pass %s: %s", len(self._answers), error)
        if isinstance(error, CollapseDetected):
            self._note(CanaryReading(error.proximity, error.signal, True))
        self._exit = CUT_SHORT

    def _note(self, reading: CanaryReading) -> None:
        if reading.proximity > self._worst.proximity:
            self._worst = reading
