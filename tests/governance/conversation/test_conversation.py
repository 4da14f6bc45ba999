"""One conversation with the real tools on a real workspace: every bound, every end, and what is recorded of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from governance.conversation.answer_verdict import AnswerVerdict
from governance.conversation.conversation import StatedEdits, propose_without_edits
from governance.conversation.form import ConversationForm, choose_form, deadline_s
from governance.conversation.history import Opening
from governance.conversation.protocol import block
from governance.conversation.result import ConversationEnd, ConversationResult
from governance.conversation.rounds import NUDGE, Conversation
from governance.conversation.settings import LoopSettings
from governance.conversation.tool_calls import batches
from kernel.canary import CollapseDetected
from kernel.provider import (
    CallDelta,
    Capabilities,
    Done,
    Event,
    Limits,
    Message,
    TextDelta,
    ToolCall,
    ToolSchema,
    Usage,
)
from ledger.clock import ManualClock
from ledger.errors import ProviderUnavailable
from ledger.store import Ledger
from ledger.vocabulary import Decision, Phase, RootCause, Tier, Verdict
from tests.governance.crewed import crew_in
from tests.governance.shopfloor import Priced
from tests.repos import make_repo
from tools.manifest import Arguments, Call, Category, Tool, ToolContext

FILES = {f"f{n}.py": f"x = {n}\n" for n in range(40)}
OPENING = Opening(system="RULES", user="GOAL", standing="RULES AND GOAL AGAIN")
Turn = str | list[ToolCall] | Exception | float
ANSWER = "ANSWER: it is 7."


def tool_call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(id="same", name=name, arguments=json.dumps(arguments))


def read(number: int) -> ToolCall:
    return tool_call("read_file", path=f"f{number}.py")


async def judge(text: str) -> AnswerVerdict:
    """What begins with ANSWER is one; BAD is an answer that does not fit."""
    if text.startswith("BAD"):
        return AnswerVerdict(useful=False, problem="It does not fit.", rule="test.bad")
    return AnswerVerdict(useful=text.startswith("ANSWER"))


class Turns(Priced):
    """Plays its turns, the last one for ever: a text, calls, an error, or seconds that it is silent."""

    def __init__(self, *turns: Turn | Callable[[int], Turn], tools: bool = True) -> None:
        super().__init__()
        self._turns = list(turns)
        self.capabilities = Capabilities(tools=tools)
        self.sent: list[tuple[Message, ...]] = []
        self.offered: list[int] = []
        self.silent = asyncio.Event()

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        self.sent.append(tuple(conversation))
        self.offered.append(len(tools))
        turn = self._turns[min(len(self.sent), len(self._turns)) - 1]
        turn = turn(len(self.sent)) if callable(turn) else turn
        if isinstance(turn, Exception):
            raise turn
        if isinstance(turn, float):
            self.silent.set()
            await asyncio.sleep(turn)
        elif isinstance(turn, str):
            yield TextDelta(text=turn)
        else:
            for one in turn:
                yield CallDelta(call=one)
        yield Done(finish="stop", usage=Usage())


class TextArguments(Arguments):
    size: int


class Flood(Tool[TextArguments]):
    """Says as much as it is told to."""

    name = "flood"
    description = "Says much."
    category = Category.DISCOVERY
    model = TextArguments

    def paths(self, arguments: TextArguments) -> tuple[str, ...]:
        return ()

    async def run(self, arguments: TextArguments, call: Call) -> str:
        return "".join(f"line {n}\n" for n in range(arguments.size // 10))


class Said:
    """What a conversation came to, and its entries."""

    def __init__(self, talk: ConversationResult, entries: list[dict[str, Any]], wrote: set[str]) -> None:
        self.talk, self.wrote = talk, wrote
        self.entries = entries

    def of(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["event"] == event]


@pytest.fixture
def hold(tmp_path: Path, ledger: Ledger, clock: ManualClock) -> Callable[..., Any]:
    """Holds one conversation with a model, in a manner, with settings."""
    repo = make_repo(tmp_path / "shop", FILES)

    async def held(model: Turns, *, manner: ConversationForm = ConversationForm.NATIVE, **settings: Any) -> Said:
        async with crew_in(repo, ledger, clock, model, more=(Flood(),), **settings) as (ctx, context):
            conversation = Conversation(
                ctx=ctx, phase=Phase.GENERATE, purpose="test", opening=OPENING, context=context, judge=judge,
                manner=manner, limits=Limits(),
            )  # fmt: skip
            talk = await conversation.run()
            return Said(talk, [e.payload for e in await ledger.entries()], set(context.written))

    return held


async def test_an_answer_behind_calls(hold: Callable[..., Any]) -> None:
    model = Turns([read(1), read(2)], ANSWER)
    said = await hold(model)
    assert (said.talk.end, said.talk.answer, said.talk.rounds, said.talk.calls) == (
        ConversationEnd.ANSWER,
        ANSWER,
        2,
        2,
    )
    roles = [m.role for m in model.sent[1]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert "RULES AND GOAL AGAIN" in model.sent[1][-1].text, "said again each round"
    assert ["x = 1" in m.text for m in model.sent[1] if m.role == "tool"] == [True, False], "in the order of the calls"
    (end,) = said.of("loop.ended")
    assert (end["end"], end["rounds"], end["calls"], end["wrote"]) == ("answer", 2, 2, [])


async def test_the_last_round_has_no_tools_and_a_nudge_and_its_calls_are_ignored(hold: Callable[..., Any]) -> None:
    model = Turns(lambda n: [read(n)])
    said = await hold(model, rounds=3)
    assert (said.talk.end, said.talk.rounds, said.talk.calls) == (ConversationEnd.ROUNDS, 3, 2)
    assert [bool(n) for n in model.offered] == [True, True, False]
    last = model.sent[-1][-1]
    assert (last.role, last.text) == ("system", NUDGE)
    assert not any(NUDGE in m.text for sent in model.sent[:-1] for m in sent)
    assert [(e["calls"], e["tools"]) for e in said.of("loop.ignored")] == [(1, ["read_file"])]
    assert len(said.of("tool.called")) == 2
    assert "(rounds)" in said.talk.summary


async def test_exploration_alone_has_a_bound_of_its_own(hold: Callable[..., Any]) -> None:
    model = Turns(lambda n: [read(n)] if n < 4 else ANSWER)
    said = await hold(model, rounds=20, explore_rounds=3)
    assert (said.talk.end, said.talk.rounds) == (ConversationEnd.ANSWER, 4)
    assert model.sent[-1][-1].text == NUDGE and model.offered[-1] == 0


async def test_who_edits_does_not_explore(hold: Callable[..., Any]) -> None:
    def turn(number: int) -> Turn:
        return [tool_call("edit_file", path=f"new{number}.py", search="", replace="y = 1")] if number < 6 else ANSWER

    said = await hold(Turns(turn), rounds=20, explore_rounds=3)
    assert (said.talk.end, said.talk.rounds) == (ConversationEnd.ANSWER, 6)


async def test_the_deadline_keeps_the_last_useful_text_and_what_tools_wrote(hold: Callable[..., Any]) -> None:
    said = await hold(Mixed(), deadline_s=2)
    assert (said.talk.end, said.talk.answer, said.wrote) == (ConversationEnd.DEADLINE, ANSWER, {"new.py"})
    assert said.of("loop.ended")[0]["wrote"] == ["new.py"]
    assert said.of("call.ended")[-1]["problem"] == "cancelled", "the call that ran is settled"


class Mixed(Turns):
    """An answer together with an edit by a tool, then silence."""

    def __init__(self) -> None:
        super().__init__([tool_call("edit_file", path="new.py", search="", replace="y = 1")], 30.0)

    async def respond(self, *asked: Any) -> AsyncIterator[Event]:
        if not self.sent:
            yield TextDelta(text=ANSWER)
        async for event in super().respond(*asked):
            yield event


@pytest.mark.parametrize(
    ("left", "reserve", "limit"), [(float("inf"), 60, 600), (300, 60, 240), (100, 60, 50), (2_000, 60, 600)]
)
def test_a_conversation_leaves_time_for_the_phases_behind_it(left: float, reserve: float, limit: float) -> None:
    assert deadline_s(LoopSettings(), left, reserve) == limit


async def test_calls_beyond_the_cap_of_a_turn_are_not_run(hold: Callable[..., Any]) -> None:
    model = Turns([read(n % 40) for n in range(500)], ANSWER)
    said = await hold(model)
    assert said.talk.calls == len(said.of("tool.called")) == 16
    assert said.of("loop.ignored")[0]["calls"] == 484
    assert any("484 of your 500 calls were not run" in m.text for m in model.sent[1])
    ids = [c.id for m in model.sent[1] for c in m.calls]
    assert len(set(ids)) == len(ids) == 16, "whatever ids the server gives"


CIRCLES = {
    "the same": (lambda n: [read(1)], ConversationEnd.REPEAT, 4),
    "to and fro": (lambda n: [read(n % 2)], ConversationEnd.ALTERNATION, 5),
    "nothing": (lambda n: "I think.", ConversationEnd.MONOLOGUE, 3),
    "the same thrice in a turn": (lambda n: [read(1)] * 3, ConversationEnd.REPEAT, 2),
}


@pytest.mark.parametrize(("turn", "end", "rounds"), CIRCLES.values(), ids=CIRCLES.keys())
async def test_a_circle_is_pointed_out_once_and_then_the_end(
    hold: Callable[..., Any], turn: Callable[[int], Turn], end: ConversationEnd, rounds: int
) -> None:
    model = Turns(turn)
    said = await hold(model)
    assert (said.talk.end, said.talk.rounds) == (end, rounds)
    assert [e["why"] for e in said.of("loop.nudged")] == [end.value]
    nudges = [m for m in model.sent[-1] if m.role == "system" and "circles" in m.text]
    assert len(nudges) == 1
    assert f"({end.value})" in said.talk.summary


async def test_who_takes_the_nudge_goes_on(hold: Callable[..., Any]) -> None:
    said = await hold(Turns([read(1)], [read(1)], [read(1)], [read(2)], ANSWER))
    assert (said.talk.end, said.talk.rounds) == (ConversationEnd.ANSWER, 5)


async def test_an_answer_that_does_not_fit_is_sent_back_twice_and_then_taken(hold: Callable[..., Any]) -> None:
    model = Turns("BAD 1", "BAD 2", "BAD 3", "BAD 4")
    said = await hold(model)
    assert (said.talk.end, said.talk.answer, said.talk.problem) == (ConversationEnd.ANSWER, "BAD 3", "It does not fit.")
    assert any("It does not fit. (test.bad)" in m.text for m in model.sent[1])
    mended = await hold(Turns("BAD 1", ANSWER))
    assert (mended.talk.end, mended.talk.answer, mended.talk.problem) == (ConversationEnd.ANSWER, ANSWER, "")


async def test_an_endless_answer_is_not_read(hold: Callable[..., Any]) -> None:
    model = Turns("ANSWER " + "x" * 300_000)
    said = await hold(model)
    assert (said.talk.end, said.talk.answer) == (
        ConversationEnd.ANSWER,
        "",
    ) and "300007 characters" in said.talk.problem
    assert all(sum(len(m.text) for m in sent) < 60_000 for sent in model.sent)


async def test_a_long_conversation_is_compacted_and_goes_on(hold: Callable[..., Any]) -> None:
    """Newest six stay, the others are counted; every prompt keeps to its room."""

    def turn(number: int) -> Turn:
        return [tool_call("flood", size=9_000 + 100 * number + n) for n in range(0, 100, 10)] if number < 5 else ANSWER

    model = Turns(turn)
    said = await hold(model, prompt_chars=60_000)
    assert (said.talk.end, said.talk.calls) == (ConversationEnd.ANSWER, 40)
    packed = said.of("loop.compacted")
    assert len(packed) == 3 and all(e["after"] < 45_000 <= e["before"] for e in packed)
    assert sum(m.role == "tool" for m in model.sent[-1]) == 6
    line = next(m.text for m in model.sent[-1] if "earlier results" in m.text)
    assert "34 earlier results" in line and "flood 34" in line
    for sent in model.sent:
        assert sum(len(m.text) for m in sent) < 60_000 + 10 * 4_200
        assert sent[0].text == "RULES" and sent[1].text == "GOAL"


async def test_two_compactions_without_anything_new_are_the_end(hold: Callable[..., Any]) -> None:
    def turn(number: int) -> Turn:
        return [tool_call("flood", size=9_000 + 10 * n) for n in range(12)][:: 1 if number % 2 else -1]

    said = await hold(Turns(turn), prompt_chars=50_000, rounds=20, explore_rounds=20)
    assert said.talk.end is ConversationEnd.COMPACTION
    assert [e["idle"] for e in said.of("loop.compacted")] == [0, 1, 2]


async def test_a_result_is_capped_and_all_of_it_is_in_the_record(hold: Callable[..., Any], ledger: Ledger) -> None:
    model = Turns([tool_call("flood", size=2_000_000)], ANSWER)
    said = await hold(model)
    (told,) = [m.text for m in model.sent[1] if m.role == "tool"]
    (made,) = said.of("tool.called")
    assert len(told.encode()) < 4_096 + 60
    assert "line 0\n" in told and "line 199999\n" in told, "head and tail"
    assert f"blob {made['result'][:12]} of the ledger" in told and "ask for less" in told
    assert len(await ledger.get_blob(made["result"])) == 1_000_000


async def test_what_writes_runs_alone_and_in_its_place(hold: Callable[..., Any]) -> None:
    """Two edits of one file in one turn, and a look at it before, between and behind."""
    edits = [
        tool_call("edit_file", path="f1.py", search=a, replace=b) for a, b in (("x = 1", "x = 2"), ("x = 2", "x = 3"))
    ]
    model = Turns([read(1), edits[0], read(1), edits[1], read(1)], ANSWER)
    said = await hold(model)
    told = [m.text for m in model.sent[1] if m.role == "tool"]
    assert ["x = 1" in told[0], "x = 2" in told[2], "x = 3" in told[4]] == [True] * 3
    assert all(e["ok"] for e in said.of("tool.called"))


def test_batches() -> None:
    made = [tool_call(name) for name in ("a", "b", "W", "W", "c", "d", "e")]
    names = [[c.name for c in batch] for batch in batches(made, str.isupper)]
    assert names == [["a", "b"], ["W"], ["W"], ["c", "d", "e"]]


ERRORS = {
    ConversationEnd.PROVIDER: ProviderUnavailable("Gone.", provider="p", kind="connection"),
    ConversationEnd.COLLAPSE: CollapseDetected(1.0, "loop", 3, provider="p"),
}


@pytest.mark.parametrize("end", ERRORS)
async def test_an_error_ends_it_by_name_and_is_handed_on(hold: Callable[..., Any], end: ConversationEnd) -> None:
    said = await hold(Turns([read(1)], ERRORS[end]))
    assert (said.talk.end, said.talk.error, said.talk.rounds) == (end, ERRORS[end], 2)
    assert said.of("loop.ended")[0]["end"] == end.value


async def test_a_cancelled_conversation_is_recorded_as_that(hold: Callable[..., Any], ledger: Ledger) -> None:
    model = Turns([read(1)], 30.0)
    task = asyncio.create_task(hold(model))
    await model.silent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (end,) = [e.payload for e in await ledger.entries() if e.payload["event"] == "loop.ended"]
    assert (end["end"], end["rounds"]) == ("cancelled", 2)


# --- without calls of its own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tools", "setting", "manner"),
    [(True, "auto", ConversationForm.NATIVE), (False, "auto", ConversationForm.TEXT),
     (True, "off", ConversationForm.ONE_SHOT),
     (False, "off", ConversationForm.ONE_SHOT)],
)  # fmt: skip
def test_the_manner_is_what_the_provider_can_and_the_owner_wants(
    tools: bool, setting: str, manner: ConversationForm
) -> None:
    assert choose_form(Capabilities(tools=tools), LoopSettings.model_validate({"tools": setting})) is manner


async def test_calls_in_plain_text(hold: Callable[..., Any]) -> None:
    model = Turns(f"I look.\n{block('read_file', json.dumps({'path': 'f1.py'}))}", ANSWER, tools=False)
    said = await hold(model, manner=ConversationForm.TEXT)
    assert (said.talk.end, said.talk.answer, said.talk.calls) == (ConversationEnd.ANSWER, ANSWER, 1)
    assert "- read_file: " in model.sent[0][0].text and set(model.offered) == {0}
    assert [m.role for m in model.sent[1]] == ["system", "user", "assistant", "user"]
    assert "x = 1" in model.sent[1][-1].text and "Result of call 1" in model.sent[1][-1].text


async def test_a_block_that_cannot_be_read_is_answered_with_one_sentence_and_nothing_is_run(
    hold: Callable[..., Any],
) -> None:
    good, bad = block("read_file", '{"path": "f1.py"}'), "```call\n{\n```"
    model = Turns(f"{good}\n{bad}", ANSWER, tools=False)
    said = await hold(model, manner=ConversationForm.TEXT)
    assert said.talk.calls == 0 and not said.of("tool.called")
    assert said.of("loop.unreadable")[0]["fault"].startswith("Call block 2 of 2 is not one JSON object")
    assert "None of them was run." in model.sent[1][-1].text
    never = await hold(Turns(bad, tools=False), manner=ConversationForm.TEXT)
    assert never.talk.end is ConversationEnd.MONOLOGUE


async def test_a_block_at_the_last_round_is_ignored_and_recorded(hold: Callable[..., Any]) -> None:
    model = Turns(lambda n: block("read_file", json.dumps({"path": f"f{n}.py"})), tools=False)
    said = await hold(model, manner=ConversationForm.TEXT, rounds=3)
    assert (said.talk.end, said.talk.calls, len(said.of("loop.ignored"))) == (ConversationEnd.ROUNDS, 2, 1)
    assert model.sent[-1][-1].text.endswith(NUDGE)


async def test_one_shot_is_one_turn_without_tools(hold: Callable[..., Any]) -> None:
    model = Turns("BAD 1")
    said = await hold(model, manner=ConversationForm.ONE_SHOT)
    assert (said.talk.end, said.talk.answer, said.talk.rounds) == (ConversationEnd.ANSWER, "BAD 1", 1)
    assert model.offered == [0] and [m.role for m in model.sent[0]] == ["system", "user"]


@pytest.mark.parametrize("manner", [ConversationForm.TEXT, ConversationForm.ONE_SHOT])
async def test_calls_of_a_provider_that_was_offered_none_are_ignored(
    hold: Callable[..., Any], manner: ConversationForm
) -> None:
    said = await hold(Turns([read(1)], ANSWER), manner=manner)
    assert said.of("loop.ignored")[0]["calls"] == 1 and not said.of("tool.called")
    assert said.talk.end is ConversationEnd.ANSWER


# --- what an op is told of an end without an answer -------------------------------------------------------------------

NO, BAD = RootCause.NO_CANDIDATE, RootCause.PROVIDER_BAD_OUTPUT
CAUSES = {
    ConversationEnd.ANSWER: (BAD, True, "generate.edits"),
    ConversationEnd.ROUNDS: (NO, True, "loop.rounds"),
    ConversationEnd.DEADLINE: (RootCause.TIMEOUT, False, "loop.deadline"),
    ConversationEnd.REPEAT: (NO, True, "loop.stuck:repeat"),
    ConversationEnd.COMPACTION: (NO, True, "loop.compaction"),
}


@pytest.mark.parametrize("end", CAUSES)
def test_an_end_without_an_answer_has_its_cause_and_its_name(end: ConversationEnd) -> None:
    cause, retry, rule = CAUSES[end]
    context = ToolContext(workspace=Any, op_id="op-1", tier=Tier.SAFE_AUTO, git=Any)  # type: ignore[arg-type]
    talk = ConversationResult(end=end, answer="", rounds=3, calls=4, problem="It does not fit.")
    proposal = propose_without_edits(StatedEdits(), talk, context)
    assert (proposal.cause, proposal.retry, proposal.rule) == (cause, retry, rule)
    assert "It does not fit." in proposal.reason
    assert end is ConversationEnd.ANSWER or f"({end.value})" in proposal.reason
    refusal = Verdict(gate=2, rule="gate02.built_in", decision=Decision.DENY, reason="Hands off.")
    refused = propose_without_edits(StatedEdits(), replace(talk, refused=(refusal,)), context)
    assert (refused.cause, refused.rule) == (RootCause.POLICY_REFUSED, "gate02.built_in")
    assert "Hands off." in refused.reason
