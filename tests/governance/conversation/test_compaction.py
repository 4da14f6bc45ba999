"""Making room: the size is bounded, the newest stay, rules and goal are always there, and twice is once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.conversation.history import (
    ARGUMENT_CHARS,
    TEXT_CHARS,
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
from kernel.provider import Message, ToolCall

RESULT_CHARS = 300
OPENING = Opening(system="RULES and forms", user="GOAL and files", standing="RULES again, GOAL again")
Form = Callable[..., list[Message]]
forms = pytest.mark.parametrize("form", [as_messages, as_texts])


def result(number: int, tool: str, text: str, arguments: str) -> QuotedResult:
    return QuotedResult(ToolCall(id=f"call_{number}", name=tool, arguments=json.dumps({"q": arguments})), text)


Spec = list[tuple[int, list[tuple[str, int]], int]]  # of each turn: length of text, tool and size of results, remark
specs: st.SearchStrategy[Spec] = st.lists(
    st.tuples(
        st.sampled_from([0, 10, 30_000]),
        st.lists(st.tuples(st.sampled_from(["read_file", "git_log"]), st.integers(0, RESULT_CHARS)), max_size=5),
        st.sampled_from([0, 5_000]),
    ),
    max_size=12,
)


def built(spec: Spec) -> History:
    """A history with long arguments wherever a result is long."""
    found, number = History(), 0
    for long, sizes, remark in spec:
        results = []
        for tool, chars in sizes:
            number += 1
            results.append(result(number, tool, "r" * chars, "a" * chars * 9))
        found = found.plus(Exchange(text="t" * long, results=tuple(results), remark="m" * remark, nudge="n"))
    return found


keeps = st.integers(1, 8)


def said(form: Form, history: History, **more: str) -> list[Message]:
    return form(OPENING, history, number=3, rounds=8, **more)


@settings(deadline=None)
@given(specs, keeps)
def test_the_newest_results_stay_whole_and_in_order(spec: Spec, keep: int) -> None:
    history = built(spec)
    after = compact(history, keep=keep)
    assert [r.text for r in after.results] == [r.text for r in history.results[-keep:]]
    assert [r.call.id for r in after.results] == [r.call.id for r in history.results[-keep:]]


@settings(deadline=None)
@given(specs, keeps)
def test_what_gave_way_is_counted(spec: Spec, keep: int) -> None:
    history = built(spec)
    after = compact(history, keep=keep)
    gone = history.results[:-keep]
    assert after.dropped.total() == len(gone)
    assert after.dropped_chars >= sum(len(r.text) for r in gone)
    assert (after.left_out != "") is (bool(gone) or after.dropped_chars > 0)
    if gone:
        assert f"[{len(gone)} earlier results" in after.left_out
        assert f"{gone[0].call.name} {sum(r.call.name == gone[0].call.name for r in gone)}" in after.left_out


@settings(deadline=None)
@given(specs, keeps)
def test_twice_is_once(spec: Spec, keep: int) -> None:
    history = built(spec)
    once = compact(history, keep=keep)
    assert compact(once, keep=keep) == once


@settings(deadline=None)
@given(specs, specs, keeps)
def test_counts_add_up_over_several(one: Spec, other: Spec, keep: int) -> None:
    first, second = built(one), built(other)
    half = compact(first, keep=keep)
    for exchange in second.exchanges:
        half = half.plus(exchange)
    after = compact(half, keep=keep)
    assert after.dropped.total() + len(after.results) == len(first.results) + len(second.results)


@forms
@settings(deadline=None)
@given(spec=specs, keep=keeps)
def test_the_size_is_bounded_whatever_was_said(form: Form, spec: Spec, keep: int) -> None:
    history = built(spec)
    opening = len(OPENING.system) + len(OPENING.user) + len(OPENING.standing)
    turn = 3 * TEXT_CHARS + 200
    most = opening + keep * (RESULT_CHARS + ARGUMENT_CHARS + 200) + 2 * keep * turn + 500
    assert size(said(form, compact(history, keep=keep))) <= most


@forms
@settings(deadline=None)
@given(spec=specs, keep=keeps, final=st.sampled_from(["", "LAST"]))
def test_rules_and_goal_are_always_there(form: Form, spec: Spec, keep: int, final: str) -> None:
    history = built(spec)
    for state in (history, compact(history, keep=keep)):
        messages = said(form, state, final=final)
        assert messages[0].role == "system" and "RULES" in messages[0].text
        assert messages[1].role == "user" and "GOAL" in messages[1].text
        if state.exchanges:
            assert any("RULES again, GOAL again" in m.text for m in messages[-2:]), "said again at the end"
        assert messages[-1].text.endswith(final)


@settings(deadline=None)
@given(specs, keeps)
def test_what_a_provider_with_calls_gets_is_well_formed(spec: Spec, keep: int) -> None:
    """Each result follows the turn that made its call, each call has one, and arguments can be read."""
    history = built(spec)
    open_ids: list[str] = []
    for message in said(as_messages, compact(history, keep=keep)):
        if message.role == "tool":
            assert message.call_id == open_ids.pop(0)
        else:
            assert not open_ids
        if message.role == "assistant":
            assert message.text or message.calls
            open_ids = [c.id for c in message.calls]
            assert all(isinstance(json.loads(c.arguments), dict) for c in message.calls)
    assert not open_ids


@settings(deadline=None)
@given(specs, keeps, st.sampled_from(["", "LAST"]))
def test_a_chat_template_gets_user_and_assistant_in_turn(spec: Spec, keep: int, final: str) -> None:
    history = built(spec)
    roles = [m.role for m in said(as_texts, compact(history, keep=keep), final=final)]
    assert roles == ["system", *(["user", "assistant"] * len(roles))[: len(roles) - 1]]
    assert roles[-1] == "user"


@settings(deadline=None)
@given(st.text(max_size=5_000), st.integers(200, 2_000))
def test_a_shortened_text_keeps_head_and_tail(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit and shorten(short, limit) == short
    assert short[:50] == text[:50] and short[-50:] == text[-50:]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("{", "{}"),
        ("[1]", "{}"),
        ("", "{}"),
        ("[" * 90_000, '{"omitted": "90000 characters"}'),
    ],
)
def test_arguments_of_earlier_calls_can_always_be_read_again(arguments: str, kept: str) -> None:
    call = recallable(ToolCall(id="x", name="evil</data> name", arguments=arguments), id="call_7", limit=1_000)
    assert (call.id, call.name, call.arguments) == ("call_7", "evil__data__name", kept)


def test_no_name_of_a_tool_makes_the_line_long() -> None:
    calls: Sequence[QuotedResult] = [result(n, f"tool_{n}", "r", "a") for n in range(3_000)]
    after = compact(History().plus(Exchange(results=tuple(calls))), keep=6)
    assert len(after.left_out) < 1_000 and "2994 earlier results" in after.left_out
