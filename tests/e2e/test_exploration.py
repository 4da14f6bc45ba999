"""Looking around before editing: what is missing is said where it can still be made up for, and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kernel.provider import Message
from ledger.vocabulary import OpOutcome
from tests.e2e.serving import served
from tests.e2e.talking import Said, Talking, looked
from tests.e2e.test_refusals import CART, GOOD, TEST, WORDY, shop, work
from tests.e2e.world import config_for


def text_of(conversation: Sequence[Message]) -> str:
    return "\n".join(m.text for m in conversation)


async def test_who_answers_too_early_is_told_in_the_same_conversation_what_to_open(tmp_path: Path) -> None:
    def say(conversation: Sequence[Message]) -> Said:
        told = "gate04.floor" in text_of(conversation)
        return looked(CART, TEST) if told and not any(m.role == "tool" for m in conversation) else GOOD

    model = Talking(say)
    async with served(config_for(tmp_path, shop(tmp_path)), model) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        assert len(await service.entries(ending.op.id, "loop.ended")) == 1, "one conversation was enough"
        verdict, *_ = await service.entries(ending.op.id, "gate")
        assert "gate04.floor asks for a repair" in await service.told(ending.op.id)
    assert verdict.payload["evidence"] == ["score 2 of 4", "categories 1 of 2"]
    told = text_of(model.asked[1])
    assert "Explore more before editing (simple): score 2 of 4; categories 1 of 2." in told
    assert "CALL_GRAPH: get_callers, 3 a call" in told and "HISTORY: git_log" in told
    assert "DISCOVERY: search_code or list_dir or glob_files, 1 a call" in told
    assert "COMPREHENSION:" not in told, "what is open already is not asked for"


@pytest.mark.long
async def test_what_one_attempt_looked_up_counts_and_is_shown_in_the_next(tmp_path: Path) -> None:
    def say(conversation: Sequence[Message]) -> Said:
        if "An earlier attempt" in text_of(conversation):
            return GOOD
        return looked(CART, TEST) if not any(m.role == "tool" for m in conversation) else "I do not know."

    model = Talking(say)
    async with served(config_for(tmp_path, shop(tmp_path)), model) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        ends = [e.payload["end"] for e in await service.entries(ending.op.id, "loop.ended")]
    assert ends == ["stuck:monologue", "answer"]
    last = text_of(model.asked[-1])
    assert "What was looked up before:" in last and 'name="get_callers total"' in last
    assert "loop.stuck:monologue" in last, "why the first attempt was none"


async def test_with_tools_off_the_harness_looks_around_and_the_answer_is_one_shot(tmp_path: Path) -> None:
    model = Talking(lambda _: GOOD)
    async with served(config_for(tmp_path, shop(tmp_path), loop={"tools": "off"}), model) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        made = [e.payload["tool"] for e in await service.entries(ending.op.id, "tool.called")]
        (end,) = await service.entries(ending.op.id, "loop.ended")
    assert (end.payload["manner"], end.payload["rounds"], len(model.asked)) == ("one-shot", 1, 1)
    assert {"read_file", "list_symbols", "search_code", "git_log"} <= set(made)
    shown = text_of(model.asked[0])
    assert 'name="git_log shop/cart.py"' in shown and "Speed up totals" in shown, "its results stand in the prompt"


@pytest.mark.long
async def test_with_tools_off_an_answer_that_does_not_fit_is_a_new_attempt(tmp_path: Path) -> None:
    answers = ["I do not know.", GOOD]
    model = Talking(lambda _: answers.pop(0))
    async with served(config_for(tmp_path, shop(tmp_path), loop={"tools": "off"}), model) as (service, _):
        ending = await work(service, WORDY)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        assert len(await service.entries(ending.op.id, "loop.ended")) == 2
