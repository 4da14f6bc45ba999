"""The tool loop with the model in this process: calls in plain text, through its real template and decoding."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance.conversation.answer_verdict import AnswerVerdict
from governance.conversation.form import ConversationForm, choose_form
from governance.conversation.history import Opening
from governance.conversation.protocol import block
from governance.conversation.result import ConversationEnd, ConversationResult
from governance.conversation.rounds import Conversation
from governance.conversation.settings import LoopSettings
from kernel.engine.settings import LocalSettings
from kernel.provider import Done, Event, Limits, Message, TextDelta, ToolSchema, Usage
from kernel.providers.local.provider import LocalProvider
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Phase
from tests.governance.crewed import crew_in
from tests.kernel.local_scene import provider
from tests.kernel.tiny import NAME, Tiny
from tests.repos import make_repo

ANSWER = "It is one."


class Led(LocalProvider):
    """Reads every prompt and writes a few tokens as it does; what it then says are its author's lines."""

    def __init__(self, tiny: Tiny, *lines: str) -> None:
        settings = LocalSettings.model_validate({"quantise": "fp32", "threads": 1, "canary": "observe"})
        super().__init__(model=NAME, settings=settings, models_dir=tiny.folder, weights=tiny.weights)
        self._lines = list(lines)
        self.read: list[tuple[list[Message], int]] = []  # prompts, and how many tokens each was

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        assert not tools
        async for event in super().respond(conversation, tools, limits):
            if isinstance(event, Done):
                self.read.append((list(conversation), event.usage.tokens_in))
        yield TextDelta(text=self._lines.pop(0))
        yield Done(finish="stop", usage=Usage())


async def talked(model: LocalProvider, folder: Path) -> tuple[ConversationResult, list[dict[str, Any]]]:
    """One conversation in a small repository, and its entries."""

    async def judge(text: str) -> AnswerVerdict:
        return AnswerVerdict(useful=text == ANSWER)

    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    ledger = await Ledger.open(folder / "ledger.sqlite3", repo_id="0123456789ab", clock=clock)
    manner = choose_form(model.capabilities, LoopSettings())
    try:
        async with crew_in(make_repo(folder / "shop", {"a.py": "x = 1\n"}), ledger, clock, model) as (ctx, context):
            talk = Conversation(
                ctx=ctx,
                phase=Phase.GENERATE,
                purpose="test",
                context=context,
                judge=judge,
                manner=manner,
                opening=Opening(system="You mend.", user="What is x?", standing="You mend. What is x?"),
                limits=Limits(max_tokens=8),
            )
            return await talk.run(), [e.payload for e in await ledger.entries()]
    finally:
        await ledger.close()
        await model.aclose()


async def test_a_local_model_calls_in_plain_text_and_reads_the_results(tiny: Tiny, tmp_path: Path) -> None:
    bad = "```call\n{\n```"
    model = Led(tiny, bad, block("read_file", json.dumps({"path": "a.py"})), ANSWER)
    talk, entries = await talked(model, tmp_path)
    assert (talk.end, talk.answer, talk.rounds, talk.calls) == (ConversationEnd.ANSWER, ANSWER, 3, 1)
    told = [e["event"] for e in entries]
    assert told.count("loop.unreadable") == 1 and told.count("tool.called") == 1
    assert [e["manner"] for e in entries if e["event"] == "loop.ended"] == [ConversationForm.TEXT.value]
    last, tokens = model.read[-1]
    assert [m.role for m in last] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "x = 1" in last[-1].text and tokens > model.read[0][1], "the template took every turn"


async def test_a_model_that_cannot_drive_tools_ends_by_name(tiny: Tiny, tmp_path: Path) -> None:
    """Random weights write no call and no answer."""
    talk, entries = await talked(provider(tiny), tmp_path)
    assert talk.end is ConversationEnd.MONOLOGUE and talk.answer == ""
    ended = [e for e in entries if e["event"] == "call.ended"]
    assert len(ended) == talk.rounds == 3 and all(e["tokens_out"] == 8 for e in ended)
