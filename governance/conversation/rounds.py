"""The tool loop: ask the model, check and run its calls, append the results; until an answer or a limit is reached.

:class:`ConversationEnd` names the limits. Calls, verdicts, nudges, ignored calls, compactions and the end are recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from governance.conversation import protocol
from governance.conversation.answer_verdict import SAYS_NOTHING, AnswerVerdict, Judge
from governance.conversation.form import ConversationForm, deadline_s
from governance.conversation.history import (
    Exchange,
    History,
    Opening,
    QuotedResult,
    as_messages,
    as_texts,
    compact,
    recallable,
    shorten,
    size,
)
from governance.conversation.model_client import Turn
from governance.conversation.prompts import data
from governance.conversation.result import (
    END_REASONS,
    ConversationEnd,
    ConversationResult,
    ConversationStep,
    find_loop_within,
)
from governance.conversation.tool_calls import names_of, run_calls, title_of
from governance.grounding.policy import WHOLE_MILLI
from governance.pipeline.context import OpContext
from kernel.canary import CollapseDetected
from kernel.provider import Limits, Message, ToolCall, ToolSchema
from ledger.errors import BudgetExhausted, OuroError, ProviderError
from ledger.events.model import (
    LAST_ROUND,
    LoopAnswerSentBack,
    LoopAnswerUnreadable,
    LoopCallsIgnored,
    LoopCompacted,
    LoopEnded,
    LoopEvent,
    LoopNudged,
)
from ledger.ids import sha256_hex
from ledger.tasks import run_to_completion
from ledger.vocabulary import Decision, Phase, Verdict
from tools.manifest import ToolContext, ToolOutcome

NUDGE = "This is the last round: no more tools. Give your answer now, in the form that was asked for."
TOO_LONG = "Your answer has {size} characters and was not read; {limit} are allowed."
CORRECTIONS = 2
"""Maximum number of answers that are sent back for correction; the next one goes to the later phases as it is."""
RECALLED_CHARS = 8_192
RESULT_CHARS = 6_000
FAILED_CHARS = 300


def schemas(ctx: OpContext) -> tuple[ToolSchema, ...]:
    """The toolbox as tool schemas for a provider."""
    return tuple(
        ToolSchema(name=s.name, description=s.description, parameters=s.parameters)
        for s in ctx.services.toolbox.schemas()
    )


class Conversation:
    """One conversation. Its calls are added to ``context``."""

    def __init__(
        self,
        *,
        ctx: OpContext,
        phase: Phase,
        purpose: str,
        opening: Opening,
        context: ToolContext,
        judge: Judge,
        manner: ConversationForm,
        limits: Limits,
    ) -> None:
        self._crew = ctx
        self._phase = phase
        self._purpose = purpose
        self._context = context
        self._judge = judge
        self._manner = manner
        self._limits = limits
        self._settings = ctx.services.settings.loop
        self._tools = schemas(ctx) if manner is not ConversationForm.ONE_SHOT else ()
        if manner is ConversationForm.TEXT:
            opening = replace(opening, system=f"{opening.system}\n\n{protocol.describe_tools(self._tools)}")
        self._opening = opening
        self._rounds = 1 if manner is ConversationForm.ONE_SHOT else self._settings.rounds
        self.history = History()
        self._steps: list[ConversationStep] = []
        self._refused: list[Verdict] = []
        self.looked: list[tuple[str, str]] = []  # title and text of exploration results before the first edit
        self._answer = self._problem = ""  # the final answer, and why the last one was sent back
        self._failed = ""  # result of the last failed call
        self._useful = ""  # the last usable text
        self._number = self._made = self._explored = self._corrected = self._idle = 0
        self._fresh = self._nudged = False

    async def run(self) -> ConversationResult:
        """Run to the end. Errors of provider and budget become results; others are raised. Cancellation is recorded."""
        limit = deadline_s(
            self._settings, self._crew.clock.remaining_s(), self._crew.services.settings.repair.reserve_s
        )
        try:
            async with self._crew.clock.within(limit) as clock:  # paused during questions to the owner
                end = await self._run_rounds()
            return await self._finish(end)
        except TimeoutError:
            if not clock.expired():
                raise
            return await self._finish(ConversationEnd.DEADLINE)
        except CollapseDetected as error:
            return await self._finish(ConversationEnd.COLLAPSE, error)
        except ProviderError as error:
            return await self._finish(ConversationEnd.PROVIDER, error)
        except BudgetExhausted as error:
            return await self._finish(ConversationEnd.BUDGET, error)
        except asyncio.CancelledError:
            await run_to_completion(self._finish(ConversationEnd.CANCELLED))
            raise

    async def _finish(self, end: ConversationEnd, error: OuroError | None = None) -> ConversationResult:
        problem = str(error) if error else self._problem or self._failed
        await self._note(
            LoopEnded,
            end=end.value,
            rounds=self._number,
            calls=self._made,
            manner=self._manner.value,
            wrote=sorted(self._context.written),
            problem=problem[:RECALLED_CHARS],
        )
        return ConversationResult(
            end=end,
            answer=self._answer or self._useful,
            rounds=self._number,
            calls=self._made,
            refused=tuple(self._refused),
            problem=problem,
            error=error,
        )

    async def _note(self, event: type[LoopEvent], **fields: Any) -> None:
        await self._crew.record.note(event(purpose=self._purpose, **fields), phase=self._phase)

    async def _run_rounds(self) -> ConversationEnd:
        last = False
        while not last:
            self._number += 1
            rounds = max(1, self._rounds * self._crew.client.scale_milli // WHOLE_MILLI)
            last = self._number >= rounds or self._explored >= self._settings.explore_rounds
            end = await self._process_turn(await self._ask(last), last)
            if end is not None:
                return end
            if not last and await self._is_full():
                return ConversationEnd.COMPACTION
        return ConversationEnd.ROUNDS

    async def _ask(self, last: bool) -> Turn:
        """One turn; the last one has no tools and a nudge to answer."""
        final = NUDGE if last and self._number > 1 else ""
        if final:
            await self._note(LoopNudged, why=LAST_ROUND, round=self._number)
        tools = self._tools if self._manner is ConversationForm.NATIVE and not last else ()
        return await self._crew.client.turn(self._phase, self._purpose, self._prompt(final), tools, limits=self._limits)

    def _prompt(self, final: str = "") -> list[Message]:
        form = as_messages if self._manner is ConversationForm.NATIVE else as_texts
        return form(self._opening, self.history, number=self._number, rounds=self._rounds, final=final)

    async def _process_turn(self, turn: Turn, last: bool) -> ConversationEnd | None:
        """Returns the end that a turn leads to, or None to continue."""
        text, calls = turn.text, turn.calls
        if calls and (last or self._manner is not ConversationForm.NATIVE):
            await self._record_ignored(calls)
            calls = ()
        if self._manner is ConversationForm.TEXT and not self._is_too_long(text):
            read = protocol.read_turn(text, prefix=f"call-{self._number}-")
            text, calls = read.prose, read.calls
            if read.fault:
                await self._note(LoopAnswerUnreadable, round=self._number, fault=read.fault)
                if not last:
                    return await self._append(
                        Exchange(text=self._shown(text), remark=read.fault), [ConversationStep("", "")]
                    )
            if calls and last:
                await self._record_ignored(calls)
        if calls and not last:
            if text.strip() and not self._context.written and (await self._judge_text(text)).useful:
                self._useful = text
            return await self._process_calls(text, calls)
        return await self._process_answer(text, last)

    async def _record_ignored(self, calls: Sequence[ToolCall]) -> None:
        """Record calls that are not run: in the last round, above the limit, or made although no tools were offered."""
        await self._note(LoopCallsIgnored, round=self._number, calls=len(calls), tools=names_of(calls))

    async def _process_answer(self, text: str, last: bool) -> ConversationEnd | None:
        """A turn without calls: an answer, an answer to send back, or neither."""
        judged = await self._judge_text(text)
        if self._useful and text.strip() and judged == SAYS_NOTHING:  # "Done." after an answer with calls
            text, judged = self._useful, await self._judge_text(self._useful)
        self._problem = judged.problem
        self._useful = text if judged.useful else self._useful
        is_answer = judged.useful or bool(judged.problem)
        is_over = last or self._corrected >= CORRECTIONS or (judged.useful and not judged.problem)
        if self._manner is ConversationForm.ONE_SHOT or (is_answer and is_over):
            self._answer = "" if self._is_too_long(text) else text
            return ConversationEnd.ANSWER
        if last:
            return None
        self._corrected += is_answer
        remark = shorten(judged.remark, RECALLED_CHARS)
        await self._note(LoopAnswerSentBack, round=self._number, why=remark)
        step = ConversationStep("answer", sha256_hex(text)) if is_answer else ConversationStep("", "")
        return await self._append(Exchange(text=self._shown(text), remark=remark), [step])

    async def _judge_text(self, text: str) -> AnswerVerdict:
        if self._is_too_long(text):
            return AnswerVerdict(
                useful=False, problem=TOO_LONG.format(size=len(text), limit=self._settings.answer_chars)
            )
        return await self._judge(text)

    def _is_too_long(self, text: str) -> bool:
        return len(text) > self._settings.answer_chars

    def _shown(self, text: str) -> str:
        return shorten(text, RECALLED_CHARS)

    async def _process_calls(self, text: str, calls: Sequence[ToolCall]) -> ConversationEnd | None:
        """Run a turn's calls, up to the limit, and keep their results."""
        most = self._settings.calls_per_turn
        run, over = calls[:most], calls[most:]
        remark = ""
        if over:
            remark = f"{len(over)} of your {len(calls)} calls were not run: a turn may have {most}."
            await self._record_ignored(over)
        outcomes = await run_calls(self._crew, self._phase, run, self._context)
        self._failed = next((o.text[:FAILED_CHARS] for o in reversed(outcomes) if not o.use.ok), self._failed)
        if not self._context.written:
            self.looked += [(title_of(o.use), o.text) for o in outcomes if o.use.category]
        verdicts = (verdict for outcome in outcomes for verdict in (outcome.verdict, *outcome.refused))
        self._refused += [verdict for verdict in verdicts if verdict.decision is Decision.DENY]
        self._explored += all(o.use.category is not None for o in outcomes)
        steps = [ConversationStep(f"{o.use.tool} {o.use.arguments}", sha256_hex(o.text)) for o in outcomes]
        known = {step.call for step in self._steps}
        self._fresh |= any(o.use.ok and step.call not in known for o, step in zip(outcomes, steps, strict=True))
        results = tuple(self._result(call, outcome) for call, outcome in zip(run, outcomes, strict=True))
        return await self._append(Exchange(text=self._shown(text), results=results, remark=remark), steps)

    def _result(self, call: ToolCall, outcome: ToolOutcome) -> QuotedResult:
        """A result under a new call id: servers may repeat or omit ids, which would break the next prompt."""
        self._made += 1
        own = recallable(call, id=f"call_{self._made}", limit=RECALLED_CHARS)
        return QuotedResult(own, data(call.name, outcome.text, RESULT_CHARS))

    async def _append(self, exchange: Exchange, steps: Sequence[ConversationStep]) -> ConversationEnd | None:
        """Append an exchange. The first loop (repetition) gets a nudge, the second ends the conversation."""
        loop = find_loop_within(self._steps, steps)
        self._steps += steps
        if loop is not None:
            if self._nudged:
                return loop
            self._nudged = True
            exchange = replace(
                exchange, nudge=f"You go round in circles: {END_REASONS[loop]}. Do something else, or answer."
            )
            await self._note(LoopNudged, why=loop.value, round=self._number)
        self.history = self.history.plus(exchange)
        return None

    async def _is_full(self) -> bool:
        """Compact the prompt if it is too long. True when this happened twice without a new result in between."""
        settings = self._settings
        before = size(self._prompt())
        if before * 100 < settings.prompt_chars * settings.compact_at:
            return False
        shorter = compact(self.history, keep=settings.kept_results)
        if shorter == self.history:
            return False
        gone = len(self.history.results) - len(shorter.results)
        self.history = shorter
        self._idle = 0 if self._fresh else self._idle + 1
        self._fresh = False
        await self._note(
            LoopCompacted,
            round=self._number,
            results=gone,
            before=before,
            after=size(self._prompt()),
            idle=self._idle,
        )
        return self._idle >= 2
