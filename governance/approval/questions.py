"""A model's questions to the owner: asked through a tool, recorded, and answered over the control socket.

The answer is data for the model that asked: it approves nothing, raises no limit and reaches no other op. Every
question ends with one entry: answered, expired, withdrawn (its op was stopped) or ended (with the daemon).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from governance.irongate.secrets.redaction import redact
from governance.record import Recorder
from governance.settings import ApprovalSettings
from ledger.clock import Clock, stamp
from ledger.errors import ControlError, ToolError
from ledger.events.approval import (
    QuestionAnswered,
    QuestionAsked,
    QuestionClosed,
    QuestionDropped,
    QuestionExpired,
    QuestionWithdrawn,
)
from ledger.ids import uuid7_hex
from ledger.store import Ledger, Statement
from ledger.tasks import run_to_completion
from ledger.vocabulary import Frozen

if TYPE_CHECKING:
    from governance.pipeline.context import OpContext

SCHEMA = "CREATE TABLE IF NOT EXISTS questions (id TEXT PRIMARY KEY, op_id TEXT NOT NULL);"


class Question(Frozen):
    """A pending question, with secrets redacted. ``expires_at`` is a UTC stamp."""

    id: str
    op_id: str
    text: str
    choices: tuple[str, ...]
    expires_at: str


@dataclass(slots=True)
class _Waiting:
    question: Question
    record: Recorder
    answer: asyncio.Future[str]
    closed: bool = field(default=False)  # its final entry is being written: no second one may follow


class Questions:
    """The pending questions, at most one for each op."""

    def __init__(self, *, ledger: Ledger, clock: Clock, settings: ApprovalSettings) -> None:
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._waiting: dict[str, _Waiting] = {}

    async def prepare(self) -> None:
        """Create the table, and close questions left open by an earlier daemon process: their ops have ended too."""
        await self._ledger.ensure(SCHEMA)
        for number, op_id in await self._ledger.query("SELECT id, op_id FROM questions"):
            await Recorder(self._ledger, op_id=str(op_id), spend=await self._ledger.spent(str(op_id))).note(
                QuestionDropped(id=str(number), by="nobody", reason="the daemon ended before there was an answer"),
                project=(_gone(str(number)),),
            )

    def find(self, reference: str) -> Question | None:
        """The open question with this id, or the one of this op."""
        found = (w.question for w in self._waiting.values() if not w.closed)
        return next((q for q in found if reference in (q.id, q.op_id)), None)

    async def ask(self, record: Recorder, text: str, choices: tuple[str, ...]) -> str | None:
        """Record the question and wait for the answer; None when the approval time-out passes first.

        Raises ``ToolError`` while the op has another pending question.
        """
        op_id = record.op_id or ""
        if op_id in self._waiting:
            raise ToolError("A question of this op waits already.")
        expires = self._clock.now() + timedelta(seconds=self._settings.timeout_s)
        question = Question(
            id=f"q-{uuid7_hex()[-6:]}",
            op_id=op_id,
            text=redact(text),
            choices=tuple(map(redact, choices)),
            expires_at=stamp(expires),
        )
        waiting = _Waiting(question, record, asyncio.get_running_loop().create_future())
        self._waiting[op_id] = waiting
        try:
            return await self._answer_to(waiting)
        finally:
            del self._waiting[op_id]

    async def _answer_to(self, waiting: _Waiting) -> str | None:
        question = waiting.question
        opened = ("INSERT INTO questions VALUES (?, ?)", (question.id, question.op_id))
        try:
            asked = QuestionAsked(
                id=question.id, question=question.text, choices=question.choices, expires_at=question.expires_at
            )
            await run_to_completion(waiting.record.note(asked, project=(opened,)))
            done, _ = await asyncio.wait({waiting.answer}, timeout=self._settings.timeout_s)
            if done or waiting.closed:
                return await waiting.answer
            await self._close(waiting, QuestionExpired(id=question.id, by="nobody"))
            return None
        except asyncio.CancelledError:
            if not waiting.closed:
                await run_to_completion(self._close(waiting, QuestionWithdrawn(id=question.id, by="ouroboros")))
            raise

    async def answer(self, reference: str, text: str, *, by: str) -> Question:
        """Record the owner's answer, then pass it to the op. Raises ``ControlError`` when no question matches."""
        question = self.find(reference)
        if question is None:
            raise ControlError(f"{reference} asks nothing.", remedy="`ouro status` shows what waits for you.")
        waiting = self._waiting[question.op_id]
        chosen = _chosen(text, question.choices)
        try:
            await self._close(waiting, QuestionAnswered(id=question.id, by=by, answer=chosen))
        except BaseException as error:
            waiting.answer.set_exception(ControlError(f"The answer could not be recorded: {error}"))
            raise
        waiting.answer.set_result(chosen)
        return question

    async def _close(self, waiting: _Waiting, how: QuestionClosed) -> None:
        waiting.closed = True
        await waiting.record.note(how, project=(_gone(waiting.question.id),))


def _gone(number: str) -> Statement:
    return ("DELETE FROM questions WHERE id = ?", (number,))


def _chosen(text: str, choices: tuple[str, ...]) -> str:
    """The choice selected by its number; any other text unchanged."""
    plain = text.strip()
    number = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < 3 else 0
    return choices[number - 1] if 1 <= number <= len(choices) else plain


class Owner:
    """The ``person`` port of one op's tools: limits the number of questions and pauses the op's clock meanwhile."""

    def __init__(self, ctx: OpContext) -> None:
        self._crew = ctx

    async def ask(self, question: str, choices: tuple[str, ...]) -> str | None:
        ctx = self._crew
        most = ctx.services.settings.approval.questions
        if ctx.resources.questions_asked >= most:
            raise ToolError(f"An op may ask {most} question(s), and this one has.")
        ctx.resources.questions_asked += 1
        with ctx.clock.standing_still():
            return await ctx.services.questions.ask(ctx.record, question, choices)
